// Centres, radii and Gaussians: course_lib.models.centernet, number by number in the same order.
//
// Boxes are in pixels of the image, places, sizes, offsets and radii in locations (pixels / stride).

export const CORNERS_MOVE = ["shifted", "inwards", "outwards"];

/** How far both corners of an h × w box may move, in each of the three ways, until its IoU falls to o. */
export function caseRadii(h, w, o, published) {
  const equations = [
    [1, -(h + w), (h * w * (1 - o)) / (1 + o), -1],
    [4, -2 * (h + w), (1 - o) * h * w, -1],
    [4 * o, 2 * o * (h + w), (o - 1) * h * w, 1],
  ];
  return equations.map(([a, b, c, sign]) => {
    const root = Math.sqrt(Math.max(b * b - 4 * a * c, 0));
    return published ? (-b + root) / 2 : (-b + sign * root) / (2 * a);
  });
}

/** What the map should say of a box: { centre, place: [column, row], size: [w, h], offset, radii, radius }. */
export function encodeCentre(box, [H, W], stride, o, published) {
  const [x1, y1, x2, y2] = box.map((side) => side / stride), centre = [(x1 + x2) / 2, (y1 + y2) / 2], size = [x2 - x1, y2 - y1];
  const place = centre.map((value, k) => Math.min(Math.max(Math.floor(value), 0), [W, H][k] - 1));
  const radii = caseRadii(Math.ceil(size[1]), Math.ceil(size[0]), o, published);
  return { centre, place, size, offset: centre.map((value, k) => value - place[k]), radii, radius: Math.floor(Math.min(...radii)) };
}

/** The Gaussian of a radius, `across` and `down` from its peak; it ends at the radius. */
export function gaussianAt(across, down, radius) {
  if (Math.abs(across) > radius || Math.abs(down) > radius) return 0;
  const sigma = (2 * radius + 1) / 6;
  return Math.exp(-(across * across + down * down) / (2 * sigma * sigma));
}

/** All locations, row by row: of several Gaussians the higher one. */
export function heatOf(objects, [H, W]) {
  const heat = new Float64Array(H * W);
  for (const { place: [column, row], radius } of objects) {
    for (let y = Math.max(row - radius, 0); y <= Math.min(row + radius, H - 1); y++) {
      for (let x = Math.max(column - radius, 0); x <= Math.min(column + radius, W - 1); x++) {
        heat[y * W + x] = Math.max(heat[y * W + x], gaussianAt(x - column, y - row, radius));
      }
    }
  }
  return heat;
}

/** The box with both corners moved by `far` pixels, in each of the three ways; corners do not pass each other. */
export function cornersMoved([x1, y1, x2, y2], far) {
  const x = (x1 + x2) / 2, y = (y1 + y2) / 2;
  return [
    [x1 + far, y1 + far, x2 + far, y2 + far],
    [Math.min(x1 + far, x), Math.min(y1 + far, y), Math.max(x2 - far, x), Math.max(y2 - far, y)],
    [x1 - far, y1 - far, x2 + far, y2 + far],
  ];
}
