const tables = [...document.querySelectorAll("table")];
const headsOf = (table) => [...table.tHead.rows[0].cells];

for (const table of tables) {
  const heads = headsOf(table);
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const textOf = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const rows = [...body.rows].map((row, place) => ({ row, place, text: textOf(row) }));
    rows.sort((a, b) => {
      if ((a.text === "") !== (b.text === "")) return a.text === "" ? 1 : -1; // unknown: last
      const [x, y] = [Number(a.text), Number(b.text)];
      const numbers = !Number.isNaN(x) && !Number.isNaN(y);
      const order = numbers ? x - y : a.text.localeCompare(b.text, "en", { numeric: true });
      return (down ? -order : order) || a.place - b.place;
    });
    body.append(...rows.map(({ row }) => row));
  }));
}

// The first columns stay in sight: as many of those that name a row as fit into half of the table.
const pins = document.head.appendChild(document.createElement("style"));
function pin() {
  const rules = [];
  for (const table of tables) {
    let [pinned, left] = [0, 0];
    for (const head of headsOf(table).slice(0, Number(table.dataset.pinned))) {
      if (pinned > 0 && left + head.offsetWidth > table.parentElement.clientWidth / 2) break;
      pinned += 1;
      const cell = `:nth-child(${pinned})`;
      rules.push(`#${table.id} tr > ${cell} { position: sticky; left: ${left}px; }`);
      rules.push(`#${table.id} th${cell} { z-index: 3; }`); // above the other headings
      left += head.offsetWidth;
    }
    rules.push(`#${table.id} tr > :nth-child(${pinned}) { box-shadow: inset -1px 0 var(--line); }`);
  }
  pins.textContent = rules.join("\n");
}
addEventListener("resize", pin);
addEventListener("load", () => setTimeout(pin)); // a large page is painted first
