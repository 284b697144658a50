// Two boxes, or two blobs, and every measure of their overlap, live.
//
// Traits: scene ("photo", "grid", "masks"); places { photo: [A, B], grid: ..., masks: ... };
// scenes { photo: { width, height, image, alt, grid, far, presets: [[name, [A, B]], ...] }, ... },
// where scenes.masks.rows holds the two blobs as rows of runs [start, length].

import { barStrip } from "./bar_strip.js";
import { boxCanvas, boxPath } from "./box_canvas.js";
import { buttons, choice } from "./controls.js";
import { curvePlot } from "./curve_plot.js";
import { announcer, html, oncePerFrame, set, setText, short, widget, written } from "./dom.js";
import { countPixels, overlap, sharedRuns } from "./overlap.js";
import { readout } from "./readout.js";

const SCENES = [["photo", "Photograph"], ["grid", "Grid"], ["masks", "Masks"]];
const SAMPLES = 160; // places along the loss curves

export function iouExplorer(onChange = () => {}) {
  let state = null;
  const move = (boxes) => onChange({ places: { ...state.places, [state.scene]: boxes } });

  const scene = choice({ label: "Scene", options: SCENES }, (name) => onChange({ scene: name }));
  const presets = buttons({ label: "Try" }, move);
  const canvas = boxCanvas(({ boxes }) => move(boxes));
  const bars = barStrip();
  const areas = readout();
  const measures = readout();
  const plot = curvePlot();
  const plotTitle = html("h3", {}), verdict = html("p", { class: "odx-verdict" });
  const live = announcer();

  const node = html(
    "section", { class: "odx-explorer", "aria-label": "IoU explorer", "data-explorer": "iou" },
    html("div", { class: "odx-top" }, scene.node, presets.node),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, canvas.node),
      html("div", {}, areas.node, measures.node),
    ),
    html(
      "div", { class: "odx-columns odx-panels" },
      html("div", {}, plotTitle, plot.node),
      html("div", {}, html("h3", {}, "Side by side"), bars.node, verdict),
    ),
    live.node,
  );

  const area = (value) => short(value, 2);

  // --- two boxes

  function showBoxes() {
    const { far } = state.scenes[state.scene], [a, b] = state.places[state.scene];
    const o = overlap(a, b), { iou, giou, diou, ciou } = o;
    const sides = ([width, height]) => `${area(width)} × ${area(height)}`;
    const centres = [a, b].map(([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2]);
    canvas.update({
      ...ground(),
      badge: `IoU ${written(iou)}`,
      boxes: [a, b],
      regions: [
        { path: boxPath(a) + boxPath(b), color: "union", opacity: 0.32 },
        { path: boxPath(o.shared), color: "overlap", opacity: 0.5 },
        { path: boxPath(o.shared), color: "overlap", hatch: true, opacity: 1 },
        { path: boxPath(o.around), color: "enclosing", opacity: 0, dash: true },
        { path: `M${centres[0]}L${centres[1]}`, color: "ink", opacity: 0, dash: true, thin: true },
      ],
    });
    areas.update({
      rows: [
        { key: "inter", name: "intersection I", color: "overlap", formula: sides(o.sharedSides), value: o.inter, text: area(o.inter) },
        { key: "union", name: "union U = A + B − I", color: "union", formula: `${area(o.area1)} + ${area(o.area2)} − ${area(o.inter)}`, value: o.union, text: area(o.union) },
        { key: "enclosing", name: "smallest box around both C", color: "enclosing", formula: sides(o.aroundSides), value: o.enclosing, text: area(o.enclosing) },
      ],
    });
    measures.update({
      rows: [
        { key: "iou", name: "IoU", strong: true, value: iou, text: written(iou),
          formula: `{I|U} = {${area(o.inter)}~overlap|${area(o.union)}~union}` },
        { key: "giou", name: "GIoU: less the empty share of C", value: giou, text: written(giou),
          formula: `IoU − {C − U|C} = ${written(iou)} − {${area(o.enclosing - o.union)}|${area(o.enclosing)}~enclosing}` },
        { key: "diou", name: "DIoU: ρ between the centres (dotted), c the diagonal of C", value: diou, text: written(diou),
          formula: `IoU − {ρ²|c²} = ${written(iou)} − {${area(o.distance2)}|${area(o.diagonal2)}}` },
        { key: "ciou", name: "CIoU: v compares the proportions, α weighs v", value: ciou, text: written(ciou),
          formula: `DIoU − α v = ${written(diou)} − ${written(o.alpha)} × ${written(o.v)}` },
      ],
    });
    bars.update({
      min: -1, max: 1, ticks: [-1, 0, 1], label: "IoU, GIoU, DIoU and CIoU on one scale from −1 to 1",
      rows: [["IoU", iou, "overlap"], ["GIoU", giou, "enclosing"], ["DIoU", diou, "anchor"], ["CIoU", ciou, "ignored"]].map(
        ([name, value, color]) => ({ name, text: written(value), parts: [{ value, color, key: `bar-${name}` }] }),
      ),
    });
    setText(plotTitle, "As a loss: move B away from A");
    setText(verdict, lossPanel(a, b, o, centres, far));
    live.say(`IoU ${written(iou)}, GIoU ${written(giou)}, DIoU ${written(diou)}, CIoU ${written(ciou)}. Intersection ${area(o.inter)}, union ${area(o.union)}.`);
  }

  /** The two losses of B on the line through both centres; says what they tell a detector here. */
  function lossPanel(a, b, o, [[ax, ay], [bx, by]], far) {
    const { iou, giou } = o, distance = Math.hypot(bx - ax, by - ay);
    const [ux, uy] = distance ? [(bx - ax) / distance, (by - ay) / distance] : [1, 0];
    const half = [(b[2] - b[0]) / 2, (b[3] - b[1]) / 2];
    const at = (s) => {
      const [x, y] = [ax + ux * s, ay + uy * s];
      return overlap(a, [x - half[0], y - half[1], x + half[0], y + half[1]]);
    };
    const places = Array.from({ length: SAMPLES + 1 }, (_, n) => (far * n) / SAMPLES);
    const along = places.map(at), last = along.at(-1);
    const apart = Math.min(
      ((a[2] - a[0]) / 2 + half[0]) / Math.abs(ux), ((a[3] - a[1]) / 2 + half[1]) / Math.abs(uy),
    );
    const [iouLoss, giouLoss] = [1 - iou, 1 - giou], shown = Math.min(distance, far);
    const nameAt = shown > far * 0.65 ? far * 0.5 : far;
    const meet = last.iou - last.giou < 0.15; // the curves end in one place: name one of them earlier
    plot.update({
      x: { label: "distance between the centres", min: 0, max: far, ticks: [0, 1, 2, 3, 4].map((n) => (far / 4) * n) },
      y: { label: "loss", min: 0, max: 2, ticks: [0, 0.5, 1, 1.5, 2] },
      curves: [
        { x: places, y: along.map((p) => 1 - p.giou), color: "enclosing", width: 3, name: "1 − GIoU", at: nameAt, end: true },
        { x: places, y: along.map((p) => 1 - p.iou), color: "overlap", width: 3, dash: "7 4", name: "1 − IoU", at: meet ? nameAt * 0.7 : nameAt, end: true },
      ],
      points: [
        { x: shown, y: giouLoss, color: "enclosing", name: written(giouLoss, 2) },
        { x: shown, y: iouLoss, color: "overlap", name: giouLoss - iouLoss > 0.12 ? written(iouLoss, 2) : "" },
      ],
      guides: apart < far * 0.98 ? [{ x: apart, name: "no overlap from here on" }] : [],
      label: `Loss against the distance between the centres, now ${written(distance, 1)}. 1 − IoU is ${written(iouLoss)}, 1 − GIoU is ${written(giouLoss)}.`,
    });
    set(plot.node, { "data-iou-loss": iouLoss, "data-giou-loss": giouLoss });
    const closer = at(Math.max(distance - far / SAMPLES, 0));
    return advice(a, b, o, { distance, iou: closer.iou - iou > 1e-9, giou: closer.giou - giou > 1e-9 });
  }

  /** What the losses tell a detector that could move B. `gains`: does a small step to A help? */
  function advice(a, b, { iou, inter, union }, gains) {
    const inside = (p, q) => p[0] >= q[0] && p[1] >= q[1] && p[2] <= q[2] && p[3] <= q[3];
    if (iou === 1) return "The same box twice: nothing to improve, both losses are 0.";
    if (inter === 0 && gains.giou) return "No overlap: 1 − IoU is 1 here and a step closer too. Its slope is 0, so it gives a detector no push in any direction. 1 − GIoU falls on the way to A.";
    if (inter === 0) return "No overlap, and on this line 1 − GIoU does not change either: C is as wide as the boxes make it. DIoU, which looks at the centres, still rises on the way to A.";
    const cover = `They share ${area(inter)} of the ${area(union)} that they cover together.`;
    if (inside(b, a)) return `${cover} B lies inside A: C is A itself, so GIoU is IoU, and neither changes while B slides about in there. DIoU does: it is best in the middle.`;
    if (inside(a, b)) return `${cover} A lies inside B: C is B itself, so GIoU is IoU, and neither changes while B slides about around A. DIoU does: it is best in the middle.`;
    if (gains.distance === 0) return `${cover} The centres agree: what is left to win is size and proportion. Pull at a corner.`;
    if (gains.iou) return `${cover} Both losses fall as B comes closer. Drag B away and watch the dashed one hit its ceiling.`;
    return `${cover} A step closer changes nothing for IoU here: it is the shapes that differ. DIoU still rises.`;
  }

  // --- two masks

  function showMasks() {
    const { rows, width } = state.scenes.masks, boxes = state.places.masks;
    const corners = boxes.map(([x, y]) => [Math.round(x), Math.round(y)]);
    const runs = rows.map((mask, k) =>
      mask.flatMap((row, y) => row.map(([start, length]) => [corners[k][0] + start, corners[k][1] + y, length])),
    );
    const shared = sharedRuns(rows[0], corners[0], rows[1], corners[1]);
    const count = (list) => list.reduce((sum, [, , length]) => sum + length, 0);
    const path = (list) => list.map(([x, y, length]) => `M${x} ${y}h${length}v1h${-length}z`).join("");
    const [area1, area2] = rows.map(countPixels), inter = count(shared), union = area1 + area2 - inter;
    const o = overlap(...boxes), iou = union ? inter / union : 0;
    canvas.update({
      ...ground(),
      badge: `mask IoU ${written(iou)}`,
      boxes,
      resizable: false,
      regions: [
        { path: path(runs[0]), color: "truth", opacity: 0.5 },
        { path: path(runs[1]), color: "prediction", opacity: 0.5 },
        { path: path(shared), color: "overlap", opacity: 1 },
        { path: path(shared), color: "overlap", hatch: true, opacity: 1 },
      ],
    });
    areas.update({
      rows: [
        { key: "inter", name: "shared pixels I", color: "overlap", value: inter, text: area(inter) },
        { key: "union", name: "union U = A + B − I: pixels of either", formula: `${area(area1)} + ${area(area2)} − ${area(inter)}`, value: union, text: area(union) },
      ],
    });
    measures.update({
      rows: [
        { key: "iou", name: "mask IoU", strong: true, value: iou, text: written(iou), formula: `{I|U} = {${area(inter)}~overlap|${area(union)}}` },
        { key: "box-iou", name: "IoU of their boxes", value: o.iou, text: written(o.iou), formula: `{${area(o.inter)}|${area(o.union)}}` },
      ],
    });
    bars.update({
      min: 0, max: 1, ticks: [0, 0.5, 1], label: "Mask IoU and box IoU on one scale from 0 to 1",
      rows: [
        { name: "masks", text: written(iou), parts: [{ value: iou, color: "overlap", key: "bar-masks" }] },
        { name: "boxes", text: written(o.iou), parts: [{ value: o.iou, color: "ignored", key: "bar-boxes" }] },
      ],
    });
    const [x1, y1, x2, y2] = boxes[1];
    const places = Array.from({ length: width - (x2 - x1) + 1 }, (_, x) => x);
    plot.update({
      x: { label: "x of B, in pixels", min: 0, max: width - (x2 - x1), ticks: [0, 10, 20, 30, 40].filter((t) => t <= width - (x2 - x1)) },
      y: { label: "IoU", min: 0, max: 1, ticks: [0, 0.25, 0.5, 0.75, 1] },
      curves: [
        { x: places, y: places.map((x) => overlap(boxes[0], [x, y1, x + x2 - x1, y2]).iou), color: "ignored", width: 3, dash: "7 4", name: "boxes", at: places[Math.round(places.length * 0.34)] },
        { x: places, y: places.map((x) => {
          const both = count(sharedRuns(rows[0], corners[0], rows[1], [x, corners[1][1]]));
          return both / (area1 + area2 - both);
        }), color: "overlap", width: 3, name: "masks", at: places[Math.round(places.length * 0.75)] },
      ],
      points: [
        { x: x1, y: o.iou, color: "ignored" },
        { x: x1, y: iou, color: "overlap" },
      ],
      label: `Mask IoU ${written(iou)} and box IoU ${written(o.iou)} with B at x ${x1}; the curves show both for every x at this height.`,
    });
    set(plot.node, { "data-iou-loss": null, "data-giou-loss": null });
    setText(plotTitle, "Slide B from left to right");
    setText(verdict,
      inter === 0 && o.inter === 0 ? "Nothing is shared, neither by the shapes nor by their boxes."
      : inter === 0 ? "The boxes overlap, the shapes do not share one pixel. A box knows only how far a shape reaches to each side."
      : o.iou - iou > 0.15 ? "The boxes agree much better than the shapes do. A box counts all that lies inside it, the empty mouth too."
      : iou - o.iou > 0.05 ? "Here the shapes agree better than their boxes: what they share is where both have pixels."
      : "Masks are counted pixel by pixel: the shared pixels over all pixels of either.");
    live.say(`Mask IoU ${written(iou)}, box IoU ${written(o.iou)}. ${inter} shared pixels of ${union}.`);
  }

  function ground() {
    const { width, height, image = "", alt = "", grid = 0 } = state.scenes[state.scene];
    return { width, height, image, alt, grid, step: 1, label: "Two boxes to move." };
  }

  const draw = oncePerFrame(() => {
    scene.update(state.scene);
    presets.update(state.scenes[state.scene].presets, state.places[state.scene]);
    if (state.scene === "masks") showMasks();
    else showBoxes();
  });

  return {
    node,
    update(next) {
      state = next;
      draw();
    },
  };
}

export default widget(iouExplorer, ["scene", "scenes", "places"]);
