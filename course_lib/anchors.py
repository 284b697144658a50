"""Anchors: the boxes that a detector starts from, laid over the image before it has seen it.

Letters
    N, M    boxes in the first and in the second set
    A       anchors per location
    L       pyramid levels
    H, W    rows and columns of a feature map, or height and width of an image

A location of a feature map sees one place of the image, and every location carries the same A
boxes around it. So anchors are two things: A boxes around the point (0, 0), and a grid of points.
    - `base_anchors` and `grid_anchors` make the two; `AnchorGenerator` does it for a pyramid.
    - `default_boxes` are SSD's, whose sizes are shares of the image.
    - `kmeans_anchors` learns the sizes from the boxes of a dataset, as YOLOv2 does;
      `centred_boxes` makes base anchors of them.

Anchors are xyxy boxes in pixels. They reach over the border of the image, and nothing here clips
them. An aspect ratio is height over width, but in SSD, where it is width over height.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor

from course_lib._checks import check_boxes, check_tensor

Numbers = Sequence[int | float]
Order = Literal["ratio", "size"]
Layout = Literal["torchvision", "detectron2"]
Grid = tuple[int, int]


# --- anchors of Faster R-CNN and RetinaNet ------------------------------------------------------


def base_anchors(
    sizes: Numbers,
    aspect_ratios: Numbers,
    *,
    rounded: bool = True,
    order: Order = "ratio",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "A 4"]:
    """The anchors of one location, around the point (0, 0): each size with each aspect ratio.

        h = size · √ratio    w = size / √ratio    so that h / w = ratio and √(h w) = size

    Shapes: A = len(sizes) * len(aspect_ratios); sizes and answer in pixels.
    rounded: True rounds the four corners to whole pixels, halves to the even one, as torchvision
        does; detectron2 keeps what the formula says.
    order: "ratio" is torchvision's, all sizes of the first ratio, then those of the second;
        "size" is detectron2's, all ratios of the first size first. A head's channels follow it, so
        weights trained in one order are wrong in the other.
    Errors: ValueError for a size or a ratio that is not above 0, or an unknown order.
    Source: Ren et al., Faster R-CNN, NeurIPS 2015, section 3.1.1. generate_anchors of
        torchvision's AnchorGenerator, generate_cell_anchors of detectron2's DefaultAnchorGenerator.
    """
    _check_positive(sizes, "sizes")
    _check_positive(aspect_ratios, "aspect_ratios")
    if order == "ratio":
        pairs = [(size, ratio) for ratio in aspect_ratios for size in sizes]
    elif order == "size":
        pairs = [(size, ratio) for size in sizes for ratio in aspect_ratios]
    else:
        raise ValueError(f'order must be "ratio" or "size", got {order!r}')
    shapes = [(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size, ratio in pairs]
    base = centred_boxes(torch.tensor(shapes, dtype=torch.float64).reshape(-1, 2))  # [A, 4]
    return (base.round() if rounded else base).to(dtype).to(device)


def centred_boxes(sizes: Float[Tensor, "A 2"]) -> Float[Tensor, "A 4"]:
    """The xyxy boxes around (0, 0) of the given (width, height): [A, 2] to [A, 4], in pixels."""
    _check_sizes(sizes, "sizes")
    return torch.cat((-sizes / 2, sizes / 2), dim=1)


def grid_anchors(
    base: Float[Tensor, "A 4"],
    grid: Grid,
    stride: int | float | tuple[int | float, int | float],
    *,
    offset: int | float = 0.0,
) -> Float[Tensor, "N 4"]:
    """The base anchors around every location of one feature map.

    Shapes: [A, 4] and a grid of (H, W) locations to [H*W*A, 4], row by row from the top, from left
        to right within a row, the A anchors of a location together: anchor a at row y and column x
        is number (y*W + x)*A + a. On the device and in the dtype of `base`.
    stride: pixels of the image from one location to the next, one number or (down, right).
    offset: location k lies at (k + offset) * stride. 0 puts the first location on the corner of the
        image, as torchvision and the configurations of detectron2 do; 0.5 puts each in the middle
        of the stride x stride pixels that it stands for.
    Errors: TypeError for integer boxes, ValueError for a grid below 0 or a stride not above 0.
    Source: grid_anchors of torchvision's AnchorGenerator.
    """
    check_boxes(base, "base", "[A, 4]")
    if not base.is_floating_point():
        raise TypeError(f"base must hold floats, got {base.dtype}; write base.float()")
    if len(grid) != 2 or min(grid) < 0:
        raise ValueError(f"grid must be (rows, columns) of the feature map, got {grid}")
    down, right = stride if isinstance(stride, tuple) else (stride, stride)
    _check_positive((down, right), "stride")
    H, W = grid
    wide = torch.promote_types(base.dtype, torch.float32)  # float16 ends at 65,504 and is coarse
    y = (torch.arange(H, device=base.device, dtype=wide) + offset) * down
    x = (torch.arange(W, device=base.device, dtype=wide) + offset) * right
    y, x = torch.meshgrid(y, x, indexing="ij")  # [H, W] each
    centres = torch.stack((x, y, x, y), dim=-1)  # [H, W, 4]
    return (centres[:, :, None] + base).reshape(-1, 4).to(base.dtype)  # [H, W, A, 4] -> [H*W*A, 4]


def pyramid_grids(size: tuple[int, int], strides: Sequence[int]) -> list[Grid]:
    """(H, W) of the feature map at each stride, for an image of `size` (height, width).

    Rounded up, as a convolution of stride 2 with padding rounds at every level: 600 x 800 pixels at
    stride 16 make 38 x 50 locations.
    Errors: ValueError for a stride not above 0.
    """
    _check_positive(strides, "strides")
    height, width = size
    return [(-(-height // stride), -(-width // stride)) for stride in strides]


class AnchorGenerator:
    """The anchors of every level of a pyramid, in torchvision's layout or in detectron2's.

    sizes: for each level the sizes of its anchors, ((32,), (64,), (128,)); a flat (32, 64, 128) is
        one size a level, as in torchvision (in detectron2 it means all three sizes everywhere).
    aspect_ratios: height over width, for each level; a flat (0.5, 1, 2) serves all levels.
    offset: where in its stride a location lies, see `grid_anchors`.
    layout: "torchvision" rounds and goes ratio by ratio, "detectron2" does neither. `rounded` and
        `order`, see `base_anchors`, take precedence where they are given.
    Errors: ValueError for levels that do not fit together, or an unknown layout.
    Source: torchvision.models.detection.anchor_utils.AnchorGenerator. Its call takes images and
        feature maps, and makes strides of them, image height // rows: 114 for the 7 rows of
        RetinaNet's last level on 800 pixels, where the network's is 128, so that the anchors of the
        last row lie 84 pixels too high. Ours takes the grids and the strides; given torchvision's
        strides, it answers torchvision's anchors.
    """

    def __init__(
        self,
        sizes: Sequence[int | float | Numbers] = ((128, 256, 512),),
        aspect_ratios: Sequence[int | float | Numbers] = ((0.5, 1.0, 2.0),),
        *,
        offset: int | float = 0.0,
        rounded: bool | None = None,
        order: Order | None = None,
        layout: Layout = "torchvision",
    ) -> None:
        if layout not in ("torchvision", "detectron2"):
            raise ValueError(f'layout must be "torchvision" or "detectron2", got {layout!r}')
        ours = layout == "torchvision"
        self.offset = offset
        self.rounded = ours if rounded is None else rounded
        self.order: Order = order or ("ratio" if ours else "size")
        self.sizes = [tuple(level) if isinstance(level, Sequence) else (level,) for level in sizes]
        flat = [ratio for ratio in aspect_ratios if not isinstance(ratio, Sequence)]
        levels = [tuple(level) for level in aspect_ratios if isinstance(level, Sequence)]
        self.aspect_ratios = levels if levels else [tuple(flat)] * len(self.sizes)
        if (flat and levels) or len(self.sizes) != len(self.aspect_ratios):
            raise ValueError(
                "sizes and aspect_ratios must have one entry a level, got "
                f"{len(self.sizes)} and {len(self.aspect_ratios)}; aspect ratios for all levels "
                "are a flat tuple, (0.5, 1.0, 2.0)"
            )
        self.base()  # complains about wrong numbers here, not at the first image

    def num_anchors_per_location(self) -> list[int]:
        """A of each level."""
        pairs = zip(self.sizes, self.aspect_ratios, strict=True)
        return [len(sizes) * len(ratios) for sizes, ratios in pairs]

    def base(
        self, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
    ) -> list[Tensor]:
        """The anchors of one location, [A, 4] for each level."""
        return [
            base_anchors(
                sizes, ratios, rounded=self.rounded, order=self.order, dtype=dtype, device=device
            )
            for sizes, ratios in zip(self.sizes, self.aspect_ratios, strict=True)
        ]

    def __call__(
        self,
        grids: Sequence[Sequence[int]],
        strides: Sequence[int | float | tuple[int | float, int | float]],
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> list[Tensor]:
        """All anchors, [H*W*A, 4] for each level, in the order of `grid_anchors`.

        grids: (H, W) of each level's feature map, `[features.shape[-2:] for features in pyramid]`.
        strides: of each level, in pixels.
        Errors: ValueError where the number of levels differs from that of `sizes`.
        """
        if not len(grids) == len(strides) == len(self.sizes):
            raise ValueError(
                f"grids and strides must have {len(self.sizes)} entries, one for each level of "
                f"sizes, got {len(grids)} and {len(strides)}"
            )
        return [
            grid_anchors(base, (grid[0], grid[1]), stride, offset=self.offset)
            for base, grid, stride in zip(self.base(dtype, device), grids, strides, strict=True)
        ]


# --- default boxes of SSD -----------------------------------------------------------------------


class DefaultBoxLayout(NamedTuple):
    """What `default_boxes` needs, in its order: `default_boxes(*SSD300)`."""

    size: tuple[int, int]  # height and width of the image, in pixels
    grids: tuple[Grid, ...]  # (H, W) of each level
    aspect_ratios: tuple[tuple[int, ...], ...]  # of each level, without 1, which is always there
    scales: tuple[float, ...]  # L + 1 of them, as shares of the image
    steps: tuple[int, ...] | None  # pixels between locations; None: the size over the grid


SSD300 = DefaultBoxLayout(
    size=(300, 300),
    grids=((38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)),
    aspect_ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    scales=(0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    steps=(8, 16, 32, 64, 100, 300),
)
SSD512 = DefaultBoxLayout(
    size=(512, 512),
    grids=((64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2), (1, 1)),
    aspect_ratios=((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    scales=(0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05),
    steps=(8, 16, 32, 64, 128, 256, 512),
)


def default_box_scales(
    L: int, min_ratio: int | float = 0.15, max_ratio: int | float = 0.9
) -> list[float]:
    """L scales from `min_ratio` to `max_ratio` in equal steps, and 1 for the last s'.

    Shares of the image side. The defaults are torchvision's; the paper's first is 0.2.
    Source: Liu et al., SSD, ECCV 2016, equation 4. torchvision's DefaultBoxGenerator.
    """
    if L == 1:
        return [float(min_ratio), float(max_ratio)]
    return [min_ratio + (max_ratio - min_ratio) * k / (L - 1) for k in range(L)] + [1.0]


def default_boxes(
    size: tuple[int, int],
    grids: Sequence[Grid],
    aspect_ratios: Sequence[Numbers],
    scales: Numbers | None = None,
    steps: Numbers | None = None,
    *,
    clip: bool = True,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "N 4"]:
    """SSD's default boxes of all levels, finest first: squares of two sizes, and oblong ones.

    At level k: a square of side s_k, one of side √(s_k s_{k+1}), and for each ratio r a box
    (s_k √r, s_k / √r) and the same turned on its side. Centres lie at (x + 0.5) * step.

    Shapes: A = 2 + 2 len(aspect_ratios[k]) boxes a location, [Σ H*W*A, 4] xyxy in pixels, each
        level in the order of `grid_anchors`. 8,732 boxes for SSD300, 24,564 for SSD512.
    size: (height, width) of the image; a scale is a share of its width for w, of its height for h.
    scales: L + 1 of them; `default_box_scales(L)` where not given.
    steps: pixels between the locations of each level; None spreads the grid over the image.
    clip: no side longer than the image's. The boxes still reach over the border, as in torchvision;
        the paper's code has an option to cut them there.
    Errors: ValueError for lists of different lengths or numbers that are not above 0.
    Source: Liu et al., SSD, ECCV 2016, section 2.2. torchvision's DefaultBoxGenerator.
    """
    L = len(grids)
    scales = default_box_scales(L) if scales is None else scales
    for name, values, expected in (
        ("aspect_ratios", aspect_ratios, L),
        ("scales", scales, L + 1),
        ("steps", steps, L),
    ):
        if values is not None and len(values) != expected:
            raise ValueError(
                f"{name} must have {expected} entries for {L} grids, got {len(values)}"
            )
    _check_positive(scales, "scales")
    height, width = size
    boxes = [torch.zeros(0, 4, dtype=torch.float64)]
    for k, (grid, ratios) in enumerate(zip(grids, aspect_ratios, strict=True)):
        _check_positive(ratios, "aspect_ratios")
        between = math.sqrt(scales[k] * scales[k + 1])
        shares = [(scales[k], scales[k]), (between, between)]
        for ratio in ratios:
            long, short = scales[k] * math.sqrt(ratio), scales[k] / math.sqrt(ratio)
            shares += [(long, short), (short, long)]
        shapes = torch.tensor(shares, dtype=torch.float64)  # [A, 2]
        shapes = shapes.clamp(max=1) if clip else shapes
        base = centred_boxes(shapes * shapes.new_tensor([width, height]))  # [A, 4]
        step = (height / grid[0], width / grid[1]) if steps is None else steps[k]
        boxes.append(grid_anchors(base, grid, step, offset=0.5))
    return torch.cat(boxes).to(dtype).to(device)


# --- sizes learned from a dataset ---------------------------------------------------------------


def shape_iou(sizes1: Num[Tensor, "N 2"], sizes2: Num[Tensor, "M 2"]) -> Float[Tensor, "N M"]:
    """IoU of every (width, height) with every other, as boxes with one common centre.

    Shapes: [N, 2] and [M, 2] to [N, M], in [0, 1]. Size alone counts, place does not. (A common
        corner gives the same number.)
    Empty sizes: a side of 0 or below makes the IoU 0, with itself too.
    Dtype: that of the inputs, float32 for half types and integers.
    Source: Redmon and Farhadi, YOLO9000, CVPR 2017, section 2, "Dimension Clusters".
    """
    _check_sizes(sizes1, "sizes1")
    _check_sizes(sizes2, "sizes2")
    both = torch.promote_types(sizes1.dtype, sizes2.dtype)
    dtype = both if both == torch.float64 else torch.float32
    w1, h1 = sizes1.to(dtype).clamp(min=0)[:, None].unbind(-1)  # [N, 1] each
    w2, h2 = sizes2.to(dtype).clamp(min=0).unbind(-1)  # [M] each
    inter = torch.minimum(w1, w2) * torch.minimum(h1, h2)  # [N, M]
    union = w1 * h1 + w2 * h2 - inter
    return inter / union.masked_fill(union == 0, math.inf)


def kmeans_anchors(
    sizes: Num[Tensor, "N 2"], k: int, seed: int = 0, iterations: int = 100
) -> tuple[Float[Tensor, "k 2"], float]:
    """k anchor sizes that fit the boxes of a dataset: k-means with the distance 1 - IoU.

    Small and large boxes count alike; with Euclidean distance the large ones would take nearly all
    anchors.

    Shapes: (width, height) of N boxes [N, 2], in any unit, to the k anchors [k, 2], small areas
        first, and the mean over all boxes of the IoU with the best anchor.
    seed: of the start. The same seed gives the same anchors on every device, because all is
        computed in float64 on the CPU.
    iterations: at most this many; it ends when nothing changes. 0 answers the start.
    Start: k of the boxes, drawn one by one with a chance that grows with the distance to those
        drawn before; of a few such draws the best is kept (greedy k-means++). The paper says
        nothing about it.
    Update: an anchor moves to the mean of its boxes, or to their median, or stays, whichever has
        the highest mean IoU with them. The usual step to the mean can make the fit worse, because
        the mean minimises squared distance, not 1 - IoU. Ours never falls.
    Errors: ValueError for sizes that are not finite and above 0, or fewer different ones than k.
    Source: Redmon and Farhadi, YOLO9000, CVPR 2017, section 2, "Dimension Clusters"; the start is
        Arthur and Vassilvitskii's k-means++, SODA 2007.
    """
    _check_sizes(sizes, "sizes")
    if k < 1 or iterations < 0:
        raise ValueError(f"k must be at least 1, iterations at least 0, got {k} and {iterations}")
    if not (sizes.isfinite() & (sizes > 0)).all():
        raise ValueError("sizes must be finite and above 0; drop empty boxes first")
    wide = sizes.detach().cpu().double()
    if (different := len(wide.unique(dim=0))) < k:
        raise ValueError(f"sizes must hold at least k = {k} different sizes, got {different}")

    centres = _spread_start(wide, k, torch.Generator().manual_seed(seed))
    for _ in range(iterations):
        owner = shape_iou(wide, centres).argmax(1)  # [N]
        moved = torch.stack([_best_centre(wide[owner == i], centres[i]) for i in range(k)])
        if torch.equal(moved, centres):
            break
        centres = moved
    fit = shape_iou(wide, centres).amax(1).mean().item()
    dtype = sizes.dtype if sizes.dtype == torch.float64 else torch.float32
    return centres[centres.prod(1).argsort(stable=True)].to(dtype).to(sizes.device), fit


def _spread_start(sizes: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """k of the sizes [N, 2] that lie far apart, [k, 2]."""
    draws = 2 + int(math.log(k))
    first = torch.randint(len(sizes), (1,), generator=generator).item()
    chosen = [sizes[int(first)]]
    distance = 1 - shape_iou(sizes, chosen[0][None])[:, 0]  # [N], to the nearest chosen one
    for _ in range(1, k):
        total = distance.cumsum(0)  # [N]
        marks = torch.rand(draws, generator=generator, dtype=torch.float64)
        # right=True never stops at a size whose own distance is 0.
        drawn = torch.searchsorted(total, marks * total[-1], right=True).clamp(max=len(sizes) - 1)
        left = torch.minimum(distance[:, None], 1 - shape_iou(sizes, sizes[drawn]))  # [N, draws]
        best = int(left.sum(0).argmin())
        chosen.append(sizes[drawn[best]])
        distance = left[:, best]
    return torch.stack(chosen)


def _best_centre(members: Tensor, centre: Tensor) -> Tensor:
    """Where the cluster fits its members [n, 2] best: where it was, their mean or their median."""
    if len(members) == 0:
        return centre
    candidates = torch.stack((centre, members.mean(0), members.median(0).values))  # [3, 2]
    return candidates[shape_iou(members, candidates).mean(0).argmax()]


# --- is this call meaningful? -------------------------------------------------------------------


def _check_positive(values: Numbers, name: str) -> None:
    if not all(value > 0 and math.isfinite(value) for value in values):
        raise ValueError(f"{name} must be finite and above 0, got {tuple(values)}")


def _check_sizes(sizes: Tensor, name: str) -> None:
    check_tensor(sizes, name)
    if sizes.ndim != 2 or sizes.shape[1] != 2:
        raise ValueError(
            f"{name} must have shape [N, 2], a width and a height each, got {list(sizes.shape)}; "
            "of xyxy boxes these are boxes[:, 2:] - boxes[:, :2]"
        )
