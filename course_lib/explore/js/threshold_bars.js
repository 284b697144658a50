// Bars from 0 to 1 with two thresholds across them.
//
// update({ rows, low, high, heads, label })
//   rows   [{ name, key, value, text, color, dash, reach, end: { key, value, text } or { text } }, ...]
//          reach: a pale bar up to this value, behind;  dash: a striped bar;  end: the last column
//   heads  words over the columns: [names, values, ends]

import { html, keep, paint, set, setNumber, setText, short, widget, written } from "./dom.js";

export function thresholdBars() {
  const heads = [0, 1, 2].map(() => html("span", { class: "odx-tbarhead" }));
  const marks = ["low", "high"].map((side) => html("span", { class: `odx-tbar${side}name` }, html("span", { class: "odx-tbarword" }), html("span")));
  const scale = html("span", { class: "odx-tbarscale" }, ...marks);
  const top = html("div", { class: "odx-tbar" }, heads[0], scale, heads[1], heads[2]);
  const rowsNode = html("div", { class: "odx-tbarrows" });
  const root = html("div", { class: "odx-tbars", role: "group" }, top, rowsNode);

  const makeRow = () =>
    html(
      "div", { class: "odx-tbar" },
      html("span"),
      html("span", { class: "odx-tbartrack" }, html("span", { class: "odx-tbarreach" }), html("span", { class: "odx-tbarvalue" }), html("span", { class: "odx-tbarlow" }), html("span", { class: "odx-tbarhigh" }), html("span", { class: "odx-unseen", "aria-hidden": "true" })),
      html("data", { class: "odx-tbarnumber" }),
      html("span", { class: "odx-tbarend" }, html("span"), html("span")),
    );

  const makeData = () => html("data");
  const percentOf = (value) => `${100 * Math.min(Math.max(value, 0), 1)}%`;

  return {
    node: root,
    update({ rows, low = 0.4, high = 0.5, heads: words = [], label = "" }) {
      set(root, { "aria-label": label });
      heads.forEach((head, n) => setText(head, words[n] ?? ""));
      const same = low === high;
      [["low ", low], [same ? "both " : "high ", high]].forEach(([word, value], n) => {
        marks[n].hidden = same && n === 0;
        set(marks[n], { style: `--at: ${percentOf(value)}` });
        setText(marks[n].firstChild, word);
        setText(marks[n].lastChild, short(value));
      });
      keep(rowsNode, rows.length, makeRow).forEach((row, n) => {
        const { name, key = name, value, text = written(value, 2), color, dash = false, reach, end = { text: "" } } = rows[n];
        const [nameNode, track, number, endNode] = row.children;
        const [pale, bar, lowNode, highNode, reachNode] = track.children;
        setText(nameNode, name);
        set(pale, { style: `width: ${percentOf(reach ?? 0)}; background: ${paint(color)}` });
        set(bar, { style: `width: ${percentOf(value)}; --chip: ${paint(color)}`, "data-dash": dash ? "yes" : null });
        set(lowNode, { style: `left: ${percentOf(low)}` });
        set(highNode, { style: `left: ${percentOf(high)}` });
        for (const one of keep(reachNode, reach === undefined ? 0 : 1, makeData)) setNumber(one, `reach-${key}`, reach, written(reach, 2));
        setNumber(number, key, value, text);
        const [count, word] = endNode.children;
        for (const one of keep(count, end.value === undefined ? 0 : 1, makeData)) setNumber(one, end.key, end.value, end.text);
        setText(word, end.value === undefined ? end.text : end.note ?? "");
      });
    },
  };
}

export default widget(thresholdBars, ["rows", "low", "high", "heads", "label"]);
