"""SSD: every step against a plain loop in float64, and the published numbers and names."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from random_boxes import random_boxes
from torch import Tensor
from torch.testing import assert_close

from course_lib.anchors import SSD300, DefaultBoxLayout, default_boxes
from course_lib.boxes import box_iou
from course_lib.models.ssd import (
    SSD,
    SSDFeatureExtractorVGG,
    assign_targets,
    decode,
    ssd300_vgg16,
    ssd_loss,
)
from course_lib.suppression import nms

SIDE = 96
boxes = partial(random_boxes, side=SIDE)
LAYOUT = DefaultBoxLayout(
    size=(SIDE, SIDE),
    grids=((6, 6), (3, 3)),
    aspect_ratios=((2,), (2,)),
    scales=(0.2, 0.5, 0.9),
    steps=(16, 32),
)


def places() -> Tensor:
    return default_boxes(*LAYOUT)


@pytest.mark.parametrize("count", [0, 1, 3, 9])
@pytest.mark.parametrize("seed", range(4))
def test_targets_are_a_loop(count: int, seed: int) -> None:
    truths, anchors = boxes(count, seed), places()
    labels = torch.arange(1, count + 1)
    classes, deltas = assign_targets(anchors, truths, labels)
    table = box_iou(truths.double(), anchors.double()).tolist()
    owner = []
    for n in range(len(anchors)):
        column = [row[n] for row in table]
        best = max(column, default=0.0)
        owner.append(column.index(best) if best >= 0.5 else -1)
    for m, row in enumerate(table):
        owner[row.index(max(row))] = m
    assert classes.tolist() == [0 if m < 0 else int(labels[m]) for m in owner]
    for n, m in enumerate(owner):
        if m < 0:
            assert deltas[n].tolist() == [0] * 4
            continue
        (ax1, ay1, ax2, ay2), (x1, y1, x2, y2) = anchors[n].tolist(), truths[m].tolist()
        w, h = ax2 - ax1, ay2 - ay1
        expected = [
            10 * ((x1 + x2) - (ax1 + ax2)) / 2 / w,
            10 * ((y1 + y2) - (ay1 + ay2)) / 2 / h,
            5 * math.log((x2 - x1) / w),
            5 * math.log((y2 - y1) / h),
        ]
        assert deltas[n].tolist() == pytest.approx(expected, abs=1e-3)


def test_every_object_has_a_default_box_and_crowds_have_none() -> None:
    truths = torch.tensor([[1.0, 1, 4, 4], [50, 50, 90, 92]])
    classes, _ = assign_targets(places(), truths, torch.tensor([1, 2]))
    assert {1, 2} <= set(classes.tolist()), "nothing overlaps the small one by half"
    classes, deltas = assign_targets(places(), truths, torch.tensor([1, -1]))
    assert (classes == -1).any()
    assert not deltas[classes == -1].any()


@pytest.mark.parametrize("seed", range(4))
def test_loss_is_a_loop(seed: int) -> None:
    torch.manual_seed(seed)
    B, N, K = 2, 40, 5
    logits, said, wanted = torch.randn(B, N, K), torch.randn(B, N, 4), torch.randn(B, N, 4)
    classes = torch.randint(-1, K, (B, N)) * (torch.rand(B, N) < 0.2)
    terms = ssd_loss(logits, said, classes, wanted)
    log_loss = away = 0.0
    positives = int((classes > 0).sum())
    for b in range(B):
        negatives = []
        for n in range(N):
            k = int(classes[b, n])
            if k < 0:
                continue
            one = -float(logits[b, n].double().log_softmax(0)[k])
            if k == 0:
                negatives.append(one)
                continue
            log_loss += one
            for d in (said[b, n] - wanted[b, n]).double().abs().tolist():
                away += d * d / 2 if d < 1 else d - 0.5
        number = 3 * int((classes[b] > 0).sum())
        log_loss += sum(sorted(negatives, reverse=True)[:number])
    assert float(terms["classification"]) == pytest.approx(log_loss / positives, rel=1e-5)
    assert float(terms["bbox_regression"]) == pytest.approx(away / positives, rel=1e-5)


def test_no_objects_no_loss() -> None:
    logits = torch.randn(1, 9, 3, requires_grad=True)
    terms = ssd_loss(logits, torch.zeros(1, 9, 4), torch.zeros(1, 9).long(), torch.zeros(1, 9, 4))
    assert {name: float(x.detach()) for name, x in terms.items()} == {
        "classification": 0,
        "bbox_regression": 0,
    }


def test_decode_is_a_loop() -> None:
    torch.manual_seed(0)
    anchors = places()
    N, K = len(anchors), 4
    logits, deltas = 2 * torch.randn(N, K), torch.randn(N, 4)
    found = decode(
        logits, deltas, anchors, (SIDE, SIDE), score_threshold=0.3, candidates=20,
        nms_threshold=0.4, max_detections=25,
    )  # fmt: skip
    scores = logits.double().softmax(1)
    kept: list[tuple[float, int, list[float]]] = []
    for k in range(1, K):
        rows = [n for n in range(N) if scores[n, k] > 0.3]
        rows = sorted(rows, key=lambda n: -float(scores[n, k]))[:20]
        own, own_scores = [], []
        for n in rows:
            x1, y1, x2, y2 = anchors[n].tolist()
            dx, dy, dw, dh = (deltas[n].double() / torch.tensor([10.0, 10, 5, 5])).tolist()
            w, h = (x2 - x1) * math.exp(dw), (y2 - y1) * math.exp(dh)
            x, y = (x1 + x2) / 2 + dx * (x2 - x1), (y1 + y2) / 2 + dy * (y2 - y1)
            box = [min(max(v, 0.0), SIDE) for v in (x - w / 2, y - h / 2, x + w / 2, y + h / 2)]
            if box[2] > box[0] and box[3] > box[1]:
                own.append(box)
                own_scores.append(float(scores[n, k]))
        for i in nms(torch.tensor(own).view(-1, 4), torch.tensor(own_scores), 0.4).tolist():
            kept.append((own_scores[i], k, own[i]))
    kept.sort(key=lambda entry: -entry[0])
    kept = kept[:25]
    assert len(kept) > 10
    assert found["labels"].tolist() == [k for _, k, _ in kept]
    assert_close(found["scores"], torch.tensor([s for s, _, _ in kept]), rtol=1e-5, atol=1e-6)
    assert_close(found["boxes"], torch.tensor([b for _, _, b in kept]), rtol=1e-4, atol=1e-3)


# --- the network ----------------------------------------------------------------------------------


def test_the_full_size_network_is_the_published_one() -> None:
    with torch.device("meta"):
        model = ssd300_vgg16(91)
    assert sum(p.numel() for p in model.parameters()) == 35_641_826
    shapes = {name: tuple(w.shape) for name, w in model.state_dict().items()}
    assert shapes["backbone.scale_weight"] == (512,)
    assert shapes["backbone.features.21.weight"] == (512, 512, 3, 3)
    assert shapes["backbone.extra.0.7.1.weight"] == (1024, 512, 3, 3)
    assert shapes["backbone.extra.4.2.weight"] == (256, 128, 3, 3)
    assert shapes["head.classification_head.module_list.1.weight"] == (546, 1024, 3, 3)
    assert shapes["head.regression_head.module_list.5.weight"] == (16, 256, 3, 3)
    assert len(shapes) == 71


@pytest.fixture(scope="module")
def model() -> SSD:
    torch.manual_seed(0)
    return ssd300_vgg16(5, max_detections=40).eval()


def test_maps_and_default_boxes_fit(model: SSD) -> None:
    with torch.no_grad():
        maps = model.backbone(torch.rand(1, 3, 300, 300))
        said = model(torch.rand(1, 3, 300, 300))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (channels, *grid)
        for channels, grid in zip(SSDFeatureExtractorVGG.channels, SSD300.grids, strict=True)
    ]
    assert_close(maps[0].norm(dim=1), torch.full((1, 38, 38), 20.0), rtol=1e-4, atol=1e-3)
    assert said["cls_logits"].shape == (1, 8732, 5)
    assert said["bbox_regression"].shape == (1, 8732, 4)
    assert len(model.anchors) == 8732


def test_detections_lie_in_images_of_any_size(model: SSD) -> None:
    images = [torch.rand(3, 90, 310), torch.rand(3, 400, 120)]
    for image, found in zip(images, model.detect(images), strict=True):
        H, W = image.shape[1:]
        assert len(found["boxes"]) == 40
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([W, H, W, H]) + 1e-3).all()
        assert set(found["labels"].tolist()) <= {1, 2, 3, 4}, "0 is background"
        assert (found["scores"].diff() <= 0).all()


def test_labels_from_0_where_background_is_an_output_of_its_own(model: SSD) -> None:
    torch.manual_seed(0)
    own = ssd300_vgg16(4, background_is_0=False, max_detections=40).eval()
    image = [torch.rand(3, 200, 200)]
    mine, theirs = own.detect(image)[0], model.detect(image)[0]
    assert_close(mine["boxes"], theirs["boxes"])
    assert (mine["labels"] + 1).tolist() == theirs["labels"].tolist()
    target = [{"boxes": torch.tensor([[20.0, 20, 120, 90]]), "labels": torch.tensor([0])}]
    shifted = [{**target[0], "labels": torch.tensor([1])}]
    for name, term in own.loss(image, target).items():
        assert_close(term, model.loss(image, shifted)[name])


def test_gradients_reach_everything_that_learns_and_nothing_else() -> None:
    torch.manual_seed(0)
    model = ssd300_vgg16(4, trainable_layers=3)
    target = {"boxes": torch.tensor([[20.0, 20, 120, 90]]), "labels": torch.tensor([1])}
    crowd = {**target, "iscrowd": torch.tensor([1])}
    sum(model.loss(torch.rand(2, 3, 150, 150), [target, crowd]).values()).backward()
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert still == {
        f"backbone.features.{k}.{kind}" for k in (0, 2, 5, 7) for kind in ("weight", "bias")
    }
    for name, p in model.named_parameters():
        assert name in still or p.grad is not None, name
    with pytest.raises(ValueError, match=r"must lie in 0..5, got 6"):
        ssd300_vgg16(4, trainable_layers=6)
