"""Faster and Mask R-CNN: every step against a plain loop, and the published numbers and names."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from random_boxes import random_boxes
from torch import Tensor
from torch.testing import assert_close

from course_lib import models
from course_lib.anchors import AnchorGenerator, pyramid_grids
from course_lib.boxes import box_iou
from course_lib.models.backbones import create_backbone
from course_lib.models.faster_rcnn import (
    FasterRCNN,
    MaskRCNN,
    assign_proposals,
    decode,
    detection_loss,
    faster_rcnn,
    mask_loss,
    mask_targets,
    paste_masks,
    proposal_loss,
    proposal_targets,
    propose,
)
from course_lib.models.pyramid import BackboneWithFPN, LastLevelMaxPool
from course_lib.models.torchvision_weights import renamed
from course_lib.suppression import nms

SIDE = 64
boxes = partial(random_boxes, side=SIDE)


def anchors() -> list[Tensor]:
    make = AnchorGenerator(((12,), (24,)), (0.5, 1.0), offset=0.5)
    return make(pyramid_grids((SIDE, SIDE), (8, 16)), (8, 16))


def moved(anchor: list[float], delta: list[float], weights: list[float]) -> list[float]:
    """The box that a delta makes of an anchor, cut at the border of SIDE x SIDE."""
    x1, y1, x2, y2 = anchor
    dx, dy, dw, dh = (d / w for d, w in zip(delta, weights, strict=True))
    w, h = (x2 - x1) * math.exp(dw), (y2 - y1) * math.exp(dh)
    x, y = (x1 + x2) / 2 + dx * (x2 - x1), (y1 + y2) / 2 + dy * (y2 - y1)
    return [min(max(v, 0.0), SIDE) for v in (x - w / 2, y - h / 2, x + w / 2, y + h / 2)]


# --- the first stage ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_proposals_are_a_loop(seed: int) -> None:
    torch.manual_seed(seed)
    places = anchors()
    said = [torch.randn(len(level)) for level in places]
    deltas = [torch.randn(len(level), 4) / 2 for level in places]
    found, scores = propose(
        said, deltas, places, (SIDE, SIDE), candidates=30, nms_threshold=0.6, most=35
    )
    kept = []
    for level, logits, own in zip(places, said, deltas, strict=True):
        best = sorted(range(len(level)), key=lambda n: -float(logits[n]))[:30]
        made = [moved(level[n].tolist(), own[n].tolist(), [1] * 4) for n in best]
        good = [i for i, b in enumerate(made) if b[2] - b[0] >= 1e-3 and b[3] - b[1] >= 1e-3]
        at = torch.tensor([made[i] for i in good])
        value = torch.tensor([float(logits[best[i]]) for i in good])
        kept += [(float(value[k]), made[good[k]]) for k in nms(at, value, 0.6).tolist()]
    kept.sort(key=lambda entry: -entry[0])
    assert len(kept) > 35
    assert_close(scores, torch.tensor([s for s, _ in kept[:35]]).sigmoid(), rtol=1e-5, atol=1e-6)
    assert_close(found, torch.tensor([b for _, b in kept[:35]]), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_proposal_targets_are_a_loop(count: int) -> None:
    truths, places = boxes(count, count), torch.cat(anchors())
    wanted, deltas = proposal_targets(places, truths, torch.ones(count).long())
    table = box_iou(truths.double(), places.double())
    best = [float(row.max()) for row in table]
    for n in range(len(places)):
        column = table[:, n].tolist()
        top = max(column, default=0.0)
        rescued = any(iou == b > 0 for iou, b in zip(column, best, strict=True))
        expected = 1 if top >= 0.7 or rescued else (-1 if top >= 0.3 else 0)
        assert int(wanted[n]) == expected
        if expected < 1:
            assert not deltas[n].any()
            continue
        m = column.index(top)
        back = moved(places[n].tolist(), deltas[n].tolist(), [1] * 4)
        assert back == pytest.approx(truths[m].tolist(), abs=1e-3)


def test_anchors_of_a_crowd_are_not_asked() -> None:
    places = torch.cat(anchors())
    truth = places[40:41] + torch.tensor([[1.0, 0, 1, 0]])
    assert (proposal_targets(places, truth, torch.tensor([3]))[0] == 1).any()
    wanted, deltas = proposal_targets(places, truth, torch.tensor([-1]))
    assert not (wanted == 1).any()
    assert not deltas.any()


def test_proposal_loss_is_a_loop() -> None:
    torch.manual_seed(0)
    said, deltas, wanted = torch.randn(2, 30), torch.randn(2, 30, 4), torch.randn(2, 30, 4)
    positive, negative = torch.rand(2, 30) < 0.2, torch.rand(2, 30) < 0.5
    negative &= ~positive
    terms = proposal_loss(said, deltas, wanted, positive, negative)
    count = int((positive | negative).sum())
    log_loss = away = 0.0
    for b, n in (positive | negative).nonzero().tolist():
        p = 1 / (1 + math.exp(-float(said[b, n])))
        log_loss -= math.log(p if positive[b, n] else 1 - p)
        if positive[b, n]:
            for d in (deltas[b, n] - wanted[b, n]).abs().tolist():
                away += d * d * 4.5 if d < 1 / 9 else d - 1 / 18
    assert float(terms["objectness"]) == pytest.approx(log_loss / count, rel=1e-5)
    assert float(terms["rpn_bbox_regression"]) == pytest.approx(away / count, rel=1e-5)


# --- the second stage -----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 5])
def test_proposals_answer_for_what_they_overlap_most(count: int) -> None:
    truths, labels = boxes(count, 3), torch.arange(1, count + 1)
    proposals = torch.cat((boxes(40, 5), truths + 1))
    classes, objects = assign_proposals(proposals, truths, labels)
    for n, row in enumerate(box_iou(proposals.double(), truths.double()).tolist()):
        top = max(row, default=0.0)
        assert int(classes[n]) == (int(labels[row.index(top)]) if top >= 0.5 else 0)
        if top >= 0.5:
            assert int(objects[n]) == row.index(top)
    if count:
        assert (classes > 0).any()
        crowd, _ = assign_proposals(proposals, truths, torch.full_like(labels, -1))
        assert (crowd == -1).tolist() == (classes > 0).tolist()


def test_detection_loss_is_a_loop() -> None:
    torch.manual_seed(0)
    R, K = 20, 4
    logits, deltas = torch.randn(R, K), torch.randn(R, 4 * K)
    classes, wanted = torch.randint(0, K, (R,)), torch.randn(R, 4)
    terms = detection_loss(logits, deltas, classes, wanted)
    log_loss = away = 0.0
    for r in range(R):
        k = int(classes[r])
        log_loss -= float(logits[r].double().log_softmax(0)[k])
        if k:
            for d in (deltas[r, 4 * k : 4 * k + 4] - wanted[r]).abs().tolist():
                away += d * d * 4.5 if d < 1 / 9 else d - 1 / 18
    assert float(terms["classification"]) == pytest.approx(log_loss / R, rel=1e-5)
    assert float(terms["bbox_regression"]) == pytest.approx(away / R, rel=1e-5)
    nothing = detection_loss(logits[:0], deltas[:0], classes[:0], wanted[:0])
    assert [float(x) for x in nothing.values()] == [0, 0]


def test_decode_is_a_loop() -> None:
    torch.manual_seed(1)
    P, K = 30, 4
    proposals, logits, deltas = boxes(P, 8), 2 * torch.randn(P, K), torch.randn(P, 4 * K)
    found = decode(logits, deltas, proposals, (SIDE, SIDE), score_threshold=0.2, max_detections=20)
    scores = logits.double().softmax(1)
    kept = []
    for k in range(1, K):
        rows = [p for p in range(P) if scores[p, k] > 0.2]
        own = [moved(proposals[p].tolist(), deltas[p, 4 * k : 4 * k + 4].tolist(), [10, 10, 5, 5])
               for p in rows]  # fmt: skip
        value = torch.tensor([float(scores[p, k]) for p in rows])
        for i in nms(torch.tensor(own).view(-1, 4), value, 0.5).tolist():
            kept.append((float(value[i]), k, own[i]))
    kept = sorted(kept, key=lambda entry: -entry[0])[:20]
    assert len(kept) == 20
    assert found["labels"].tolist() == [k for _, k, _ in kept]
    assert_close(found["scores"], torch.tensor([s for s, _, _ in kept]), rtol=1e-5, atol=1e-6)
    assert_close(found["boxes"], torch.tensor([b for _, _, b in kept]), rtol=1e-4, atol=1e-3)


# --- masks ----------------------------------------------------------------------------------------


def test_a_mask_that_is_the_lower_half_of_its_box() -> None:
    masks = torch.zeros(2, SIDE, SIDE)
    masks[1, 20:40, 10:40] = 1
    small = mask_targets(masks, torch.tensor([[10.0, 0, 40, 40]]), torch.tensor([1]), 28)
    assert small.shape == (1, 28, 28)
    assert (small[0, :13] == 0).all()
    assert (small[0, 15:-1, 1:-1] > 0.99).all()


def test_mask_loss_asks_the_right_class_only() -> None:
    torch.manual_seed(0)
    logits, wanted = torch.randn(3, 5, 4, 4), (torch.rand(3, 4, 4) < 0.5).float()
    classes = torch.tensor([1, 4, 2])
    total = 0.0
    for r, k in enumerate(classes.tolist()):
        p = logits[r, k].double().sigmoid()
        total -= float((wanted[r] * p.log() + (1 - wanted[r]) * (1 - p).log()).mean())
    assert float(mask_loss(logits, classes, wanted)) == pytest.approx(total / 3, rel=1e-5)
    assert float(mask_loss(logits[:0], classes[:0], wanted[:0])) == 0


def test_pasted_masks_fill_their_boxes() -> None:
    """A mask of ones is as large as its box, to a pixel; what lies outside is cut off."""
    found = torch.tensor([[10.0, 12, 30, 52], [-9, -9, 12, 6], [60, 60, 90, 90]])
    pasted = paste_masks(torch.ones(3, 28, 28), found, (SIDE, SIDE))
    assert pasted.shape == (3, SIDE, SIDE)
    for mask, (x1, y1, x2, y2) in zip(pasted > 0.5, found.tolist(), strict=True):
        rows, columns = mask.any(1).nonzero().squeeze(1), mask.any(0).nonzero().squeeze(1)
        assert abs(int(columns[0]) - max(x1, 0)) <= 1
        assert abs(int(columns[-1]) + 1 - min(x2, SIDE)) <= 1
        assert abs(int(rows[0]) - max(y1, 0)) <= 1
        assert abs(int(rows[-1]) + 1 - min(y2, SIDE)) <= 1
    outside = paste_masks(torch.ones(1, 28, 28), torch.tensor([[80.0, 80, 90, 90]]), (SIDE, SIDE))
    assert not outside.any()
    assert paste_masks(torch.ones(0, 28, 28), torch.zeros(0, 4), (8, 9)).shape == (0, 8, 9)


# --- the networks ---------------------------------------------------------------------------------


def test_p6_is_every_second_location_of_p5() -> None:
    top = torch.arange(35.0).view(1, 1, 5, 7)
    (p6,) = LastLevelMaxPool()([torch.zeros(1, 1, 9, 13), top], [])
    assert torch.equal(p6, torch.nn.functional.max_pool2d(top, 1, stride=2))
    backbone = BackboneWithFPN(create_backbone("tiny"), 8, lowest=2, extra="pool")
    assert backbone.strides == [4, 8, 16, 32, 64]
    assert [x.shape[-1] for x in backbone(torch.rand(1, 3, 96, 96))] == [24, 12, 6, 3, 2]


@pytest.mark.parametrize(
    ("name", "count"),
    [("fasterrcnn_resnet50_fpn", 41_755_286), ("maskrcnn_resnet50_fpn", 44_401_393)],
)
def test_the_full_size_networks_are_the_published_ones(name: str, count: int) -> None:
    with torch.device("meta"):
        model = getattr(models, name)(91)
    assert sum(p.numel() for p in model.parameters()) == count
    shapes = {key: tuple(w.shape) for key, w in model.state_dict().items()}
    assert shapes["rpn.head.conv.0.0.weight"] == (256, 256, 3, 3)
    assert shapes["rpn.head.bbox_pred.weight"] == (12, 256, 1, 1)
    assert shapes["roi_heads.box_head.fc6.weight"] == (1024, 256 * 49)
    assert shapes["roi_heads.box_predictor.bbox_pred.weight"] == (364, 1024)
    if name.startswith("mask"):
        assert shapes["roi_heads.mask_head.3.0.weight"] == (256, 256, 3, 3)
        assert shapes["roi_heads.mask_predictor.conv5_mask.weight"] == (256, 256, 2, 2)
        assert shapes["roi_heads.mask_predictor.mask_fcn_logits.weight"] == (91, 256, 1, 1)


OLD = {
    "backbone.fpn.inner_blocks.1.weight": "backbone.fpn.inner_blocks.1.0.weight",
    "rpn.head.conv.bias": "rpn.head.conv.0.0.bias",
    "roi_heads.mask_head.mask_fcn1.weight": "roi_heads.mask_head.0.0.weight",
    "roi_heads.mask_head.mask_fcn4.bias": "roi_heads.mask_head.3.0.bias",
    "head.classification_head.conv.2.weight": "head.classification_head.conv.1.0.weight",
    "head.regression_head.conv.6.bias": "head.regression_head.conv.3.0.bias",
    "backbone.body.layer1.0.conv1.weight": "backbone.body.layer1.0.conv1.weight",
}


def test_names_of_old_files_are_translated() -> None:
    weight = torch.zeros(1)
    assert set(renamed(dict.fromkeys(OLD, weight))) == set(OLD.values())
    fcos = dict.fromkeys(("head.classification_head.conv.1.weight",
                          "head.classification_head.conv.3.weight"), weight)  # fmt: skip
    assert renamed(fcos) == fcos, "FCOS has a norm at 1 and a ReLU at 2"


def small(**options: object) -> MaskRCNN:
    torch.manual_seed(0)
    backbone = BackboneWithFPN(create_backbone("tiny"), 16, norm="batch")
    make = AnchorGenerator(((12,), (24,), (48,)), (1.0,), offset=0.5)
    usual = {"width": 32, "drawn": 32, "proposals": (60, 30), "score_threshold": 0.0}
    return MaskRCNN(backbone, 3, make, **{**usual, **options})


def targets() -> list[dict[str, Tensor]]:
    truths = torch.tensor([[4.0, 4, 30, 28], [20, 30, 62, 60], [40, 2, 54, 20]])
    masks = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, truths.long().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long(), "masks": masks[:0]}
    return [{"boxes": truths, "labels": torch.tensor([0, 2, 1]), "masks": masks}, nothing]


def test_ten_steps_bring_every_term_down() -> None:
    model = small()
    images = torch.rand(2, 3, SIDE, SIDE)
    make = torch.optim.AdamW(model.parameters(), 3e-3)
    history = []
    for _ in range(25):
        terms = model.loss(images, targets())
        history.append({name: float(x.detach()) for name, x in terms.items()})
        make.zero_grad()
        sum(terms.values()).backward()
        make.step()
    assert set(history[0]) == {
        "objectness", "rpn_bbox_regression", "classification", "bbox_regression", "mask"
    }  # fmt: skip
    for name in ("objectness", "classification", "mask"):
        assert history[-1][name] < history[0][name], name
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_detections_and_masks_of_images_of_many_sizes() -> None:
    model = small().eval()
    images = [torch.rand(3, 40, 100), torch.rand(3, 96, 30)]
    for image, found in zip(images, model.detect(images), strict=True):
        H, W = image.shape[1:]
        assert len(found["boxes"]) > 10
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([W, H, W, H])).all()
        assert (found["scores"].diff() <= 0).all()
        assert set(found["labels"].tolist()) <= {0, 1, 2}
        assert found["masks"].shape == (len(found["boxes"]), 1, H, W)
        assert 0 <= float(found["masks"].min()) < float(found["masks"].max()) <= 1


def test_crowds_and_pictures_of_nothing_do_no_harm() -> None:
    model = small()
    crowd = {**targets()[0], "iscrowd": torch.tensor([1, 1, 1])}
    terms = model.loss(torch.rand(2, 3, SIDE, SIDE), [crowd, targets()[1]])
    assert float(terms["mask"].detach()) == float(terms["bbox_regression"].detach()) == 0
    assert float(terms["rpn_bbox_regression"].detach()) == 0
    sum(terms.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_label_0_where_background_is_0() -> None:
    mine, theirs = small(), small(background_is_0=True)
    assert mine.num_outputs == 4
    assert theirs.num_outputs == 3
    assert {*theirs.eval().detect(torch.rand(1, 3, SIDE, SIDE))[0]["labels"].tolist()} <= {1, 2}


def test_wrong_calls_are_explained() -> None:
    backbone = BackboneWithFPN(create_backbone("tiny"), 8)
    with pytest.raises(ValueError, match="each of the 3 levels, as many at all of them"):
        FasterRCNN(backbone, 2, AnchorGenerator(((8,), (16,)), (1.0,)))
    with pytest.raises(ValueError, match=r"grid must be .*, got 'paper'"):
        faster_rcnn(2, grid="paper")
    without = [{k: v for k, v in target.items() if k != "masks"} for target in targets()]
    with pytest.raises(ValueError, match=r"targets\[0\] must have masks \[N, H, W\]"):
        small().loss(torch.rand(2, 3, SIDE, SIDE), without)
