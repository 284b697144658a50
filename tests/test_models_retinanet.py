"""RetinaNet: every step against a plain loop in float64, and the published numbers and names."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from functools import partial

import pytest
import torch
from random_boxes import random_boxes
from torch import Tensor
from torch.testing import assert_close

from course_lib.anchors import AnchorGenerator, grid_anchors, pyramid_grids
from course_lib.boxes import box_iou
from course_lib.coding import encode_boxes
from course_lib.models import create_detector
from course_lib.models.backbones import create_backbone
from course_lib.models.pyramid import BackboneWithFPN
from course_lib.models.retinanet import (
    BACKGROUND,
    IGNORED,
    RetinaNet,
    RetinaNetHead,
    assign_targets,
    decode,
    flatten_levels,
    retinanet,
    retinanet_loss,
)

SIDE = 64
boxes = partial(random_boxes, side=SIDE)


def anchors(offset: float = 0.5) -> list[Tensor]:
    """Two levels of SIDE x SIDE pixels: 8 x 8 x 2 and 4 x 4 x 2 anchors."""
    make = AnchorGenerator(((12, 17), (24, 34)), (1.0,), offset=offset)
    return make(pyramid_grids((SIDE, SIDE), (8, 16)), (8, 16))


def iou_of(a: list[float], b: list[float]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0) * max(h, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


# --- targets -------------------------------------------------------------------------------------


def slow_targets(
    anchors: list[list[float]], boxes: list[list[float]], labels: list[int], rescue: bool
) -> tuple[list[int], list[list[float]]]:
    table = [[iou_of(a, b) for b in boxes] for a in anchors]
    best_of = [max(row[m] for row in table) for m in range(len(boxes))]
    classes, deltas = [], []
    for (x1, y1, x2, y2), row in zip(anchors, table, strict=True):
        deltas.append([0.0] * 4)
        quality = max(row, default=0.0)
        rescued = rescue and any(iou == best > 0 for iou, best in zip(row, best_of, strict=True))
        if not row or not (quality >= 0.5 or rescued):
            classes.append(IGNORED if quality >= 0.4 else BACKGROUND)
            continue
        m = row.index(quality)
        classes.append(labels[m])
        bx1, by1, bx2, by2 = boxes[m]
        w, h = x2 - x1, y2 - y1
        deltas[-1] = [
            ((bx1 + bx2) / 2 - (x1 + x2) / 2) / w,
            ((by1 + by2) / 2 - (y1 + y2) / 2) / h,
            math.log((bx2 - bx1) / w),
            math.log((by2 - by1) / h),
        ]
    return classes, deltas


@pytest.mark.parametrize("rescue", [True, False])
@pytest.mark.parametrize("count", [0, 1, 5, 12])
def test_targets_are_a_loop(count: int, rescue: bool) -> None:
    all_anchors = torch.cat(anchors())
    for seed in range(5):
        truths = boxes(count, seed)
        labels = torch.arange(count) % 3
        classes, deltas = assign_targets(
            all_anchors, truths, labels, allow_low_quality_matches=rescue
        )
        expected = slow_targets(
            all_anchors.double().tolist(), truths.double().tolist(), labels.tolist(), rescue
        )
        assert classes.tolist() == expected[0]
        assert classes.dtype == torch.int64
        assert_close(
            deltas.double(), torch.tensor(expected[1]).double().reshape(-1, 4), atol=2e-6, rtol=0
        )
    if count == 12:
        assert set(classes.tolist()) == {0, 1, 2, BACKGROUND, IGNORED}


def test_targets_by_hand() -> None:
    row = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 4.5], [0, 0, 10, 3], [50, 50, 60, 60]]
    )
    truth = torch.tensor([[0.0, 0, 10, 10]])
    classes, deltas = assign_targets(row, truth, torch.tensor([7]))
    assert classes.tolist() == [7, 7, IGNORED, BACKGROUND, BACKGROUND]
    assert_close(deltas[1], torch.tensor([0, 0.125, 0, math.log(1.25)]))
    assert (deltas[[0, 2, 3, 4]] == 0).all()


def test_an_object_without_a_good_anchor_gets_its_best() -> None:
    row = torch.tensor([[0.0, 0, 10, 10], [30, 30, 40, 40]])
    small = torch.tensor([[2.0, 2, 5, 5]])
    assert assign_targets(row, small, torch.tensor([4]))[0].tolist() == [4, BACKGROUND]
    strict = assign_targets(row, small, torch.tensor([4]), allow_low_quality_matches=False)
    assert strict[0].tolist() == [BACKGROUND, BACKGROUND]


def test_anchors_of_a_crowd_are_ignored() -> None:
    row = torch.tensor([[0.0, 0, 10, 10], [30, 30, 40, 40], [60, 60, 70, 70]])
    classes, deltas = assign_targets(row, row[:2] + 1, torch.tensor([IGNORED, 5]))
    assert classes.tolist() == [IGNORED, 5, BACKGROUND]
    assert (deltas[0] == 0).all()
    target = {"boxes": row[:2] + 1, "labels": torch.tensor([3, 2])}
    model = retinanet(4)
    image = torch.rand(1, 3, 96, 96)
    crowd = model.loss(image, [target | {"iscrowd": torch.tensor([1, 0])}])
    both = model.loss(image, [target])
    assert crowd["bbox_regression"] != both["bbox_regression"]


# --- the loss ------------------------------------------------------------------------------------


def slow_loss(
    logits: Tensor,
    deltas: Tensor,
    classes: Tensor,
    wanted: Tensor,
    alpha: float,
    gamma: float,
    beta: float,
) -> tuple[float, float]:
    """Of one batch, in Python's own numbers."""
    focal = box = 0.0
    positives = 0
    for image in range(len(logits)):
        for n, label in enumerate(classes[image].tolist()):
            if label == IGNORED:
                continue
            positives += label >= 0
            for k, x in enumerate(logits[image, n].tolist()):
                p = 1 / (1 + math.exp(-x))
                p_t, weight = (p, alpha) if k == label else (1 - p, 1 - alpha)
                focal -= weight * (1 - p_t) ** gamma * math.log(p_t)
            if label >= 0:
                for d, e in zip(deltas[image, n].tolist(), wanted[image, n].tolist(), strict=True):
                    away = abs(d - e)
                    box += away**2 / 2 / beta if away < beta else away - beta / 2
    return focal / max(positives, 1), box / max(positives, 1)


def said(
    B: int, N: int, K: int, seed: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """What a network said and what it should have said, at random: some of each kind of anchor."""
    dice = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, N, K, generator=dice) * 3
    deltas, wanted = torch.randn(2, B, N, 4, generator=dice)
    classes = torch.randint(-2, K, (B, N), generator=dice)
    return logits.to(dtype), deltas.to(dtype), classes, wanted.to(dtype)


@pytest.mark.parametrize(
    ("alpha", "gamma", "beta"), [(0.25, 2, 0.0), (0.75, 0, 1.0), (0.4, 1.5, 0.1)]
)
def test_loss_is_a_loop(alpha: float, gamma: float, beta: float) -> None:
    for seed in range(4):
        inputs = said(3, 11, 4, seed)
        terms = retinanet_loss(*inputs, alpha=alpha, gamma=gamma, beta=beta)
        focal, box = slow_loss(*(x.double() for x in inputs), alpha=alpha, gamma=gamma, beta=beta)
        assert terms["classification"].item() == pytest.approx(focal, rel=1e-5)
        assert terms["bbox_regression"].item() == pytest.approx(box, rel=1e-5)
        double = retinanet_loss(
            *(x.double() if x.is_floating_point() else x for x in inputs),
            alpha=alpha,
            gamma=gamma,
            beta=beta,
        )
        assert double["classification"].item() == pytest.approx(focal, rel=1e-12)
        assert double["bbox_regression"].item() == pytest.approx(box, rel=1e-12)


def test_loss_of_one_image_needs_no_batch() -> None:
    inputs = said(1, 9, 2, 0)
    alone, batch = retinanet_loss(*(x[0] for x in inputs)), retinanet_loss(*inputs)
    for name in batch:
        assert_close(alone[name], batch[name])


def test_loss_is_divided_by_the_positives_it_is_told() -> None:
    inputs = said(2, 9, 3, 1)
    positives = int((inputs[2] >= 0).sum())
    for given in (4 * positives, torch.tensor(4 * positives), torch.tensor(4.0 * positives)):
        for name, term in retinanet_loss(*inputs, positives=given).items():
            assert_close(term * 4, retinanet_loss(*inputs)[name])
    half = retinanet_loss(*inputs, positives=0.5)  # one positive, two processes
    assert_close(
        half["bbox_regression"], 2 * positives * retinanet_loss(*inputs)["bbox_regression"]
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_loss_of_half_types_is_computed_in_float32(dtype: torch.dtype) -> None:
    logits, deltas, classes, wanted = said(2, 50, 3, 2, dtype)
    terms = retinanet_loss(logits, deltas, classes, wanted.float())
    expected = retinanet_loss(logits.float(), deltas.float(), classes, wanted.float())
    for name, term in terms.items():
        assert term.dtype == torch.float32
        assert torch.equal(term, expected[name])


def test_no_objects_no_harm() -> None:
    logits, deltas, classes, wanted = said(2, 9, 3, 3)
    logits.requires_grad_()
    deltas.requires_grad_()
    terms = retinanet_loss(logits, deltas, torch.full_like(classes, BACKGROUND), wanted)
    assert terms["bbox_regression"] == 0
    sum(terms.values()).backward()
    assert (deltas.grad == 0).all()
    assert (logits.grad > 0).all()  # every logit is pulled down
    nothing = retinanet_loss(logits, deltas, torch.full_like(classes, IGNORED), wanted)
    assert nothing["classification"] == 0


def test_ignored_anchors_have_no_gradient() -> None:
    logits, deltas, classes, wanted = said(2, 30, 3, 4)
    logits.requires_grad_()
    deltas.requires_grad_()
    sum(retinanet_loss(logits, deltas, classes, wanted).values()).backward()
    assert (logits.grad[classes == IGNORED] == 0).all()
    assert (logits.grad[classes != IGNORED] != 0).all()
    assert (deltas.grad[classes < 0] == 0).all()
    assert (deltas.grad[classes >= 0] != 0).all()


# --- order ---------------------------------------------------------------------------------------


def test_flatten_levels_is_a_loop_in_the_order_of_the_anchors() -> None:
    B, A, K = 2, 3, 4
    maps = [torch.randn(B, A * K, *size) for size in ((3, 5), (2, 1))]
    expected = []
    for each in maps:
        for y in range(each.shape[2]):
            for x in range(each.shape[3]):
                expected += [each[:, a * K : (a + 1) * K, y, x] for a in range(A)]
    assert torch.equal(flatten_levels(maps, A), torch.stack(expected, dim=1))


def test_an_answer_belongs_to_its_anchor() -> None:
    """A head that says where it stands: its delta turns every anchor into the cell's own square."""
    base = torch.tensor([[-8.0, -8, 8, 8], [-16, -4, 16, 4]])
    grid, stride = (2, 3), 8
    laid = grid_anchors(base, grid, stride, offset=0.5)
    y, x = torch.meshgrid(torch.arange(2.0), torch.arange(3.0), indexing="ij")
    cell = torch.stack((x, y, x + 1, y + 1), -1).reshape(-1, 4) * stride  # [6, 4]
    channels = []
    for a in range(2):
        deltas = encode_boxes(cell, laid[a::2])  # [6, 4]
        channels.append(deltas.T.reshape(4, 2, 3))
    rows = flatten_levels([torch.cat(channels)[None]], 2)[0]
    logits = torch.arange(12.0)[:, None] + 5
    found = decode([logits], [rows], [laid], (16, 24), nms_threshold=1.0)
    assert_close(found["boxes"].flip(0), cell.repeat_interleave(2, 0), atol=1e-4, rtol=0)


def test_head_shares_its_weights_over_the_levels() -> None:
    head = RetinaNetHead(8, 2, 3)
    x = torch.randn(1, 8, 4, 4)
    once, twice = head([x]), head([x, x])
    for name in ("cls_logits", "bbox_regression"):
        assert torch.equal(twice[name], torch.cat((once[name], once[name]), 1))
    weight = head.classification_head.conv[0][0].weight
    (one,) = torch.autograd.grad(once["cls_logits"].sum(), weight)
    (both,) = torch.autograd.grad(twice["cls_logits"].sum(), weight)
    assert_close(both, 2 * one)


@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_a_fresh_head_gives_every_anchor_the_prior(prior: float) -> None:
    head = RetinaNetHead(16, 3, 5, prior=prior)
    outputs = head([torch.rand(2, 16, 6, 6)])
    assert_close(outputs["cls_logits"].sigmoid(), torch.full((2, 108, 5), prior), rtol=0.01, atol=0)
    assert outputs["bbox_regression"].abs().max() < 0.01


# --- inference -----------------------------------------------------------------------------------


def slow_decode(
    logits: list[Tensor],
    deltas: list[Tensor],
    anchors: list[Tensor],
    size: tuple[int, int],
    score_threshold: float,
    candidates: int,
    nms_threshold: float,
    max_detections: int,
) -> list[tuple[float, int, list[float]]]:
    """(score, label, box) of each detection, box by box."""
    H, W = size
    found = []
    for level_logits, level_deltas, level_anchors in zip(logits, deltas, anchors, strict=True):
        level = []
        for n, (x1, y1, x2, y2) in enumerate(level_anchors.tolist()):
            dx, dy, dw, dh = level_deltas[n].tolist()
            dw, dh = min(dw, math.log(1000 / 16)), min(dh, math.log(1000 / 16))
            cx, cy = (x1 + x2) / 2 + dx * (x2 - x1), (y1 + y2) / 2 + dy * (y2 - y1)
            w, h = (x2 - x1) * math.exp(dw), (y2 - y1) * math.exp(dh)
            xs = [min(max(x, 0), W) for x in (cx - w / 2, cx + w / 2)]
            ys = [min(max(y, 0), H) for y in (cy - h / 2, cy + h / 2)]
            for k, x in enumerate(level_logits[n].tolist()):
                score = 1 / (1 + math.exp(-x))
                if score > score_threshold:
                    level.append((score, k, [xs[0], ys[0], xs[1], ys[1]]))
        level.sort(key=lambda each: -each[0])  # stable
        found += [
            each
            for each in level[:candidates]
            if each[2][0] < each[2][2] and each[2][1] < each[2][3]
        ]
    found.sort(key=lambda each: -each[0])
    kept: list[tuple[float, int, list[float]]] = []
    for score, k, box in found:
        if all(k != other or iou_of(box, known) <= nms_threshold for _, other, known in kept):
            kept.append((score, k, box))
    return kept[:max_detections]


SETTINGS = [(0.05, 1000, 0.5, 300), (0.3, 20, 0.3, 300), (0.05, 1000, 0.7, 9), (0.0, 5, 1.0, 100)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_decode_is_a_loop(settings: tuple[float, int, float, int]) -> None:
    levels = anchors()
    names = ("score_threshold", "candidates", "nms_threshold", "max_detections")
    for seed in range(4):
        dice = torch.Generator().manual_seed(seed)
        logits = [torch.randn(len(level), 3, generator=dice) * 2 - 1 for level in levels]
        deltas = [torch.randn(len(level), 4, generator=dice) for level in levels]
        found = decode(logits, deltas, levels, (60, 50), **dict(zip(names, settings, strict=True)))
        expected = slow_decode(
            *([x.double() for x in y] for y in (logits, deltas, levels)), (60, 50), *settings
        )
        assert found["labels"].tolist() == [label for _, label, _ in expected]
        assert_close(found["scores"], torch.tensor([score for score, *_ in expected]))
        assert_close(
            found["boxes"], torch.tensor([box for *_, box in expected]), atol=1e-4, rtol=1e-5
        )


def test_decode_of_perfect_answers_is_the_truth() -> None:
    levels = anchors()
    truths, labels = (
        torch.tensor([[4.0, 6, 16, 20], [30, 8, 62, 40], [8, 40, 22, 52]]),
        torch.tensor([2, 0, 1]),
    )
    logits, deltas = [], []
    for level in levels:
        classes, wanted = assign_targets(level, truths, labels, allow_low_quality_matches=False)
        rows = torch.full((len(level), 3), -9.0)
        positive = classes >= 0
        rows[positive, classes[positive]] = 5.0
        logits.append(rows)
        deltas.append(wanted)
    found = decode(logits, deltas, levels, (SIDE, SIDE))
    assert sorted(found["labels"].tolist()) == [0, 1, 2]
    iou = box_iou(found["boxes"], truths)
    assert (iou.amax(1) > 0.9999).all()
    assert torch.equal(labels[iou.argmax(1)], found["labels"])


def test_the_candidates_are_of_each_level_and_equal_scores_keep_their_order() -> None:
    levels = anchors()
    logits = [torch.zeros(len(level), 2) for level in levels]
    deltas = [torch.zeros(len(level), 4) for level in levels]
    found = decode(logits, deltas, levels, (SIDE, SIDE), candidates=4, nms_threshold=1.0)
    clipped = [level[[0, 0, 1, 1]].clamp(0, SIDE) for level in levels]  # two anchors, two classes
    assert torch.equal(found["boxes"], torch.cat(clipped))
    assert found["labels"].tolist() == [0, 1, 0, 1] * 2


def test_nothing_found() -> None:
    levels = anchors()
    logits = [torch.full((len(level), 2), -9.0) for level in levels]
    deltas = [torch.zeros(len(level), 4) for level in levels]
    found = decode(logits, deltas, levels, (SIDE, SIDE))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "boxes": (0, 4), "scores": (0,), "labels": (0,)
    }  # fmt: skip
    assert found["labels"].dtype == torch.int64
    outside = [delta + torch.tensor([99.0, 0, 0, 0]) for delta in deltas]
    assert len(decode([x + 18 for x in logits], outside, levels, (SIDE, SIDE))["boxes"]) == 0


# --- the detector --------------------------------------------------------------------------------


def published_names() -> set[str]:
    """The state dict's keys of the full-size network, spelled out."""
    norm = ("weight", "bias", "running_mean", "running_var")
    keys = ["backbone.body.conv1.weight", *(f"backbone.body.bn1.{n}" for n in norm)]
    for layer, depth in enumerate((3, 4, 6, 3), start=1):
        for block in range(depth):
            at = f"backbone.body.layer{layer}.{block}"
            for k in (1, 2, 3):
                keys += [f"{at}.conv{k}.weight", *(f"{at}.bn{k}.{n}" for n in norm)]
            if block == 0:
                keys += [f"{at}.downsample.0.weight", *(f"{at}.downsample.1.{n}" for n in norm)]
    convs = [f"backbone.fpn.{part}_blocks.{k}.0" for part in ("inner", "layer") for k in range(3)]
    convs += ["backbone.fpn.extra_blocks.p6", "backbone.fpn.extra_blocks.p7"]
    for head, last in (("classification_head", "cls_logits"), ("regression_head", "bbox_reg")):
        convs += [*(f"head.{head}.conv.{k}.0" for k in range(4)), f"head.{head}.{last}"]
    return {*keys, *(f"{conv}.{kind}" for conv in convs for kind in ("weight", "bias"))}


@pytest.fixture(scope="module")
def full_size() -> RetinaNet:
    with torch.device("meta"):
        model = create_detector("retinanet_resnet50_fpn", 91)
    assert isinstance(model, RetinaNet)
    return model


def test_the_full_size_network_is_the_published_one(full_size: RetinaNet) -> None:
    assert sum(p.numel() for p in full_size.parameters()) == 34_014_999
    assert set(full_size.state_dict()) == published_names()
    shapes = {name: tuple(w.shape) for name, w in full_size.state_dict().items()}
    assert shapes["head.classification_head.cls_logits.weight"] == (819, 256, 3, 3)
    assert shapes["head.regression_head.bbox_reg.weight"] == (36, 256, 3, 3)
    assert shapes["backbone.fpn.extra_blocks.p6.weight"] == (256, 256, 3, 3)


@pytest.mark.parametrize(("side", "count"), [(600, 67_995), (800, 120_087)])
def test_the_number_of_anchors(full_size: RetinaNet, side: int, count: int) -> None:
    with torch.device("meta"):
        levels = full_size.grid_of((side, side))
    assert sum(len(level) for level in levels) == count


def test_places_of_anchors_by_the_network_and_by_the_image() -> None:
    """On 800 rows P7 has 7, and 800 // 7 = 114 is torchvision's stride, 128 the network's."""
    backbone = BackboneWithFPN(create_backbone("tiny"), 8, extra="P5")
    generator = AnchorGenerator(tuple((2**level * 4,) for level in range(3, 8)), (1.0,))
    network = RetinaNet(backbone, 1, generator).grid_of((800, 800))[-1]
    image = RetinaNet(backbone, 1, generator, grid="image").grid_of((800, 800))[-1]
    centre = network[-1, :2] + 256, image[-1, :2] + 256
    assert centre[0].tolist() == [768, 768]
    assert centre[1].tolist() == [684, 684]
    assert torch.equal(network[0], image[0])


def test_levels() -> None:
    everything, fine = retinanet(2).eval(), retinanet(2, levels=(3,)).eval()
    images = torch.rand(1, 3, 64, 64)
    assert everything(images)["cls_logits"].shape == (1, 3 * (64 + 16 + 4), 2)
    assert fine(images)["cls_logits"].shape == (1, 3 * 64, 2)
    assert [len(level) for level in everything.grid_of((64, 64))] == [192, 48, 12]
    with pytest.raises(ValueError, match=r"levels must be some of \[3, 4, 5\], got \[2, 3\]"):
        retinanet(2, levels=(2, 3))


def test_images_of_many_sizes() -> None:
    model = retinanet(3, score_threshold=0.0, nms_threshold=0.9).eval()
    images = [torch.rand(3, 40, 100), torch.rand(3, 128, 30)]
    for image, found in zip(images, model.detect(images), strict=True):
        H, W = image.shape[1:]
        assert len(found["boxes"]) > 10
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([W, H, W, H])).all()
        assert (found["boxes"][:, 2:] > found["boxes"][:, :2]).all()
        assert (found["scores"].diff() <= 0).all()
        assert set(found["labels"].tolist()) <= {0, 1, 2}
        assert not found["scores"].requires_grad


def test_a_batch_is_its_images() -> None:
    model = retinanet(3, score_threshold=0.0).eval()
    images = torch.rand(3, 3, 64, 96)
    for alone, together in zip(images, model.detect(images), strict=True):
        (expected,) = model.detect(alone[None])
        assert_close(together["scores"], expected["scores"], rtol=1e-4, atol=1e-6)


def targets() -> list[dict[str, Tensor]]:
    return [
        {"boxes": boxes(3, 0), "labels": torch.tensor([0, 2, 1])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]


def test_ten_steps_on_one_batch_bring_both_terms_down() -> None:
    torch.manual_seed(0)
    model = retinanet(3)
    images = torch.rand(2, 3, SIDE, SIDE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    history = []
    for _ in range(11):
        terms = model.loss(images, targets())
        history.append({name: term.item() for name, term in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert set(history[0]) == {"classification", "bbox_regression"}
    for name in history[0]:
        assert history[-1][name] < 0.8 * history[0][name], name


def test_gradients_are_finite_without_any_object() -> None:
    model = retinanet(3)
    sum(model.loss(torch.rand(2, 3, SIDE, SIDE), [targets()[1]] * 2).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_options_reach_the_loss() -> None:
    torch.manual_seed(0)
    model = retinanet(3).eval()
    images = torch.rand(2, 3, SIDE, SIDE)
    terms = model.loss(images, targets())
    model.gamma, model.alpha = 0, 0.5
    assert model.loss(images, targets())["classification"] > 2 * terms["classification"]
    other = retinanet(3, gamma=0, alpha=0.5)
    assert (other.gamma, other.alpha) == (0, 0.5)


def test_bfloat16_autocast() -> None:
    torch.manual_seed(0)
    model = retinanet(3, score_threshold=0.0)
    images = torch.rand(2, 3, SIDE, SIDE)
    plain = model.eval().loss(images, targets())
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.loss(images, targets())
        found = model.detect(images)
    for name, term in terms.items():
        assert term.dtype == torch.float32
        assert_close(term, plain[name], rtol=0.05, atol=0)
    assert found[0]["boxes"].dtype == found[0]["scores"].dtype == torch.float32
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


COMPILE = """
import torch
from course_lib.models.retinanet import retinanet

model, images = retinanet(2).eval(), torch.rand(1, 3, 64, 64)
compiled = torch.compile(model, backend="eager", fullgraph=True)
for name, value in compiled(images).items():
    torch.testing.assert_close(value, model(images)[name])
"""


@pytest.mark.full
def test_compiles_in_one_piece() -> None:
    """In a process of its own, without the checks of shapes that the tests add."""
    subprocess.run([sys.executable, "-c", COMPILE], check=True, timeout=300)


def test_the_small_one_is_small_and_channels_last() -> None:
    model = retinanet(3)
    assert sum(p.numel() for p in model.parameters()) < 1_500_000
    assert model.backbone.body.layer1[0].conv1.weight.is_contiguous(
        memory_format=torch.channels_last
    )
    assert {"lr", "batch_size"} <= set(RetinaNet.recommended)


def test_wrong_calls_are_explained() -> None:
    unchecked = inspect.unwrap(assign_targets)  # past jaxtyping, which users do not have
    with pytest.raises(ValueError, match=r"labels must have shape \[M\] = \[2\].* got \[3\]"):
        unchecked(torch.cat(anchors()), boxes(2, 0), torch.zeros(3, dtype=torch.int64))
    logits, deltas, classes, wanted = said(2, 9, 3, 0)
    with pytest.raises(ValueError, match=r"classes must have a number .* \[2, 9\], got \[2, 8\]"):
        inspect.unwrap(retinanet_loss)(logits, deltas, classes[:, :8], wanted)
    with pytest.raises(ValueError, match=r"one entry a level, got 1, 2 and 2"):
        decode([logits[0]], [deltas[0]] * 2, [deltas[0]] * 2, (9, 9))
    backbone = BackboneWithFPN(create_backbone("tiny"), 8)
    for sizes in (((8,), (16,)), ((8,), (16,), (32, 40))):
        with pytest.raises(ValueError, match="each of the 3 levels, as many at all of them"):
            RetinaNet(backbone, 2, AnchorGenerator(sizes, (1.0,)))
    with pytest.raises(ValueError, match="num_classes must be 1 or more, got 0"):
        retinanet(0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_answers_as_the_cpu() -> None:
    model = retinanet(3, score_threshold=0.0).eval()
    images = torch.rand(2, 3, SIDE, SIDE)
    expected = model.loss(images, targets())
    on_gpu = [{name: value.cuda() for name, value in target.items()} for target in targets()]
    for name, term in model.cuda().loss(images.cuda(), on_gpu).items():
        assert_close(term.cpu(), expected[name], rtol=1e-3, atol=1e-5)
    assert model.detect(images.cuda())[0]["boxes"].is_cuda
