// From boxes to one number: matches on the pictures, the precision-recall curve, average precision.
//
// Traits: detector, picture (index), score and iou (thresholds), rule ("11", "all", "101"), and
// world { images: [{ image, width, height, alt, truth }], detectors:
// [{ name, text, says, detections: [[{ box, score }, ...] for each image, best first] }] }.

import { choice, slider } from "./controls.js";
import { curvePlot } from "./curve_plot.js";
import { announcer, html, oncePerFrame, setText, short, widget, written } from "./dom.js";
import { AVERAGE, curve, envelope, looks, match } from "./metrics.js";
import { readout } from "./readout.js";
import { sceneView } from "./scene_view.js";

const RULES = [["11", "11 points"], ["all", "all points"], ["101", "101 points"]];
const RECALLS = Array.from({ length: 501 }, (_, n) => n / 500);

export function mapExplorer(onChange = () => {}) {
  let state = null, detector = null;
  const turn = (name) => (value) => onChange({ [name]: value });
  const chooser = html("div"); // made when the detectors are known
  const picture = slider({ label: "picture", name: "picture", min: 1, max: 2, step: 1, text: (v) => written(v, 0) }, (value) => onChange({ picture: Math.round(value) - 1 }));
  const score = slider({ label: "score threshold", name: "score", min: 0, max: 1, step: 0.01, text: (v) => short(v) }, turn("score"));
  const iou = slider({ label: "IoU threshold", name: "IoU", min: 0.05, max: 0.95, step: 0.05, marks: [[0.5, "0.5"], [0.75, "0.75"], [0.95, "0.95"]], text: (v) => short(v) }, turn("iou"));
  const rule = choice({ label: "Average by", options: RULES }, turn("rule"));
  const view = sceneView(), plot = curvePlot(({ chosen }) => onChange({ score: scoreAt(chosen) })), counts = readout(), averages = readout();
  const all = html("h3", {}, "In all pictures together");
  const legend = html("p", { class: "odx-note" }), story = html("p", { class: "odx-verdict" });
  const live = announcer();
  let points = [];

  const node = html(
    "section", { class: "odx-explorer", "aria-label": "mAP explorer", "data-explorer": "map" },
    html("div", { class: "odx-top" }, chooser),
    html(
      "div", { class: "odx-columns" },
      html("div", {}, picture.node, view.node, legend),
      html("div", {}, score.node, iou.node, all, counts.node),
    ),
    html(
      "div", { class: "odx-columns odx-panels" },
      html("div", {}, html("h3", {}, "The curve of all pictures: drag along it"), plot.node),
      html("div", {}, rule.node, averages.node, story),
    ),
    live.node,
  );

  /** The score threshold with which the curve reaches a recall. */
  function scoreAt(recall) {
    const point = points.find((p) => p.recall >= recall) ?? points.at(-1);
    return point ? Math.round(point.score * 1000) / 1000 : 0;
  }

  function draw() {
    const { world, score: lowest, iou: least, rule: kind } = state;
    if (!detector) {
      detector = choice({ label: "Detector", options: world.detectors.map(({ name, text }) => [name, text]) }, turn("detector"));
      chooser.append(detector.node);
    }
    const { detections, says } = world.detectors.find(({ name }) => name === state.detector);
    const matches = world.images.map(({ truth }, n) => match(detections[n], truth, least));
    const objects = world.images.reduce((sum, { truth }) => sum + truth.length, 0);
    const ranked = detections.flatMap((list, n) => list.map((d, k) => ({ score: d.score, right: matches[n][k] >= 0 })));
    ranked.sort((a, b) => b.score - a.score);
    points = curve(ranked, objects);
    const shown = points.filter((p) => p.score >= lowest), here = shown.at(-1);
    const right = shown.filter((p) => p.right).length, wrong = shown.length - right;
    const precision = shown.length ? right / shown.length : 0, recall = objects ? right / objects : 0;
    const f1 = right ? (2 * precision * recall) / (precision + recall) : 0;

    detector.update(state.detector);
    setText(story, `The detector “${state.detector}”: ${says}`);
    const at = Math.min(Math.max(state.picture, 0), world.images.length - 1);
    picture.update(at + 1, { max: world.images.length });
    score.update(lowest); iou.update(least); rule.update(kind);
    showPicture(world.images[at], detections[at], matches[at], lowest);

    counts.update({
      rows: [
        { key: "tp", name: "found: true positives TP", color: "overlap", value: right, text: written(right, 0) },
        { key: "fp", name: "false alarms FP", color: "prediction", value: wrong, text: written(wrong, 0) },
        { key: "fn", name: "missed FN", color: "truth", value: objects - right, text: written(objects - right, 0) },
        { key: "precision", name: "precision: how many of the boxes are right?", formula: `{TP|TP + FP} = {${right}~overlap|${shown.length}}`, value: precision, text: written(precision) },
        { key: "recall", name: "recall: how many of the objects are found?", formula: `{TP|TP + FN} = {${right}~overlap|${objects}}`, value: recall, text: written(recall) },
        { key: "f1", name: "F₁", formula: "{2 · precision · recall|precision + recall}", value: f1, text: written(f1) },
      ],
    });

    const top = RECALLS.map((r) => envelope(points, r)), marks = looks(kind);
    plot.update({
      x: { label: "recall", min: 0, max: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
      y: { label: "precision", min: 0, max: 1.02, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
      curves: [
        { x: RECALLS, y: top, color: "anchor", width: 2, dash: "6 4", fill: kind === "all" ? 0.18 : 0 },
        { x: points.map((p) => p.recall), y: points.map((p) => p.precision), color: "prediction", width: 2.5 },
      ],
      points: [
        ...marks.map((r) => ({ x: r, y: envelope(points, r), color: "anchor", size: kind === "11" ? 4.5 : 1.4 })),
        ...(here ? [{ x: here.recall, y: here.precision, color: "ink", shape: "ring" }] : []),
      ],
      choosable: true,
      label: `Precision against recall at IoU ${short(least)}: now precision ${written(precision)}, recall ${written(recall)}.`,
    });
    averages.update({
      rows: RULES.map(([name, text]) => ({
        key: `ap-${name}`, name: `AP by ${text}`, color: name === kind ? "anchor" : undefined, strong: name === kind,
        formula: { 11: "VOC 2007: the mean of 11 heights", all: "VOC 2010 on: the area under the steps", 101: "COCO: the mean of 101 heights" }[name],
        value: AVERAGE[name](points), text: written(AVERAGE[name](points)),
      })),
    });
    live.say(`Precision ${written(precision)}, recall ${written(recall)}; AP by ${kind} points ${written(AVERAGE[kind](points))}.`);
  }

  function showPicture({ image, width, height, alt, truth }, list, found, lowest) {
    const hit = new Set(found.filter((_, k) => list[k].score >= lowest));
    const order = [...list.keys()].reverse();
    view.update({
      image, width, height, alt,
      boxes: [
        ...truth.map((box, k) => ({ box, color: "truth", width: 2, dash: !hit.has(k) })),
        ...order.filter((k) => list[k].score < lowest).map((k) => ({ box: list[k].box, color: "ignored", width: 1, opacity: 0.7 })),
        ...order.filter((k) => list[k].score >= lowest).map((k) => ({ box: list[k].box, color: found[k] >= 0 ? "overlap" : "prediction", width: 2.2, name: written(list[k].score, 2) })),
      ],
      label: `${truth.length} objects, ${hit.size} found.`,
    });
    setText(legend, "Blue: what is there (dashed: missed). Green: found. Orange-red: false alarm. Grey: below the score threshold.");
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

export default widget(mapExplorer, ["detector", "picture", "score", "iou", "rule", "world"]);
