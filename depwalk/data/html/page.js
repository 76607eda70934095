// The page is whole without this: it adds searching, sorting and copying.

const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

// ---- copy

for (const button of all(".copy")) {
  const code = button.parentElement.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2000);
  });
}

// ---- fold and unfold; what was open before a search, or before printing, is so again after it

for (const button of all(".unfold")) {
  const folds = all(".tree details", button.closest("section"));
  const begun = folds.filter((fold) => fold.open);
  let unfolded = false;
  button.hidden = folds.length === begun.length;
  button.addEventListener("click", () => {
    unfolded = !unfolded;
    for (const fold of folds) fold.open = unfolded || begun.includes(fold);
    button.textContent = unfolded ? "Fold" : "Unfold all";
  });
}

const failing = all("details[open]");
let foldedBeforePrint = [];
window.addEventListener("beforeprint", () => {
  foldedBeforePrint = failing.filter((fold) => !fold.open);
  for (const fold of foldedBeforePrint) fold.open = true;
});
window.addEventListener("afterprint", () => {
  for (const fold of foldedBeforePrint) fold.open = false;
});

// ---- sort

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function sort(table, column, head) {
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const body = table.tBodies[0];
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = Array.from(body.rows, (row) => {
    const cell = row.cells[column];
    return [cell.dataset.k ?? cell.textContent, row];
  });
  keyed.sort((one, other) => sign * collator.compare(one[0], other[0]));
  body.append(...keyed.map(([, row]) => row));
}

for (const table of all("table[data-sortable]")) {
  all("thead th", table).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(table, column, head));
    head.replaceChildren(button);
  });
}

// ---- search

const FEW = 200; // matches up to which a search unfolds the tree

const bar = document.querySelector(".bar");

// A part of the page with a tree and a table of the same modules, or with a table alone.
function part(root) {
  const searched = root.querySelector(".modules") ? [0, 1, 7] : null;
  const rows = all("table[data-sortable] tbody tr", root).map((row) => {
    const cells = searched ? searched.map((column) => row.cells[column]) : Array.from(row.cells);
    const text = cells
      .map((cell) => cell.textContent)
      .join("\n")
      .toLowerCase();
    return { row, text, states: all(".badge", row).map((state) => state.lastChild.data) };
  });
  const items = all(".tree li", root).map((item) => ({
    item,
    module: item.dataset.m,
    text: item.classList.contains("fold") ? item.textContent.toLowerCase() : "",
  }));
  return { root, rows, items };
}

function filter({ root, rows, items }, words, verdict) {
  const matching = new Set();
  let count = 0;
  for (const { row, text, states } of rows) {
    const matches = words.every((word) => text.includes(word)) && (!verdict || states.includes(verdict));
    row.hidden = !matches;
    if (matches) {
      count += 1;
      matching.add(row.dataset.m);
    }
  }
  const visible = new Set();
  for (const { item, module, text } of items) {
    const matches = module === undefined ? text && words.every((word) => text.includes(word)) : matching.has(module);
    if (module !== undefined) item.querySelector("bdi").classList.toggle("hit", matches && words.length > 0);
    const lowest = text ? (item.querySelector("details") ?? item) : item;
    for (let above = lowest; matches && above !== root && !visible.has(above); above = above.parentElement) {
      visible.add(above);
    }
  }
  for (const { item } of items) item.hidden = words.length > 0 && !visible.has(item);
  return { count, folds: Array.from(visible).filter((element) => element.localName === "details") };
}

if (bar) {
  const field = bar.querySelector("input");
  const choice = bar.querySelector("select");
  const output = bar.querySelector("output");
  const folds = all("details");
  const results = all(".result");
  let parts = null;
  let openBefore = null;
  const search = () => {
    parts ??= all(".searched").map(part);
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = choice?.value ?? "";
    const isOn = words.length > 0 || verdict !== "";
    openBefore ??= new Set(folds.filter((fold) => fold.open));
    let count = 0;
    const unfolded = new Set();
    for (const one of parts) {
      const found = filter(one, words, verdict);
      count += found.count;
      if (words.length > 0 && found.count <= FEW) for (const fold of found.folds) unfolded.add(fold);
      const result = one.root.closest(".result");
      if (isOn && result && found.count > 0) unfolded.add(result);
    }
    for (const result of results) result.hidden = isOn && !unfolded.has(result);
    for (const fold of folds) fold.open = unfolded.has(fold) || openBefore.has(fold);
    if (!isOn) openBefore = null;
    const total = parts.reduce((sum, one) => sum + one.rows.length, 0);
    output.textContent = isOn ? `${count.toLocaleString("en")} of ${total.toLocaleString("en")}` : "";
  };
  field.addEventListener("input", search);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      field.value = "";
      search();
    }
  });
  choice?.addEventListener("change", search);
  bar.hidden = false;
}
