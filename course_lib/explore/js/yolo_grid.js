// YOLO's grid, who answers for an object, and the five terms: course_lib.models.yolo for one image,
// number by number in the same order, so that ties are the same ties.
//
// A cell is [row, column]; a size is { width, height } of the image; boxes are [x1, y1, x2, y2].

const middleOf = ([x1, y1, x2, y2]) => {
  const w = x2 - x1, h = y2 - y1;
  return [x1 + 0.5 * w, y1 + 0.5 * h, w, h];
};

/** The cell that the centre of a box falls into, of S × S. */
export function cellUnder(box, { width, height }, S) {
  const [cx, cy] = middleOf(box), last = (position) => Math.min(Math.max(Math.floor(position), 0), S - 1);
  return [last((cy * S) / height), last((cx * S) / width)];
}

/** What a cell says, or should say, of a box: [x, y, √w, √h]. */
export function saidOf(box, [row, column], { width, height }, S) {
  const [cx, cy, w, h] = middleOf(box);
  return [(cx * S) / width - column, (cy * S) / height - row, Math.sqrt(w / width), Math.sqrt(h / height)];
}

/** The box that a cell's numbers mean, in shares of the image. */
function shareBox([x, y, rootW, rootH], [row, column], S) {
  const cx = (x + column) * (1 / S), cy = (y + row) * (1 / S), w = rootW * rootW, h = rootH * rootH;
  return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
}

function shareIou(a, b) {
  const w = Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0), h = Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0);
  const shared = w * h, union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared;
  return union === 0 ? 0 : shared / union;
}

/** Mean square of what separates two boxes, as (cx, cy, w, h). */
function apart(a, b) {
  const other = middleOf(b);
  return middleOf(a).reduce((sum, value, k) => sum + (value - other[k]) ** 2, 0) / 4;
}

/** Which of the boxes answers for the truth, and the IoU of each: { best, ious, nearest }. */
function answering(boxes, truth) {
  const ious = boxes.map((box) => shareIou(box, truth)), most = Math.max(...ious), nearest = most === 0;
  const rank = nearest ? boxes.map((box) => -apart(box, truth)) : ious;
  return { best: rank.indexOf(Math.max(...rank)), ious, nearest };
}

/** For each truth the index of the one that its cell holds: the first of those that fall into it. */
export const ownersOf = (cells) => cells.map(([row, column]) => cells.findIndex(([r, c]) => r === row && c === column));

/**
 * What a cell has to do with its object: { cell, target, said, best, ious, nearest, terms }.
 * said: for each predictor [x, y, √w, √h]; terms: its part of the loss, weights included.
 */
export function judgeCell(truth, pair, cell, size, S, { confidence, p, coord, noobj, classes }) {
  const target = saidOf(truth, cell, size, S), said = pair.map((box) => saidOf(box, cell, size, S));
  const whole = shareBox(target, cell, S), found = answering(said.map((one) => shareBox(one, cell, S)), whole);
  const off = said[found.best].map((value, k) => (value - target[k]) ** 2), other = (1 - p) / (classes - 1);
  const terms = {
    centre: coord * (off[0] + off[1]),
    size: coord * (off[2] + off[3]),
    object: (confidence[found.best] - found.ious[found.best]) ** 2,
    no_object: noobj * confidence.reduce((sum, c, k) => sum + (k === found.best ? 0 : c * c), 0),
    classes: (p - 1) ** 2 + (classes - 1) * other ** 2,
  };
  return { cell, target, said, ...found, terms };
}
