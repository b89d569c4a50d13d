// A keyboard reaches what scrolls; headings of the contents have a level; the two asides have names.
addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("pre, .table-wrapper, .formula")) part.tabIndex = 0;
  for (const title of document.querySelectorAll(".sidebar-tree .caption")) title.ariaLevel = "2";
  document.querySelector(".sidebar-drawer").ariaLabel = "Pages";
  document.querySelector(".toc-drawer").ariaLabel = "On this page";
});
