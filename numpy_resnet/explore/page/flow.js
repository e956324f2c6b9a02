// How large the gradient is at each block, with the shortcuts and without, on a scale of powers of ten.
const WITHOUT = `without: ${DATA.flow.plain || "the plain network"}, the same weights`;
const CASES = {
  here: {
    title: "This network, this image",
    series: [["all", "shortcuts on: the gradient that there is"], ["branches", "off: the one path through all branches"], ["shortcuts", "the one path past all branches"]],
    says: "The gradient is a sum over paths, through each branch or past it. Off: one path is left.",
  },
  normalised: {
    title: "Before training, normalised",
    series: [["with", "with shortcuts"], ["without", WITHOUT]],
    says: "New weights; batch norm takes the statistics of this image, as in training.",
  },
  unnormalised: {
    title: "Before training, not normalised",
    series: [["with", "with shortcuts"], ["without", WITHOUT]],
    says: "The same networks, but batch norm does nothing yet: mean 0, variance 1.",
  },
};

function flowPanel() {
  const shown = Object.keys(CASES).filter((key) => DATA.flow[key]);
  const button = (which, words) => el("button", { "aria-pressed": state.shortcuts === which, onclick: () => { state.shortcuts = which; show(); } }, words);
  return [
    el("p", { class: "controls" }, "shortcuts: ", button("both", "on and off"), button("on", "on"), button("off", "off"), el("span", { class: "quiet" }, " (key s)   Size of the gradient at the input of each block; it comes from the right.")),
    el("div", { class: "cases" }, shown.map((key) => flowCase(CASES[key], DATA.flow[key]))),
  ];
}

function flowCase({ title, series, says }, sizes) {
  const same = series.length > 1 && !hasAnyShortcut();
  const wanted = series.filter(([name], k) => sizes[name] && !(same && k) && (state.shortcuts === "both" || (state.shortcuts === "on") === (k === 0)));
  const names = Object.keys(sizes[series[0][0]]);
  const values = series.flatMap(([name]) => (sizes[name] ? Object.values(sizes[name]) : [])).filter((v) => v > 0);
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const [wide, tall, left] = [400, 150, 34];
  const y = (value) => (value > 0 ? 12 + (tall - 12) * (1 - (Math.log10(value) - low) / (high - low || 1)) : tall);
  const unit = (wide - left) / names.length;
  const here = nodes[nodeIndex()].block;
  const parts = [];
  for (let power = low; power <= high; power++)
    parts.push(svg("line", { x1: left, x2: wide, y1: y(10 ** power), y2: y(10 ** power), class: "rule" }), svg("text", { x: left - 4, y: y(10 ** power) + 4, "text-anchor": "end" }, power === 0 ? "1" : svg("tspan", {}, "10", svg("tspan", { dy: -4, "font-size": 9 }, String(power).replace("-", "−")))));
  names.forEach((name, i) => {
    const width = (unit * 0.84) / wanted.length;
    if (name === here) parts.push(svg("rect", { x: left + i * unit, y: 8, width: unit, height: tall - 8, class: "here" }));
    wanted.forEach(([key, words], k) => {
      const top = y(sizes[key][name]);
      parts.push(svg("rect", { x: left + i * unit + unit * 0.08 + k * width, y: top, width: Math.max(1, width - 1), height: tall - top, class: `series-${series.findIndex(([one]) => one === key)}` }, svg("title", {}, `${name}, ${words}: ${fmt(sizes[key][name])}`)));
    });
    const label = unit < 24 ? (i % Math.ceil(24 / unit) ? "" : shortBlock(name)) : shortBlock(name);
    parts.push(svg("text", { x: left + (i + 0.5) * unit, y: tall + 13, "text-anchor": "middle" }, label));
  });
  const rows = names.map((name) => el("tr", {}, el("th", { scope: "row" }, name), wanted.map(([key]) => el("td", {}, fmt(sizes[key][name])))));
  return el("figure", { class: "case" }, el("figcaption", {}, el("b", {}, title)),
    svg("svg", { viewBox: `0 0 ${wide} ${tall + 18}`, role: "img", "aria-label": `${title}: the figures stand in the table below` }, parts),
    el("ul", { class: "legend" }, wanted.map(([key, words]) => el("li", {}, el("span", { class: `series-${series.findIndex(([one]) => one === key)}` }), words))),
    el("p", {}, says, " ", change(wanted, sizes)),
    el("details", {}, el("summary", {}, "figures"), el("table", { class: "figures" }, el("thead", {}, el("tr", {}, el("th", {}, "block"), wanted.map(([, words]) => el("th", { scope: "col" }, words)))), el("tbody", {}, rows))));
}

const hasAnyShortcut = () => nodes.some((node) => node.kind === "fork");
const shortBlock = (name) => name.replace("layer", "");

// From behind the last block to the input of the first: by how much it grew or shrank.
function change(wanted, sizes) {
  return wanted.slice(0, 2).map(([name, words]) => {
    const values = Object.values(sizes[name]);
    const factor = values[1] / values.at(-1);
    const short = words.split(":")[0];
    if (!(factor > 0)) return "";
    return `${short[0].toUpperCase()}${short.slice(1)}: ${fmt(factor, 2)} times`;
  }).filter(Boolean).join("; ") + " as large at the first block as behind the last.";
}
