// One or two boxes of one class: how far the Gaussian around a centre reaches, and what it lets pass.
//
// Traits: boxes (1 or 2), object (that is looked at, from 0), iou (that a box must keep), stride,
// published (the radius as the published programs compute it), world { width, height, image, alt,
// scenes: [[name, settings], ...] }.

import { boxCanvas, boxPath } from "./box_canvas.js";
import { buttons, choice, slider } from "./controls.js";
import { curvePlot } from "./curve_plot.js";
import { announcer, html, oncePerFrame, setText, short, widget, written } from "./dom.js";
import { CORNERS_MOVE, cornersMoved, encodeCentre, gaussianAt, heatOf } from "./gaussian_peaks.js";
import { heatMap } from "./heat_map.js";
import { overlap } from "./overlap.js";
import { peakMap } from "./peak_map.js";
import { readout } from "./readout.js";
import { valueTable } from "./value_table.js";

const ZOOM = 9; // places on a side of the enlarged part
const ASIDE = [0, 1, 2, 3, 4]; // places beside the peak whose numbers stand in the table
const PARTS = 40; // of a curve
const CASE_WORDS = { shifted: "shifted: both the same way", inwards: "inwards: the box shrinks", outwards: "outwards: it grows" };
const OF_CLASS = ["A", "B"], PEAK_COLORS = ["truth", "enclosing"];

export function heatmapExplorer(onChange = () => {}) {
  let state = null;
  const turn = (name) => (value) => onChange({ [name]: value });
  const scenes = buttons({ label: "Boxes" }, (settings) => onChange({ ...settings, object: 0 }));
  const object = choice({ label: "Look at", options: [["0", "A"], ["1", "B"]] }, (value) => onChange({ object: +value }));
  const published = choice({ label: "Radius", options: [["right", "right"], ["published", "as published"]] }, (value) => onChange({ published: value === "published" }));
  const stride = choice({ label: "Stride", options: [["4", "4"], ["8", "8"]] }, (value) => onChange({ stride: +value }));
  const iou = slider({ label: "IoU that is nearly right", name: "IoU", min: 0.3, max: 0.95, step: 0.01, marks: [[0.3, "0.3"], [0.7, "0.7, the programs"]], text: (v) => short(v) }, turn("iou"));
  const canvas = boxCanvas(({ boxes }) => {
    const n = boxes.findIndex((box, k) => box.some((side, c) => side !== state.boxes[k][c]));
    onChange(n < 0 ? { boxes } : { boxes, object: n });
  });
  const reach = readout(), cases = valueTable(), story = html("p", { class: "odx-verdict" });
  const mapTitle = html("h3", {}), map = peakMap(), zoomTitle = html("h3", {}), zoom = heatMap();
  const centreTitle = html("h3", {}), centre = valueTable(), back = readout();
  const plot = curvePlot(), aside = valueTable(), live = announcer();

  const node = html(
    "section", { class: "odx-explorer", "aria-label": "Heatmap explorer", "data-explorer": "heatmap" },
    html("div", { class: "odx-top" }, published.node, stride.node, object.node, scenes.node),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, canvas.node, html("p", { class: "odx-note" }, "Dashed: the worst box whose corners both lie within the radius.")),
      html("div", { class: "odx-settings" }, iou.node, reach.node, html("h3", {}, "How far may both corners move?"), cases.node, story),
    ),
    html(
      "div", { class: "odx-columns odx-even odx-panels" },
      html("div", {}, mapTitle, map.node, html("p", { class: "odx-note" }, "One square is one place of the output. Black dots: where the centres really lie.")),
      html("div", {}, zoomTitle, zoom.node, html("p", { class: "odx-note" }, "Framed: the place of a centre, where the heatmap is 1. The dot: the centre itself.")),
    ),
    html(
      "div", { class: "odx-columns odx-even odx-panels" },
      html("div", {}, centreTitle, centre.node, back.node),
      html("div", {}, html("h3", {}, "A peak beside the right place: how much is forgiven, how good is its box?"), plot.node, aside.node),
    ),
    live.node,
  );

  // A press on a box chooses it, before it moves.
  canvas.node.addEventListener("pointerdown", () => {
    const root = canvas.node.querySelector("svg"), n = [...root.querySelectorAll("g.odx-box")].indexOf(root.getRootNode().activeElement);
    if (root.hasAttribute("data-dragging") && n >= 0 && n !== state.object) onChange({ object: n });
  });

  // --- drawing

  function draw() {
    const { world, boxes, iou: least, stride: step, published: wide } = state, chosen = Math.min(state.object, boxes.length - 1);
    const grid = [Math.ceil(world.height / step), Math.ceil(world.width / step)], [H, W] = grid;
    const objects = boxes.map((box) => encodeCentre(box, grid, step, least, wide)), mine = objects[chosen], box = boxes[chosen];
    const heat = heatOf(objects, grid), far = mine.radius * step, moved = cornersMoved(box, far), ious = moved.map((one) => overlap(box, one).iou);
    const worst = ious.indexOf(Math.min(...ious)), name = OF_CLASS[chosen];

    const settings = world.scenes.map(([, value]) => value);
    scenes.update(world.scenes, settings.find((value) => JSON.stringify(value.boxes) === JSON.stringify(boxes)) ?? null);
    object.node.hidden = boxes.length < 2;
    object.update(String(chosen)); published.update(wide ? "published" : "right"); stride.update(String(step)); iou.update(least);

    const [x1, y1, x2, y2] = moved[worst];
    canvas.update({
      width: world.width, height: world.height, image: world.image, alt: world.alt, boxes, names: OF_CLASS.slice(0, boxes.length), colors: PEAK_COLORS, quiet: boxes.map((_, k) => k !== chosen), step: 1,
      regions: [{ path: mine.radius ? boxPath(moved[worst]) || `M${x1} ${y1}L${x2} ${y2}` : "", color: "prediction", dash: true }],
      label: "Objects of one class to move.", badge: `worst IoU ${written(ious[worst], 2)}`,
    });

    showReach(mine, ious, worst, far);
    setText(mapTitle, `The output, ${H} × ${W} places: the heatmap of the class`);
    map.update({
      ...world, grid, stride: step, heat,
      frames: objects.map(({ place: [x, y], radius }, k) => ({ box: [(x - radius) * step, (y - radius) * step, (x + radius + 1) * step, (y + radius + 1) * step], color: "#1f1f1f", dash: k !== chosen })),
      centres: objects.map(({ centre: at }, k) => ({ at: at.map((value) => value * step), name: OF_CLASS[k] })),
      label: `A heatmap of ${H} by ${W} places with ${boxes.length === 1 ? "a peak" : "peaks"} in ${objects.map(({ place: [x, y] }) => `row ${y + 1}, column ${x + 1}`).join(" and ")}.`,
    });
    showZoom(objects, mine, heat, grid, name);
    showCentre(mine, box, step, name);
    showAside(mine, box, step, least);
    setText(story, say(objects, mine, ious, worst, far, name));
    live.say(`Radius ${mine.radius} places, ${far} pixels. The worst box within it has IoU ${written(ious[worst], 2)}.`);
  }

  function showReach(mine, ious, worst, far) {
    const smallest = Math.min(...mine.radii), least = mine.radii.indexOf(smallest), [w, h] = mine.size.map(Math.ceil);
    reach.update({
      rows: [
        { key: "radius", name: "radius of the Gaussian, in places: the smallest, rounded down", color: "anchor", formula: `${written(smallest, 2)} → ${mine.radius}`, value: mine.radius, text: written(mine.radius, 0), strong: true },
        { key: "pixels", name: "… in pixels", formula: `${mine.radius} × ${state.stride}`, value: far, text: written(far, 0) },
        { key: "worst", name: "the worst box within it keeps an IoU of", color: "prediction", value: ious[worst], strong: true },
      ],
    });
    cases.update({
      heads: [`${w} × ${h} places${mine.size.every(Number.isInteger) ? "" : ", rounded up"}`, "radius", `IoU at ${mine.radius}`], label: "The three ways in which both corners may move",
      rows: CORNERS_MOVE.map((way, n) => ({
        name: CASE_WORDS[way] + (n === least ? " (smallest)" : ""), color: n === least ? "anchor" : null,
        cells: [{ key: `radius-${way}`, value: mine.radii[n], text: written(mine.radii[n], 2), strong: n === least }, { key: `iou-${way}`, value: ious[n], strong: n === worst }],
      })),
    });
  }

  function showZoom(objects, { place: [column, row] }, heat, [H, W], name) {
    const within = (middle, count) => Math.max(0, Math.min(middle - (ZOOM >> 1), count - ZOOM)), left = within(column, W), top = within(row, H);
    const numbers = Array.from({ length: ZOOM }, (_, y) => Array.from({ length: ZOOM }, (_, x) => heat[(top + y) * W + left + x]));
    const seen = (at) => at.every((value) => value >= 0 && value < ZOOM), local = ([x, y]) => [x - left, y - top];
    setText(zoomTitle, `Around the centre of ${name}: rows ${top + 1} to ${top + ZOOM}, columns ${left + 1} to ${left + ZOOM}`);
    zoom.update({
      map: numbers, high: 1, digits: 2, boxes: objects.map(({ place }) => local(place)).filter(seen).map(([x, y]) => ({ box: [x, y, x + 1, y + 1], color: "#1f1f1f", width: 2.5 })), points: objects.map(({ centre: at }) => local(at)).filter(seen),
      label: `The heatmap around the centre of ${name}: ${numbers.map((line) => line.map((value) => written(value, 2)).join(" ")).join("; ")}.`,
    });
  }

  function showCentre({ centre: at, place, offset }, box, step, name) {
    const axes = ["x", "y"], line = (key, words, values, text) => ({ name: words, cells: axes.map((axis, k) => ({ key: `${key}-${axis}`, value: values[k], text: text(values[k]) })) });
    const exact = (value) => short(value, 3), lost = offset.map((value) => value * step);
    setText(centreTitle, `The centre of ${name}, and what rounding loses`);
    centre.update({
      heads: ["", ...axes], label: "The centre, its place and the offset",
      rows: [
        line("centre", "centre, in pixels", at.map((value) => value * step), exact),
        line("scaled", `divided by the stride, ${step}`, at, exact),
        line("place", "its place: column and row, from 0", place, exact),
        line("offset", "offset: what is left, to be learned", offset, exact),
        line("lost", "… in pixels", lost, exact),
      ],
    });
    const without = box.map((side, k) => side - lost[k % 2]);
    back.update({ rows: [{ key: "back", name: "IoU of the box read back without the offset", color: "overlap", value: overlap(box, without).iou, strong: true }] });
  }

  /** The box, so many places too far to the right: its IoU. */
  const besideIou = ([x1, y1, x2, y2], far) => overlap([x1, y1, x2, y2], [x1 + far, y1, x2 + far, y2]).iou;

  function showAside({ radius }, box, step, least) {
    const end = Math.max(radius + 2, 6), places = Array.from({ length: PARTS + 1 }, (_, n) => (end * n) / PARTS), whole = Array.from({ length: end + 1 }, (_, n) => n);
    const rising = [0.85, 0.6, 0.35, 0.15].map((share) => share * end), room = (d) => Math.min(Math.abs(besideIou(box, d * step) - least), Math.abs(besideIou(box, d * step) - gaussianAt(d, 0, radius)));
    const within = Array.from({ length: PARTS + 1 }, (_, n) => (radius * n) / PARTS);
    plot.update({
      x: { label: "places to the right of the right one", min: 0, max: end, ticks: whole.filter((n) => n % Math.ceil(end / 8) === 0) },
      y: { label: "", min: 0, max: 1, ticks: [0, [least, short(least)], 1] },
      curves: [
        { x: places, y: places.map((d) => besideIou(box, d * step)), color: "overlap", name: "IoU of its box", at: rising.find((d) => room(d) > 0.09) ?? rising[0] },
        { x: within, y: within.map((d) => gaussianAt(d, 0, radius)), color: "anchor", dash: "6 4", ...(radius ? { name: "heatmap", at: radius * 0.6 } : {}) },
      ],
      points: whole.map((d) => ({ x: d, y: gaussianAt(d, 0, radius), color: "anchor", size: 4.5, ...(d === 1 && !radius ? { name: "heatmap", side: "right" } : {}) })),
      guides: [{ y: least }],
      label: `The heatmap and the IoU of the box, at 0 to ${end} places to the right of the right one.`,
    });
    const cells = (key, value, text) => ASIDE.map((d) => ({ key: `${key}-${d}`, value: value(d), text: text(value(d)) })), two = (value) => written(value, 2);
    aside.update({
      heads: ["places beside", ...ASIDE.map(String)], label: "How much is forgiven beside the right place",
      rows: [
        { name: "heatmap y", color: "anchor", cells: cells("heat", (d) => gaussianAt(d, 0, radius), two) },
        { name: "weight of its loss, (1 − y)⁴", cells: cells("weight", (d) => (1 - gaussianAt(d, 0, radius)) ** 4, written) },
        { name: "IoU of its box", color: "overlap", cells: cells("beside", (d) => besideIou(box, d * step), two) },
      ],
    });
  }

  function say(objects, mine, ious, worst, far, name) {
    const { iou: least, published: wide, stride: step } = state, parts = [], value = written(ious[worst], 2);
    if (mine.radius === 0) parts.push(`No place beside the centre of ${name} is nearly right: moving the corners by one place, ${step} pixels, would cost too much. The peak stands alone.`);
    else if (wide) parts.push(`With the published formula both corners of ${name} may move by ${far} pixels. Moved ${worst === 0 ? "the same way" : CORNERS_MOVE[worst]}, the box keeps an IoU of ${value}${ious[worst] < least - 0.05 ? `, far from the ${short(least)} that was asked for` : ""}.`);
    else if (+value < least) parts.push(`Both corners of ${name} may move by ${far} pixels in any direction, and the box keeps an IoU of at least ${value}. That is less than the ${short(least)} that was asked for: as in the programs, the radius is that of a box whose sides were rounded up to whole places, ${mine.size.map(Math.ceil).join(" × ")}.`);
    else parts.push(`Both corners of ${name} may move by ${far} pixels in any direction, and the box keeps an IoU of at least ${value}; ${short(least)} was asked for.`);
    if (objects.length === 2) {
      const [a, b] = objects, apart = Math.max(Math.abs(a.place[0] - b.place[0]), Math.abs(a.place[1] - b.place[1]));
      if (apart === 0) parts.push("Both centres fall into one place: one peak for two objects, and the map can say only one of them.");
      else if (apart <= a.radius + b.radius) parts.push(`The Gaussians of A and B meet; where they do, the higher one counts. Both peaks stay 1, ${apart} ${apart === 1 ? "place" : "places"} apart${apart === 1 ? ", and the search for peaks sees neighbours of equal height" : ""}.`);
      else parts.push(`The peaks of A and B are ${apart} places apart and do not touch.`);
    }
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

export default widget(heatmapExplorer, ["boxes", "object", "iou", "stride", "published", "world"]);
