// What can be looked at more closely at a node.
function closerPanel(node) {
  const exhibit = node.closer;
  if (!exhibit) return [el("p", {}, closerNothing(node))];
  return { windows: windowsPanel, table: tablePanel, patch: patchPanel }[exhibit.kind](node);
}

function closerNothing(node) {
  if (node.kind === "input")
    return "The image as the network gets it. Its gradient, which comes back here last, says how the loss changes with each pixel: see maps.";
  if (node.kind === "dropout") return "Nothing is dropped here: y = x, and dx = dy.";
  return "There is no more to see here than the maps show.";
}

// Figures, a row for each channel, feature or class; what the gradient brings is empty until it comes.
function tablePanel(node) {
  const { columns, rows, names, what, sums, bars, note } = node.closer;
  const isGradient = (name) => /^(mean of )?d[a-z]/.test(name);
  const hidden = (name) => isGradient(name) && !isBackward();
  const label = (name) => (what === "class" ? DATA.classes[name] : name);
  const right = what === "class" ? DATA.label : null;
  const most = bars === undefined ? 1 : Math.max(...rows.map((row) => Math.abs(row[bars])));
  const cell = (value, k) =>
    el(
      "td",
      { class: isGradient(columns[k]) ? "backward" : "" },
      hidden(columns[k]) ? "…" : fmt(value),
      k === bars ? el("span", { class: "bar", style: `width:${Math.round((60 * value) / most)}px` }) : null,
    );
  const caption =
    node.kind === "linear"
      ? `What counts most in the logit of “${DATA.classes[node.closer.class]}”, for it and against it`
      : `Real numbers, ${what} by ${what}`;
  return [
    el(
      "table",
      { class: "figures" },
      el("caption", {}, caption),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, what),
          columns.map((name) => el("th", { scope: "col" }, name)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row, i) =>
          el(
            "tr",
            { class: names[i] === right ? "now" : "" },
            el("th", { scope: "row" }, label(names[i]), names[i] === right ? " (right)" : ""),
            row.map(cell),
          ),
        ),
      ),
    ),
    sums
      ? el(
          "dl",
          {},
          sums
            .filter(([name]) => !hidden(name))
            .map(([name, value]) => [el("dt", {}, name), el("dd", {}, fmt(value, 4))]),
        )
      : null,
    note ? el("p", { class: "quiet" }, note) : null,
  ];
}

// A few pixels of one channel as numbers: what is on the side of the input, and on that of the output.
function patchPanel(node) {
  const exhibit = node.closer;
  const { left, right, sign } = exhibit[isBackward() ? "backward" : "forward"];
  const isGradient = (part) => part.name.startsWith("d");
  const like = (part) =>
    [...left, ...right].filter((other) => isGradient(other) === isGradient(part)).flatMap((other) => other.values);
  const side = (parts) =>
    parts.flatMap((part, k) => [
      k ? el("span", { class: "sign" }, sign) : null,
      grid(part.name, part.values, { name: part.name.split(/[ ,=]/)[0], like: like(part) }),
    ]);
  const arrow = el("span", { class: "sign way" }, isBackward() ? "←" : "→");
  const place = `Real numbers of channel ${exhibit.channel}, from row ${exhibit.row}, column ${exhibit.column} on.`;
  return [
    el("p", { class: "quiet" }, place),
    el("div", { class: "grids patch" }, side(left), arrow, side(right)),
    meeting(node),
  ];
}

// Two gradients that leave an add together, and meet at the fork of the block.
function meeting(node) {
  const meet = node.closer.meet;
  if (!meet) return null;
  if (!isBackward()) {
    const [h, shortcut] = (node.kind === "add" ? node.inputs : node.outputs).map((i) => arrays[tensors[i].value].norm);
    return el(
      "p",
      { class: "sum" },
      node.kind === "add"
        ? `|h| = ${fmt(h)} from the branch, |shortcut| = ${fmt(shortcut)}, |y| = ${fmt(arrays[tensors[node.outputs[0]].value].norm)}.`
        : `The same numbers twice: |x| = ${fmt(shortcut)}.`,
    );
  }
  const longest = Math.max(meet.branch, meet.shortcut, meet.sum) || 1;
  const bar = (name, value, id) =>
    el(
      "div",
      { class: "meet" },
      el("span", {}, name),
      el("span", { class: "track" }, el("span", { class: "bar", style: `width:${(100 * value) / longest}%` })),
      el("b", { id }, fmt(value)),
    );
  const dy = arrays[tensors[node.outputs[0]].gradient].norm;
  const says =
    node.kind === "add"
      ? `Here one gradient, |dy| = ${fmt(dy)}, leaves on both ways unchanged. At the block's fork they meet again, after the branch and the shortcut:`
      : "Two gradients meet here and are added:";
  const words = [
    [0.7, "they largely agree"],
    [0.3, "they partly agree"],
    [-0.3, "they are nearly at right angles"],
    [-0.7, "they partly cancel"],
    [-2, "they largely cancel"],
  ];
  const agree = meet.branch && meet.shortcut ? words.find(([least]) => meet.cosine >= least)[1] : "one of them is 0";
  return el(
    "div",
    { class: "meeting" },
    el("p", {}, says),
    bar("what came through the branch", meet.branch, "meet-branch"),
    bar("what came past it", meet.shortcut, "meet-shortcut"),
    bar("their sum, |dx|", meet.sum, "meet-sum"),
    el("p", { class: "quiet" }, `Cosine between the two: ${fmt(meet.cosine)}; ${agree}.`),
  );
}
