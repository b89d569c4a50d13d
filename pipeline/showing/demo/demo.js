"use strict";
// Positions of sliders go from -ENDS to ENDS: 0 is the unedited face, an end is the end of the method's range.
const ENDS = 50;
const at = (id) => document.getElementById(id);
const page = crypto.getRandomValues(new Uint32Array(2)).join("-"); // of its requests the server computes the newest
let facts, asked = 0, shown = 0;
const positions = {};

const strengthOf = (attribute) => {
  const [low, high] = facts.methods[at("method").value].ranges[attribute];
  const share = positions[attribute] / ENDS;
  return share < 0 ? -share * low : share * high;
};
const signed = (number) => (number > 0 ? "+" : number < 0 ? "−" : "") + Math.abs(number).toFixed(2);
const moved = () => facts.attributes.filter((attribute) => positions[attribute] && strengthOf(attribute));
const make = (name, properties) => Object.assign(document.createElement(name), properties);

function addSlider(attribute) {
  const row = make("div", { className: "slider" });
  const id = `slider-${attribute}`;
  const input = make("input", { id, type: "range", min: -ENDS, max: ENDS, step: 1 });
  input.setAttribute("aria-describedby", `value-${attribute}`);
  input.addEventListener("input", () => { positions[attribute] = Number(input.value); changed(); });
  row.append(
    make("label", { htmlFor: id, textContent: attribute }), input,
    make("output", { id: `strength-${attribute}`, htmlFor: id }),
    make("span", { id: `value-${attribute}`, className: "value" }),
  );
  at("sliders").append(row);
}

function describe() {
  const method = facts.methods[at("method").value];
  at("unit").textContent = `${method.title ? method.title + ". " : ""}A strength of 1 is: ${method.unit}.`;
  for (const attribute of facts.attributes) {
    const input = at(`slider-${attribute}`), range = method.ranges[attribute];
    input.disabled = !range || range[0] === range[1];
    if (input.disabled) positions[attribute] = 0;
    input.value = positions[attribute];
    const place = 50 + 50 * positions[attribute] / ENDS; // the track is coloured from the middle to the thumb
    input.style.setProperty("--from", `${Math.min(50, place)}%`);
    input.style.setProperty("--to", `${Math.max(50, place)}%`);
    const strength = range ? signed(strengthOf(attribute)) : "no range";
    at(`strength-${attribute}`).textContent = strength;
    input.setAttribute("aria-valuetext", `strength ${strength}`);
  }
  const edits = facts.attributes.filter((name) => positions[name]).map((name) => `${name}:${positions[name]}`);
  history.replaceState(null, "", `#${at("method").value},${at("seed").value}${edits.map((edit) => "," + edit).join("")}`);
}

function explainSum(share) {
  const method = at("method").value;
  if (moved().length < 2) return `Move several sliders to change several attributes at once by ${method}.`;
  if (share === null) return `Edits by ${method} do not move the code.`;
  if (share < 0.001) return `Edits by ${method} add up: at once they move the code by the sum of the single edits.`;
  return `Edits by ${method} do not add up: it gets all changes at once, and moves the code otherwise than by the sum of `
    + `the single edits. The two ends are ${(100 * share).toPrecision(2)} % of the sum's length apart.`;
}

function show(result, order) {
  for (const name of ["unedited", "edited"]) {
    at(name).src = result[name];
    at(name).hidden = false;
  }
  const edits = Object.entries(order.strengths).map(([name, strength]) => `${name} ${signed(strength)}`).join(", ");
  at("unedited").alt = `Face ${order.seed}, unedited`;
  at("edited").alt = `Face ${order.seed}, edited by ${order.method}: ${edits || "nothing changed"}`;
  at("scores").textContent = `Identity distance ${result.identity.toFixed(2)}`;
  if (!result.detected) at("scores").append(". ", make("span", { className: "lost", textContent: "No face is found." }));
  for (const [attribute, [before, after]] of Object.entries(result.values))
    at(`value-${attribute}`).textContent = before === after ? before : `${before} → ${after}`;
  at("sum").textContent = explainSum(result.sum);
}

async function changed() {
  describe();
  if (!at("seed").checkValidity() || at("seed").value === "") return complain("Face: expected a whole number from 0 to 4294967295.");
  const strengths = Object.fromEntries(moved().map((attribute) => [attribute, strengthOf(attribute)]));
  const order = { page, method: at("method").value, seed: Number(at("seed").value), strengths };
  const number = ++asked;
  at("after").setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("edit", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order) });
    if (answer.status === 204 || number < shown) return; // a newer request took its place
    const result = await answer.json();
    shown = number;
    complain(answer.ok ? "" : result.error);
    if (answer.ok) show(result, order);
  } catch (error) {
    complain(`The server does not answer (${error.message}). Is latentbench demo still running?`);
  } finally {
    at("after").setAttribute("aria-busy", String(number < asked));
  }
}

function complain(text) {
  at("trouble").textContent = text;
  if (text && at("edited").hidden) at("scores").textContent = "";
}

function restore() {
  const [method, seed, ...edits] = decodeURIComponent(location.hash.slice(1)).split(",");
  if (facts.methods[method]) at("method").value = method;
  at("seed").value = /^\d+$/.test(seed) ? seed : "0";
  for (const edit of edits) {
    const [attribute, position] = edit.split(":");
    if (attribute in positions) positions[attribute] = Math.max(-ENDS, Math.min(ENDS, Math.round(Number(position)) || 0));
  }
}

async function start() {
  facts = await (await fetch("facts")).json();
  at("run").textContent = `Run ${facts.run}, domain ${facts.domain}, profile ${facts.profile}. ${facts.warning}`;
  for (const method of Object.keys(facts.methods)) at("method").append(make("option", { value: method, textContent: method }));
  for (const attribute of facts.attributes) { positions[attribute] = 0; addSlider(attribute); }
  restore();
  at("method").addEventListener("change", changed);
  at("seed").addEventListener("input", changed);
  at("random").addEventListener("click", () => { at("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] % 1000000; changed(); });
  at("reset").addEventListener("click", () => { for (const attribute of facts.attributes) positions[attribute] = 0; changed(); });
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  changed();
}

start().catch((error) => complain(`The page could not begin (${error.message}). Is latentbench demo still running?`));
