// What happens once: the heading, the controls, and the address that may say where to begin.

function begin() {
  const { model, image, classes, label, predicted } = DATA;
  const p = nodes.at(-1).closer.rows[nodes.at(-1).closer.names.indexOf(label)][1];
  const loss = arrays[tensors[nodes.at(-1).outputs[0]].value].mean;
  byId("title").textContent = `${model.name}, there and back`;
  const { rows, names } = nodes.at(-1).closer;
  const said =
    predicted === label
      ? ""
      : ` The network says “${classes[predicted]}”, p = ${fmt(rows[names.indexOf(predicted)][1])}.`;
  const norm = model.training ? "; batch norm takes the statistics of this image alone" : "";
  byId("verdict").textContent =
    `${model.about}${norm}. ${image.name}: the loss is that of “${classes[label]}”, p = ${fmt(p)}, loss ${fmt(loss)}.${said}`;
  drawPhotograph(image);
  byId("slider").max = 2 * N - 1;
  const options = blocks.map((block) =>
    el(
      "optgroup",
      { label: block.name },
      block.nodes.map((i) => el("option", { value: i }, called(nodes[i]))),
    ),
  );
  byId("places").append(...options);
  const click = {
    first: () => goTo(0),
    back: () => goTo(state.step - 1),
    play: () => play(),
    next: () => goTo(state.step + 1),
    last: () => goTo(2 * N - 1),
    turn,
    theme: toggleTheme,
    keys: showKeys,
  };
  for (const [id, action] of Object.entries(click)) byId(id).addEventListener("click", action);
  document
    .querySelectorAll("[data-tab]")
    .forEach((button) => button.addEventListener("click", () => showTab(button.dataset.tab)));
  byId("slider").addEventListener("input", (event) => goTo(Number(event.target.value)));
  byId("places").addEventListener("change", (event) => goToNode(Number(event.target.value)));
  document.addEventListener("keydown", press);
  document.addEventListener("pointerdown", () => (state.pointed = true));
  document.addEventListener("keydown", () => (state.pointed = false), true);
  document.addEventListener("change", () => state.pointed && document.activeElement.blur()); // the keys are the page's again
  const wish = matchMedia("(prefers-color-scheme: dark)");
  wish.addEventListener("change", () => setTheme(wish.matches));
  addEventListener("hashchange", () => {
    goToAddress();
    show();
  });
  goToAddress();
  setTheme(wish.matches);
}

// An address may say where to begin: #at=layer3.0.add&way=backward&tab=closer
function goToAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const index = Math.max(
    0,
    nodes.findIndex((node) => node.name === asked.get("at")),
  );
  state.step = asked.get("way") === "backward" ? 2 * N - 1 - index : index;
  if (TABS[asked.get("tab")]) state.tab = asked.get("tab");
}

function drawPhotograph({ shape, pixels, name }) {
  const [channels, height, width] = shape;
  const source = bytes(pixels);
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = source[channels * i + (channels === 3 ? k : 0)];
    image.data[4 * i + 3] = 255;
  }
  const canvas = byId("photograph");
  [canvas.width, canvas.height] = [width, height];
  canvas.setAttribute("aria-label", `the image: ${name}`);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

begin();
