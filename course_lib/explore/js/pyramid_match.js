// The anchors of a pyramid's levels and one box: course_lib.anchors, boxes and matching, number by
// number in the same order, so that ties are the same ties. Only anchors that touch the box are looked at.
//
// A level is { stride, grid: [H, W], base: [[x1, y1, x2, y2], ...] }, its base anchors around (0, 0);
// location k of a row or column lies at (k + offset) · stride.

const POSITIVE = 2, UNSURE = 1;

/** Along one axis: for each location from `first` what the anchor [low, high] there shares with [from, to]. */
function along([from, to], [low, high], count, stride, offset) {
  const shared = [], lengths = [];
  let first = -1;
  for (let k = 0; k < count; k++) {
    const at = (k + offset) * stride, start = at + low, end = at + high;
    const length = Math.min(to, end) - Math.max(from, start);
    if (length > 0) {
      if (first < 0) first = k;
      shared.push(length);
      lengths.push(end - start);
    } else if (first >= 0) break;
  }
  return { first, shared, lengths };
}

/**
 * Which anchors of each level answer for the box: for each level { N, best, ties, positive, ignored,
 * rescued, kinds, places }.
 *   best, ties   the highest IoU, and the numbers of the anchors that have it
 *   positive, ignored, rescued   how many;  rescued ones are positive by low-quality matching alone
 *   places       [number, IoU] of each positive;  kinds: for each location 2, 1 or 0, the best verdict there
 */
export function matchPyramid(box, levels, offset, { high, low, rescue }) {
  const [x1, y1, x2, y2] = box, area = (x2 - x1) * (y2 - y1);
  const found = levels.map(({ stride, grid: [H, W], base }) => {
    const A = base.length, kinds = new Uint8Array(H * W), places = [];
    let best = 0, ties = [], ignored = 0;
    base.forEach(([left, top, right, bottom], a) => {
      const across = along([x1, x2], [left, right], W, stride, offset), down = along([y1, y2], [top, bottom], H, stride, offset);
      down.shared.forEach((tall, r) => {
        for (let c = 0; c < across.shared.length; c++) {
          const shared = across.shared[c] * tall, iou = shared / (area + across.lengths[c] * down.lengths[r] - shared);
          if (iou < low && iou < best) continue;
          const spot = (down.first + r) * W + across.first + c;
          if (iou > best) [best, ties] = [iou, []];
          if (iou === best) ties.push(spot * A + a);
          if (iou >= high) {
            kinds[spot] = POSITIVE;
            places.push([spot * A + a, iou]);
          } else if (iou >= low) {
            kinds[spot] = Math.max(kinds[spot], UNSURE);
            ignored++;
          }
        }
      });
    });
    return { N: H * W * A, best, ties, positive: places.length, ignored, rescued: 0, kinds, places };
  });
  const most = Math.max(...found.map(({ best }) => best));
  if (rescue && most > 0 && most < high) {
    found.filter(({ best }) => best === most).forEach((level) => {
      const A = levels[found.indexOf(level)].base.length;
      level.rescued = level.positive = level.ties.length;
      if (most >= low) level.ignored -= level.ties.length;
      for (const n of level.ties) {
        level.kinds[Math.floor(n / A)] = POSITIVE;
        level.places.push([n, most]);
      }
    });
  }
  return found;
}

/** Anchor number n of a level, as a box. */
export function anchorAt({ stride, grid: [, W], base }, offset, n) {
  const A = base.length, spot = Math.floor(n / A), x = ((spot % W) + offset) * stride, y = (Math.floor(spot / W) + offset) * stride;
  const [left, top, right, bottom] = base[n % A];
  return [x + left, y + top, x + right, y + bottom];
}

/** The best IoU of a box with any anchor of a level: the location nearest to its middle has it. */
export function bestOfLevel([x1, y1, x2, y2], { stride, grid: [H, W], base }, offset) {
  const near = (middle, count) => (Math.min(Math.max(Math.round(middle / stride - offset), 0), count - 1) + offset) * stride;
  const x = near((x1 + x2) / 2, W), y = near((y1 + y2) / 2, H);
  let most = 0;
  for (const [left, top, right, bottom] of base) {
    const w = Math.min(x2, x + right) - Math.max(x1, x + left), h = Math.min(y2, y + bottom) - Math.max(y1, y + top);
    if (w <= 0 || h <= 0) continue;
    most = Math.max(most, (w * h) / ((x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - w * h));
  }
  return most;
}
