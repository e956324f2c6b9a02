// Arrays as pictures: green is positive, purple negative, the paper is zero. Both are told apart by every eye.
const isDark = () => document.documentElement.dataset.theme === "dark";

function colours() {
  return isDark()
    ? { zero: [16, 20, 26], plus: [140, 225, 150], minus: [205, 150, 235] }
    : { zero: [250, 250, 250], plus: [20, 110, 50], minus: [110, 35, 130] };
}

// Values as pixels on a canvas, the largest size with full colour.
function paint(canvas, values, height, width, reach) {
  const { zero, plus, minus } = colours();
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  values.forEach((value, i) => {
    const share = reach ? Math.pow(Math.min(1, Math.abs(value) / reach), 0.7) : 0;
    const end = value < 0 ? minus : plus;
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = zero[k] + share * (end[k] - zero[k]);
    image.data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const mapShape = (shape) => (shape.length === 3 ? [shape[1], shape[2]] : [1, 1]);

// One channel as a canvas; what is pointed at is read out.
function mapCanvas(map, shape, label, readOut) {
  const [height, width] = mapShape(shape);
  const canvas = el("canvas", { role: "img", "aria-label": label });
  const values = mapValues(map);
  paint(canvas, values, height, width, map.scale * 32767);
  if (readOut) {
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const row = Math.min(height - 1, Math.floor(((event.clientY - box.top) / box.height) * height));
      const column = Math.min(width - 1, Math.floor(((event.clientX - box.left) / box.width) * width));
      readOut.textContent = `row ${row}, column ${column}: ${fmt(values[Math.max(0, row) * width + Math.max(0, column)])}`;
    });
  }
  return canvas;
}

function histogram(array, way) {
  const { reach, counts } = array.histogram;
  const most = Math.max(...counts, 1);
  const bars = counts.map((count, i) => {
    const height = count ? Math.max(1, 50 * Math.sqrt(count / most)) : 0; // by its root: rare values can be seen
    return svg("rect", { x: 3 * i, y: 52 - height, width: 2.4, height, class: way });
  });
  const label = `histogram of what is not zero, from ${fmt(-reach)} to ${fmt(reach)}, heights by the root of the count`;
  return svg("svg", { viewBox: "0 0 120 66", class: "histogram", role: "img", "aria-label": label },
    svg("title", {}, label), bars, svg("line", { x1: 0, x2: 120, y1: 52.5, y2: 52.5 }), svg("line", { x1: 60, x2: 60, y1: 50, y2: 55 }),
    svg("text", { x: 0, y: 64 }, fmt(-reach, 2)), svg("text", { x: 60, y: 64, "text-anchor": "middle" }, "0"),
    svg("text", { x: 120, y: 64, "text-anchor": "end" }, fmt(reach, 2)));
}

// A value or a gradient: name and figures, its maps, its histogram.
function arrayStrip(name, tensor, which, arrived) {
  const array = arrays[tensor[which]];
  const way = which === "value" ? "forward" : "backward";
  const channels = tensor.shape.length ? DATA.channels[tensor.shape[0]] : [];
  const figures = tensor.shape.length
    ? `mean ${fmt(array.mean)}, std ${fmt(array.std)}, ${fmt(array.min)} to ${fmt(array.max)}${array.zeros ? `, ${percent(array.zeros)} zero` : ""}`
    : "";
  const size = tensor.shape.length ? `|${name}| = ${fmt(array.norm)}` : `${name} = ${fmt(array.mean)}`;
  const title = el("div", { class: "figures" }, el("b", {}, size), " ", el("span", {}, figures));
  if (!arrived) return null;
  const pictures = array.maps.map((map, k) => {
    const label = `${name}, channel ${channels[k]}`;
    const box = el("button", { class: "map", title: `channel ${channels[k]}: enlarge`, onclick: () => enlarge(name, tensor, k) },
      mapCanvas(map, tensor.shape, label), el("span", {}, tensor.shape.length === 3 ? channels[k] : fmt(mapValues(map)[0], 2)));
    return box;
  });
  return el("div", { class: `strip ${way} ${channels.length === 1 ? "lone" : ""}`, "data-array": tensor[which] }, title,
    el("div", { class: "row" }, pictures, tensor.shape.length ? histogram(array, way) : null));
}

// What a node makes of its input, and below it what comes back; the gradients wait until we come back, too.
function mapsPanel(node) {
  const back = isBackward();
  const names = {
    in: node.inputs.length > 1 ? ["h", "shortcut"] : ["x"],
    out: node.outputs.length > 1 ? ["h", "shortcut"] : [{ loss: "loss", input: "x" }[node.kind] || "y"],
  };
  const column = (side, indices, title) =>
    el("div", { class: `side ${indices.length > 1 ? "two" : "one"} ${back ? "" : "only"}` }, el("h3", {}, title),
      indices.length ? null : el("p", { class: "quiet" }, "nothing: the image is where it begins"),
      ["value", "gradient"].map((which) =>
        el("div", { class: "pair" }, indices.map((index, i) => {
          const name = (which === "value" ? "" : "d") + names[side][i];
          return arrayStrip(name, tensors[index], which, which === "value" || back);
        }))));
  const first = tensors[node.outputs[0]];
  const note = first.shape.length || node.kind === "loss"
    ? "The channels that say most, by the sum of |value · gradient|; their numbers stand below. Each map has its own scale: green is positive, purple negative."
    : "";
  return [
    el("div", { class: "mirror" },
      column("in", node.inputs, back ? "input; and below, the gradient that goes on" : "input"),
      el("div", { class: "ways", "aria-hidden": "true" }, el("span", { class: "forward" }, "→"), el("span", { class: "backward" }, back ? "←" : "")),
      column("out", node.outputs, back ? "output; and below, the gradient that came" : "output")),
    el("p", { class: "quiet" }, note),
  ];
}

// One channel, large: value and gradient side by side.
function enlarge(name, tensor, k) {
  const channels = DATA.channels[tensor.shape[0]];
  const plainName = name.replace(/^d/, "");
  const side = (which) => {
    const readOut = el("span", { class: "read" }, "point at a pixel");
    const title = which === "value" ? plainName : `d${plainName}`;
    return el("figure", { class: which === "value" ? "forward" : "backward" }, el("figcaption", {}, el("b", {}, title), " ", readOut),
      mapCanvas(arrays[tensor[which]].maps[k], tensor.shape, `${title}, channel ${channels[k]}`, readOut));
  };
  const turnTo = (other) => enlarge(name, tensor, (other + channels.length) % channels.length);
  openDialog(`${nodes[nodeIndex()].name}: channel ${channels[k]} of ${tensor.shape[0]}`,
    el("div", { class: "large" }, side("value"), isBackward() ? side("gradient") : null),
    el("p", {}, el("button", { onclick: () => turnTo(k - 1) }, "channel before"), " ", el("button", { onclick: () => turnTo(k + 1) }, "next channel")));
}
