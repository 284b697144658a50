// Which location answers for which object: course_lib.models.fcos, number by number in the same
// order, so that ties are the same ties.
//
// A level is { level, stride, grid: [H, W], low, high }: it is in charge of longest sides from low to
// high, both included. Location k of a row or column lies at (k + 0.5) · stride. A rule is
// { sampling, radius, ranges }.

const prepared = ([x1, y1, x2, y2]) => ({ x1, y1, x2, y2, cx: (x1 + x2) / 2, cy: (y1 + y2) / 2, area: (x2 - x1) * (y2 - y1) });

/** How far from a centre, in pixels, a location may be, and the sides that the level is in charge of. */
export const reachOf = ({ stride, low, high }, { sampling, radius, ranges }) => ({
  reach: sampling ? radius * stride : Infinity,
  least: ranges ? low : 0,
  most: ranges ? high : Infinity,
});

function asks(x, y, box, { reach, least, most }) {
  const l = x - box.x1, t = y - box.y1, r = box.x2 - x, b = box.y2 - y;
  if (!(l > 0 && t > 0 && r > 0 && b > 0)) return false;
  if (!(Math.max(Math.abs(x - box.cx), Math.abs(y - box.cy)) < reach)) return false;
  const longest = Math.max(l, t, r, b);
  return longest >= least && longest <= most;
}

/**
 * All locations of a level: { N, owners, asked, positive, ambiguous, owned }.
 *   owners  for each location its object, or -1;  asked: how many objects ask for it
 *   owned   for each object how many locations answer for it
 */
export function assignLevel(boxes, level, rule) {
  const { stride, grid: [H, W] } = level, limits = reachOf(level, rule), all = boxes.map(prepared);
  const owners = new Int8Array(H * W).fill(-1), asked = new Uint8Array(H * W), owned = boxes.map(() => 0);
  let positive = 0, ambiguous = 0;
  for (let n = 0; n < H * W; n++) {
    const x = ((n % W) + 0.5) * stride, y = (Math.floor(n / W) + 0.5) * stride;
    let owner = -1;
    for (let k = 0; k < all.length; k++) {
      if (!asks(x, y, all[k], limits)) continue;
      asked[n]++;
      if (owner < 0 || all[k].area < all[owner].area) owner = k;
    }
    if (owner < 0) continue;
    owners[n] = owner;
    owned[owner]++;
    positive++;
    if (asked[n] > 1) ambiguous++;
  }
  return { N: H * W, owners, asked, positive, ambiguous, owned };
}

/** What a location has to do with each object: { sides, inside, away, near, longest, charged, area, asks }. */
export function factsAt([x, y], boxes, level, rule) {
  const limits = reachOf(level, rule);
  return boxes.map(prepared).map((box) => {
    const sides = [x - box.x1, y - box.y1, box.x2 - x, box.y2 - y], longest = Math.max(...sides);
    const away = Math.max(Math.abs(x - box.cx), Math.abs(y - box.cy));
    return {
      sides, longest, away, area: box.area,
      inside: sides.every((side) => side > 0), near: away < limits.reach,
      charged: longest >= limits.least && longest <= limits.most, asks: asks(x, y, box, limits),
    };
  });
}

const TINY = 2.2250738585072014e-308; // the smallest float64 with all its digits

export function centernessOf([l, t, r, b]) {
  const across = Math.min(l, r) / Math.max(l, r, TINY), down = Math.min(t, b) / Math.max(t, b, TINY);
  return Math.sqrt(Math.max(across * down, 0));
}
