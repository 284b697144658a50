"""CenterNet's arithmetic, without a network: radius, heatmaps, loss and the peaks that are boxes.

Letters
    B       images
    M       annotated objects of one image
    K       classes
    H, W    rows and columns of the output's map, a location for `stride` x `stride` pixels
    kept    detections

An object is a point: the peak of its class's heatmap at its centre. Its width and height are read
off at the peak, and the offset from the location's corner to where the centre really lies. No boxes
overlap a peak, so nothing is suppressed.

Source, unless a function says another: Zhou et al., Objects as Points, arXiv 1904.07850, 2019.
Boxes are xyxy in pixels of the image; sizes, radii and offsets are in locations, pixels / stride.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor
from torch.nn.functional import logsigmoid, max_pool2d

from course_lib._checks import check_boxes, check_labels
from course_lib.boxes import clip_boxes_to_image

IGNORED = -1.0  # of a heatmap's target: a crowd, not to be learned from


class Targets(NamedTuple):
    """What one image's map should say."""

    heatmap: Float[Tensor, "K H W"]  # 1 at the centres, a Gaussian around them
    places: Int64[Tensor, " M"]  # row · W + column of each object's centre
    sizes: Float[Tensor, "M 2"]  # width and height
    offsets: Float[Tensor, "M 2"]  # x and y, 0 to 1


# --- targets -------------------------------------------------------------------------------------


def corner_radii(
    height: float | int,
    width: float | int,
    min_overlap: float | int = 0.7,
    published: bool = False,
) -> dict[str, float]:
    """How far both corners of a height x width box may move until its IoU falls to `min_overlap`.

    For three ways to move, each the root r of a quadratic equation:
        "shifted", both the same way    (h − r)(w − r) = o (2hw − (h − r)(w − r))
        "inwards"                       (h − 2r)(w − 2r) = o hw
        "outwards"                      hw = o (h + 2r)(w + 2r)
    Height, width and radii are in one unit.
    published: True computes what CornerNet's and CenterNet's programs compute. They divide all
        three roots by 2, where the quadratic formula has 2a, and take the larger root of the first
        two equations.
    Errors: ValueError for a side below 0, or an overlap that is not between 0 and 1.
    Source: Law and Deng, CornerNet, ECCV 2018, section 3.2.
    """
    h, w, o = float(height), float(width), float(min_overlap)
    if not (h >= 0 and w >= 0 and 0 < o < 1):
        raise ValueError(
            "height and width must be 0 or more and min_overlap between 0 and 1, got "
            f"{height}, {width} and {min_overlap}"
        )
    equations = {  # a, b, c of a·r² + b·r + c = 0, and which root
        "shifted": (1.0, -(h + w), h * w * (1 - o) / (1 + o), -1),
        "inwards": (4.0, -2 * (h + w), (1 - o) * h * w, -1),
        "outwards": (4 * o, 2 * o * (h + w), (o - 1) * h * w, 1),
    }
    radii = {}
    for way, (a, b, c, sign) in equations.items():
        root = math.sqrt(max(b * b - 4 * a * c, 0.0))
        radii[way] = (-b + root) / 2 if published else (-b + sign * root) / (2 * a)
    return radii


def gaussian_radius(
    height: float | int,
    width: float | int,
    min_overlap: float | int = 0.7,
    published: bool = False,
) -> float:
    """The smallest of the three `corner_radii`: whichever way the corners move, IoU is kept.

    published: 17.49 for 64 x 64 at 0.7 instead of 5.23. The papers' results were made with it.
    Source: Law and Deng, CornerNet, ECCV 2018, section 3.2.
    """
    return min(corner_radii(height, width, min_overlap, published).values())


def gaussian_heatmap(
    places: Int64[Tensor, "M 2"],
    radii: Num[Tensor, " M"],
    labels: Int64[Tensor, " M"],
    size: Sequence[int],
    num_classes: int,
) -> Float[Tensor, "K H W"]:
    """A map for each class: around each object e^(−d² / 2σ²), 1 at its centre; the higher one wins.

    places: column and row of each centre, in 0..W-1 and 0..H-1. radii: whole numbers of locations,
        cut down where they are not. size: (H, W).
    A Gaussian ends at its radius, in x and in y; σ is a sixth of its width 2r + 1, so that 3σ reach
    to the end. Source: section 3; draw_umich_gaussian of the authors' program.
    """
    H, W = size
    heatmap = torch.zeros(num_classes, H, W, device=places.device)
    if len(places) == 0:
        return heatmap
    radii = radii.floor().clamp(min=0).to(torch.float32)[:, None, None]  # [M, 1, 1]
    x = torch.arange(W, device=places.device) - places[:, 0, None, None]  # [M, 1, W]
    y = torch.arange(H, device=places.device)[:, None] - places[:, 1, None, None]  # [M, H, 1]
    sigma = (2 * radii + 1) / 6
    bumps = torch.exp(-(x**2 + y**2) / (2 * sigma**2))  # [M, H, W]
    bumps = bumps * ((x.abs() <= radii) & (y.abs() <= radii))
    index = labels[:, None, None].expand_as(bumps)
    return heatmap.scatter_reduce(0, index, bumps, "amax")


def encode_targets(
    boxes: Num[Tensor, "M 4"],
    labels: Int64[Tensor, " M"],
    size: Sequence[int],
    stride: int,
    num_classes: int,
    min_overlap: float | int = 0.7,
    published_radius: bool = False,
) -> Targets:
    """What the map shall say of one image: a heatmap per class, a size and an offset per object.

    Shapes: boxes [M, 4] in pixels and labels [M]; size is (H, W) of the output's map. An object
        whose centre lies outside of the map belongs to the nearest location. M may be 0.
    Two objects of one class with their centres in one location make one peak: the map has room for
    one, though both are taught. At stride 4 that is rare (below 0.1% of COCO's objects).
    Source: section 3.
    """
    check_boxes(boxes, "boxes", "[M, 4]")
    check_labels(labels, boxes)
    H, W = size
    scaled = boxes.to(torch.promote_types(boxes.dtype, torch.float32)) / stride
    centres = (scaled[:, :2] + scaled[:, 2:]) / 2  # [M, 2], x and y
    sizes = scaled[:, 2:] - scaled[:, :2]  # [M, 2]
    limit = torch.tensor([W - 1, H - 1], device=boxes.device)
    places = centres.floor().long().clamp(min=0).minimum(limit)  # [M, 2]
    radii = [
        int(gaussian_radius(math.ceil(h), math.ceil(w), min_overlap, published_radius))
        for w, h in sizes.tolist()
    ]
    heatmap = gaussian_heatmap(
        places, torch.tensor(radii, device=boxes.device), labels, (H, W), num_classes
    )
    return Targets(heatmap, places[:, 1] * W + places[:, 0], sizes, centres - places)


# --- loss ----------------------------------------------------------------------------------------


def heatmap_focal_loss(
    logits: Float[Tensor, "*shape"],
    heatmap: Float[Tensor, "*shape"],
    alpha: float | int = 2,
    beta: float | int = 4,
) -> Float[Tensor, "*shape"]:
    """The focal loss whose negatives near a centre are forgiven, one value each.

        (1 − p)^α · −ln p                  where the heatmap is 1
        (1 − y)^β · p^α · −ln(1 − p)       where it is y < 1

    and 0 where it is IGNORED (below 0). A location beside the centre would make nearly the same
    box: at y = 0.9 its loss is multiplied by 0.0001.
    Half types are computed and answered in float32.
    Source: section 3, equation 1, with α = 2 and β = 4; Law and Deng, CornerNet, equation 1.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    logits, heatmap = logits.to(wide), heatmap.to(wide)
    p, q = logits.sigmoid(), (-logits).sigmoid()  # q = 1 − p, with all its digits
    positive = q**alpha * -logsigmoid(logits)
    negative = (1 - heatmap.clamp(min=0)) ** beta * p**alpha * -logsigmoid(-logits)
    return torch.where(heatmap == 1, positive, negative).masked_fill(heatmap < 0, 0)


def centernet_loss(
    heatmap: Float[Tensor, "B K H W"],
    size: Float[Tensor, "B 2 H W"],
    offset: Float[Tensor, "B 2 H W"],
    targets: Sequence[Targets],
    *,
    alpha: float | int = 2,
    beta: float | int = 4,
    lambda_size: float | int = 0.1,
    lambda_offset: float | int = 1.0,
    objects: Num[Tensor, ""] | float | int | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """The focal loss of all locations, L1 of size and offset at the centres; per object.

    Shapes: what the network said, logits of the heatmap [B, K, H, W], sizes [B, 2, H, W] and
        offsets [B, 2, H, W], and the targets of each image from `encode_targets`. To
        {"heatmap": [], "size": [], "offset": []}, weights λ included, in float32 at least.
    objects: what the sums are divided by; by default the number of objects in the batch, at least
        1. Where several processes learn together: `mean_over_processes` of it.
    Source: section 3, equations 1 to 4. λ_size is small because sizes are numbers of locations, up
        to hundreds, and offsets below 1.
    """
    if len(targets) != len(heatmap):
        raise ValueError(f"targets must be {len(heatmap)}, one an image, got {len(targets)}")
    count = max(1, sum(len(target.places) for target in targets)) if objects is None else objects
    wanted = torch.stack([target.heatmap for target in targets])  # [B, K, H, W]
    focal = heatmap_focal_loss(heatmap, wanted, alpha, beta).sum()
    terms = {"heatmap": focal / count}
    places = [target.places for target in targets]
    for name, said, weight, rows in (
        ("size", size, lambda_size, [target.sizes for target in targets]),
        ("offset", offset, lambda_offset, [target.offsets for target in targets]),
    ):
        wide = torch.promote_types(said.dtype, torch.float32)
        flat = said.to(wide).flatten(2)  # [B, 2, H*W]
        there = torch.cat([one[:, place].T for one, place in zip(flat, places, strict=True)])
        terms[name] = weight * (there - torch.cat(rows).to(wide)).abs().sum() / count
    return terms


# --- inference -----------------------------------------------------------------------------------


def find_peaks(
    heatmap: Float[Tensor, "K H W"], most: int = 100, score_threshold: float | int = 0.0
) -> tuple[Float[Tensor, " kept"], Int64[Tensor, " kept"], Int64[Tensor, " kept"]]:
    """Scores, places (row · W + column) and classes of the highest peaks, best first.

    A peak is no lower than any of its eight neighbours in its class. Of the peaks above
    `score_threshold` the best `most`. Equal scores: by class, then by place.
    Source: section 3.1 ("From points to bounding boxes"), a max-pooling of 3 x 3 instead of NMS.
    """
    highest = max_pool2d(heatmap[None], 3, stride=1, padding=1)[0]
    flat = torch.where(heatmap == highest, heatmap, -1).flatten()  # [K*H*W]
    index = (flat > score_threshold).nonzero().squeeze(1)
    index = index[flat[index].sort(descending=True, stable=True).indices[:most]]  # [kept]
    area = heatmap.shape[1] * heatmap.shape[2]
    return flat[index], index % area, index // area


def decode(
    heatmap: Float[Tensor, "K H W"],
    size: Float[Tensor, "2 H W"],
    offset: Float[Tensor, "2 H W"],
    stride: int,
    image_size: Sequence[int],
    *,
    max_detections: int = 100,
    score_threshold: float | int = 0.0,
) -> dict[str, Tensor]:
    """The detections of one image: a box at each peak. No suppression.

    Shapes: the heatmap [K, H, W] as probabilities, sizes and offsets [2, H, W]; image_size is
        (height, width) in pixels. To `boxes` [kept, 4] in pixels, cut at the border, `scores`
        [kept] and `labels` [kept] int64, by decreasing score. A size below 0 counts as 0; a box
        without area, or outside of the image, is dropped.
    Source: section 3.1.
    """
    scores, places, labels = find_peaks(heatmap, max_detections, score_threshold)
    W = heatmap.shape[2]
    corner = torch.stack((places % W, places // W))  # [2, kept], x and y
    centres = corner + offset.flatten(1)[:, places]  # [2, kept]
    half = size.flatten(1)[:, places].clamp(min=0) / 2
    boxes = stride * torch.cat((centres - half, centres + half)).T  # [kept, 4]
    boxes = clip_boxes_to_image(boxes, image_size)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return {"boxes": boxes[inside], "scores": scores[inside], "labels": labels[inside]}
