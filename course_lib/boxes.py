"""Boxes and masks: formats, areas, and how much two of them overlap.

Letters
    N, M    boxes (or masks) in the first and in the second set
    H, W    rows and columns of an image or a mask

A box is (x1, y1, x2, y2) in pixels and half-open: it covers x1 <= x < x2 and y1 <= y < y2. Its
width is x2 - x1, with no +1, and two boxes that only touch share nothing. Two more formats have
names: `xywh` (top left corner and size) and `cxcywh` (centre and size).

Every way to compare two sets of boxes returns an [N, M] matrix, one row for each box of the first
set, and agrees on boxes that cover no pixel:
    - A box with a side of length 0 is empty. Its IoU is 0 with every box, itself included.
    - An inverted box (x2 < x1 or y2 < y1) has no meaning. That side is taken to end where it
      starts, at x1 or y1, so the box is empty too. torchvision lets the negative area into the
      union instead, and may answer NaN, or a GIoU far outside of [-1, 1].
    - Values and gradients stay finite. torchvision divides 0 by 0 here and answers NaN.
    - float16, bfloat16 and integer boxes are computed and answered in float32: in float16 the area
      of a 300 x 300 box is already infinite.

Names, argument order and meaning are those of `torchvision.ops`; each docstring says where we
differ. Boxes are [N, 4] or [M, 4]; functions of one box at a time also take leading axes, as in
[B, N, 4] for B images. Nothing here changes its inputs.

Errors, for every function here: TypeError for what is not a tensor of numbers, ValueError for
another shape or an unknown format. The message says what to write instead.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int64, Num, Shaped
from torch import Tensor

from course_lib._checks import check_boxes, check_format, check_masks
from course_lib._pairs import (
    complete_iou,
    distance_iou,
    float_type,
    generalized_iou,
    iou,
    right_way_round,
)

# --- one box at a time --------------------------------------------------------------------------


def box_convert(boxes: Num[Tensor, "*B N 4"], in_fmt: str, out_fmt: str) -> Num[Tensor, "*B N 4"]:
    """The same boxes, written in another format.

    Shapes: [..., N, 4] to [..., N, 4], always a new tensor, in pixels.
    Formats: "xyxy", "xywh", "cxcywh". The rotated formats of torchvision are left out.
    Dtype: kept, except that integer boxes to or from "cxcywh" become float32 (centres fall
        between pixels).
    Source: torchvision.ops.box_convert, which goes through "xyxy" where we go through "xywh": the
        last digit may differ, and "xywh" to "cxcywh" and back keeps w and h exactly.
    """
    check_boxes(boxes, "boxes", batches=True)
    check_format(in_fmt, "in_fmt")
    check_format(out_fmt, "out_fmt")
    if in_fmt == out_fmt:
        return boxes.clone()
    if "cxcywh" in (in_fmt, out_fmt) and not boxes.is_floating_point():
        boxes = boxes.float()

    converted = boxes.clone()
    first, second = converted[..., :2], converted[..., 2:]  # views, [..., N, 2] each
    if in_fmt == "xyxy":
        second.sub_(first)  # x2, y2 -> w, h
    elif in_fmt == "cxcywh":
        first.sub_(second, alpha=0.5)  # cx, cy -> x, y
    # Whatever came in, `converted` now holds (x, y, w, h).
    if out_fmt == "xyxy":
        second.add_(first)
    elif out_fmt == "cxcywh":
        first.add_(second, alpha=0.5)
    return converted


def box_area(boxes: Num[Tensor, "*B N 4"], fmt: str = "xyxy") -> Num[Tensor, "*B N"]:
    """Area of each box: width times height.

    Shapes: [..., N, 4] to [..., N], in square pixels.
    Dtype: float32 for half types; int32 for integers narrower than that, otherwise kept.
    Source: torchvision.ops.box_area. As there, sides keep their sign: a negative area gives away a
        box with one inverted side, and a box with both inverted looks like a proper one.
    """
    check_boxes(boxes, "boxes", batches=True)
    check_format(fmt, "fmt")
    x1, y1, x2, y2 = _widen(boxes).unbind(-1)  # [..., N] each
    if fmt == "xyxy":
        return (x2 - x1) * (y2 - y1)
    return x2 * y2  # in both other formats these two columns are w and h


def clip_boxes_to_image(boxes: Num[Tensor, "*B N 4"], size: Sequence[int]) -> Num[Tensor, "*B N 4"]:
    """The part of each xyxy box that lies inside the image.

    Shapes: [..., N, 4] to [..., N, 4], a new tensor of the same dtype, in pixels.
    size: (height, width) of the image, in the order of `image.shape[-2:]`. Half-open boxes may end
        at x2 = W and y2 = H. A box that is wholly outside becomes an empty one on the border.
    Errors: ValueError too for a size that is not two numbers, neither below 0.
    Source: torchvision.ops.clip_boxes_to_image.
    """
    check_boxes(boxes, "boxes", batches=True)
    if not hasattr(size, "__len__") or len(size) != 2:
        raise ValueError(f"size must be (height, width), got {size}; try image.shape[-2:]")
    height, width = size
    if height < 0 or width < 0:
        raise ValueError(f"size must be (height, width), neither below 0, got {size}")
    clipped = boxes.clamp(min=0)
    clipped[..., 0::2].clamp_(max=width)
    clipped[..., 1::2].clamp_(max=height)
    return clipped


def remove_small_boxes(boxes: Num[Tensor, "N 4"], min_size: int | float) -> Int64[Tensor, " kept"]:
    """Indices of the xyxy boxes whose width and height are both at least `min_size`.

    Shapes: [N, 4] to [number kept], int64, in increasing order. Use it as `boxes[indices]`.
    min_size: in pixels; a side of exactly `min_size` is kept.
    Source: torchvision.ops.remove_small_boxes.
    """
    check_boxes(boxes, "boxes")
    x1, y1, x2, y2 = _widen(boxes).unbind(-1)  # [N] each
    keep = (x2 - x1 >= min_size) & (y2 - y1 >= min_size)
    return keep.nonzero().squeeze(1)  # [N] -> [kept]


# --- every box with every box -------------------------------------------------------------------


def box_iou(
    boxes1: Num[Tensor, "N 4"], boxes2: Num[Tensor, "M 4"], fmt: str = "xyxy"
) -> Float[Tensor, "N M"]:
    """Intersection over union of every box of the first set with every box of the second.

        IoU = |A ∩ B| / |A ∪ B|

    Shapes: [N, 4] and [M, 4] in pixels to [N, M], in [0, 1]: 1 for equal boxes, 0 for none shared.
    Empty boxes: 0, and where both are empty the gradient is 0 as well.
    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010, section 4.2
        ("a_o"), the Jaccard index; its own code adds +1 to every side, we and COCO do not.
        torchvision.ops.box_iou, which also takes leading axes and rotated formats.
    """
    check_format(fmt, "fmt")
    return _for_all_pairs(iou, boxes1, boxes2, fmt)


def generalized_box_iou(
    boxes1: Num[Tensor, "N 4"], boxes2: Num[Tensor, "M 4"]
) -> Float[Tensor, "N M"]:
    """IoU less the empty share of the smallest box C around both: it still tells far from near.

        GIoU = IoU - |C \\ (A ∪ B)| / |C|

    Shapes: [N, 4] and [M, 4] xyxy boxes in pixels to [N, M], in [-1, 1]; at most IoU.
    Empty boxes: two of them give -1, or 0 where C has no area either (equal points, or points and
        segments on one horizontal or vertical line).
    Source: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019, algorithm 1.
        torchvision.ops.generalized_box_iou.
    """
    return _for_all_pairs(generalized_iou, boxes1, boxes2)


def distance_box_iou(
    boxes1: Num[Tensor, "N 4"], boxes2: Num[Tensor, "M 4"], eps: float = 1e-7
) -> Float[Tensor, "N M"]:
    """IoU less the squared distance of the centres, as a share of the squared diagonal around both.

        DIoU = IoU - ρ² / c²

    Shapes: [N, 4] and [M, 4] xyxy boxes in pixels to [N, M], in [-1, 1]; at most IoU.
    eps: added to c²; must be above 0 if two boxes may be one and the same point.
    Empty boxes: IoU counts 0, the distance counts as ever: 0 for equal ones, -1 for two points.
    Source: Zheng et al., Distance-IoU Loss, AAAI 2020, equations 6 and 7; eps is torchvision's.
        torchvision.ops.distance_box_iou.
    """
    return _for_all_pairs(partial(distance_iou, eps=eps), boxes1, boxes2)


def complete_box_iou(
    boxes1: Num[Tensor, "N 4"], boxes2: Num[Tensor, "M 4"], eps: float = 1e-7
) -> Float[Tensor, "N M"]:
    """DIoU less a term for different proportions, which counts more the better the boxes overlap.

        CIoU = DIoU - α v    v = 4/π² (atan(w₁/h₁) - atan(w₂/h₂))²    α = v / (1 - IoU + v)

    Shapes: [N, 4] and [M, 4] xyxy boxes in pixels to [N, M], at most DIoU, above -2.
    eps: added to c² and to the denominator of α; must be above 0 if boxes may be equal.
    Empty boxes: as DIoU; a horizontal segment has angle π/2, a vertical one 0, a point 0 too.
    Gradient: α counts as a constant, as in the authors' code and in torchvision.
    Source: Zheng et al., Distance-IoU Loss, AAAI 2020, equations 8 to 11. The paper also
        replaces the 1/(w² + h²) in the gradient of v by 1; we and torchvision keep it, so that
        the gradient is the true one. torchvision.ops.complete_box_iou.
    """
    return _for_all_pairs(partial(complete_iou, eps=eps), boxes1, boxes2)


# --- masks --------------------------------------------------------------------------------------


def mask_iou(
    masks1: Shaped[Tensor, "N H W"], masks2: Shaped[Tensor, "M H W"]
) -> Float[Tensor, "N M"]:
    """Intersection over union of every mask of the first set with every mask of the second.

    Shapes: [N, H, W] and [M, H, W], boolean or numbers, where whatever is not 0 is inside, to
        [N, M] float32 in [0, 1]. The pixel counts behind it are exact at any size.
    Empty masks: 0, with each other too. There is no gradient: a count of pixels has none.
    Errors: ValueError too for masks of two sizes.
    Source: as `box_iou`. torchvision has no such function; pycocotools.mask.iou (without crowds)
        is the peer.
    """
    check_masks(masks1, "masks1")
    check_masks(masks2, "masks2", "[M, H, W]")
    if masks1.shape[1:] != masks2.shape[1:]:
        raise ValueError(
            f"masks1 and masks2 must have the same H and W, got {list(masks1.shape)} and "
            f"{list(masks2.shape)}; resize or pad one of them to the other's size"
        )
    pixels1, pixels2 = (masks1 != 0).flatten(1), (masks2 != 0).flatten(1)  # [N, H*W], [M, H*W]
    inter = pixels1.new_zeros(len(masks1), len(masks2), dtype=torch.int64)  # [N, M]
    # A product of 0/1 matrices counts the shared pixels. float32 counts exactly up to 2**24, so we
    # count 2**16 pixels at a time, which also bounds the memory, and add up as integers. Autocast
    # would round the counts to half precision.
    with torch.autocast(masks1.device.type, enabled=False):
        for part1, part2 in zip(pixels1.split(2**16, 1), pixels2.split(2**16, 1), strict=True):
            inter += (part1.float() @ part2.float().T).long()
    area1, area2 = pixels1.count_nonzero(1), pixels2.count_nonzero(1)  # [N], [M]
    union = area1[:, None] + area2 - inter
    return inter / union.clamp(min=1)  # an empty union has an inter of 0 too


def masks_to_boxes(
    masks: Shaped[Tensor, "N H W"], *, half_open: bool = False
) -> Float[Tensor, "N 4"]:
    """The smallest xyxy box around the pixels of each mask.

    Shapes: [N, H, W], boolean or numbers, where whatever is not 0 is inside, to [N, 4] float32.
    half_open: False gives torchvision's answer, where x2 and y2 are the last column and row that
        the mask has pixels in. Such a box is one pixel short on each axis for everything else in
        this module, and a mask of one pixel gets the area 0. True gives the box of this course:
        x2 and y2 are one past the last, and the area of a rectangular mask is its pixel count.
    Empty masks: (0, 0, 0, 0).
    Source: torchvision.ops.masks_to_boxes, which has no `half_open`, and answers [0, 4] instead of
        [N, 4] where H or W is 0.
    """
    check_masks(masks, "masks")
    N, H, W = masks.shape
    if masks.numel() == 0:
        return torch.zeros(N, 4, device=masks.device)
    # The maximum of bytes is several times faster than torch.any of booleans.
    inside = (masks if masks.dtype == torch.bool else masks != 0).view(torch.uint8)  # [N, H, W]
    rows, columns = inside.amax(2), inside.amax(1)  # [N, H], [N, W]
    x1, y1 = columns.argmax(1), rows.argmax(1)  # [N] each: argmax finds the first 1
    x2, y2 = W - columns.flip(1).argmax(1), H - rows.flip(1).argmax(1)  # [N], one past the last
    if not half_open:
        x2, y2 = x2 - 1, y2 - 1
    boxes = torch.stack((x1, y1, x2, y2), dim=1).float()  # [N, 4]
    return boxes * rows.amax(1, keepdim=True)  # [N, 4] * [N, 1]: 0 for an empty mask


# --- the parts that the functions above share --------------------------------------------------


def _for_all_pairs(
    compare: Callable[[Tensor, Tensor], Tensor], boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy"
) -> Tensor:
    """`compare` (one of `_pairs`) on checked boxes, [N, 1, 4] and [M, 4]: [N, M].

    On the CPU it gets some rows at a time, about 2**18 pairs: the intermediate matrices then stay
    in the cache, which halves the time of 3,000 x 3,000. A GPU likes one large matrix better.
    """
    check_boxes(boxes1, "boxes1")
    check_boxes(boxes2, "boxes2", "[M, 4]")
    dtype = float_type(boxes1, boxes2)
    boxes1, boxes2 = (
        right_way_round(box_convert(boxes.to(dtype), fmt, "xyxy")) for boxes in (boxes1, boxes2)
    )
    boxes1 = boxes1[:, None]  # [N, 1, 4]
    if boxes1.device.type != "cpu" or len(boxes1) * len(boxes2) <= 2**18:
        return compare(boxes1, boxes2)
    blocks = boxes1.split(max(1, 2**18 // len(boxes2)))
    return torch.cat([compare(block, boxes2) for block in blocks])  # [N, M]


def _widen(boxes: Tensor) -> Tensor:
    """`boxes` in a dtype that holds differences and areas, as torchvision chooses it."""
    if boxes.dtype in (torch.float32, torch.float64, torch.int32, torch.int64):
        return boxes
    return boxes.float() if boxes.is_floating_point() else boxes.int()
