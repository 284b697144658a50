// Bars side by side on one scale: a row for each, in one piece or in several that add up.
//
// update({ min, max, ticks, rows: [{ name, text, parts: [{ value, color, name, key, text }, ...] }, ...], label })
//   Bars begin at 0; parts of one row follow each other. `text` stands at the end of the row, or on
//   the part if there is room.

import { html, keep, set, setNumber, setText, short, surface, widget, written } from "./dom.js";

export function barStrip() {
  const rowsNode = html("div", { class: "odx-barrows" });
  const scaleNode = html("div", { class: "odx-barscale", "aria-hidden": "true" });
  const root = html("div", { class: "odx-bars", role: "group" }, rowsNode, scaleNode);

  function makeRow() {
    return html(
      "div", { class: "odx-bar" },
      html("span", { class: "odx-barname" }),
      html("span", { class: "odx-bartrack" }, html("span", { class: "odx-barzero" }), html("span", { class: "odx-barparts" })),
      html("span", { class: "odx-bartext" }),
    );
  }

  return {
    node: root,
    update({ min = 0, max = 1, rows, label = "", ticks = [] }) {
      const at = (value) => (Math.min(Math.max(value, min), max) - min) / (max - min);
      set(root, { "aria-label": label });
      keep(scaleNode, ticks.length, () => html("span")).forEach((node, n) => {
        set(node, { style: `left: ${100 * at(ticks[n])}%` });
        setText(node, short(ticks[n]));
      });
      keep(rowsNode, rows.length, makeRow).forEach((row, n) => {
        const { name, text = "", parts } = rows[n], [nameNode, track, textNode] = row.children;
        const [zero, partsNode] = track.children;
        setText(nameNode, name);
        setText(textNode, text);
        set(zero, { style: `left: ${100 * at(0)}%` });
        zero.hidden = min >= 0;
        let sum = 0;
        keep(partsNode, parts.length, () => html("span", { class: "odx-barpart" }, html("data"))).forEach((node, k) => {
          const { value, color, key, text: words } = parts[k];
          const from = at(Math.min(sum, sum + value)), to = at(Math.max(sum, sum + value));
          sum += value;
          const [back, ink] = surface(color);
          set(node, { style: `left: ${100 * from}%; width: ${100 * (to - from)}%; background: ${back}; color: ${ink}` });
          setNumber(node.firstChild, key ?? parts[k].name ?? name, value, words ?? written(value));
          node.firstChild.className = to - from > 0.2 && words !== undefined ? "" : "odx-unseen";
        });
      });
    },
  };
}

export default widget(barStrip, ["min", "max", "ticks", "rows", "label"]);
