// Anchors, how well they fit, and which of them answer for what: course_lib.anchors and
// course_lib.matching, number by number in the same order, so that ties are the same ties.

export const NEGATIVE = -1, IGNORED = -2;

/** The [width, height] of the A anchors of one location: all sizes of the first ratio first. */
export const anchorShapes = (sizes, ratios) =>
  ratios.flatMap((ratio) => sizes.map((size) => [size / Math.sqrt(ratio), size * Math.sqrt(ratio)]));

/**
 * A anchors around each of H × W locations, as one array of 4 · H · W · A numbers: row by row, the A
 * of a location together. Location k lies at (k + offset) · stride.
 */
export function layAnchors(shapes, [H, W], stride, offset) {
  const boxes = new Float64Array(4 * H * W * shapes.length);
  let n = 0;
  for (let row = 0; row < H; row++) {
    const y = (row + offset) * stride;
    for (let column = 0; column < W; column++) {
      const x = (column + offset) * stride;
      for (const [w, h] of shapes) {
        boxes[n++] = x + -w / 2;
        boxes[n++] = y + -h / 2;
        boxes[n++] = x + w / 2;
        boxes[n++] = y + h / 2;
      }
    }
  }
  return boxes;
}

/** IoU of each truth with each anchor: a Float64Array for each truth. */
function overlaps(truth, anchors) {
  const N = anchors.length / 4;
  return truth.map(([x1, y1, x2, y2]) => {
    const area = (x2 - x1) * (y2 - y1), ious = new Float64Array(N);
    for (let n = 0, k = 0; n < N; n++, k += 4) {
      const a1 = anchors[k], b1 = anchors[k + 1], a2 = anchors[k + 2], b2 = anchors[k + 3];
      const w = Math.min(x2, a2) - Math.max(x1, a1), h = Math.min(y2, b2) - Math.max(y1, b1);
      if (w <= 0 || h <= 0) continue;
      const shared = w * h;
      ious[n] = shared / (area + (a2 - a1) * (b2 - b1) - shared);
    }
    return ious;
  });
}

/**
 * What each anchor answers for: { match, quality, top, positives, rescued }.
 *   match      for each anchor the index of its truth, or NEGATIVE or IGNORED
 *   quality    its IoU with its best truth
 *   top        for each truth the best IoU of any anchor;  positives: how many anchors answer for it
 *   rescued    for each anchor 1 if it is positive below the high threshold, as the best of a truth
 */
export function matchAnchors(truth, anchors, { high, low, rescue }) {
  const N = anchors.length / 4, ious = overlaps(truth, anchors);
  const match = new Int32Array(N), owner = new Int32Array(N), rescued = new Uint8Array(N);
  const quality = new Float64Array(N), positives = truth.map(() => 0);
  const top = ious.map((row) => {
    let most = 0;
    for (let n = 0; n < N; n++) if (row[n] > most) most = row[n];
    return most;
  });
  ious.forEach((row, k) => {
    for (let n = 0; n < N; n++) {
      if (row[n] > quality[n]) {
        quality[n] = row[n];
        owner[n] = k;
      }
      if (rescue && row[n] === top[k] && top[k] > 0) rescued[n] = 1;
    }
  });
  for (let n = 0; n < N; n++) {
    if (quality[n] >= high) rescued[n] = 0;
    match[n] = quality[n] >= high || rescued[n] ? owner[n] : quality[n] >= low ? IGNORED : NEGATIVE;
    if (match[n] >= 0) positives[match[n]]++;
  }
  return { match, quality, top, positives, rescued };
}

/** The best IoU that a truth could have with these shapes, if they stood where it stands. */
export function ceiling([x1, y1, x2, y2], shapes) {
  const w = x2 - x1, h = y2 - y1;
  let most = 0;
  for (const [width, height] of shapes) {
    const shared = Math.min(w, width) * Math.min(h, height);
    most = Math.max(most, shared / (w * h + width * height - shared));
  }
  return most;
}
