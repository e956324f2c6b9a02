// Numbers as tables: the windows of a convolution or of max pooling, one after the other, forward and backward.

// Numbers as a table. mark(i, j) says what a cell is besides, in words that are its classes; like: the numbers that give
// unit and digits, if others shall have the same.
function grid(title, values, { mark = () => "", name = "", like = values, tight = false } = {}) {
  const reach = Math.max(1e-30, ...like.flat().map((v) => Math.abs(v ?? 0)));
  const size = Math.max(values.length, values[0].length);
  const [width, kind] = size > 9 || tight ? [31, "tiny"] : size > 6 ? [41, "small"] : [55, ""];
  const { unit, power, write } = writing(like, kind);
  const cells = values.map((row, i) =>
    el(
      "tr",
      {},
      row.map((value, j) => {
        const style = value ? `--share:${Math.round(42 * Math.pow(Math.abs(value) / reach, 0.7))}%` : false;
        return el(
          "td",
          {
            class: `${value < 0 ? "minus" : "plus"} ${mark(i, j)}`,
            style,
            title: value === null ? "outside the image" : String(value),
          },
          value === null ? "" : write(value),
        );
      }),
    ),
  );
  const scale = power ? el("b", {}, " in 10", el("sup", {}, String(power).replace("-", "−"))) : null;
  return el(
    "figure",
    { class: "grid", "data-grid": name, "data-unit": unit },
    el("figcaption", {}, title, scale),
    el("table", { class: kind, style: `width:${width * values[0].length}px` }, el("tbody", {}, cells)),
  );
}

// All windows as the columns of one matrix, the one at hand lit.
function matrix(title, windows, columnOf, now, name) {
  const columns = windows.map(columnOf);
  const rows = columns[0].map((_, k) => columns.map((column) => column[k]));
  const known = rows.map((row) => row.map((value, w) => (w <= now ? value : null)));
  if (rows.length <= 16 && windows.length <= 16)
    return grid(title, known, { mark: (_, w) => (w === now ? "lit" : w > now ? "later" : ""), name, like: rows });
  const canvas = el("canvas", {
    role: "img",
    "aria-label": `${title}: ${rows.length} rows, ${windows.length} columns, column ${now + 1} is the one at hand`,
  });
  const flat = known.flat().map((value) => value ?? 0);
  paint(canvas, flat, rows.length, windows.length, Math.max(...flat.map(Math.abs)));
  const lit = el("span", {
    class: "column",
    style: `left:${(100 * now) / windows.length}%;width:${100 / windows.length}%`,
  });
  return el("figure", { class: "grid" }, el("figcaption", {}, title), el("div", { class: "matrix" }, canvas, lit));
}

function windowsPanel(node) {
  const real = node.closer;
  const exhibit = state.toy ? toyExhibit(state.toy) : real;
  const windows = windowsOf(exhibit);
  state.window = Math.min(state.window, windows.length - 1);
  const one = windows[state.window];
  const inWindow = (i, j) => one.cells.some(([a, b]) => a === i && b === j);
  const outside = (i, j) => {
    const [r, c] = [exhibit.top + i, exhibit.left + j];
    return r < 0 || c < 0 || r >= exhibit.size[0] || c >= exhibit.size[1];
  };
  const used = new Set(windows.flatMap((w) => w.cells.map(([i, j]) => `${i} ${j}`)));
  const kindOf = (i, j) =>
    `${inWindow(i, j) ? "window" : ""} ${outside(i, j) ? "padding" : ""} ${used.has(`${i} ${j}`) ? "" : "unused"}`;
  const view = { exhibit, windows, one, kindOf, now: state.window };
  const { grids, sum, below = [] } = isBackward() ? backwardWindows(view) : forwardWindows(view);
  const last = grids.pop(); // the sentence stands below it
  return [
    windowControls(windows, exhibit),
    el("div", { class: "grids" }, grids, stack(last, el("p", { class: "sum", id: "sum" }, sum)), below),
  ];
}

function exhibitNote(exhibit, node) {
  const place = `rows ${exhibit.top} to ${exhibit.top + exhibit.x.length - 1}, columns ${exhibit.left} to ${exhibit.left + exhibit.x[0].length - 1}`;
  const padded = exhibit.top < 0 || exhibit.left < 0 ? "; what is hatched is padding" : "";
  const channel = `channel ${oneOf(exhibit.channel, exhibit.channels)}`;
  const filter =
    exhibit.op === "conv2d" ? `filter ${oneOf(exhibit.filter, exhibit.filters)}, its input ${channel}` : channel;
  const ran = DATA.code[node.code][0].label;
  const other = exhibit.op === "conv2d" && ran !== "im2col" ? `; ran as ${ran}` : "";
  return el("span", { class: "quiet" }, ` ${filter}; ${place}${padded}${other}`);
}

// How many windows fit: the formula, with the numbers of the toy.
function toyNote({ size, kernel, stride, padding, rows }) {
  const exact = (size[0] + 2 * padding[0] - kernel[0]) / stride[0] + 1;
  const rounded = Number.isInteger(exact) ? "" : `, so ${rows.length}: a window must fit whole`;
  return el(
    "span",
    { class: "quiet" },
    ` (${size[0]} + 2·${padding[0]} − ${kernel[0]}) / ${stride[0]} + 1 = ${Number(exact.toFixed(2))}${rounded}`,
  );
}

function windowControls(windows, exhibit) {
  const node = nodes[nodeIndex()];
  const go = (to) => {
    state.window = Math.max(0, Math.min(windows.length - 1, to));
    show();
  };
  const parts = [
    el(
      "button",
      {
        id: "window-before",
        onclick: () => go(state.window - 1),
        title: "window before (,)",
        "aria-label": "window before",
      },
      "◀",
    ),
    el("span", { id: "window" }, ` window ${state.window + 1} of ${windows.length} `),
    el(
      "button",
      { id: "window-next", onclick: () => go(state.window + 1), title: "next window (.)", "aria-label": "next window" },
      "▶",
    ),
    el(
      "button",
      { onclick: () => play("window"), id: "slide" },
      state.timer && state.playing === "window" ? "stop" : "slide",
    ),
    " ",
    el(
      "button",
      { id: "toy", "aria-pressed": Boolean(state.toy), onclick: toggleToy },
      state.toy ? "back to the real numbers" : "try it on a toy image",
    ),
  ];
  if (!state.toy) parts.push(exhibitNote(exhibit, node));
  else {
    const least = state.toy.op === "maxpool2d" ? 2 : 1;
    const choose = (key, from, to) =>
      el(
        "label",
        {},
        ` ${key} `,
        el(
          "select",
          {
            id: `toy-${key}`,
            onchange: (event) => {
              state.toy[key] = Number(event.target.value);
              state.window = 0;
              tamePadding();
              show();
            },
          },
          Array.from({ length: to - from + 1 }, (_, i) =>
            el("option", { value: from + i, selected: state.toy[key] === from + i }, from + i),
          ),
        ),
      );
    parts.push(
      choose("kernel", least, 3),
      choose("stride", 1, 3),
      choose("padding", 0, state.toy.op === "maxpool2d" ? 1 : 2),
      toyNote(exhibit),
    );
  }
  return el("p", { class: "controls" }, parts);
}

function toggleToy() {
  const { op, kernel, stride, padding } = nodes[nodeIndex()].closer;
  state.toy = state.toy
    ? null
    : { op, kernel: Math.min(3, kernel[0]), stride: Math.min(3, stride[0]), padding: Math.min(1, padding[0]) };
  state.window = 0;
  show();
}

// Max pooling never pads more than half of its kernel.
function tamePadding() {
  if (state.toy.op === "maxpool2d") state.toy.padding = Math.min(state.toy.padding, Math.floor(state.toy.kernel / 2));
}

function forwardWindows({ exhibit, windows, one, kindOf, now }) {
  const conv = exhibit.op === "conv2d";
  const wide = exhibit.columns.length;
  const outputs = exhibit.rows.map((_, r) => exhibit.columns.map((_, c) => windows[r * wide + c].y));
  const known = outputs.map((row, r) => row.map((value, c) => (r * wide + c <= now ? value : null)));
  const y = grid("y", known, { mark: (r, c) => (r === one.r && c === one.c ? "lit" : ""), name: "y", like: outputs });
  if (!conv)
    return {
      grids: [inputOf(exhibit, one, kindOf), winsFigure(exhibit), y],
      sum: `The largest of the window is ${fmt(one.y)}; it is y, and it will get the gradient.`,
    };
  const tight = exhibit.kernel[0] > 5;
  const weights = [
    grid("weight", exhibit.weight, { name: "weight", tight }),
    grid("weight · window", products(exhibit, one), { name: "product", tight }),
  ];
  const cols = matrix("im2col: each window is a column", windows, (w) => w.column, now, "cols");
  return {
    grids: [inputOf(exhibit, one, kindOf), cols, tight ? weights : stack(...weights), y],
    sum: `weight · column = ${fmt(one.sum, 4)}${restOf(exhibit, one)}`,
  };
}

// x with the window, and the winner if there is one.
function inputOf(exhibit, one, kindOf) {
  const best = exhibit.op === "conv2d" ? null : one.cells[one.best];
  return grid("x", exhibit.x, {
    mark: (i, j) => `${kindOf(i, j)} ${best && best[0] === i && best[1] === j ? "winner" : ""}`,
    name: "x",
  });
}

const stack = (...figures) => el("div", { class: "stack" }, figures);
const products = (exhibit, one) =>
  exhibit.weight.map((row, kh) => row.map((value, kw) => value * one.column[kh * row.length + kw]));

function restOf(exhibit, one) {
  const others = exhibit.channels - 1;
  if (!others) return " = y";
  return ` in this channel; the other ${others} channel${others > 1 ? "s" : ""} ${others > 1 ? "give" : "gives"} ${fmt(exhibit.others[one.r][one.c], 4)}; together y = ${fmt(one.y, 4)}`;
}

function backwardWindows({ exhibit, windows, one, kindOf, now }) {
  const conv = exhibit.op === "conv2d";
  const tight = exhibit.kernel[0] > 5;
  const [sums, all] = [now + 1, windows.length].map((count) => scattered(exhibit, windows, count));
  const dy = grid("dy", exhibit.dy, { mark: (r, c) => (r === one.r && c === one.c ? "lit" : ""), name: "dy" });
  const x = inputOf(exhibit, one, kindOf);
  const dx = grid(conv ? "dx so far: col2im adds" : "dx so far: winners get dy", sums.dx, {
    mark: (i, j) => `${kindOf(i, j)} ${sums.times[i][j] > 1 ? "added" : ""}`,
    name: "dx",
    like: all.dx,
  });
  const whole = state.toy
    ? null
    : grid(conv ? `dx of all ${exhibit.filters} filters, all windows` : "dx of all windows", exhibit.dx, {
        mark: (i, j) => (kindOf(i, j).includes("padding") ? "padding" : ""),
        name: "dx-all",
      });
  const sum = whatGoesBack(exhibit, one, sums);
  if (!conv) return { grids: [dy, x, dx, whole].filter(Boolean), sum };
  const weights = exhibit.weight.flat();
  const cols = matrix("dcolumns = weight · dy", windows, (w) => weights.map((value) => value * w.dy), now, "dcols");
  const weight = grid("weight", exhibit.weight, { name: "weight", tight });
  const dweight = grid("dweight so far", sums.dweight, { name: "dweight", tight, like: all.dweight });
  if (tight) return { grids: [stack(dy, weight), cols, dx, dweight], sum, below: [x, whole] }; // of the stem
  const small = exhibit.x.length <= 6;
  if (small) return { grids: [stack(dy, weight, dweight), cols, stack(x, dx), whole || el("div")], sum };
  return { grids: [stack(dy, weight, dweight), cols, x, dx], sum, below: [whole] };
}

function whatGoesBack(exhibit, one, sums) {
  if (one.dy === 0) return "dy = 0: this window sends nothing back.";
  const most = Math.max(...sums.times.flat());
  const overlap =
    most > 1 ? ` Where windows overlap (marked corners) shares were added, up to ${most} in one place.` : "";
  if (exhibit.op !== "conv2d")
    return `dy = ${fmt(one.dy, 4)} goes to the winner alone, ${fmt(one.y)}; the others get nothing.${overlap}`;
  return `dy = ${fmt(one.dy, 4)}. Times the weights it is what this window adds to dx; times the window, what it adds to dweight.${overlap}`;
}

// How many windows each pixel wins, in the channels that are shown.
function winsFigure(exhibit) {
  if (!exhibit.wins) return null;
  const decoded = exhibit.wins.map((map) => bytes(map.pixels));
  const most = Math.max(...decoded.map((pixels) => Math.max(...pixels)));
  const shown = DATA.channels[exhibit.channels].slice(0, decoded.length);
  const maps = decoded.map((pixels, k) => {
    const canvas = el("canvas", { role: "img", "aria-label": `channel ${shown[k]}: windows that each pixel wins` });
    paint(canvas, pixels, ...exhibit.wins[k].shape, most);
    return canvas;
  });
  return el(
    "figure",
    { class: "grid" },
    el("figcaption", {}, `whole maps of channels ${shown.join(", ")}: how many windows each pixel wins, 0 to ${most}`),
    el("div", { class: "wins" }, maps),
  );
}
