// Arrays as pictures: green is positive, purple negative, the paper is zero. Both are told apart by every eye.
const isDark = () => document.documentElement.dataset.theme === "dark";

// A colour of the style sheet, such as --plus: #146e32, as red, green and blue.
function colour(name) {
  const code = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((i) => parseInt(code.slice(i, i + 2), 16));
}

// Values as pixels on a canvas, the largest size with full colour.
function paint(canvas, values, height, width, reach) {
  const [zero, plus, minus] = ["zero", "plus", "minus"].map(colour);
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

// One channel as a canvas.
function mapCanvas(map, label) {
  const canvas = el("canvas", { role: "img", "aria-label": label });
  paint(canvas, mapValues(map), ...map.shape, map.scale * 32767);
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
  return svg(
    "svg",
    { viewBox: "0 0 120 66", class: "histogram", role: "img", "aria-label": label },
    svg("title", {}, label),
    bars,
    svg("line", { x1: 0, x2: 120, y1: 52.5, y2: 52.5 }),
    svg("line", { x1: 60, x2: 60, y1: 50, y2: 55 }),
    svg("text", { x: 0, y: 64 }, fmt(-reach, 2)),
    svg("text", { x: 60, y: 64, "text-anchor": "middle" }, "0"),
    svg("text", { x: 120, y: 64, "text-anchor": "end" }, fmt(reach, 2)),
  );
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
  if (tensor.shape.length === 1)
    return el(
      "div",
      { class: `strip ${way}`, "data-array": tensor[which] },
      title,
      el("div", { class: "row" }, bars(name, array, channels, tensor, way), histogram(array, way)),
    );
  const pictures = array.maps.map((map, k) => {
    const label = `${name}, channel ${channels[k]}`;
    const box = el(
      "button",
      { class: "map", title: `channel ${channels[k]}: enlarge`, onclick: () => enlarge(name, tensor, k) },
      mapCanvas(map, label),
      el("span", {}, channels[k]),
    );
    return box;
  });
  return el(
    "div",
    { class: `strip ${way} ${channels.length === 1 ? "lone" : ""}`, "data-array": tensor[which] },
    title,
    el("div", { class: "row" }, pictures, tensor.shape.length ? histogram(array, way) : null),
  );
}

// Single values as bars that stand on zero or hang from it: features by number, logits by class.
function bars(name, array, channels, tensor, way) {
  const values = array.maps.map((map) => mapValues(map)[0]);
  const areLogits = [nodes.at(-1).inputs[0]].some((i) => tensors[i] === tensor);
  const order = values.map((_, k) => k).sort((a, b) => channels[a] - channels[b]);
  const reach = Math.max(1e-30, ...values.map(Math.abs));
  const unit = 460 / Math.max(6, values.length);
  const parts = order.map((k, i) => {
    const height = Math.max(0.5, (34 * Math.abs(values[k])) / reach);
    const label = areLogits ? DATA.classes[channels[k]] : channels[k];
    return [
      svg("rect", { x: (i + 0.15) * unit, y: values[k] < 0 ? 52 : 52 - height, width: 0.7 * unit, height, class: way }),
      svg(
        "text",
        { x: (i + 0.5) * unit, y: values[k] < 0 ? 49 : 48 - height, "text-anchor": "middle" },
        fmt(values[k], values.length > 8 ? 2 : 3),
      ),
      svg(
        "text",
        { x: (i + 0.5) * unit, y: 104, "text-anchor": "middle", class: "label" },
        String(label).slice(0, Math.floor(unit / 7)),
      ),
    ];
  });
  const said = order.map((k) => `${channels[k]}: ${fmt(values[k])}`).join(", ");
  return svg(
    "svg",
    {
      viewBox: "0 0 460 108",
      class: "bars",
      role: "img",
      "aria-label": `${name}, ${areLogits ? "class" : "feature"} by ${areLogits ? "class" : "feature"}: ${said}`,
    },
    svg("line", { x1: 0, x2: 460, y1: 52, y2: 52 }),
    parts,
  );
}

// What a node makes of its input, and below it what comes back; the gradients wait until we come back, too.
function mapsPanel(node) {
  const back = isBackward();
  const names = {
    in: node.inputs.length > 1 ? ["h", "shortcut"] : ["x"],
    out: node.outputs.length > 1 ? ["h", "shortcut"] : [{ loss: "loss", input: "x" }[node.kind] || "y"],
  };
  const column = (side, indices, title) =>
    el(
      "div",
      { class: `side ${indices.length > 1 ? "two" : "one"} ${back ? "" : "only"}` },
      el("h3", {}, indices.length ? title : ""),
      indices.length ? null : el("p", { class: "quiet" }, "nothing: the image is where it begins"),
      ["value", "gradient"].map((which) =>
        el(
          "div",
          { class: "pair" },
          indices.map((index, i) => {
            const name = (which === "value" ? "" : "d") + names[side][i];
            return arrayStrip(name, tensors[index], which, which === "value" || back);
          }),
        ),
      ),
    );
  const shapes = [...node.inputs, ...node.outputs].map((i) => tensors[i].shape);
  const some = shapes.some(([C]) => C && DATA.channels[C].length < C);
  const note = [
    some ? "Channels: those that say most, by |value · gradient|, in all layers with as many." : "",
    shapes.some((shape) => shape.length) ? "|…|: the norm, over all channels." : "",
    shapes.some((shape) => shape.length === 3) ? "Each map has its own scale: green positive, purple negative." : "",
  ].join(" ");
  return [
    el(
      "div",
      { class: "mirror" },
      column("in", node.inputs, back ? "input; and below, the gradient that goes on" : "input"),
      el(
        "div",
        { class: "ways", "aria-hidden": "true" },
        el("span", { class: "forward" }, "→"),
        el("span", { class: "backward" }, back ? "←" : ""),
      ),
      column("out", node.outputs, back ? "output; and below, the gradient that came" : "output"),
    ),
    el("p", { class: "quiet" }, note),
  ];
}

// One channel, large: value and gradient side by side, and the same pixel read out of both.
function enlarge(name, tensor, k) {
  const channels = DATA.channels[tensor.shape[0]];
  const plainName = name.replace(/^d/, "");
  const [height, width] = arrays[tensor.value].maps[k].shape;
  const step = Math.ceil(tensor.shape[1] / height); // large maps are thinned
  const shown = ["value", ...(isBackward() ? ["gradient"] : [])].map((which) => ({
    which,
    title: which === "value" ? plainName : `d${plainName}`,
    map: arrays[tensor[which]].maps[k],
  }));
  const readOut = el("span", { class: "read" }, "point at a pixel");
  const read = (event) => {
    const box = event.target.getBoundingClientRect();
    const place = (at, from, size, count) => Math.max(0, Math.min(count - 1, Math.floor(((at - from) / size) * count)));
    const [row, column] = [
      place(event.clientY, box.top, box.height, height),
      place(event.clientX, box.left, box.width, width),
    ];
    readOut.textContent = `row ${row * step}, column ${column * step}: ${shown.map(({ title, map }) => `${title} = ${fmt(mapValues(map)[row * width + column])}`).join(", ")}`;
  };
  const figures = shown.map(({ which, title, map }) => {
    const canvas = mapCanvas(map, `${title}, channel ${channels[k]}`);
    canvas.addEventListener("pointermove", read);
    return el(
      "figure",
      { class: which === "value" ? "forward" : "backward" },
      el("figcaption", {}, el("b", {}, title)),
      canvas,
    );
  });
  const turnTo = (other) => enlarge(name, tensor, (other + channels.length) % channels.length);
  openDialog(
    `${nodes[nodeIndex()].name}: channel ${oneOf(channels[k], tensor.shape[0])}`,
    { ArrowLeft: () => turnTo(k - 1), ArrowRight: () => turnTo(k + 1) },
    el("p", {}, readOut),
    el("div", { class: "large" }, figures),
    [
      el("button", { onclick: () => turnTo(k - 1) }, "◀ says more"),
      " ",
      el("button", { onclick: () => turnTo(k + 1) }, "says less ▶"),
      " ",
    ],
  );
}
