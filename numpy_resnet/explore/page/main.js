// Steps, keys, and what is shown where.
const TABS = { maps: mapsPanel, closer: closerPanel, code: codePanel, flow: flowPanel };
const PACE = 700; // milliseconds from step to step
state.shortcuts = "both";

function goTo(step) {
  const before = nodeIndex();
  state.step = Math.max(0, Math.min(2 * N - 1, step));
  if (nodeIndex() !== before) [state.window, state.algorithm, state.toy] = [0, 0, null];
  show();
}

// A node in the direction that we are going in.
const goToNode = (index) => goTo(isBackward() ? 2 * N - 1 - index : index);

// To the first node of the next or the last block, as the steps go.
function goToBlock(direction) {
  const now = nodes[nodeIndex()].block;
  let step = state.step;
  const inside = (s) => s >= 0 && s < 2 * N;
  while (inside(step) && nodes[placeOf(step)].block === now && step >= N === isBackward()) step += direction;
  if (direction < 0 && inside(step)) {
    const block = nodes[placeOf(step)].block;
    while (inside(step - 1) && nodes[placeOf(step - 1)].block === block && step - 1 >= N === step >= N) step -= 1;
  }
  goTo(step);
}

function play(what = "step") {
  const stopped = state.timer && state.playing === what;
  clearInterval(state.timer);
  state.timer = null;
  if (!stopped) {
    const end = () =>
      what === "step" ? 2 * N - 1 : windowsOf(state.toy ? toyExhibit(state.toy) : nodes[nodeIndex()].closer).length - 1;
    if (what === "step" && state.step === end()) state.step = 0;
    if (what === "window" && state.window === end()) state.window = 0;
    state.playing = what;
    state.timer = setInterval(() => {
      if (what === "window" && nodes[nodeIndex()].closer?.kind !== "windows") return play(what);
      if (what === "window") state.window += 1;
      if ((what === "step" ? state.step + 1 : state.window) >= end()) play(what);
      if (what === "step") goTo(state.step + 1);
      else show();
    }, PACE);
  }
  show();
}

// Content over the page; the last of it stands beside the button that closes it.
function openDialog(title, keys, ...content) {
  if (state.timer) play(state.playing);
  const last = content.pop();
  const close = el("button", { autofocus: true, onclick: () => byId("dialog").close() }, "close (Esc)");
  byId("dialog").onkeydown = (event) => keys[event.key]?.();
  byId("dialog-content").replaceChildren(el("h2", { id: "dialog-title" }, title), ...content, el("p", {}, last, close));
  if (!byId("dialog").open) byId("dialog").showModal();
}

const KEYS = [
  ["→ ←", "one step on, one step back"],
  ["↓ ↑", "next block, block before"],
  ["space", "play, or stop"],
  ["Home End", "to the beginning, to the end"],
  ["b", "the same place in the other direction"],
  ["1 2 3 4", "maps, look closer, code, gradient flow"],
  [". ,", "next window, window before (look closer, at a convolution or max pool)"],
  ["s", "shortcuts on and off, on, off (gradient flow)"],
  ["e", "enlarge the first channel"],
  ["d", "dark or light"],
  ["?", "these keys"],
];

function showKeys() {
  openDialog(
    "Keys",
    {},
    el(
      "dl",
      {},
      KEYS.map(([keys, words]) => [el("dt", {}, el("kbd", {}, keys)), el("dd", {}, words)]),
    ),
    [],
  );
}

function press(event) {
  const inControl = event.target.closest("select, input, pre, dialog");
  const onButton = event.target.closest("button, summary") && event.key === " ";
  if (event.ctrlKey || event.metaKey || event.altKey || inControl || onButton) return;
  const turnShortcuts = { both: "on", on: "off", off: "both" };
  const actions = {
    ArrowRight: () => goTo(state.step + 1),
    ArrowLeft: () => goTo(state.step - 1),
    ArrowDown: () => goToBlock(1),
    ArrowUp: () => goToBlock(-1),
    " ": () => play(),
    Home: () => goTo(0),
    End: () => goTo(2 * N - 1),
    b: turn,
    1: () => showTab("maps"),
    2: () => showTab("closer"),
    3: () => showTab("code"),
    4: () => showTab("flow"),
    ".": () => {
      state.window += 1;
      show();
    },
    ",": () => {
      state.window = Math.max(0, state.window - 1);
      show();
    },
    s: () => {
      state.shortcuts = turnShortcuts[state.shortcuts];
      show();
    },
    e: () => document.querySelector("button.map")?.click(),
    d: toggleTheme,
    "?": showKeys,
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

const turn = () => goTo(2 * N - 1 - state.step);

function showTab(tab) {
  state.tab = tab;
  show();
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  show();
}

const toggleTheme = () => setTheme(!isDark());

// Everything follows from the state.
function show() {
  const node = nodes[nodeIndex()];
  const back = isBackward();
  const focused = document.activeElement?.id;
  drawNetwork();
  drawBlock();
  document.body.classList.toggle("going-back", back);
  byId("slider").value = state.step;
  byId("count").textContent = `${back ? "← backward" : "→ forward"}, step ${state.step + 1} of ${2 * N}`;
  byId("places").value = nodeIndex();
  byId("turn").textContent = back ? "to its forward" : "to its backward";
  byId("play").textContent = state.timer && state.playing === "step" ? "stop" : "play";
  const kind = KINDS[node.kind] || node.kind;
  byId("name").replaceChildren(node.name, " ", el("span", {}, titleOf(node)));
  const pair = DATA.code[node.code][0];
  byId("says").textContent = back ? `Backward: ${pair.idea}` : `Forward: ${pair.says}`;
  byId("facts").textContent = facts(node);
  document
    .querySelectorAll("[data-tab]")
    .forEach((button) => button.setAttribute("aria-pressed", button.dataset.tab === state.tab));
  byId("panel").className = state.tab;
  byId("panel").replaceChildren(...TABS[state.tab](node).flat().filter(Boolean));
  if (focused && document.activeElement?.id !== focused) byId(focused)?.focus();
  const words = `${back ? "backward" : "forward"}, step ${state.step + 1}: ${node.name}, ${kind}`;
  byId("slider").setAttribute("aria-valuetext", words);
  byId("spoken").textContent = `${words}. ${byId("facts").textContent}. ${spokenPanel()}`;
  history.replaceState(null, "", `#at=${node.name}&way=${back ? "backward" : "forward"}&tab=${state.tab}`);
}

// What has changed in the panel: the tab, the window at hand, which series.
function spokenPanel() {
  const tab = document.querySelector(`[data-tab="${state.tab}"]`).textContent;
  const window =
    state.tab === "closer" && byId("sum") ? `${byId("window").textContent}: ${byId("sum").textContent}` : "";
  const series = state.tab === "flow" ? `shortcuts ${state.shortcuts === "both" ? "on and off" : state.shortcuts}` : "";
  return `${tab}. ${window}${series}`;
}

// Shapes and costs, and, coming back, how large the gradients are.
function facts(node) {
  const shapes = (indices) => indices.map((i) => times(tensors[i].shape)).join(" and ");
  const parts = [];
  if (node.inputs.length) parts.push(`${shapes(node.inputs)} → ${shapes(node.outputs)}`);
  else parts.push(shapes(node.outputs));
  if (node.parameters) parts.push(`${whole(node.parameters)} parameters`);
  if (node.multiplyAdds) parts.push(`${whole(node.multiplyAdds)} multiply-adds`);
  if (!isBackward()) for (const { name, norm } of node.sizes) parts.push(`|${name}| = ${fmt(norm)}`);
  else {
    const size = (index) => fmt(arrays[tensors[index].gradient].norm);
    if (node.kind === "fork") parts.push(`|dh| = ${size(node.outputs[0])}`, `|dshortcut| = ${size(node.outputs[1])}`);
    else parts.push(`|${node.kind === "input" ? "dx" : "dy"}| = ${size(node.outputs[0])}`);
    if (node.inputs.length) parts.push(`|dx| = ${size(node.inputs[0])}`);
    for (const { name, gradient } of node.sizes) parts.push(`|d${name}| = ${fmt(gradient)}`);
  }
  return parts.join(" · ");
}
