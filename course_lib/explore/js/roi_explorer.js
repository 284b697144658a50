// One region of a feature map, pooled in three ways side by side.
//
// Traits: box [x1, y1, x2, y2] in cells, bins (per side), points (per bin and side, RoIAlign's
// sampling ratio), aligned, map (rows of numbers), stride (pixels of the image per cell).

import { stacked } from "./anchor_map.js";
import { boxCanvas } from "./box_canvas.js";
import { buttons, choice } from "./controls.js";
import { curvePlot } from "./curve_plot.js";
import { announcer, html, keep, oncePerFrame, set, setNumber, setText, short, widget, written } from "./dom.js";
import { heat, heatMap } from "./heat_map.js";
import { preciseRoiPool, roiAlign, roiPool, roundedBox } from "./pooling_bins.js";
import { readout } from "./readout.js";

const STEP = 0.1; // cells
const LINES = ["x1", "y1", "x2", "y2"];
const SLICES = [0.02, 0.06, 0.06]; // between the places along each curve, in cells: RoIPool has steps
const METHOD = [
  ["pool", "RoIPool: the largest whole cell", "RoIPool", "prediction"],
  ["align", "RoIAlign: the mean of a few points", "RoIAlign", "truth"],
  ["precise", "Precise: the mean over the bin", "Precise", "overlap"],
];
/** Room for a name on the longest stretch on which the values stay the same, away from `taken`. */
function restingPlace(places, values, taken) {
  let from = 0, best = [0, 0];
  values.forEach((value, n) => {
    if (value !== values[from]) from = n;
    if (n - from > best[1] - best[0]) best = [from, n];
  });
  const at = [0.3, 0.7].map((share) => places[Math.round(best[0] + share * (best[1] - best[0]))]);
  return Math.abs(at[0] - taken) > Math.abs(at[1] - taken) ? at[0] : at[1];
}
const tidy = (value) => Math.round(value * 1e6) / 1e6;

export function roiExplorer(onChange = () => {}) {
  let state = null;
  const bins = choice({ label: "Bins", options: [["2", "2 × 2"], ["3", "3 × 3"]] }, (value) => onChange({ bins: +value }));
  const points = choice({ label: "Points in a bin", options: [["1", "1"], ["2", "2 × 2"], ["3", "3 × 3"]] }, (value) => onChange({ points: +value }));
  const aligned = choice({ label: "aligned", options: [["yes", "true"], ["no", "false"]] }, (value) => onChange({ aligned: value === "yes" }));
  const nudge = buttons({ label: "A tenth of a cell" }, ([dx, dy]) => shift(dx * STEP, dy * STEP));
  const ground = heatMap();
  const canvas = boxCanvas(({ boxes: [box] }) => onChange({ box: box.map(tidy) }));
  const stack = stacked(ground.node, canvas.node);
  set(stack, { "data-typed": "yes" });
  const rounding = readout(), story = html("p", { class: "odx-verdict" }), note = html("p", { class: "odx-note" });
  const plot = curvePlot(({ chosen }) => {
    const left = Math.round(chosen / STEP) * STEP, [x1, y1, x2, y2] = state.box;
    onChange({ box: [left, y1, left + x2 - x1, y2].map(tidy) });
  });
  const panels = METHOD.map(([, title]) => {
    const map = heatMap(), grid = html("div", { class: "odx-output", role: "group" }), steps = readout();
    return { map, grid, steps, node: html("div", {}, html("h3", {}, title), map.node, grid, steps.node) };
  });
  const live = announcer();

  const node = html(
    "section", { class: "odx-explorer", "aria-label": "RoI pooling explorer", "data-explorer": "roi" },
    html("div", { class: "odx-top" }, bins.node, points.node, aligned.node, nudge.node),
    html(
      "div", { class: "odx-columns odx-even" },
      html("div", {}, stack),
      html("div", {}, rounding.node, html("h3", {}, "Slide the RoI sideways: what its first bin says"), plot.node),
    ),
    html("div", { class: "odx-three odx-panels" }, ...panels.map((panel) => panel.node)),
    note, story, live.node,
  );

  const size = () => [state.map[0].length, state.map.length];

  /** The box moved as a whole, as far as the map goes. */
  function moved([x1, y1, x2, y2], dx, dy) {
    const [W, H] = size();
    const left = Math.min(Math.max(x1 + dx, 0), W - (x2 - x1)), top = Math.min(Math.max(y1 + dy, 0), H - (y2 - y1));
    return [left, top, left + x2 - x1, top + y2 - y1].map(tidy);
  }
  const shift = (dx, dy) => onChange({ box: moved(state.box, dx, dy) });

  function pool(name, box) {
    const { map, bins: n, points: ratio, aligned: straight } = state;
    return name === "pool" ? roiPool(map, box, n) : name === "align" ? roiAlign(map, box, n, ratio, straight) : preciseRoiPool(map, box, n, straight);
  }

  /** A tenth of a cell to the right, or to the left where the map ends. */
  function neighbour(box) {
    const right = box[2] + STEP <= size()[0] + 1e-9;
    return [moved(box, right ? STEP : -STEP, 0), right ? "right" : "left"];
  }

  function draw() {
    const { box, map, stride, bins: n } = state, [W, H] = size(), high = Math.max(...map.flat(), 1e-9);
    bins.update(String(n)); points.update(String(state.points)); aligned.update(state.aligned ? "yes" : "no");
    nudge.update([["←", [-1, 0]], ["→", [1, 0]], ["↑", [0, -1]], ["↓", [0, 1]]]);
    const pooled = METHOD.map(([name]) => pool(name, box));

    ground.update({ map, high, boxes: [{ box, color: "anchor", width: 3 }], label: `A feature map of ${H} by ${W} cells; each stands for ${stride} × ${stride} pixels of the image.` });
    canvas.update({ width: W, height: H, boxes: [box], names: ["R"], colors: ["anchor"], step: STEP, label: "A region of interest to move." });

    const next = neighbour(box), changes = METHOD.map(([name], m) => {
      const after = pool(name, next[0]).values;
      return Math.max(...after.flatMap((row, r) => row.map((value, c) => Math.abs(value - pooled[m].values[r][c]))));
    });
    METHOD.forEach(([name, title, short_, color], m) => {
      const { rows, columns, values, points: samples = [], cells = [] } = pooled[m], { map: view, grid, steps } = panels[m];
      view.update({
        map, high, points: samples, rings: cells, boxes: [{ box, color: "anchor", width: 2, dash: true }],
        bins: { rows, columns, color, fill: name === "precise" ? 0.28 : 0.1, apart: name === "pool" },
        label: `${title}. Bins from x ${short(columns[0][0])} to ${short(columns.at(-1)[1])}, y ${short(rows[0][0])} to ${short(rows.at(-1)[1])}.`,
      });
      set(grid, { style: `--bins: ${n}`, "aria-label": `What ${short_} answers, ${n} rows of ${n}` });
      keep(grid, n * n, () => html("data")).forEach((cell, k) => {
        const value = values[Math.floor(k / n)][k % n];
        setNumber(cell, `${name}-${Math.floor(k / n)}-${k % n}`, value, written(value, 2));
        set(cell, { style: `--part: ${heat(value, high)}` });
      });
      steps.update({ rows: [{ key: `step-${name}`, name: `a tenth of a cell to the ${next[1]} changes it by up to`, value: changes[m], text: written(changes[m], 2) }] });
    });

    showRounding(box, pooled[0], stride);
    showCurves(box, pooled);
    setText(note, state.aligned
      ? "Orange, dashed: the RoI. The value of a cell stands in its middle. aligned=True takes half a cell off the RoI for that; Precise RoI Pooling is given the same here."
      : "Orange, dashed: the RoI. Without aligned, as RoIAlign and Precise RoI Pooling were first written, both look half a cell too far to the right and down.");
    setText(story, say(box, changes, pooled, next[1]));
    live.say(METHOD.map(([, , name], m) => `${name}: ${pooled[m].values.flat().map((v) => written(v, 2)).join(", ")}`).join(". "));
  }

  const spanOf = ({ rows, columns }) => [columns.at(-1)[1] - columns[0][0], rows.at(-1)[1] - rows[0][0]];

  function showRounding(box, pooled, stride) {
    const whole = roundedBox(box), moves = box.map((side, k) => Math.abs(whole[k] - side)), most = Math.max(...moves), k = moves.indexOf(most);
    const sides = [box[2] - box[0], box[3] - box[1]], cells = spanOf(pooled);
    rounding.update({
      rows: [
        { key: "area", name: "the RoI covers, in cells", color: "anchor", formula: sides.map((s) => short(s)).join(" × "), value: sides[0] * sides[1], text: written(sides[0] * sides[1], 2) },
        { key: "cells", name: "RoIPool looks at whole cells, the last ones included", color: "prediction", formula: cells.map((s) => short(s)).join(" × "), value: cells[0] * cells[1], text: written(cells[0] * cells[1], 0) },
        { key: "moved", name: "rounding moved a side of the box by up to … cells", formula: `${LINES[k]}: ${short(box[k])} → ${short(whole[k])}`, value: most, text: written(most, 2) },
        { key: "pixels", name: "… which is, in pixels of the image,", formula: `${short(most)} × ${stride}`, value: most * stride, text: written(most * stride, 1), strong: true },
      ],
    });
  }

  function showCurves(box, pooled) {
    const wide = box[2] - box[0], room = Math.max(size()[0] - wide, STEP);
    const places = SLICES.map((step) => {
      const count = Math.ceil(room / step);
      return Array.from({ length: count + 1 }, (_, n) => (room * n) / count);
    });
    const ys = METHOD.map(([name], m) => places[m].map((x) => pool(name, [x, box[1], x + wide, box[3]]).values[0][0]));
    const top = 2 * Math.ceil(0.53 * Math.max(...ys.flat(), 1));
    const whole = Array.from({ length: Math.floor(room) + 1 }, (_, n) => n);
    plot.update({
      x: { label: "left side of the RoI, in cells", min: 0, max: room, ticks: whole },
      y: { label: "first bin", min: 0, max: top, ticks: [0, top / 2, top] },
      curves: METHOD.map(([, , name, color], m) => ({ x: places[m], y: ys[m], color, width: m ? 2.5 : 2, dash: m === 1 ? "7 4" : undefined, name, at: m ? room * [0, 0.9, 0.5][m] : restingPlace(places[0], ys[0], box[0]), end: m === 1 })),
      points: METHOD.map(([, , , color], m) => ({ x: box[0], y: pooled[m].values[0][0], color })),
      choosable: true,
      label: `The first bin against the left side of the RoI, now at ${short(box[0])}: ${METHOD.map(([, , name], m) => `${name} ${written(pooled[m].values[0][0], 2)}`).join(", ")}.`,
    });
  }

  function say(box, [pool_, align, precise], pooled, way) {
    const [wide, high] = spanOf(pooled[0]), sides = [box[2] - box[0], box[3] - box[1]];
    const times_ = (wide * high) / (sides[0] * sides[1]);
    const same = roundedBox(box).join() === roundedBox(neighbour(box)[0]).join();
    const step = `A tenth of a cell to the ${way} and RoIPool`;
    const jump = same ? `${step} says the same: the box rounds to the same cells, so one that is a little wrong looks as good as the right one.`
      : pool_ === 0 ? `${step} takes other cells, though the largest happen to stay the same.`
      : `${step} jumps by ${written(pool_, 2)}, as a side of the box rounds to another cell.`;
    const smooth = `RoIAlign goes along by ${written(align, 2)}, Precise RoI Pooling by ${written(precise, 2)}.`;
    return `RoIPool looks at ${written(times_, 1)} times the area of the RoI. ${jump} ${smooth}`;
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

export default widget(roiExplorer, ["box", "bins", "points", "aligned", "map", "stride"]);
