// The overlap of two boxes (x1, y1, x2, y2) in all its measures: course_lib.boxes, one pair at a time.

const EPS = 1e-7; // of distance_box_iou and complete_box_iou

const share = (part, whole) => (whole === 0 ? 0 : part / whole);

export function overlap(a, b) {
  const w1 = Math.max(a[2] - a[0], 0), h1 = Math.max(a[3] - a[1], 0);
  const w2 = Math.max(b[2] - b[0], 0), h2 = Math.max(b[3] - b[1], 0);

  const shared = [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
  const sharedSides = [Math.max(shared[2] - shared[0], 0), Math.max(shared[3] - shared[1], 0)];
  const inter = sharedSides[0] * sharedSides[1];
  const area1 = w1 * h1, area2 = w2 * h2;
  const union = area1 + area2 - inter;

  const around = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
  const aroundSides = [around[2] - around[0], around[3] - around[1]];
  const enclosing = aroundSides[0] * aroundSides[1];

  const dx = (a[0] + a[2]) / 2 - (b[0] + b[2]) / 2;
  const dy = (a[1] + a[3]) / 2 - (b[1] + b[3]) / 2;
  const distance2 = dx * dx + dy * dy;
  const diagonal2 = aroundSides[0] ** 2 + aroundSides[1] ** 2;

  const iou = share(inter, union);
  const giou = iou - share(enclosing - union, enclosing);
  const diou = iou - distance2 / (diagonal2 + EPS);
  const v = (4 / Math.PI ** 2) * (Math.atan2(w1, h1) - Math.atan2(w2, h2)) ** 2;
  const alpha = v / (1 - iou + v + EPS);
  const ciou = diou - alpha * v;

  return {
    area1, area2, inter, union, enclosing, distance2, diagonal2, v, alpha,
    iou, giou, diou, ciou, shared, sharedSides, around, aroundSides,
  };
}

/** The shared pixels of two masks: rows of runs [start, length], each mask with its corner [x, y]. */
export function sharedRuns(rows1, [x1, y1], rows2, [x2, y2]) {
  const shared = [];
  for (let y = Math.max(y1, y2); y < Math.min(y1 + rows1.length, y2 + rows2.length); y++) {
    for (const [start1, length1] of rows1[y - y1]) {
      for (const [start2, length2] of rows2[y - y2]) {
        const from = Math.max(x1 + start1, x2 + start2);
        const to = Math.min(x1 + start1 + length1, x2 + start2 + length2);
        if (to > from) shared.push([from, y, to - from]);
      }
    }
  }
  return shared;
}

export const countPixels = (rows) => rows.flat().reduce((sum, [, length]) => sum + length, 0);
