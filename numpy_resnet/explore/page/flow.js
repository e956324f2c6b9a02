// How large the gradient is at each block, with the shortcuts and without, on a scale of powers of ten.
const hasAnyShortcut = () => nodes.some((node) => node.kind === "fork");
const WITHOUT = `without${DATA.flow.plain ? `: ${DATA.flow.plain}` : ""}, with the same weights`;
const BOTH = [
  ["with", "with shortcuts", "with shortcuts"],
  ["without", WITHOUT, "without"],
];
const CASES = {
  here: {
    title: "This network, this image",
    series: [
      ["all", "the gradient that there is", "all of it"],
      ["branches", "of it, the path through all branches", "the path through all branches"],
      ["shortcuts", "of it, the path past all branches", "the path past them all"],
    ],
    says: hasAnyShortcut() ? "A gradient is a sum over paths, through each branch or past it." : "",
  },
  normalised: {
    title: "Before training, normalised",
    series: BOTH,
    says: "New weights, statistics of this image. Batch norm by itself makes a gradient grow from layer to layer (Yang et al. 2019).",
  },
  unnormalised: {
    title: "Before training, not normalised",
    series: BOTH,
    says: "The same networks, but batch norm does nothing yet: mean 0, variance 1.",
  },
};

function flowPanel() {
  const shown = Object.keys(CASES).filter((key) => DATA.flow[key]);
  const values = shown
    .flatMap((key) => Object.values(DATA.flow[key]).flatMap((sizes) => Object.values(sizes)))
    .filter((value) => value > 0);
  const scale = values.length
    ? [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))]
    : [0, 1];
  const button = (which, words) =>
    el(
      "button",
      {
        id: `shortcuts-${which}`,
        "aria-pressed": state.shortcuts === which,
        onclick: () => {
          state.shortcuts = which;
          show();
        },
      },
      words,
    );
  return [
    el(
      "p",
      { class: "controls" },
      hasAnyShortcut()
        ? ["shortcuts: ", button("both", "on and off"), button("on", "on"), button("off", "off"), " (key s)   "]
        : null,
      el(
        "span",
        { class: "quiet" },
        "The norm of the gradient at the input of each block. It comes from the right: where bars fall to the left, it shrinks.",
      ),
    ),
    el(
      "div",
      { class: "cases" },
      shown.map((key) => flowCase(CASES[key], DATA.flow[key], scale)),
    ),
  ];
}

function flowCase({ title, series, says }, sizes, [low, high]) {
  const wanted = series.filter(
    ([name], k) =>
      sizes[name] && (!hasAnyShortcut() || state.shortcuts === "both" || (state.shortcuts === "on") === (k === 0)),
  );
  const names = Object.keys(sizes[series[0][0]]);
  const [wide, tall, left] = [400, 132, 34];
  const y = (value) => (value > 0 ? 12 + (tall - 12) * (1 - (Math.log10(value) - low) / (high - low || 1)) : tall);
  const unit = (wide - left) / names.length;
  const here = nodes[nodeIndex()].block;
  const parts = [];
  const every = Math.ceil((high - low) / 6);
  for (let power = low; power <= high; power += every)
    parts.push(
      svg("line", { x1: left, x2: wide, y1: y(10 ** power), y2: y(10 ** power), class: "rule" }),
      svg(
        "text",
        { x: left - 4, y: y(10 ** power) + 4, "text-anchor": "end" },
        power === 0
          ? "1"
          : svg("tspan", {}, "10", svg("tspan", { dy: -4, "font-size": 9 }, String(power).replace("-", "−"))),
      ),
    );
  names.forEach((name, i) => {
    const width = (unit * 0.84) / wanted.length;
    if (name === here)
      parts.push(svg("rect", { x: left + i * unit, y: 8, width: unit, height: tall - 8, class: "here" }));
    wanted.forEach(([key, words], k) => {
      const top = y(sizes[key][name]);
      parts.push(
        svg(
          "rect",
          {
            x: left + i * unit + unit * 0.08 + k * width,
            y: top,
            width: Math.max(1, width - 1),
            height: tall - top,
            class: `series-${series.findIndex(([one]) => one === key)}`,
          },
          svg("title", {}, `${name}, ${words}: ${fmt(sizes[key][name])}`),
        ),
      );
    });
    const label = unit < 24 ? (i % Math.ceil(24 / unit) ? "" : shortBlock(name)) : shortBlock(name);
    parts.push(svg("text", { x: left + (i + 0.5) * unit, y: tall + 13, "text-anchor": "middle" }, label));
  });
  const rows = names.map((name) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      wanted.map(([key]) => el("td", {}, fmt(sizes[key][name]))),
    ),
  );
  return el(
    "figure",
    { class: "case" },
    el("figcaption", {}, el("b", {}, title)),
    svg(
      "svg",
      {
        viewBox: `0 0 ${wide} ${tall + 18}`,
        role: "img",
        "aria-label": `${title}: the figures stand in the table below`,
      },
      parts,
    ),
    el(
      "ul",
      { class: "legend" },
      wanted.map(([key, words]) =>
        el("li", {}, el("span", { class: `series-${series.findIndex(([one]) => one === key)}` }), words),
      ),
    ),
    el("p", {}, says, " ", change(wanted, sizes)),
    el(
      "details",
      {},
      el("summary", {}, "figures"),
      el(
        "table",
        { class: "figures" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", {}, "block"),
            wanted.map(([, words]) => el("th", { scope: "col" }, words)),
          ),
        ),
        el("tbody", {}, rows),
      ),
    ),
  );
}

const shortBlock = (name) => name.replace("layer", "");

// From behind the last block to the input of the first: what became of its size.
function change(wanted, sizes) {
  const factors = wanted
    .map(([name, , short]) => {
      const values = Object.values(sizes[name]);
      return [short, values[1] / values.at(-1)];
    })
    .filter(([, factor]) => factor > 0);
  return factors.length
    ? `On the way from the head to the first block: ${factors.map(([short, factor]) => `${short} × ${fmt(factor, 2)}`).join("; ")}.`
    : "";
}
