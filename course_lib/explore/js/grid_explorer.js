// YOLO's grid over a scene: which cell answers for an object, which of its two boxes, and what it costs.
//
// Traits: S (cells on a side), object (whose cell is looked at, from 0), truths (a box for each
// object), predicted (two boxes for each: what the object's cell says), confidence (of the two),
// empty (the confidence that cells without an object say), p (of the right class), lambda_coord,
// lambda_noobj, world { width, height, image, alt, names, classes, presets: [[name, settings], ...] }.

import { stacked } from "./anchor_map.js";
import { barStrip } from "./bar_strip.js";
import { boxCanvas, boxPath } from "./box_canvas.js";
import { buttons, choice, slider } from "./controls.js";
import { announcer, html, oncePerFrame, percent, set, setText, short, significant, widget, written } from "./dom.js";
import { gridMap } from "./grid_map.js";
import { readout } from "./readout.js";
import { valueTable } from "./value_table.js";
import { cellUnder, judgeCell, ownersOf, saidOf } from "./yolo_grid.js";

const TERMS = [["centre", "centre"], ["size", "size"], ["object", "object"], ["no_object", "no object"], ["classes", "class"]];
const OWNERS = [["here", "anchor", "this cell"], ["objects", "union", "the other cells with an object"], ["empty", "ignored", "cells without an object"]];
const SLIP = 10; // pixels

const letter = (k) => String.fromCharCode(65 + k);
/** 1, 2 or 5 times a power of ten, the next one above. */
function roundAbove(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

export function gridExplorer(onChange = () => {}) {
  let state = null, drawn = []; // the boxes that the canvas shows: the truths, then a pair
  let owner = 0;
  const turn = (name) => (value) => onChange({ [name]: value });
  const object = html("div", {}), presets = buttons({ label: "Try" }, (settings) => onChange(settings));
  const from0to1 = { min: 0, max: 1, step: 0.01, text: (v) => short(v) };
  const says = (k) => (value) => onChange({ confidence: state.confidence.map((c, n) => (n === k ? value : c)) });
  const S = slider({ label: "S, cells on a side", name: "S", min: 3, max: 14, step: 1, whole: true, marks: [[7, "7, paper"]], text: (v) => short(v) }, turn("S"));
  const first = slider({ label: "confidence of predictor 1", name: "C of 1", ...from0to1 }, says(0));
  const second = slider({ label: "confidence of predictor 2", name: "C of 2", ...from0to1 }, says(1));
  const empty = slider({ label: "confidence of cells without an object", name: "C, empty", ...from0to1 }, turn("empty"));
  const p = slider({ label: "probability of the right class", name: "p, class", ...from0to1 }, turn("p"));
  const coord = slider({ label: "λ_coord, the weight of the boxes", name: "λ_coord", min: 0, max: 10, step: 0.1, marks: [[1, "1"], [5, "5, paper"]], text: (v) => short(v) }, turn("lambda_coord"));
  const noobj = slider({ label: "λ_noobj, the weight of no object", name: "λ_noobj", ...from0to1, marks: [[0.5, "0.5, paper"], [1, "1"]] }, turn("lambda_noobj"));
  const map = gridMap(), canvas = boxCanvas(({ boxes }) => moved(boxes)), stack = stacked(map.node, canvas.node);
  set(stack, { "data-typed": "yes" });
  const table = valueTable(), bars = barStrip(), total = readout(), costs = readout(), roots = readout();
  const tableTitle = html("h3", {}), costsTitle = html("h3", {}), story = html("p", { class: "odx-verdict" });
  const legend = html("p", { class: "odx-note" }, ...OWNERS.flatMap(([, color, words]) => [html("span", { class: "odx-swatch", style: `--chip: var(--odx-${color})`, "aria-hidden": "true" }), html("span", { class: "odx-gap" }, words)]));
  const live = announcer();
  let objectChoice = null;

  const node = html(
    "section", { class: "odx-explorer", "aria-label": "Grid explorer", "data-explorer": "grid" },
    html("div", { class: "odx-top" }, object, presets.node),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, stack),
      html("div", { class: "odx-settings" }, S.node, tableTitle, table.node, html("h4", {}, "What the network says, beside the two boxes"), first.node, second.node, p.node, empty.node, story),
    ),
    html(
      "div", { class: "odx-columns odx-even odx-panels" },
      html("div", {}, html("h3", {}, "The loss of the whole picture, term by term"), bars.node, legend, total.node, html("div", { class: "odx-group" }), coord.node, noobj.node),
      html("div", {}, costsTitle, costs.node, roots.node),
    ),
    live.node,
  );

  // --- by hand

  /** One box of the canvas is another than it was drawn. */
  function moved(boxes) {
    const n = boxes.findIndex((box, k) => box.some((side, c) => side !== drawn[k][c]));
    if (n < 0) return;
    drawn = boxes;
    const T = state.truths.length, swap = (list, k, value) => list.map((old, m) => (m === k ? value : old));
    if (n < T) onChange({ truths: swap(state.truths, n, boxes[n]), object: n });
    else onChange({ predicted: swap(state.predicted, owner, swap(state.predicted[owner], n - T, boxes[n])) });
  }

  // A press on an object's box chooses it, before it moves.
  stack.addEventListener("pointerdown", () => {
    const root = canvas.node.querySelector("svg"), boxes = [...root.querySelectorAll("g.odx-box")];
    const n = boxes.indexOf(root.getRootNode().activeElement);
    if (root.hasAttribute("data-dragging") && n >= 0 && n < state.truths.length && n !== state.object) onChange({ object: n });
  });

  // --- drawing

  function showObjects({ names }) {
    if (!objectChoice) {
      objectChoice = choice({ label: "Object", options: names.map((name, k) => [String(k), `${letter(k)} ${name}`]) }, (value) => onChange({ object: +value }));
      object.append(objectChoice.node);
    }
    objectChoice.update(String(state.object));
  }

  function draw() {
    const { world, truths, predicted, confidence, S: count } = state, { names } = world, T = truths.length;
    const cells = truths.map((box) => cellUnder(box, world, count)), owners = ownersOf(cells);
    owner = owners[state.object];
    const settings = { confidence, p: state.p, coord: state.lambda_coord, noobj: state.lambda_noobj, classes: world.classes.length };
    const judged = truths.map((box, k) => (owners[k] === k ? judgeCell(box, predicted[k], cells[k], world, count, settings) : null));
    const here = judged[owner], held = judged.filter(Boolean).length, free = count * count - held;
    const sums = TERMS.map(([key]) => ({
      here: here.terms[key],
      objects: judged.reduce((sum, one, k) => sum + (one && k !== owner ? one.terms[key] : 0), 0),
      empty: key === "no_object" ? state.lambda_noobj * free * 2 * state.empty ** 2 : 0,
    }));

    showObjects(world);
    const presetSettings = world.presets.map(([, value]) => value);
    const same = (value) => Object.entries(value).every(([name, one]) => JSON.stringify(state[name]) === JSON.stringify(one));
    presets.update(world.presets, presetSettings.find(same) ?? null);
    S.update(count); first.update(confidence[0]); second.update(confidence[1]); empty.update(state.empty); p.update(state.p);
    coord.update(state.lambda_coord); noobj.update(state.lambda_noobj);

    const pair = predicted[owner], middle = ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2];
    map.update({
      ...world, S: count,
      cells: cells.map((cell, k) => ({ cell, color: owners[k] === owner ? "anchor" : "union", strong: k === owner })).filter((_, k) => owners[k] === k),
      centres: truths.map((box, k) => ({ at: middle(box), color: owners[k] === k ? "truth" : "ignored", cell: k === owner ? cells[k] : null })),
      label: `A grid of ${count} by ${count} cells; ${held} of them hold the centre of an object.`,
    });
    drawn = [...truths, ...pair];
    canvas.update({
      width: world.width, height: world.height, boxes: drawn, names: [...truths.map((_, k) => letter(k)), "1", "2"],
      colors: [...truths.map((_, k) => (owners[k] === k ? "truth" : "ignored")), ...pair.map(() => "prediction")],
      quiet: truths.map((_, k) => k !== state.object), dashed: [...truths.map((_, k) => owners[k] !== k), ...pair.map((_, k) => k !== here.best)],
      regions: [{ path: boxPath(pair[here.best]), color: "prediction", opacity: 0.16 }],
      label: "Objects, and the two boxes that a cell says.", badge: `${here.best + 1} answers, IoU ${written(here.ious[here.best], 2)}`,
    });

    showTable(here, names[owner]);
    showLoss(sums);
    showCosts(here, names);
    setText(story, say({ cells, owners, here, sums, free }));
    live.say(`Object ${letter(state.object)}, ${names[state.object]}: row ${cells[state.object][0] + 1}, column ${cells[state.object][1] + 1}. Predictor ${here.best + 1} answers, IoU ${written(here.ious[here.best], 2)}. Loss ${significant(sums.flatMap(Object.values).reduce((a, b) => a + b, 0))}.`);
  }

  function showTable({ cell: [row, column], target, said, ious, best }, name) {
    const cells = (keys, k, text = written) => [target, ...said].map((four, n) => ({ key: `${keys}-${["target", 1, 2][n]}`, value: four[k], text: text(four[k]), strong: n === best + 1 }));
    const square = (keys, k) => [target, ...said].map((four, n) => ({ key: `${keys}-${["target", 1, 2][n]}`, value: four[k] * four[k], strong: n === best + 1 }));
    const pairOf = (key, values) => [null, ...values.map((value, n) => ({ key: `${key}-${n + 1}`, value, strong: n === best }))];
    setText(tableTitle, `Row ${row + 1}, column ${column + 1}: the cell of ${letter(owner)}, the ${name}`);
    table.update({
      heads: ["", "target", ...said.map((_, n) => (n === best ? `box ${n + 1} answers` : `box ${n + 1}`))], label: "What the cell should say, and what its two predictors say",
      rows: [
        { name: "x in the cell, 0 to 1", cells: cells("x", 0) },
        { name: "y in the cell, 0 to 1", cells: cells("y", 1) },
        { name: "width, of the picture’s", cells: square("w", 2) },
        { name: "height, of the picture’s", cells: square("h", 3) },
        { name: "√ width", cells: cells("root-w", 2) },
        { name: "√ height", cells: cells("root-h", 3) },
        { name: "IoU with the truth", cells: pairOf("iou", ious) },
        { name: "confidence should be", cells: pairOf("should", ious.map((iou, n) => (n === best ? iou : 0))) },
        { name: "confidence is", cells: pairOf("is", state.confidence) },
      ],
    });
  }

  function showLoss(sums) {
    const whole = sums.map((parts) => parts.here + parts.objects + parts.empty), max = roundAbove(Math.max(...whole));
    bars.update({
      max, ticks: [0, max / 2, max], label: "The five terms of the loss",
      rows: TERMS.map(([key, name], n) => ({
        name, text: significant(whole[n]),
        parts: OWNERS.map(([of, color]) => ({ key: `bar-${key}-${of}`, value: sums[n][of], color })),
      })),
    });
    const loss = whole.reduce((a, b) => a + b, 0);
    total.update({ rows: [{ key: "loss", name: "the loss: all five added", formula: whole.map(significant).join(" + "), value: loss, text: significant(loss), strong: true }] });
  }

  function showCosts({ target, said, ious, best, terms }, names) {
    const num = (value) => written(value, 2), mine = said[best], { confidence, p: right, world } = state;
    const squared = (k) => `(${num(mine[k])} − ${num(target[k])})^2`, other = (1 - right) / (world.classes.length - 1);
    setText(costsTitle, `This cell’s part, with predictor ${best + 1} answering`);
    const row = (key, name, formula) => ({ key: `here-${key}`, name, formula, value: terms[key], text: significant(terms[key]) });
    costs.update({
      rows: [
        row("centre", "centre: λ_coord times the squared errors of x and y", `${short(state.lambda_coord)} · [ ${squared(0)} + ${squared(1)} ]`),
        row("size", "size: the same of √ width and √ height", `${short(state.lambda_coord)} · [ ${squared(2)} + ${squared(3)} ]`),
        row("object", `object: the confidence of ${best + 1} should be its IoU`, `(${num(confidence[best])} − ${num(ious[best])})^2`),
        row("no_object", `no object: ${2 - best} does not answer and should say 0`, `${short(state.lambda_noobj)} · ${num(confidence[1 - best])}^2`),
        row("classes", `class: ${names[owner]} should be 1, the ${world.classes.length - 1} others 0`, `(${num(right)} − 1)^2 + ${world.classes.length - 1} · ${num(other)}^2`),
      ],
    });
    const [, , rootW] = target, wide = rootW * rootW, slip = SLIP / world.width;
    const costly = state.lambda_coord * (Math.sqrt(wide + slip) - rootW) ** 2, plain = state.lambda_coord * slip ** 2;
    roots.update({
      rows: [
        { key: "slip", name: `Why roots: ${SLIP} pixels too wide would cost this object`, formula: `${short(state.lambda_coord)} · (${written(Math.sqrt(wide + slip))} − ${written(rootW)})^2`, value: costly, text: significant(costly) },
        { key: "slip-plain", name: "… and any object the same, without the roots", formula: `${short(state.lambda_coord)} · (${written(wide + slip)} − ${written(wide)})^2`, value: plain, text: significant(plain) },
      ],
    });
  }

  function say({ cells, owners, here, sums, free }) {
    const { world: { names }, object: k } = state, called = (n) => `${letter(n)}, the ${names[n]}`, parts = [];
    const lost = owners.map((own, n) => n).filter((n) => owners[n] !== n);
    const [row, column] = cells[k];
    if (owner !== k) parts.push(`${called(k)}, is lost: its centre lies in the cell of ${called(owner)}, and a cell holds one object. The first in the list is written, nothing learns the other. A finer grid may part them.`);
    else parts.push(`The centre of ${called(k)}, lies in row ${row + 1}, column ${column + 1}: this cell alone has to find it, wherever else the object reaches.`);
    const others = lost.filter((n) => n !== k);
    if (others.length) parts.push(`Lost in this grid: ${others.map(called).join("; ")} (grey, dashed).`);
    const [a, b] = [here.best, 1 - here.best];
    parts.push(here.nearest
      ? `Neither of the cell’s two boxes touches the ${names[owner]}, so the nearer one, ${a + 1}, answers.`
      : `Of the cell’s two boxes ${a + 1} overlaps the ${names[owner]} more (IoU ${written(here.ious[a], 2)} against ${written(here.ious[b], 2)}), so ${a + 1} answers and is pulled towards it; ${b + 1} only learns to say 0.`);
    const loss = sums.flatMap(Object.values).reduce((x, y) => x + y, 0), idle = sums[3].empty;
    if (loss === 0) parts.push("Nothing is left to learn: the loss is 0.");
    else parts.push(`The ${free} cells without an object make up ${percent(idle / loss)} of the loss.`);
    return parts.join(" ");
  }

  const later = oncePerFrame(draw);
  return {
    node,
    update(next) {
      state = next;
      later();
    },
  };
}

export default widget(gridExplorer, [
  "S", "object", "truths", "predicted", "confidence", "empty", "p", "lambda_coord", "lambda_noobj", "world",
]);
