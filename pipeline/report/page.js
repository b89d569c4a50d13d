"use strict";
// Boxes that hold more than they show can be scrolled by keyboard; others are no stop on the way.
const reachable = (box) => {
  const more = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
  if (more) {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", box.closest("figure, section")?.querySelector("figcaption, h2")?.textContent.trim() ?? "Table");
  } else {
    for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
  }
};
const boxes = new ResizeObserver((entries) => entries.forEach((entry) => reachable(entry.target)));
document.querySelectorAll(".scroll, .pictures, pre").forEach((box) => boxes.observe(box));

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  };
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      for (const body of table.tBodies) {
        const known = [...body.rows].map((row) => [key(row, column), row]);
        known.sort(([a], [b]) => (a === "" || b === "" || up ? 1 : -1) * compare(a, b));
        body.append(...known.map(([, row]) => row));
      }
    });
  });
}

const wordsOf = (filter) => filter.value.toLowerCase().split(/\s+/).filter(Boolean);
for (const filter of document.querySelectorAll("details:not(.listed) input.filter")) {
  const part = filter.closest("details");
  filter.addEventListener("input", () => {
    const words = wordsOf(filter);
    let shown = 0;
    for (const row of part.querySelector("table.filtered").tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    part.querySelector(".count").textContent = words.length ? `${shown} shown` : "";
  });
}

// Long lists are data of the page, of which only the first rows that have all words become a table.
const MOST = 200;
for (const part of document.querySelectorAll("details.listed")) {
  const filter = part.querySelector("input.filter");
  let list = null;
  const show = () => {
    if (!part.open) return;
    if (!list) {
      const { head, texts, rows } = JSON.parse(document.getElementById(part.dataset.rows).textContent);
      list = rows.map((row) => { const cells = row.map((place) => texts[place]); return { cells, text: cells.join(" ").toLowerCase() }; });
      list.numeric = head.map(([, numeric]) => numeric);
    }
    const words = wordsOf(filter);
    const found = list.filter(({ text }) => words.every((word) => text.includes(word)));
    part.querySelector("tbody").replaceChildren(...found.slice(0, MOST).map(({ cells }) => {
      const line = document.createElement("tr");
      cells.forEach((cell, column) => {
        const made = line.insertCell();
        made.textContent = cell;
        if (list.numeric[column]) made.className = "n";
      });
      return line;
    }));
    const some = found.length > MOST ? `the first ${MOST} of ` : "";
    part.querySelector(".count").textContent = `${some}${found.length.toLocaleString("en")} rows`;
  };
  filter.addEventListener("input", show);
  part.addEventListener("toggle", show);
}

const intervals = document.getElementById("intervals"); // pages of ablations and of nights have none
if (intervals) {
  const showIntervals = () => document.body.classList.toggle("brief", !intervals.checked);
  intervals.addEventListener("change", showIntervals);
  showIntervals();
}

// The contents mark the section that is being read.
const links = new Map([...document.querySelectorAll("nav .contents > li > a")].map((link) => [link.hash.slice(1), link]));
const inView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-10% 0px -80% 0px" });
document.querySelectorAll("main > section").forEach((section) => inView.observe(section));

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
