"""Mirror, crop, pad and resize a picture with all that its target says. No chance in here.

Letters
    H, W    rows and columns of the picture that comes in
    N, P    objects, keypoints of each

Each function takes (image, target), answers a new pair and leaves the old one as it was. Boxes,
masks, keypoints and area go along; labels, iscrowd and the like stay with their object.

An object's area shrinks and grows with its box: exact where the picture is resized, and where area
is the box's; close where a mask is cropped.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from course_lib.data.targets import Target, box_sides, check_sample, pick

Keep = Literal["area", "centre"]
GREY = 114  # what is around a picture: the middle grey that YOLO's authors pad with

Picture = UInt8[Tensor, "3 H W"]
Other = UInt8[Tensor, "3 H2 W2"]


def hflip(
    image: Picture, target: Target, flip_pairs: Sequence[tuple[int, int]] | None = None
) -> tuple[Picture, Target]:
    """The mirror image, left to right: x becomes W - x.

    flip_pairs: the keypoints that change places, since a left hand becomes a right hand: pairs of
        indices into P. A target with keypoints needs it; () if none does.
    Errors: ValueError for keypoints without `flip_pairs`, or pairs outside of 0..P-1.
    """
    check_sample(image, target)
    W = image.shape[2]
    x1, y1, x2, y2 = target["boxes"].unbind(1)
    mirrored = {**target, "boxes": torch.stack((W - x2, y1, W - x1, y2), 1)}
    if "masks" in target:
        mirrored["masks"] = target["masks"].flip(2)
    if "keypoints" in target:
        points = target["keypoints"].clone()
        order = _swapped(points.shape[1], flip_pairs)
        points[..., 0] = torch.where(points[..., 2] > 0, W - points[..., 0], 0)
        mirrored["keypoints"] = points[:, order]
    return image.flip(2), mirrored


def crop(
    image: Picture,
    target: Target,
    window: tuple[int, int, int, int],
    *,
    keep: Keep = "area",
    min_visible: float | int = 0.3,
) -> tuple[Other, Target]:
    """What a window (x1, y1, x2, y2) in whole pixels, half-open, shows; boxes are cut off at it.

    keep: which objects stay. "area": those of whose box the window shows at least the share
        `min_visible`. "centre": those whose box has its centre in the window. Of either, some of
        the box must be in it, and of the mask if there is one. A crowd stays if any of it is.
    Keypoints outside of the window become unknown.
    Errors: ValueError for a window that is empty or not inside of the picture.
    """
    check_sample(image, target)
    H, W = image.shape[1:]
    x1, y1, x2, y2 = window
    if not (0 <= x1 < x2 <= W and 0 <= y1 < y2 <= H):
        raise ValueError(
            f"window must be (x1, y1, x2, y2) with 0 <= x1 < x2 <= {W} and 0 <= y1 < y2 <= {H} "
            f"for a picture of {H} x {W}, got {window}"
        )
    boxes = target["boxes"]
    low, high = boxes.new_tensor((x1, y1)), boxes.new_tensor((x2, y2))
    cut = torch.cat((boxes[:, :2].clamp(low, high), boxes[:, 2:].clamp(low, high)), 1)
    whole, left = box_sides(boxes).prod(1), box_sides(cut).prod(1)
    share = torch.where(whole > 0, left / whole.clamp(min=1e-12), 0.0)
    if keep == "area":
        stays = share >= min_visible
    elif keep == "centre":
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        stays = ((centre >= low) & (centre < high)).all(1)
    else:
        raise ValueError(f'keep must be "area" or "centre", got {keep!r}')
    if "iscrowd" in target:
        stays = stays | (target["iscrowd"] != 0)
    stays = stays & (share > 0)
    shown = {**target, "boxes": cut - torch.cat((low, low))}
    for key in ("area", "visible"):
        if key in target:
            shown[key] = target[key] * share
    if "masks" in target:
        shown["masks"] = target["masks"][:, y1:y2, x1:x2]
        stays = stays & shown["masks"].flatten(1).any(1)
    if "keypoints" in target:
        shown["keypoints"] = _moved(target["keypoints"], -x1, -y1, y2 - y1, x2 - x1)
    return image[:, y1:y2, x1:x2], pick(shown, stays)


def pad(
    image: Picture,
    target: Target,
    size: tuple[int, int],
    *,
    left: int = 0,
    top: int = 0,
    fill: int = GREY,
) -> tuple[Other, Target]:
    """The picture on a larger sheet of size (H, W), its corner at (left, top), grey around it.

    Errors: ValueError if it does not fit.
    """
    check_sample(image, target)
    h, w = image.shape[1:]
    H, W = size
    if min(left, top) < 0 or left + w > W or top + h > H:
        raise ValueError(f"{h} x {w} at row {top}, column {left} does not fit into {H} x {W}")
    sheet = image.new_full((3, H, W), fill)
    sheet[:, top : top + h, left : left + w] = image
    moved = {**target, "boxes": target["boxes"] + target["boxes"].new_tensor((left, top) * 2)}
    if "masks" in target:
        masks = target["masks"]
        moved["masks"] = masks.new_zeros((len(masks), H, W))
        moved["masks"][:, top : top + h, left : left + w] = masks
    if "keypoints" in target:
        moved["keypoints"] = _moved(target["keypoints"], left, top, H, W)
    return sheet, moved


def resize(image: Picture, target: Target, size: tuple[int, int]) -> tuple[Other, Target]:
    """The picture in another size (H, W): bilinear, and smoothed first where it shrinks.

    Each side of a box is multiplied by its side's own factor; masks take the nearest pixel.
    Errors: ValueError for a size that is not 1 x 1 or more.
    """
    check_sample(image, target)
    H, W = image.shape[1:]
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"size must be (H, W), 1 or more each, got {size}")
    if (height, width) == (H, W):
        return image, dict(target)
    resized = _bilinear(image, height, width)
    sx, sy = width / W, height / H
    scaled = {**target, "boxes": target["boxes"] * target["boxes"].new_tensor((sx, sy, sx, sy))}
    if "area" in target:
        scaled["area"] = target["area"] * (sx * sy)
    if "masks" in target:
        masks = target["masks"]
        if len(masks):
            pixels = masks[None].to(torch.uint8)
            masks = interpolate(pixels, (height, width), mode="nearest-exact")[0].bool()
        else:
            masks = masks.new_zeros((0, height, width))
        scaled["masks"] = masks
    if "keypoints" in target:
        points = target["keypoints"]
        scaled["keypoints"] = points * points.new_tensor((sx, sy, 1))
    return resized, scaled


def drop_small(image: Picture, target: Target, least: float | int) -> tuple[Picture, Target]:
    """Without the objects of whose box a side is shorter than `least` pixels; crowds stay."""
    check_sample(image, target)
    keep = (box_sides(target["boxes"]) >= least).all(1)
    if "iscrowd" in target:
        keep = keep | (target["iscrowd"] != 0)
    return image, pick(target, keep)


def _bilinear(image: Picture, height: int, width: int) -> Other:
    pixels = image[None]
    if 1 in (height, width, *image.shape[1:]):  # there, the kernel for bytes fails in torch 2.13
        pixels = pixels.float()
    answer = interpolate(pixels, (height, width), mode="bilinear", antialias=True)[0]
    return answer if answer.dtype == torch.uint8 else answer.add_(0.5).to(torch.uint8)


def _moved(
    points: Float32[Tensor, "N P 3"], dx: int, dy: int, H: int, W: int
) -> Float32[Tensor, "N P 3"]:
    """Keypoints moved by (dx, dy); unknown are those that were, or end outside of H x W."""
    moved = points + points.new_tensor((dx, dy, 0))
    x, y, v = moved.unbind(2)
    known = (v > 0) & (x >= 0) & (x < W) & (y >= 0) & (y < H)
    return torch.where(known[..., None], moved, 0)


def _swapped(P: int, flip_pairs: Sequence[tuple[int, int]] | None) -> list[int]:
    if flip_pairs is None:
        raise ValueError(
            "flip_pairs must say which keypoints change places in a mirror, such as a left and a "
            "right hand: pairs of indices, or () if none does"
        )
    order = list(range(P))
    for a, b in flip_pairs:
        if not (0 <= a < P and 0 <= b < P):
            raise ValueError(f"flip_pairs must be indices 0..{P - 1} of keypoints, got {(a, b)}")
        order[a], order[b] = b, a
    return order
