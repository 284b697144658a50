// Choosing boxes: course_lib.suppression, one step for each box that is taken.

import { overlap } from "./overlap.js";

/** How much of its score a box keeps when it overlaps the box just taken. */
export const DECAY = {
  greedy: (iou, { threshold }) => (iou > threshold ? 0 : 1),
  linear: (iou, { threshold }) => (iou > threshold ? 1 - iou : 1),
  gaussian: (iou, { sigma }) => Math.exp((-iou * iou) / sigma),
};

/**
 * All steps: { taken, score, changed: [{ box, iou, before, after }, ...] }. In each step the box with
 * the highest score is taken (of equal ones the first), and the scores of the others decay. It ends
 * when no score of at least `least` is left.
 */
export function suppress(boxes, scores, method, { threshold, sigma, least }) {
  const left = scores.map((score) => (score >= least ? score : 0));
  const open = left.map((score) => score > 0);
  const steps = [];
  for (;;) {
    let taken = -1;
    for (let k = 0; k < boxes.length; k++) {
      if (open[k] && left[k] >= least && (taken < 0 || left[k] > left[taken])) taken = k;
    }
    if (taken < 0) return steps;
    open[taken] = false;
    const changed = [];
    for (let k = 0; k < boxes.length; k++) {
      if (!open[k] || left[k] === 0) continue;
      const { iou } = overlap(boxes[taken], boxes[k]);
      const before = left[k], after = before * DECAY[method](iou, { threshold, sigma });
      if (after === before) continue;
      left[k] = after;
      changed.push({ box: k, iou, before, after });
    }
    steps.push({ taken, score: left[taken], changed });
  }
}

/** Which truth each box finds, best score first and each truth once: its index, or −1. */
export function found(boxes, truth, least = 0.5) {
  const free = truth.map(() => true);
  return boxes.map((box) => {
    let best = -1, most = least;
    truth.forEach((other, k) => {
      const { iou } = overlap(box, other);
      if (free[k] && iou >= most) [best, most] = [k, iou];
    });
    if (best >= 0) free[best] = false;
    return best;
  });
}
