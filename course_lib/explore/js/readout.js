// Numbers with the formula that gives them, filled in.
//
// update({ rows: [{ key, name, color, formula, value, text, strong }, ...] })
//   formula  plain text in which {a|b} is a fraction, 0.1^2 a power, and 8,800~overlap wears that
//            colour's mark
//   value    the number in full;  text  how it is written, with three decimals if it is missing

import { html, keep, paint, set, setNumber, setText, widget, written } from "./dom.js";

/** The nodes of a formula. */
export function formula(text) {
  const nodes = [];
  for (const piece of text.split(/(\{[^{}|]*\|[^{}|]*\})/)) {
    if (piece.startsWith("{")) {
      const [top, bottom] = piece.slice(1, -1).split("|");
      nodes.push(
        html(
          "span", { class: "odx-fraction" },
          html("span", {}, ...terms(top)), html("span", { class: "odx-unseen" }, " / "), html("span", {}, ...terms(bottom)),
        ),
      );
    } else nodes.push(...terms(piece));
  }
  return nodes;
}

function terms(text) {
  return text.split(/(\S+~[a-z]+|\^\S+)/).map((term) => {
    if (term.startsWith("^")) return html("sup", {}, term.slice(1));
    const [word, color] = term.split("~");
    return color ? html("span", { class: "odx-term", style: `--chip: ${paint(color)}` }, word) : term;
  });
}

export function readout() {
  const root = html("div", { class: "odx-readout" });
  const shown = new WeakMap();

  function makeRow() {
    return html(
      "div", {},
      html("span", { class: "odx-rowname" }),
      html("span", { class: "odx-row" }, html("span", { class: "odx-formula" }), html("data")),
    );
  }

  return {
    node: root,
    update({ rows }) {
      keep(root, rows.length, makeRow).forEach((node, n) => {
        const { name, key = name, color, formula: filled = "", value, text, strong } = rows[n];
        const [nameNode, row] = node.children, [formulaNode, data] = row.children;
        if (shown.get(nameNode) !== `${name} ${color}`) {
          shown.set(nameNode, `${name} ${color}`);
          nameNode.replaceChildren(
            ...(color ? [html("span", { class: "odx-swatch", style: `--chip: ${paint(color)}`, "aria-hidden": "true" })] : []),
            name,
          );
        }
        if (shown.get(formulaNode) !== filled) {
          shown.set(formulaNode, filled);
          formulaNode.replaceChildren(...formula(filled));
        }
        setNumber(data, key, value, text ?? written(value));
        set(node, { class: [strong && "odx-strong", !filled && "odx-plain"].filter(Boolean).join(" ") || null });
      });
    },
  };
}

export default widget(readout, ["rows"]);
