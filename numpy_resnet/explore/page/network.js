// The drawings: the whole network, and the block that we are in. Both follow from the nodes alone.
const WIDE = 1240;
const LEAST = 9; // units of a row are at least so wide

const mainNodes = (block) => block.nodes.filter((i) => !nodes[i].shortcut);
const hasShortcut = (block) => block.nodes.some((i) => nodes[i].kind === "fork");

function outShape(node) {
  return tensors[node.outputs[0]].shape;
}

// Forward has been here; and the gradient.
const reached = (index) => [index <= state.step, state.step >= 2 * N - 1 - index];

function drawNetwork() {
  const total = blocks.reduce((sum, block) => sum + mainNodes(block).length + 1, 0);
  const rows = Math.ceil((total * LEAST) / WIDE);
  const perRow = Math.ceil(total / rows);
  const tallest = Math.max(...nodes.map((node) => outShape(node)[1] || 1));
  const picture = byId("network");
  const parts = [];
  let used = 0;
  let row = 0;
  const unit = WIDE / (perRow + (rows > 1 ? 8 : 0.5));
  for (const block of blocks) {
    const size = mainNodes(block).length + 1;
    if (used && (used + size) * unit > WIDE) [used, row] = [0, row + 1];
    parts.push(drawSmallBlock(block, used * unit, row * 104, unit, tallest));
    used += size;
  }
  picture.setAttribute("viewBox", `0 0 ${WIDE} ${(row + 1) * 104}`);
  picture.replaceChildren(...parts);
  if (row) picture.querySelector(".ring").scrollIntoView({ block: "nearest" });
}

function drawSmallBlock(block, left, top, unit, tallest) {
  const main = mainNodes(block);
  const side = block.nodes.filter((i) => nodes[i].shortcut);
  const middle = top + 56;
  const x = (place) => left + (place + 0.5) * unit;
  const here = block.nodes.includes(nodeIndex());
  const parts = [
    svg(
      "rect",
      {
        x: left + 1,
        y: top + 2,
        width: (main.length + 0.8) * unit - 2,
        height: 100,
        rx: 5,
        class: `block ${here ? "here" : ""}`,
        onclick: () => goToNode(isBackward() ? main.at(-1) : main[0]),
      },
      svg("title", {}, block.name),
    ),
  ];
  if (hasShortcut(block)) {
    const from = x(0.2);
    const to = x(main.findIndex((i) => nodes[i].kind === "add") + 0.2);
    const [there, back] = [reached(main[0])[0], reached(main[0])[1]];
    parts.push(
      svg("path", {
        d: `M${from} ${middle} V${top + 16} H${to} V${middle}`,
        class: `arc ${there ? "forward" : ""} ${back ? "backward" : ""}`,
      }),
    );
    side.forEach((i, k) =>
      parts.push(
        bar(i, (from + to) / 2 + (k - (side.length - 1) / 2) * 1.6 * unit, top + 16, Math.min(unit * 0.6, 12), 9),
      ),
    );
  }
  main.forEach((i, place) => {
    const height = outShape(nodes[i]).length === 3 ? 7 + 17 * Math.sqrt(outShape(nodes[i])[1] / tallest) : 6;
    parts.push(bar(i, x(place + 0.2), middle, Math.min(unit * 0.62, 16), height));
  });
  const short = block.name.replace("layer", (main.length + 1) * unit < 60 ? "" : "layer");
  parts.push(
    svg(
      "text",
      { x: left + ((main.length + 0.8) * unit) / 2, y: top + 97, "text-anchor": "middle", class: here ? "here" : "" },
      short,
    ),
  );
  return svg("g", {}, parts);
}

// A node as a bar: its upper half is forward, its lower half the gradient.
function bar(index, x, y, width, height) {
  const [there, back] = reached(index);
  const now = index === nodeIndex();
  const half = (dy, lit, way) =>
    svg("rect", { x: x - width / 2, y: y + dy, width, height, class: `half ${lit ? way : ""}` });
  return svg(
    "g",
    { class: `bar ${now ? "now" : ""}`, "data-node": index, onclick: () => goToNode(index) },
    svg("title", {}, `${nodes[index].name}: ${KINDS[nodes[index].kind] || nodes[index].kind}`),
    svg("rect", { x: x - width / 2 - 1, y: y - height - 4, width: width + 2, height: 2 * height + 8, class: "hit" }),
    half(-height, there, "forward"),
    half(0, back, "backward"),
    now
      ? svg("rect", {
          x: x - width / 2 - 2.5,
          y: y - height - 2.5,
          width: width + 5,
          height: 2 * height + 5,
          rx: 2,
          class: "ring",
        })
      : null,
  );
}

// The block that we are in, with names; the shortcut runs above.
function drawBlock() {
  const block = blocks.find((one) => one.nodes.includes(nodeIndex()));
  const main = mainNodes(block);
  const side = block.nodes.filter((i) => nodes[i].shortcut);
  const step = Math.min(165, WIDE / main.length);
  const start = (WIDE - step * main.length) / 2 + step / 2;
  const x = (place) => start + place * step;
  const [high, low] = hasShortcut(block) ? [24, 84] : [24, 60];
  const parts = [];
  const back = isBackward();
  const line = (d, from, to) => {
    const lit = back ? reached(to)[1] : reached(to)[0];
    parts.push(
      svg("path", {
        d,
        class: `wire ${lit ? (back ? "backward" : "forward") : ""}`,
        "marker-end": back ? false : "url(#arrow)",
        "marker-start": back ? "url(#arrow)" : false,
      }),
    );
  };
  main.slice(1).forEach((to, k) => line(`M${x(k) + edge(main[k])} ${low} H${x(k + 1) - edge(to) - 1}`, main[k], to));
  if (hasShortcut(block)) {
    const end = main.findIndex((i) => nodes[i].kind === "add");
    const stops = side.map((i, k) => [i, x(0) + ((k + 1) * (x(end) - x(0))) / (side.length + 1)]);
    const ends = [[main[0], x(0)], ...stops, [main[end], x(end)]];
    for (let k = 1; k < ends.length; k++) {
      const [from, a] = ends[k - 1];
      const [to, b] = ends[k];
      const first = k === 1 ? `M${a} ${low - 15} V${high} H` : `M${a + edge(from)} ${high} H`;
      line(first + (k === ends.length - 1 ? `${b} V${low - 16}` : `${b - edge(to) - 1}`), from, to);
    }
    stops.forEach(([i, at]) => parts.push(box(i, at, high)));
  }
  main.forEach((i, place) => parts.push(box(i, x(place), low)));
  const picture = byId("block");
  picture.setAttribute("viewBox", `0 0 ${WIDE} ${low + 34}`);
  picture.setAttribute("aria-label", `${block.name}: ${block.nodes.map((i) => nodes[i].name).join(", ")}`);
  const tip = svg(
    "marker",
    {
      id: "arrow",
      viewBox: "0 0 8 8",
      refX: 7,
      refY: 4,
      markerWidth: 7,
      markerHeight: 7,
      orient: "auto-start-reverse",
    },
    svg("path", { d: "M0 0 L8 4 L0 8 z" }),
  );
  picture.replaceChildren(svg("defs", {}, tip), ...parts);

  function edge(index) {
    return ["fork", "add"].includes(nodes[index].kind) ? 15 : Math.min(58, step / 2 - 8);
  }

  function box(index, at, y) {
    const node = nodes[index];
    const [there, came] = reached(index);
    const tensor = tensors[node.kind === "fork" ? node.inputs[0] : node.outputs[0]];
    const size = back
      ? `|${["fork", "input"].includes(node.kind) ? "dx" : "dy"}| ${fmt(arrays[tensor.gradient].norm)}`
      : times(outShape(node));
    const round = ["fork", "add"].includes(node.kind);
    const shape = round
      ? svg("circle", { cx: at, cy: y, r: 15 })
      : svg("rect", { x: at - edge(index), y: y - 22, width: 2 * edge(index), height: 44, rx: 6 });
    const text = (dy, words, kind) => svg("text", { x: at, y: y + dy, "text-anchor": "middle", class: kind }, words);
    const state = `${there && !back ? "forward" : ""} ${came ? "backward" : ""} ${index === nodeIndex() ? "now" : ""}`;
    return svg(
      "g",
      { class: `box ${state}`, onclick: () => goToNode(index) },
      svg("title", {}, `${node.name}: ${KINDS[node.kind] || node.kind}`),
      shape,
      round
        ? [text(6, node.kind === "add" ? "+" : "•", "sign"), text(28, back && came ? size : node.kind, "small")]
        : [
            text(-4, shortName(node), "name"),
            text(13, (there && !back) || came ? size : KINDS[node.kind] || node.kind, "small"),
          ],
    );
  }
}
