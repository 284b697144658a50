"""Are the full-size detectors torchvision's? The same weights, the same images, the same answers.

    make equivalence   # in the environment that has torchvision; FCOS: two minutes on two cores
    python -m benchmarks.equivalence fcos_resnet50_fpn --shorter 800 --images 2   # the usual side

Both get the same random weights. Compared are the parameter counts, the raw outputs in float32 and
in float64, the losses on random targets, and the detections on images of many sizes. It ends with 1
if anything differs by more than the table says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import detection as peers

from course_lib import models
from course_lib.models import FULL_SIZE, Detector
from course_lib.models.detector import Detections
from course_lib.models.norms import FrozenBatchNorm2d
from course_lib.models.resize import Resize

COUNTS = {
    "retinanet_resnet50_fpn": 34_014_999,
    "fcos_resnet50_fpn": 32_269_600,
    "fasterrcnn_resnet50_fpn": 41_755_286,
    "maskrcnn_resnet50_fpn": 44_401_393,
    "ssd300_vgg16": 35_641_826,
}
TERMS = {  # ours: torchvision's
    "objectness": "loss_objectness",
    "rpn_bbox_regression": "loss_rpn_box_reg",
    "classification": ("classification", "loss_classifier"),
    "bbox_regression": ("bbox_regression", "loss_box_reg"),
    "bbox_ctrness": "bbox_ctrness",
    "mask": "loss_mask",
}
RAW = {torch.float32: 1e-4, torch.float64: 1e-8}
LOSS, BOX, SCORE, MASK = 1e-5, 1e-2, 1e-5, 1e-3  # relative; pixels; probabilities


def twins(name: str, shorter: int, seed: int = 0) -> tuple[Detector, Any]:
    """Ours and torchvision's, with the same random weights, both ready to detect."""
    torch.manual_seed(seed)
    size = {} if name == "ssd300_vgg16" else {"min_size": shorter, "max_size": shorter * 5 // 3}
    theirs = getattr(peers, name)(weights=None, weights_backbone=None, **size)
    theirs = _frozen(theirs)
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif key.endswith("running_mean"):
                value.normal_(std=0.1)
            elif key.endswith("bn3.weight"):
                value.fill_(0.2)  # or numbers grow from block to block
    _spread(theirs.eval())
    options = {} if size == {} else {"resize": Resize(shorter, shorter * 5 // 3)}
    ours = getattr(models, name)(91, **options)
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


def _spread(theirs: Any) -> None:
    """Give every last layer weights with which its answers differ from place to place, as they do
    after training: logits by about 2, deltas by about 0.5.
    """
    widths = {"cls_logits": 2.0, "cls_score": 2.0, "bbox_ctrness": 1.0}
    widths |= {"bbox_reg": 0.5, "bbox_pred": 0.5, "regression_head.module_list": 0.5}
    widths["classification_head.module_list"] = 2.0
    _spread_layers(theirs, widths)
    if hasattr(theirs, "roi_heads") and theirs.roi_heads.has_mask():  # of what is detected now
        _spread_layers(theirs, {"mask_fcn_logits": 2.0})


def _spread_layers(theirs: Any, widths: dict[str, float]) -> None:
    image, _ = images_and_targets(1, 99, masks=False)
    said: dict[Any, list[Tensor]] = {}  # by each last layer, of all levels
    hooks, wanted = [], {}
    for name, module in theirs.named_modules():
        width = next((w for part, w in widths.items() if part in name), None)
        if width is not None and isinstance(module, nn.Conv2d | nn.Linear):
            wanted[module], said[module] = width, []
            hooks.append(module.register_forward_hook(lambda m, _, out: said[m].append(out)))
    with torch.no_grad():
        theirs(image)
        for hook in hooks:
            hook.remove()
        for module, answers in said.items():
            rows = torch.cat([x.transpose(0, 1).flatten(1) for x in answers], dim=1)
            assert rows.shape[1] > 0, "a layer that was asked nothing"
            spread = rows.sub(rows.mean(1, keepdim=True)).square().mean(1).sqrt().clamp(min=1e-3)
            factor = wanted[module] / spread
            module.weight.mul_(factor.view(-1, *[1] * (module.weight.ndim - 1)))
            module.bias.copy_(torch.randn_like(factor) - (rows.mean(1) - module.bias) * factor)


def _frozen(module: Any) -> Any:
    """torchvision takes frozen BatchNorm only with weights from the net: put it there by hand."""
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(module, name, torchvision.ops.FrozenBatchNorm2d(child.num_features))
        else:
            _frozen(child)
    return module


def images_and_targets(
    count: int, seed: int, masks: bool, square: int | None = None
) -> tuple[list[Tensor], list[Any]]:
    """Random images with soft structure, and one to six boxes in each.

    square: the side of square images; by default they have 120 to 500 pixels a side.
    """
    make = torch.Generator().manual_seed(seed)
    images, targets = [], []
    for _ in range(count):
        H, W = (square or int(x) for x in torch.randint(120, 500, (2,), generator=make))
        coarse = torch.rand(1, 3, 9, 9, generator=make)
        fine = 0.2 * torch.rand(3, H, W, generator=make)
        image = torch.nn.functional.interpolate(coarse, (H, W), mode="bicubic")[0]
        images.append((0.8 * image + fine).clamp(0, 1))
        M = int(torch.randint(1, 7, (1,), generator=make))
        low = torch.rand(M, 2, generator=make) * torch.tensor([W * 0.6, H * 0.6])
        side = 20 + torch.rand(M, 2, generator=make) * torch.tensor([W * 0.35, H * 0.35])
        high = torch.minimum(low + side, torch.tensor([float(W), float(H)]))
        target = {
            "boxes": torch.cat((low, high), dim=1),
            "labels": torch.randint(1, 91, (M,), generator=make),
        }
        if masks:
            y, x = torch.arange(H)[:, None], torch.arange(W)
            (x1, y1), (x2, y2) = low.T[:, :, None, None], high.T[:, :, None, None]
            off = ((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2
            target["masks"] = (off < 0.25).byte()
        targets.append(target)
    return images, targets


def raw_outputs(name: str, ours: Detector, theirs: Any, images: list[Tensor]) -> float:
    """The largest difference of what the heads say, on one batch."""
    with torch.no_grad():
        batch, sizes = ours.prepare(images)
        prepared, _ = theirs.transform(images)
        assert list(sizes) == list(prepared.image_sizes), (sizes, prepared.image_sizes)
        # Mean and deviation are kept in float32: in float64 only what comes after can be compared.
        assert torch.allclose(batch, prepared.tensors, atol=1e-4, rtol=1e-5)
        batch, away = prepared.tensors, [0.0]
        maps = theirs.backbone(batch)
        if hasattr(theirs, "rpn"):
            features = list(maps.values())
            said = ours(batch)
            logits, deltas = theirs.rpn.head(features)
            flat = peers.rpn.concat_box_prediction_layers(logits, deltas)
            away += [_apart(said["objectness"].flatten(), flat[0].flatten())]
            away += [_apart(said["rpn_bbox_regression"].flatten(0, 1), flat[1])]
            heads, shapes = theirs.roi_heads, [tuple(batch.shape[-2:])] * len(batch)
            pooled = heads.box_roi_pool(maps, said["proposals"], shapes)
            logits, deltas = heads.box_predictor(heads.box_head(pooled))
            away += [_apart(said["cls_logits"], logits), _apart(said["bbox_regression"], deltas)]
            if hasattr(ours, "mask_logits"):
                few = [p[:20] for p in said["proposals"]]
                mine = ours.mask_logits(ours.backbone(batch), few, shapes)
                pooled = heads.mask_roi_pool(maps, few, shapes)
                away += [_apart(mine, heads.mask_predictor(heads.mask_head(pooled)))]
        else:
            said, other = ours(batch), theirs.head(list(maps.values()))
            away += [_apart(said[key], other[key]) for key in said]
    return max(away)


def _apart(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape, (a.shape, b.shape)
    return float((a - b).abs().max()) if a.numel() else 0.0


def losses(ours: Any, theirs: Any, images: Any, targets: Any) -> float:
    """The largest relative difference of a term of the loss.

    Both draw the same anchors and proposals, if these are the same: of two stages the second gets
    torchvision's, since an IoU of 0.7 in the last digit decides about one, and with it about all
    that is drawn. That the proposals are the same, the detections show.
    """
    theirs.transform.torch_choice = lambda sizes: sizes[0]  # or it draws a number before
    ours.train()
    theirs.train()
    proposals: list[Any] = []
    if hasattr(theirs, "rpn"):
        theirs.rpn.register_forward_hook(lambda _, __, out: proposals.extend(out[0]))
        ours.propose = lambda *_: [boxes.clone() for boxes in proposals]
    torch.manual_seed(7)
    other = theirs(images, targets)
    torch.manual_seed(7)
    mine = ours.loss(images, targets)
    ours.eval()
    theirs.eval()
    worst = 0.0
    assert len(mine) == len(other), (mine.keys(), other.keys())
    for term, value in mine.items():
        names = TERMS[term]
        key = next(k for k in ((names,) if isinstance(names, str) else names) if k in other)
        worst = max(worst, _relative(value.item(), other[key].item()))
    return worst


def _relative(mine: float, other: float) -> float:
    return abs(mine - other) / max(1e-12, abs(other))


def detections(ours: Detector, theirs: Any, images: list[Tensor]) -> tuple[int, int, list[str]]:
    """How many detections torchvision has, how many of these we have too, and what differs if the
    order counts as well.
    """
    wrong, number, common = [], 0, 0
    for k, image in enumerate(images):
        with torch.no_grad():
            mine, other = ours.detect([image])[0], theirs([image])[0]
        sides = other["boxes"][:, 2:] - other["boxes"][:, :2]
        there = (sides > 0).all(1)  # torchvision keeps boxes that lie wholly outside
        other = {key: value[there] for key, value in other.items()}
        count = len(other["boxes"])
        number += count
        common += int(_near(mine, other).any(0).sum())
        if len(mine["boxes"]) < count or (there.all() and len(mine["boxes"]) != count):
            wrong.append(f"image {k}: {len(mine['boxes'])} detections, torchvision {count}")
            continue
        mine = {key: value[:count] for key, value in mine.items()}
        for key, limit in (("boxes", BOX), ("scores", SCORE), ("labels", 0), ("masks", MASK)):
            if key in mine and (away := _apart(mine[key], other[key])) > limit:
                wrong.append(f"image {k}: {key} by {away:.3g}")
    return number, common, wrong


def _near(mine: Detections, other: Detections) -> Tensor:
    """Which of ours [N] is which of torchvision's [M], whatever their order: bool [N, M]."""
    apart = (mine["boxes"][:, None] - other["boxes"]).abs().amax(-1)
    less = (mine["scores"][:, None] - other["scores"]).abs()
    return (apart <= BOX) & (less <= SCORE) & (mine["labels"][:, None] == other["labels"])


def compare(name: str, shorter: int, count: int, say: Callable[[str], None] = print) -> bool:
    """All comparisons of one detector; False if one fails."""
    ours, theirs = twins(name, shorter)
    masks = name.startswith("mask")
    images, targets = images_and_targets(count, 1, masks)
    parameters = sum(p.numel() for p in ours.parameters())
    fine = parameters == COUNTS[name]
    say(f"{name}: {parameters:,} parameters, expected {COUNTS[name]:,}")
    for dtype, limit in RAW.items():
        ours.to(dtype)
        theirs.to(dtype)
        away = raw_outputs(name, ours, theirs, [image.to(dtype) for image in images[:2]])
        fine &= away <= limit
        say(f"  raw outputs, {str(dtype)[6:]}: at most {away:.2e} apart (limit {limit:.0e})")
    for module in ours.modules():  # float64 has left no trace
        assert not isinstance(module, FrozenBatchNorm2d) or module.eps == 1e-5
    ours, theirs = twins(name, shorter)
    away = losses(ours, theirs, images[:2], targets[:2])
    fine &= away <= LOSS
    say(f"  losses: at most {away:.2e} apart, relative (limit {LOSS:.0e})")
    ours, theirs = twins(name, shorter)
    for dtype in (torch.float32, torch.float64):
        ours.to(dtype)
        theirs.to(dtype)
        same = [image.to(dtype) for image in images]
        number, common, wrong = detections(ours, theirs, same)
        # In float32 a last digit settles now and then which of two boxes NMS keeps, or which of
        # two scores is the higher; in two stages, which proposals the second gets to see.
        strict = dtype == torch.float64
        fine &= number > 0 and common >= (1 if strict else 0.8) * number
        if strict:  # another place is fine where the scores are the same
            fine &= not any("scores" in text or "detections" in text for text in wrong)
        say(
            f"  detections on {count} images, {str(dtype)[6:]}: {common} of {number} in both"
            + (f"; in another place: {', '.join(wrong) or 'none'}" if strict else "")
        )
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equivalence", description=__doc__)
    parser.add_argument("names", nargs="*", default=FULL_SIZE, metavar="DETECTOR")
    parser.add_argument("--shorter", type=int, default=400, help="side that images are brought to")
    parser.add_argument("--images", type=int, default=20)
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, side {args.shorter}")
    results = [compare(name, args.shorter, args.images) for name in args.names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
