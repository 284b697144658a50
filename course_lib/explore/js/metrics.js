// Judging detections: course_lib.metrics for one class over some images.

import { overlap } from "./overlap.js";

/**
 * For each detection of an image the truth that it finds, or −1: the best score chooses first, each
 * truth is found once, and only with an IoU of at least `least`. `detections` are sorted by score.
 */
export function match(detections, truth, least) {
  const free = truth.map(() => true);
  return detections.map(({ box }) => {
    let best = -1, most = Math.min(least, 1 - 1e-10);
    truth.forEach((other, k) => {
      const { iou } = overlap(box, other);
      if (free[k] && iou >= most) [best, most] = [k, iou];
    });
    if (best >= 0) free[best] = false;
    return best;
  });
}

/** Precision and recall after each detection, best score first: [{ score, right, precision, recall }]. */
export function curve(ranked, objects) {
  let hits = 0;
  return ranked.map(({ score, right }, n) => {
    hits += right ? 1 : 0;
    return { score, right, precision: hits / (n + 1), recall: objects ? hits / objects : 0 };
  });
}

/** The best precision at this recall or any higher one; 0 where the curve does not come. */
export function envelope(points, recall) {
  let best = 0;
  for (const point of points) if (point.recall >= recall - 1e-12) best = Math.max(best, point.precision);
  return best;
}

const spread = (count) => Array.from({ length: count }, (_, n) => n / (count - 1));

/** Average precision by 11 points, by all points, by 101 points. */
export const AVERAGE = {
  11: (points) => mean(spread(11).map((r) => envelope(points, r))),
  101: (points) => mean(spread(101).map((r) => envelope(points, r))),
  all(points) {
    let area = 0, before = 0;
    for (const { recall } of points) {
      area += (recall - before) * envelope(points, recall);
      before = recall;
    }
    return area;
  },
};

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Where an interpolation looks at the envelope. */
export const looks = (kind) => (kind === "all" ? [] : spread(Number(kind)));
