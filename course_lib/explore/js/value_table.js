// A table of numbers: a row for each quantity, a column for each who says it.
//
// update({ heads, rows, label })
//   heads  words over the columns, the first over the names
//   rows   [{ name, cells: [{ key, value, text, strong } or { text } or null, ...], color }, ...]

import { html, keep, paint, set, setNumber, setText, widget, written } from "./dom.js";

export function valueTable() {
  const caption = html("caption", { class: "odx-unseen" });
  const head = html("tr"), body = html("tbody");
  const root = html("table", { class: "odx-table" }, caption, html("thead", {}, head), body);

  const makeRow = () => html("tr", {}, html("th", { scope: "row" }, html("span", { class: "odx-swatch", "aria-hidden": "true" }), html("span")));

  return {
    node: root,
    update({ heads, rows, label = "" }) {
      setText(caption, label);
      keep(head, heads.length, (n) => html(n ? "th" : "td", n ? { scope: "col" } : {})).forEach((node, n) => setText(node, heads[n]));
      keep(body, rows.length, makeRow).forEach((row, n) => {
        const { name, cells, color } = rows[n], [swatch, word] = row.firstChild.children;
        setText(word, name);
        swatch.hidden = !color;
        set(swatch, { style: color ? `--chip: ${paint(color)}` : null });
        while (row.children.length > cells.length + 1) row.lastElementChild.remove();
        while (row.children.length < cells.length + 1) row.append(html("td"));
        cells.forEach((cell, k) => {
          const place = row.children[k + 1], number = cell && cell.value !== undefined;
          if (number !== (place.firstElementChild !== null)) place.replaceChildren(...(number ? [html("data")] : []));
          set(place, { class: cell?.strong ? "odx-strong" : null });
          if (number) setNumber(place.firstElementChild, cell.key, cell.value, cell.text ?? written(cell.value));
          else setText(place, cell?.text ?? "");
        });
      });
    },
  };
}

export default widget(valueTable, ["heads", "rows", "label"]);
