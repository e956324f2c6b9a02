// What the page shows, and small helpers. A node takes tensors and gives tensors; a tensor is a value and its gradient.
const DATA = JSON.parse(document.getElementById("data").textContent);
const { nodes, tensors, arrays } = DATA;
const KINDS = {
  input: "image",
  fork: "fork",
  conv2d: "convolution",
  batchnorm2d: "batch norm",
  batchnorm2d_inference: "batch norm",
  relu: "ReLU",
  maxpool2d: "max pool",
  avgpool2d: "average pool",
  add: "residual add",
  global_avgpool2d: "average pool",
  linear: "fully connected",
  zero_pad_channels: "zero padding",
  dropout: "dropout",
  loss: "loss",
};

const byId = (id) => document.getElementById(id);

// An element with attributes (on... are listeners) and children, texts or elements.
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// A number with three digits: 0.0123, 12.3, 1.23e-5.
function fmt(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e5) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(digits - 1) : value.toPrecision(digits);
  return (text.includes("e") && !/e[+-]\d/.test(text) ? String(Math.round(value)) : text)
    .replace("-", "−")
    .replace("e-", "e−")
    .replace("e+", "e");
}

// How numbers are written alike: their unit, a power of ten, and a function; none has more than three digits of the
// largest.
function writing(values, room) {
  const all = values.flat().filter((value) => value !== null);
  const reach = Math.max(0, ...all.map(Math.abs));
  if (all.every(Number.isInteger) && reach < 1000)
    return { unit: 1, power: 0, write: (value) => String(value).replace("-", "−") };
  const power = reach >= (room ? 0.1 : 0.01) && reach < 1000 ? 0 : Math.floor(Math.log10(reach));
  const digits = Math.max(0, Math.min(4, (room === "tiny" ? 1 : 2) - Math.floor(Math.log10(reach / 10 ** power))));
  const write = (value) => {
    if (value === 0) return "0";
    const text = (value / 10 ** power)
      .toFixed(digits)
      .replace(/^-(?=[0.]*$)/, "")
      .replace("-", "−");
    return room ? text.replace(/^(−?)0\./, "$1.") : text;
  };
  return { unit: 10 ** power, power, write };
}

const whole = (value) => value.toLocaleString("en");
const times = (shape) => (shape.length ? shape.join("×") : "one number");
const TITLES = { input: "what the network gets", fork: "x goes two ways", loss: "cross entropy" };
const titleOf = (node) => node.title || TITLES[node.kind] || KINDS[node.kind];
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 || share > 0.9 ? 1 : 0)} %`;
const called = (node) =>
  KINDS[node.kind] === node.name || !KINDS[node.kind] ? node.name : `${node.name} (${KINDS[node.kind]})`;
const oneOf = (index, count) => (count === 1 ? `${index}, the only one` : `${index} (of 0 to ${count - 1})`);
const shortName = (node) => (node.kind === "fork" ? "x" : node.name.replace(`${node.block}.`, ""));

function bytes(text) {
  const binary = atob(text);
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

// The values of one map, decoded when they are first asked for.
function mapValues(map) {
  if (!map.values) {
    const whole16 = new Int16Array(bytes(map.pixels).buffer);
    map.values = Float32Array.from(whole16, (value) => value * map.scale);
  }
  return map.values;
}

// The blocks in the order of forward, each with the indices of its nodes.
const blocks = [];
nodes.forEach((node, index) => {
  if (!blocks.length || blocks.at(-1).name !== node.block) blocks.push({ name: node.block, nodes: [] });
  blocks.at(-1).nodes.push(index);
});

// Where we are: step 0 to N - 1 is forward, N to 2 N - 1 is backward, from the loss to the image.
const N = nodes.length;
const state = { step: 0, tab: "maps", timer: null, window: 0, toy: null, algorithm: 0 };
const isBackward = () => state.step >= N;
const placeOf = (step) => (step < N ? step : 2 * N - 1 - step);
const nodeIndex = () => placeOf(state.step);
