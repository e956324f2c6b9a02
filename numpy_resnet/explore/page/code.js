// The source of a node, forward beside backward.
const WORDS =
  /("""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|#.*)|\b(def|return|for|in|if|else|None|True|False|and|or|not|is|with|raise|import|from|lambda|class|self)\b/g;

// Strings and comments, and the words of the language, told apart.
function highlighted(source) {
  const parts = [];
  let end = 0;
  for (const found of source.matchAll(WORDS)) {
    parts.push(source.slice(end, found.index), el("span", { class: found[1] ? "said" : "word" }, found[0]));
    end = found.index + found[0].length;
  }
  return [...parts, source.slice(end)];
}

function codePanel(node) {
  const pairs = DATA.code[node.code];
  const chosen = Math.min(state.algorithm, pairs.length - 1);
  const pair = pairs[chosen];
  const options = pairs.map((one, k) =>
    el("option", { value: k, selected: k === chosen }, one.label + (k === 0 && pairs.length > 1 ? " (ran here)" : "")),
  );
  const choice = el(
    "select",
    {
      id: "algorithm",
      "aria-label": "which code",
      onchange: (event) => {
        state.algorithm = Number(event.target.value);
        show();
      },
    },
    options,
  );
  const listing = (way, title) =>
    el(
      "div",
      { class: `listing ${way} ${(way === "backward") === isBackward() ? "now" : ""}` },
      el("h3", {}, title),
      el("pre", { tabindex: 0 }, el("code", {}, highlighted(pair[way]))),
    );
  return [
    el("p", { class: "quiet" }, pairs.length > 1 ? [choice, " "] : null, pair.place),
    el("div", { class: "listings" }, listing("forward", "forward"), listing("backward", "backward")),
  ];
}
