// The viewer: what is chosen decides which strips are decoded; the slider only draws other tiles of them.
(() => {
  const root = document.querySelector(".viewer");
  if (!root) return;
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const find = (selector) => root.querySelector(selector);
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const pictures = new Map();
  const decoded = async (address) => {
    if (!pictures.has(address)) {
      const image = Object.assign(new Image(), { src: address });
      pictures.set(address, image.decode().then(() => image));
    }
    return pictures.get(address);
  };
  const canvas = (label) => {
    const made = make("canvas", { width: data.tile, height: data.tile });
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", label);
    return made;
  };
  const draw = (target, image, tile) =>
    target.getContext("2d").drawImage(image, tile * data.tile, 0, data.tile, data.tile, 0, 0, data.tile, data.tile);

  const dot = (method) => { const made = make("i", { className: "dot" }); made.style.background = method.colour; return made; };
  const radios = (box, name, entries) => entries.forEach(([value, label], place) => {
    const input = make("input", { type: "radio", name, value, checked: place === 0 });
    find(box).append(make("label", {}, input, label));
  });
  radios(".attributes", "attribute", data.attributes.map(({ name }) => [name, name]));
  radios(".faces", "face", data.faces.map((face, place) => {
    if (!(face in data.unedited)) return [face, String(place + 1)];
    const shown = canvas(`face ${face}`);
    decoded(data.unedited[face]).then((image) => draw(shown, image, 0));
    return [face, shown];
  }));
  const checks = data.methods.map((method) => {
    const input = make("input", { type: "checkbox", name: "method", value: method.name, checked: true });
    find(".methods fieldset").append(make("label", {}, input, dot(method), method.name));
    return input;
  });
  for (const button of root.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => {
      checks.forEach((input, place) => {
        input.checked = button.dataset.choose === "all" || (button.dataset.choose === "competitors" && !data.methods[place].control);
      });
      choose();
    });
  }

  const breakable = (name) => name.split(/(?<=_)/).flatMap((part, place) => (place ? [make("wbr"), part] : [part]));
  const slider = find("#step");
  const reading = (attribute, value) => {
    const text = value.toFixed(2);
    return attribute.unit ? `${text} (${Math.round(attribute.low + value * (attribute.high - attribute.low))} ${attribute.unit})` : text;
  };
  const card = (method, control, extra) => {
    const shown = canvas("");
    const scores = make("span", { className: "scores-of" });
    const figure = make("figure", { className: control ? "control" : "" }, shown, make("figcaption", {}, make("b", {}, ...extra, ...breakable(method)), scores));
    return { figure, shown, scores };
  };
  let cards = [];
  let ticket = 0;

  const choose = async () => {
    const mine = ++ticket;
    const form = new FormData(find("form"));
    const attribute = data.attributes.find(({ name }) => name === form.get("attribute"));
    const face = form.get("face");
    const chosen = new Set(form.getAll("method"));
    const strips = (data.strips[attribute.name][face] ?? []).filter(({ method }) => chosen.has(method));
    const images = await Promise.all(strips.map(({ pictures: address }) => decoded(address)));
    const unedited = face in data.unedited ? await decoded(data.unedited[face]) : null;
    if (mine !== ticket) return;
    const known = new Map(data.methods.map((method) => [method.name, method]));
    cards = strips.map((strip, place) => {
      const method = known.get(strip.method);
      return { ...card(strip.method, method.control, [dot(method)]), strip, image: images[place], attribute };
    });
    const shown = cards.map(({ figure }) => figure);
    if (unedited) {
      const first = card("unedited", false, []);
      const start = strips.map((strip) => strip.start).find((value) => value !== null);
      draw(first.shown, unedited, 0);
      const text = start === undefined ? "" : `${attribute.name} ${reading(attribute, start)}`;
      first.scores.append(make("span", {}, text));
      first.shown.setAttribute("aria-label", `the unedited face, ${text}`);
      first.figure.classList.add("unedited");
      shown.unshift(first.figure);
    }
    find(".cards").replaceChildren(...shown);
    find(".methods summary").textContent = `Methods: ${chosen.size} of ${data.methods.length} shown`;
    slider.max = Math.max(0, ...strips.map(({ steps }) => steps.length - 1));
    if (!slider.dataset.moved) slider.value = Math.round(0.75 * slider.max);
    rows();
    step();
  };
  const step = () => {
    const at = Number(slider.value);
    const text = `step ${at + 1} of ${Number(slider.max) + 1}`;
    find("output").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    for (const { figure, shown, scores, strip, image, attribute } of cards) {
      const place = Math.min(at, strip.steps.length - 1);
      const [strength, value, distance, detected] = strip.steps[place];
      shown.getContext("2d").clearRect(0, 0, data.tile, data.tile);
      draw(shown, image, place);
      figure.classList.toggle("lost", !detected);
      const identity = distance === null ? "" : `identity ${distance.toFixed(2)}`;
      const lines = [reading(attribute, value), identity, detected ? "" : "no face"].filter(Boolean);
      scores.replaceChildren(...lines.map((line) => make("span", { className: line === "no face" ? "missing" : "" }, line)));
      scores.title = `strength ${strength} in the method's unit`;
      shown.setAttribute("aria-label", `${strip.method}, strength ${strength}: ${attribute.name} ${lines.join(", ")}`);
    }
  };
  const rows = () => {
    if (!find(".all-steps").open) return;
    find(".rows").replaceChildren(...cards.map(({ strip, image, attribute }) => {
      const picture = make("img", { src: image.src, alt: `${strip.method}: ${attribute.name} in ${strip.steps.length} steps from the low end to the high end` });
      return make("div", { className: "row" }, make("span", {}, strip.method), make("div", { className: "pictures" }, picture));
    }));
    root.querySelectorAll(".rows .pictures").forEach((box) => boxes.observe(box));
  };
  find("form").addEventListener("submit", (event) => event.preventDefault());
  find("form").addEventListener("change", (event) => { if (event.target !== slider) choose(); });
  find(".all-steps").addEventListener("toggle", rows);
  slider.addEventListener("input", () => { slider.dataset.moved = "yes"; step(); });
  root.hidden = false;
  choose();
})();
