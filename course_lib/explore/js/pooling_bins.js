// Three ways to pool a box into n × n bins: course_lib.pooling for one map and one box, in cells.
//
// A map is rows of numbers; a box [x1, y1, x2, y2] lies on the squares of the cells, so that cell k
// reaches from k to k + 1. Bins are [top, bottom] of each row and [left, right] of each column.

const rounding = (value) => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
const between = (value, low, high) => Math.min(Math.max(value, low), high);
const upTo = (count) => Array.from({ length: count }, (_, k) => k);

/** The box at whole cells, as RoIPool takes it: its last row and column still count. */
export const roundedBox = (box) => box.map(rounding);

/** roi_pool: { rows, columns, values, cells }, where cells are the [x, y] of the largest of each bin. */
export function roiPool(map, box, n) {
  const [x1, y1, x2, y2] = roundedBox(box);
  const along = (first, last, size) => {
    const length = Math.max(last - first + 1, 1);
    return upTo(n).map((k) => [Math.floor((k * length) / n), Math.ceil(((k + 1) * length) / n)].map((end) => between(first + end, 0, size)));
  };
  const rows = along(y1, y2, map.length), columns = along(x1, x2, map[0].length), cells = [];
  const values = rows.map(([top, bottom]) => columns.map(([left, right]) => {
    let best = null;
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) if (!best || map[y][x] > map[best[1]][best[0]]) best = [x, y];
    if (best) cells.push(best);
    return best ? map[best[1]][best[0]] : 0;
  }));
  return { rows, columns, values, cells };
}

/** Ends of n bins of equal length. */
const equalBins = (start, length, n) => upTo(n).map((k) => [start + (k * length) / n, start + ((k + 1) * length) / n]);

/** The bilinear surface through the cells, whose values stand at whole numbers here. */
function surfaceAt(map, y, x) {
  const H = map.length, W = map[0].length;
  if (y < -1 || y > H || x < -1 || x > W) return 0;
  const cy = between(y, 0, H - 1), cx = between(x, 0, W - 1), top = Math.floor(cy), left = Math.floor(cx);
  const bottom = Math.min(top + 1, H - 1), right = Math.min(left + 1, W - 1), down = cy - top, across = cx - left;
  return map[top][left] * (1 - down) * (1 - across) + map[top][right] * (1 - down) * across
    + map[bottom][left] * down * (1 - across) + map[bottom][right] * down * across;
}

/**
 * roi_align: { rows, columns, values, points }, points [x, y]. All are where they lie in the picture:
 * a value stands in the middle of its cell, so without `aligned` they lie half a cell too far.
 */
export function roiAlign(map, [x1, y1, x2, y2], n, ratio, aligned) {
  const shift = aligned ? 0.5 : 0, drawn = aligned ? 0 : 0.5;
  const along = (start, end) => {
    const length = aligned ? end - start : Math.max(end - start, 1);
    const places = upTo(n).map((k) => upTo(ratio).map((j) => start - shift + (k + (j + 0.5) / ratio) * (length / n)));
    return { places, bins: equalBins(start + drawn, length, n) };
  };
  const down = along(y1, y2), across = along(x1, x2), points = [];
  const values = down.places.map((ys) => across.places.map((xs) => {
    let sum = 0;
    for (const y of ys) for (const x of xs) {
      sum += surfaceAt(map, y, x);
      points.push([x + 0.5, y + 0.5]);
    }
    return sum / ratio ** 2;
  }));
  return { rows: down.bins, columns: across.bins, values, points };
}

/** The integral of the hat of cell k over [from, to], for a hat that is 1 at k and 0 one cell away. */
function hatArea(from, to, k) {
  const [a, b] = [from - k, to - k];
  const [r1, r2, f1, f2] = [between(a, -1, 0), between(b, -1, 0), between(a, 0, 1), between(b, 0, 1)];
  return (r2 - r1) * (1 + (r1 + r2) / 2) + (f2 - f1) * (1 - (f1 + f2) / 2);
}

/** prroi_pool of the box, half a cell up and to the left if `aligned`: { rows, columns, values }. */
export function preciseRoiPool(map, [x1, y1, x2, y2], n, aligned) {
  const shift = aligned ? 0.5 : 0, drawn = aligned ? 0 : 0.5;
  const along = (start, end, size) => equalBins(start - shift, end - start, n).map(([from, to]) =>
    upTo(size).map((k) => hatArea(from, to, k) / (to - from)));
  const down = along(y1, y2, map.length), across = along(x1, x2, map[0].length);
  const values = down.map((wy) => across.map((wx) => {
    let sum = 0;
    wy.forEach((a, y) => a && wx.forEach((b, x) => (sum += a * b * map[y][x])));
    return sum;
  }));
  return { rows: equalBins(y1 + drawn, y2 - y1, n), columns: equalBins(x1 + drawn, x2 - x1, n), values };
}
