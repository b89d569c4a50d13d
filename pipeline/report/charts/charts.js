// Draws the page's charts with Vega-Embed, each when it comes near the window; lets the key of methods hide methods in
// all of them; writes a chart's numbers as a table when they are opened. Nothing is requested.
const { charts, tables, methods } = JSON.parse(document.getElementById("chart-data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const hidden = new Set();
const drawn = new Map(); // host -> the result of vegaEmbed, and the width that it was drawn for
const [GAP, HEAD, FOOT, END] = [18, 30, 38, 14]; // pixels between panels, over and under one, after the last

const rowsOf = (() => {
  const made = new Map();
  return (name) => {
    if (!made.has(name)) {
      const columns = Object.entries(tables[name]).map(([key, column]) => [key, column.of ? column.of.map((at) => column.texts[at]) : column]);
      const length = columns.length ? columns[0][1].length : 0;
      made.set(name, Array.from({ length }, (_, row) => Object.fromEntries(columns.map(([key, values]) => [key, values[row]]))));
    }
    return made.get(name);
  };
})();

function theme() {
  const style = getComputedStyle(document.documentElement);
  const [ink, quiet, line, paper] = ["--ink", "--quiet", "--line", "--paper"].map((name) => style.getPropertyValue(name).trim());
  const text = { labelColor: quiet, titleColor: ink, labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal" };
  return {
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: { ...text, tickCount: 5, gridColor: line, domainColor: quiet, tickColor: quiet, labelLimit: 150 },
    header: { labelColor: ink, titleColor: ink, labelFontSize: 12, labelFontWeight: 600, labelAnchor: "start", labelPadding: 4 },
    legend: { ...text, labelColor: ink },
    mark: { color: ink },
    rule: { color: ink },
    text: { color: ink },
    range: {
      category: methods.map((one) => (dark.matches ? one.dark : one.light)),
      diverging: dark.matches ? ["#58b6ff", "#24507a", "#202327", "#7a4310", "#ffa24d"] : ["#0b5394", "#8fbfe6", "#f4f4f1", "#f2b27c", "#a84300"],
    },
  };
}

/** The specification for a host of this width: panels in as many columns as fit, labels counted by `margin`. */
function sized(chart, width, config) {
  const spec = structuredClone(chart.spec);
  if (chart.panel) {
    const apart = (axis) => [spec.resolve?.scale?.[axis], spec.resolve?.axis?.[axis]].includes("independent");
    const [once, gap] = apart("y") ? [chart.margin, chart.margin + 8] : [chart.margin, GAP];
    const free = width - once - END;
    const columns = Math.max(1, Math.min(chart.panels, Math.floor((free + gap) / (chart.panel + gap))));
    spec.columns = columns;
    spec.bounds = "flush";
    const lines = spec.facet.header?.labelExpr ? 14 : 0; // heads of two lines
    spec.spacing = { column: gap, row: HEAD + lines + (apart("x") ? FOOT : 0) };
    if (spec.spec.view?.style === "blank") spec.spec.view = { fill: config.axis.gridColor };
    spec.spec.width = Math.floor((free + gap) / columns) - gap;
    spec.facet.header = { ...spec.facet.header, labelLimit: spec.spec.width + gap - 4 };
  } else {
    spec.width = width;
    spec.autosize = { type: "fit-x", contains: "padding" };
  }
  spec.datasets = Object.fromEntries(chart.tables.map((name) => [name, rowsOf(name)]));
  return spec;
}

/** Vega-Embed, made of the page's own text when the first chart is drawn: a page opens faster without. */
function library() {
  if (!window.vegaEmbed) {
    const script = document.createElement("script");
    script.textContent = `(() => { "use strict"; ${document.getElementById("chart-library").textContent} })();`;
    document.head.append(script);
  }
  return window.vegaEmbed;
}

async function draw(host) {
  const chart = charts[host.dataset.chart];
  const width = host.clientWidth;
  const before = drawn.get(host);
  drawn.set(host, { width });
  before?.result?.finalize();
  const config = theme();
  const result = await library()(host, sized(chart, width, config), {
    mode: "vega-lite",
    ast: true, // interprets expressions: the page's content policy forbids to evaluate text
    renderer: "svg",
    actions: { export: true, source: false, compiled: false, editor: false },
    bind: host.previousElementSibling, // choices stand above the chart
    downloadFileName: host.dataset.chart,
    tooltip: { theme: dark.matches ? "dark" : "light" },
    config,
  });
  host.querySelector("summary")?.setAttribute("aria-label", `Save the chart: ${host.closest("figure").querySelector("strong").textContent}`);
  drawn.set(host, { width, result });
  if (chart.keyed && hidden.size) hide(result);
  host.dataset.drawn = "";
}

function hide(result) {
  result.view.signal("hidden", [...hidden]).runAsync();
}

function setHidden(names, away) {
  names.forEach((name) => (away ? hidden.add(name) : hidden.delete(name)));
  document.querySelectorAll(".chart-key input").forEach((box) => { box.checked = !hidden.has(box.value); });
  drawn.forEach(({ result }, host) => { if (result && charts[host.dataset.chart].keyed) hide(result); });
}

/** The key above the charts of a section: a box for each method, in its colour and with its sign. */
function key() {
  const field = document.createElement("fieldset");
  field.className = "chart-key";
  const legend = document.createElement("legend");
  legend.textContent = "Methods shown";
  field.append(legend);
  for (const one of methods) {
    const label = document.createElement("label");
    if (one.control) label.className = "control";
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: one.method, checked: !hidden.has(one.method) });
    box.addEventListener("change", () => setHidden([one.method], !box.checked));
    const sign = document.createElement("span");
    sign.className = "sign";
    sign.style.color = `light-dark(${one.light}, ${one.dark})`;
    sign.textContent = one.sign;
    sign.setAttribute("aria-hidden", "true");
    label.append(box, sign, one.method);
    field.append(label);
  }
  const names = methods.map((one) => one.method);
  for (const [text, away] of [["all", false], ["none", true]]) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.addEventListener("click", () => setHidden(names, away));
    field.append(button);
  }
  return field;
}

function numbers(host) {
  const parts = [];
  for (const name of charts[host.dataset.chart].tables) {
    const table = document.createElement("table");
    const heads = Object.keys(tables[name]);
    const head = table.createTHead().insertRow();
    for (const one of heads) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = one.replaceAll("_", " ");
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rowsOf(name)) {
      const line = body.insertRow();
      for (const one of heads) {
        const cell = line.insertCell();
        cell.textContent = row[one] ?? "–";
        if (typeof row[one] === "number") cell.className = "n";
      }
    }
    parts.push(table);
  }
  return parts;
}

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    draw(target);
  }
}, { rootMargin: "400px 0px" });
const width = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const known = drawn.get(target);
    if (known?.result && target.clientWidth && Math.abs(target.clientWidth - known.width) > 4) draw(target);
  }
});
for (const host of document.querySelectorAll("[data-chart]")) {
  const section = host.closest("section") ?? host.parentElement;
  if (charts[host.dataset.chart].keyed && !section.querySelector(".chart-key")) host.closest("figure").before(key());
  near.observe(host);
  width.observe(host);
}
for (const details of document.querySelectorAll("details.numbers")) {
  details.addEventListener("toggle", () => {
    const into = details.querySelector(".scroll");
    if (details.open && !into.hasChildNodes()) into.append(...numbers(details.parentElement.querySelector("[data-chart]")));
  });
}
dark.addEventListener("change", () => drawn.forEach((_, host) => draw(host)));
addEventListener("beforeprint", () => document.querySelectorAll("[data-chart]:not([data-drawn])").forEach((host) => { if (host.clientWidth) draw(host); }));
