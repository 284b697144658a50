"""Box deltas: what a detector predicts instead of coordinates, and the way back.

Letters
    N    boxes
    K    classes
    R    RoIs: the boxes of all images together

A network does not know where it looks, but it can say: the object is a tenth of your width further
to the right and twice as high. With (x, y) the centre, (w, h) the size of a box, and p for the
proposal or anchor, the deltas of a box are

    dx = (x - x_p) / w_p    dy = (y - y_p) / h_p    dw = ln(w / w_p)    dh = ln(h / h_p)

Centres are measured in sizes of the proposal, so that a large and a small object ask for the same
numbers. The logarithm makes twice as wide and half as wide equally far from 0, and its inverse, the
exponential, can never give a negative width. Each delta is multiplied by a weight: Fast R-CNN's
(10, 10, 5, 5) bring the deltas of good proposals, small numbers, to a spread of about 1.

Boxes are xyxy in pixels. Names, argument order and meaning are torchvision's; where we differ:
    - In encode, a side below `SMALLEST_SIDE` counts as that long. Empty boxes (padding, say) get
      finite deltas and gradients, where torchvision answers ±infinity or NaN.
    - float16, bfloat16 and integers are computed and answered in float32. torchvision decodes in
      the dtype of the deltas, and float16 cannot tell 1,000.2 from 1,000.4.

Source: Girshick et al., R-CNN, CVPR 2014, appendix C; Ren et al., Faster R-CNN, NeurIPS 2015,
equation 2. torchvision.models.detection._utils.BoxCoder.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch import Tensor

from course_lib._checks import check_boxes, check_tensor

Weights = Sequence[int | float]

SMALLEST_SIDE = 1e-6  # pixels
BBOX_XFORM_CLIP = math.log(1000 / 16)  # the longest side of an image over the smallest stride


def encode_boxes(
    reference_boxes: Num[Tensor, "N 4"],
    proposals: Num[Tensor, "N 4"],
    weights: Weights = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "N 4"]:
    """The deltas (dx, dy, dw, dh) that lead from each proposal to its reference box.

    Shapes: [N, 4] and [N, 4], row by row, to [N, 4]; boxes in pixels, deltas without a unit.
    weights: of dx, dy, dw and dh.
    Errors: ValueError for lists of different lengths, or weights that are not four above 0.
    Source: see the top of this module.
    """
    check_boxes(reference_boxes, "reference_boxes")
    check_boxes(proposals, "proposals")
    if len(reference_boxes) != len(proposals):
        raise ValueError(
            "reference_boxes and proposals must have one shape [N, 4], row n of one belonging to "
            f"row n of the other, got {list(reference_boxes.shape)} and {list(proposals.shape)}; "
            "pick the matched boxes first, truths[matches]"
        )
    _check_weights(weights)
    dtype = _wide(reference_boxes, proposals)
    centre, size = _centres_and_sizes(reference_boxes.to(dtype))  # [N, 2] each
    from_centre, from_size = _centres_and_sizes(proposals.to(dtype))  # [N, 2] each
    size, from_size = size.clamp(min=SMALLEST_SIDE), from_size.clamp(min=SMALLEST_SIDE)
    shift = (centre - from_centre) / from_size
    stretch = (size / from_size).log()
    return torch.cat((shift, stretch), dim=1) * shift.new_tensor(weights)  # [N, 4]


def decode_boxes(
    rel_codes: Num[Tensor, "N K4"],
    boxes: Num[Tensor, "N 4"],
    weights: Weights = (1.0, 1.0, 1.0, 1.0),
    bbox_xform_clip: int | float = BBOX_XFORM_CLIP,
) -> Float[Tensor, "N K4"]:
    """The boxes that the deltas lead to: `encode_boxes` backwards.

    Shapes: deltas [N, 4], or [N, K*4] with four for each class, and boxes [N, 4] in pixels, to
        boxes of the shape of the deltas. `.reshape(N, -1, 4)` parts the classes.
    bbox_xform_clip: dw and dh above it count as it, so that no box grows by more than 1000/16 =
        62.5 times: the exponential of a wild prediction would be infinite, and its gradient too.
        Above it the gradient is 0. There is no limit below: a box can only shrink to nothing.
    Errors: ValueError for other shapes, or weights that are not four above 0.
    Source: see the top of this module.
    """
    check_boxes(boxes, "boxes")
    check_tensor(rel_codes, "rel_codes")
    if rel_codes.ndim != 2 or len(rel_codes) != len(boxes) or rel_codes.shape[1] % 4:
        raise ValueError(
            "rel_codes must have shape [N, 4] or [N, K*4] with N that of boxes, got "
            f"{list(rel_codes.shape)} for boxes {list(boxes.shape)}"
        )
    _check_weights(weights)
    dtype = _wide(rel_codes, boxes)
    centre, size = _centres_and_sizes(boxes.to(dtype))  # [N, 2] each
    deltas = rel_codes.to(dtype).unflatten(1, (-1, 4))  # [N, K, 4]
    deltas = deltas / deltas.new_tensor(weights)
    centre = centre[:, None] + deltas[..., :2] * size[:, None]  # [N, K, 2]
    size = deltas[..., 2:].clamp(max=bbox_xform_clip).exp() * size[:, None]  # [N, K, 2]
    return torch.cat((centre - size / 2, centre + size / 2), dim=-1).flatten(1)  # [N, K*4]


@dataclass(frozen=True)
class BoxCoder:
    """`encode_boxes` and `decode_boxes` with the weights kept, for the lists of several images.

    Source: torchvision.models.detection._utils.BoxCoder, which has no default weights.
    """

    weights: Weights = (1.0, 1.0, 1.0, 1.0)
    bbox_xform_clip: int | float = BBOX_XFORM_CLIP

    def __post_init__(self) -> None:
        _check_weights(self.weights)

    def encode_single(
        self, reference_boxes: Num[Tensor, "N 4"], proposals: Num[Tensor, "N 4"]
    ) -> Float[Tensor, "N 4"]:
        """Deltas of one image's boxes: [N, 4] and [N, 4] to [N, 4]."""
        return encode_boxes(reference_boxes, proposals, self.weights)

    def decode_single(
        self, rel_codes: Num[Tensor, "N K4"], boxes: Num[Tensor, "N 4"]
    ) -> Float[Tensor, "N K4"]:
        """Boxes of one image: [N, K*4] and [N, 4] to [N, K*4]."""
        return decode_boxes(rel_codes, boxes, self.weights, self.bbox_xform_clip)

    def encode(
        self, reference_boxes: Sequence[Tensor], proposals: Sequence[Tensor]
    ) -> list[Tensor]:
        """Deltas of each image: lists of [N, 4] to a list of [N, 4]."""
        if len(reference_boxes) != len(proposals):
            raise ValueError(
                "reference_boxes and proposals must have one entry an image, got "
                f"{len(reference_boxes)} and {len(proposals)}"
            )
        return [self.encode_single(*pair) for pair in zip(reference_boxes, proposals, strict=True)]

    def decode(
        self, rel_codes: Num[Tensor, "..."], boxes: Sequence[Tensor]
    ) -> Float[Tensor, "R K 4"]:
        """Boxes of all images in one tensor, as torchvision gives them.

        Shapes: deltas [R, K*4] and a list of boxes [N, 4], R in all, to [R, K, 4].
        """
        if not boxes:
            raise ValueError("boxes must be a list with the boxes of each image, got an empty list")
        together = torch.cat(list(boxes))  # [R, 4]
        if len(together):  # torchvision also takes [B, N, K*4]
            rel_codes = rel_codes.reshape(len(together), -1)
        return self.decode_single(rel_codes, together).unflatten(1, (-1, 4))


def _centres_and_sizes(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(x, y) and (w, h) of xyxy boxes, [N, 2] each."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + size / 2, size


def _wide(first: Tensor, second: Tensor) -> torch.dtype:
    both = torch.promote_types(first.dtype, second.dtype)
    return both if both == torch.float64 else torch.float32


def _check_weights(weights: Weights) -> None:
    if len(weights) != 4 or not all(weight > 0 for weight in weights):
        raise ValueError(f"weights must be four numbers above 0, for dx, dy, dw, dh, got {weights}")
