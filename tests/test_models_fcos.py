"""FCOS: every step against a plain loop in float64, and the published numbers and names."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from course_lib.anchors import pyramid_grids
from course_lib.models import create_detector
from course_lib.models.fcos import (
    BACKGROUND,
    FCOS,
    IGNORED,
    FCOSHead,
    assign_targets,
    box_sides,
    centerness,
    decode,
    decode_sides,
    fcos,
    fcos_loss,
    grid_locations,
    in_range,
    near_centre,
    smallest_box,
)

SIDE, STRIDES = 64, (8, 16, 32)
RANGES = [(0.0, 16.0), (16.0, 32.0), (32.0, math.inf)]

sides_of = st.integers(1, 60)
scenes = st.lists(
    st.tuples(st.integers(-8, 60), st.integers(-8, 60), sides_of, sides_of), max_size=9
)


def levels() -> list[Tensor]:
    grids = pyramid_grids((SIDE, SIDE), STRIDES)
    return [grid_locations(g, s) for g, s in zip(grids, STRIDES, strict=True)]


def everywhere() -> tuple[Tensor, Tensor, Tensor]:
    """Locations [N, 2], strides [N] and ranges [N, 2] of three levels."""
    counts = torch.tensor([len(level) for level in levels()])
    strides = torch.tensor(STRIDES, dtype=torch.float32).repeat_interleave(counts)
    ranges = torch.tensor(RANGES).repeat_interleave(counts, dim=0)
    return torch.cat(levels()), strides, ranges


def boxes_of(scene: list[tuple[int, int, int, int]]) -> Tensor:
    rows = torch.tensor(scene, dtype=torch.float32).reshape(-1, 4)
    return torch.cat((rows[:, :2], rows[:, :2] + rows[:, 2:]), dim=1)


# --- targets -------------------------------------------------------------------------------------


def slow_targets(
    boxes: list[list[float]], labels: list[int], radius: float | None
) -> tuple[list[int], list[list[float]]]:
    """Section 3.1 and 3.2 as they are written, location by location; centre sampling as a window
    around the centre that is cut off at the box, as in the authors' program."""
    classes, distances = [], []
    for level, stride in enumerate(STRIDES):
        low, high = RANGES[level]
        for row in range(SIDE // stride):
            for column in range(SIDE // stride):
                x, y = stride // 2 + column * stride, stride // 2 + row * stride
                best = None
                for box, label in zip(boxes, labels, strict=True):
                    x1, y1, x2, y2 = box
                    sides = [x - x1, y - y1, x2 - x, y2 - y]
                    if radius is not None:
                        cx, cy, reach = (x1 + x2) / 2, (y1 + y2) / 2, radius * stride
                        left, top = max(x1, cx - reach), max(y1, cy - reach)
                        right, bottom = min(x2, cx + reach), min(y2, cy + reach)
                        inside = left < x < right and top < y < bottom
                    else:
                        inside = min(sides) > 0
                    if not inside or max(sides) > high or max(sides) < low:
                        continue
                    area = (x2 - x1) * (y2 - y1)
                    if best is None or area < best[0]:
                        best = area, label, sides
                classes.append(best[1] if best else BACKGROUND)
                distances.append(best[2] if best and best[1] >= 0 else [0.0] * 4)
    return classes, distances


@settings(deadline=None)
@given(scenes, st.sampled_from([None, 0.5, 1.0, 1.5, 2.5]))
def test_targets_are_the_paper_s_loop(
    scene: list[tuple[int, int, int, int]], radius: float | None
) -> None:
    """Whole numbers: many equal areas, locations on sides, distances at the ends of a range."""
    boxes = boxes_of(scene + scene[:2])  # the same boxes with other classes
    labels = torch.arange(len(boxes)) % 4
    classes, sides = assign_targets(*everywhere(), boxes, labels, radius)
    expected = slow_targets(boxes.tolist(), labels.tolist(), radius)
    assert classes.tolist() == expected[0]
    assert sides.tolist() == expected[1]


def test_targets_by_hand() -> None:
    """A box of 20 x 20 around (20, 20), a location of P3: with a radius of one stride it alone.

    Its neighbours lie exactly one stride away, and the radius itself is outside.
    """
    box, label = torch.tensor([[10.0, 10, 30, 30]]), torch.tensor([3])
    classes, sides = assign_targets(*everywhere(), box, label, radius=1.0)
    places = torch.cat(levels())
    assert places[classes == 3].tolist() == [[20, 20]]
    assert sides[classes == 3].tolist() == [[10, 10, 10, 10]]
    classes, sides = assign_targets(*everywhere(), box, label, radius=None)
    # All nine of P3 lie in the box, but the others are 18 pixels from a side, and P3 ends at 16.
    assert places[classes == 3].tolist() == [[20, 20]]


def test_a_distance_at_the_end_of_two_ranges_is_both_levels() -> None:
    box = torch.tensor([[0.0, 0, 32, 32]])  # around (16, 16); (24, 24) of P4 and its max of 24
    sides = torch.tensor([[[16.0, 4, 4, 4]], [[16.0, 4, 4, 4]], [[16.1, 4, 4, 4]]])
    ranges = torch.tensor([RANGES[0], RANGES[1], RANGES[0]])
    assert in_range(sides, ranges).tolist() == [[True], [True], [False]]
    assert near_centre(torch.tensor([[32.0, 16.0]]), torch.tensor([8.0]), box, None).tolist() == [
        [False]
    ]


def test_areas_are_told_apart_where_1e8_minus_area_cannot() -> None:
    """999,999 and 1,000,000 square pixels: 1e8 − area is one number in float32."""
    boxes = torch.tensor([[0.0, 0, 1000, 1000], [0.0, 0, 999.999, 1000]])
    first = torch.tensor(1e8) - (boxes[:, 2] * boxes[:, 3])
    assert first[0] == first[1]
    assert smallest_box(torch.ones(1, 2, dtype=torch.bool), boxes).tolist() == [1]
    assert smallest_box(torch.ones(1, 2, dtype=torch.bool), boxes[[0, 0]]).tolist() == [0]
    assert smallest_box(torch.zeros(2, 2, dtype=torch.bool), boxes).tolist() == [-1, -1]
    assert smallest_box(torch.zeros(2, 0, dtype=torch.bool), boxes[:0]).tolist() == [-1, -1]


def test_locations_of_a_crowd_are_ignored() -> None:
    boxes = torch.tensor([[0.0, 0, 60, 60], [20, 20, 36, 36]])
    classes, sides = assign_targets(*everywhere(), boxes, torch.tensor([IGNORED, 1]), None)
    assert {IGNORED, 1, BACKGROUND} == set(classes.tolist())
    assert (sides[classes != 1] == 0).all()
    assert (sides[classes == 1] > 0).all()


@given(scenes)
def test_sides_make_the_box_again(scene: list[tuple[int, int, int, int]]) -> None:
    boxes, places = boxes_of(scene), torch.cat(levels())
    sides = box_sides(places, boxes)  # [N, M, 4]
    again = decode_sides(places[:, None].expand(*sides.shape[:2], 2), sides)
    assert torch.equal(again, boxes.expand_as(again))


def test_locations_by_hand() -> None:
    assert grid_locations((2, 3), 8).tolist() == [
        [4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]
    ]  # fmt: skip
    assert grid_locations((1, 2), (10, 8), 0.0).tolist() == [[0, 0], [8, 0]]
    assert grid_locations((2, 1), (10, 8), 0.0).tolist() == [[0, 0], [0, 10]]


def test_a_ninth_of_retinanet_s_locations() -> None:
    with torch.device("meta"):
        model = create_detector("fcos_resnet50_fpn", 91)
        assert isinstance(model, FCOS)
        assert 9 * sum(len(level) for level in model.locations_of((600, 600))) == 67_995


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([4.0, 4, 4, 4], 1.0),
        ([1.0, 2, 3, 2], math.sqrt(1 / 3)),
        ([1.0, 1, 4, 4], 0.25),
        ([0.0, 5, 8, 5], 0.0),
        ([0.0, 0, 0, 0], 0.0),
    ],
)
def test_centerness_by_hand(sides: list[float], expected: float) -> None:
    assert centerness(torch.tensor(sides)).item() == pytest.approx(expected)


# --- loss ----------------------------------------------------------------------------------------


def said(B: int, N: int, K: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, N, K, generator=dice, dtype=torch.float64) * 2
    sides = torch.rand(B, N, 4, generator=dice, dtype=torch.float64) * 5 + 0.1
    central = torch.randn(B, N, generator=dice, dtype=torch.float64)
    classes = torch.randint(-2, K, (B, N), generator=dice)
    wanted = torch.rand(B, N, 4, generator=dice, dtype=torch.float64) * 5 + 0.1
    return logits, sides, central, classes, wanted * (classes >= 0)[..., None]


def slow_loss(parts: tuple[Tensor, ...], alpha: float, gamma: float, kind: str) -> list[float]:
    logits, sides, central, classes, wanted = (part.tolist() for part in parts)
    focal = away = middle = 0.0
    positives = 0
    for b in range(len(logits)):
        for n in range(len(logits[b])):
            if classes[b][n] == IGNORED:
                continue
            for k, logit in enumerate(logits[b][n]):
                p = 1 / (1 + math.exp(-logit))
                if classes[b][n] == k:
                    focal -= alpha * (1 - p) ** gamma * math.log(p)
                else:
                    focal -= (1 - alpha) * p**gamma * math.log(1 - p)
            if classes[b][n] < 0:
                continue
            positives += 1
            left, top, right, bottom = sides[b][n]
            L, T, R, B = wanted[b][n]
            inter = (min(left, L) + min(right, R)) * (min(top, T) + min(bottom, B))
            union = (left + right) * (top + bottom) + (L + R) * (T + B) - inter
            hull = (max(left, L) + max(right, R)) * (max(top, T) + max(bottom, B))
            iou = inter / union
            away += -math.log(iou) if kind == "iou" else 1 - (iou - (hull - union) / hull)
            goal = math.sqrt(min(L, R) / max(L, R) * min(T, B) / max(T, B))
            p = 1 / (1 + math.exp(-central[b][n]))
            middle -= goal * math.log(p) + (1 - goal) * math.log(1 - p)
    return [x / max(1, positives) for x in (focal, away, middle)]


@pytest.mark.parametrize("kind", ["iou", "giou"])
@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0)])
def test_loss_is_a_loop(alpha: float, gamma: float, kind: str) -> None:
    for seed in range(5):
        parts = said(2, 12, 3, seed)
        terms = fcos_loss(*parts, alpha=alpha, gamma=gamma, box_loss=kind)
        assert list(terms) == ["classification", "bbox_regression", "bbox_ctrness"]
        found = [term.item() for term in terms.values()]
        assert found == pytest.approx(slow_loss(parts, alpha, gamma, kind), rel=1e-6)


def test_loss_of_one_image_needs_no_batch_and_takes_the_count_it_is_told() -> None:
    parts = said(1, 12, 3, 0)
    whole, one = fcos_loss(*parts), fcos_loss(*(part[0] for part in parts))
    told = fcos_loss(*parts, positives=1)
    count = (parts[3] >= 0).sum()
    for name, term in whole.items():
        assert_close(term, one[name])
        assert_close(told[name], term * count)


def test_gradients_are_right() -> None:
    logits, sides, central, classes, wanted = said(1, 6, 2, 3)

    def total(*said: Tensor) -> Tensor:
        return sum(fcos_loss(*said, classes, wanted).values())

    inputs = [x.requires_grad_() for x in (logits, sides, central)]
    assert torch.autograd.gradcheck(total, inputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_loss_of_half_types_is_computed_in_float32(dtype: torch.dtype) -> None:
    logits, sides, central, classes, wanted = said(1, 12, 3, 1)
    half = [x.to(dtype) for x in (logits, sides, central)]
    terms = fcos_loss(*half, classes, wanted)
    exact = fcos_loss(*(x.float() for x in half), classes, wanted)
    for name, term in terms.items():
        assert term.dtype in (torch.float32, torch.float64)
        assert_close(term, exact[name], check_dtype=False)


# --- inference -----------------------------------------------------------------------------------


def test_decode_of_perfect_answers_is_the_truth() -> None:
    boxes = torch.tensor([[2.0, 2, 26, 30], [30, 34, 62, 60], [40, 4, 56, 18]])
    labels = torch.tensor([0, 1, 2])
    places, strides, ranges = everywhere()
    classes, sides = assign_targets(places, strides, ranges, boxes, labels)
    logits = torch.full((len(places), 3), -9.0)
    positive = classes >= 0
    logits[positive, classes[positive]] = 9.0
    middle = torch.logit(centerness(sides).clamp(1e-4, 1 - 1e-4))
    counts = [len(level) for level in levels()]
    found = decode(
        logits.split(counts), sides.split(counts), middle.split(counts), levels(), (SIDE, SIDE)
    )
    order = found["labels"].argsort()
    assert found["labels"][order].tolist() == [0, 1, 2]
    assert_close(found["boxes"][order], boxes)


def test_the_score_is_the_root_of_class_and_centre() -> None:
    place = [torch.tensor([[20.0, 20.0]])]
    box = [torch.tensor([[5.0, 6, 7, 8]])]
    found = decode(
        [torch.logit(torch.tensor([[0.8, 0.1]]))], box, [torch.logit(torch.tensor([0.45]))],
        place, (64, 64), score_threshold=0.3,
    )  # fmt: skip
    assert_close(found["scores"], torch.tensor([0.6]))
    assert found["boxes"].tolist() == [[15, 14, 27, 28]]
    assert found["labels"].tolist() == [0]


def test_nothing_found() -> None:
    maps = [torch.full((len(level), 2), -9.0) for level in levels()]
    ones = [torch.ones(len(level), 4) for level in levels()]
    found = decode(maps, ones, [m[:, 0] for m in maps], levels(), (SIDE, SIDE))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "boxes": (0, 4), "scores": (0,), "labels": (0,)
    }  # fmt: skip
    assert found["labels"].dtype == torch.int64


# --- the detector --------------------------------------------------------------------------------


def published_names() -> set[str]:
    """The state dict's keys of the full-size heads and pyramid, spelled out."""
    convs = [f"backbone.fpn.{part}_blocks.{k}.0" for part in ("inner", "layer") for k in range(3)]
    convs += ["backbone.fpn.extra_blocks.p6", "backbone.fpn.extra_blocks.p7"]
    for head in ("classification_head", "regression_head"):
        convs += [f"head.{head}.conv.{k}" for k in (0, 1, 3, 4, 6, 7, 9, 10)]
    convs += ["head.classification_head.cls_logits"]
    convs += [f"head.regression_head.{last}" for last in ("bbox_reg", "bbox_ctrness")]
    return {f"{conv}.{kind}" for conv in convs for kind in ("weight", "bias")}


def test_the_full_size_network_is_the_published_one() -> None:
    with torch.device("meta"):
        model = create_detector("fcos_resnet50_fpn", 91)
    assert sum(p.numel() for p in model.parameters()) == 32_269_600
    assert {n for n in model.state_dict() if "body" not in n} == published_names()
    shapes = {name: tuple(w.shape) for name, w in model.state_dict().items()}
    assert shapes["head.classification_head.cls_logits.weight"] == (91, 256, 3, 3)
    assert shapes["head.regression_head.bbox_reg.weight"] == (4, 256, 3, 3)
    assert shapes["head.regression_head.bbox_ctrness.weight"] == (1, 256, 3, 3)


def test_places_by_the_network_and_by_the_image() -> None:
    """On 800 rows P7 has 7, and 800 // 7 = 114 is torchvision's stride, 128 the network's."""
    with torch.device("meta"):
        published = create_detector("fcos_resnet50_fpn", 91)
        paper = create_detector("fcos_resnet50_fpn", 91, offset=0.5, grid="network")
    for model in (published, paper):
        model.pixel_mean = torch.zeros(3, 1, 1)
    assert published.locations_of((800, 800))[-1][-1].tolist() == [684, 684]
    assert paper.locations_of((800, 800))[-1][-1].tolist() == [832, 832]


def test_a_fresh_head_gives_the_prior_and_sides_of_one_stride() -> None:
    torch.manual_seed(0)
    pyramid = [torch.randn(1, 16, side, side) for side in (8, 4)]
    outputs = FCOSHead(16, 2, 3, prior=0.01, depth=1)(pyramid)
    assert outputs["cls_logits"].shape == (1, 80, 3)
    assert outputs["bbox_ctrness"].shape == (1, 80, 1)
    assert outputs["cls_logits"].sigmoid().mean().item() == pytest.approx(0.01, rel=0.2)
    assert outputs["bbox_regression"].mean().item() == pytest.approx(1, rel=0.2)
    relu = FCOSHead(16, 2, 3, sides="relu")(pyramid)["bbox_regression"]
    assert (relu >= 0).all()
    assert not any("scales" in n for n, _ in FCOSHead(16, 2, 3, sides="relu").named_parameters())


def targets() -> list[dict[str, Tensor]]:
    boxes = torch.tensor([[4.0, 4, 30, 28], [20, 30, 62, 60], [40, 2, 54, 20]])
    return [
        {"boxes": boxes, "labels": torch.tensor([0, 2, 1])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]


def test_ten_steps_on_one_batch_bring_every_term_down() -> None:
    torch.manual_seed(0)
    model = fcos(3)
    images = torch.rand(2, 3, SIDE, SIDE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history = []
    for _ in range(11):
        terms = model.loss(images, targets())
        history.append({name: term.item() for name, term in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    for name in ("classification", "bbox_regression"):
        assert history[-1][name] < 0.8 * history[0][name], name
    assert history[-1]["bbox_ctrness"] < history[0]["bbox_ctrness"]


def test_gradients_are_finite_without_any_object() -> None:
    model = fcos(3)
    sum(model.loss(torch.rand(2, 3, SIDE, SIDE), [targets()[1]] * 2).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_crowds_and_options_reach_the_loss() -> None:
    torch.manual_seed(0)
    model = fcos(3).eval()
    images = torch.rand(1, 3, SIDE, SIDE)
    target = targets()[0]
    crowd = target | {"iscrowd": torch.tensor([0, 1, 0])}
    plain, ignored = model.loss(images, [target]), model.loss(images, [crowd])
    assert plain["classification"] != ignored["classification"]
    model.box_loss = "iou"
    assert model.loss(images, [target])["bbox_regression"] != plain["bbox_regression"]
    model.radius = 0.5
    more = model.loss(images, [target])
    assert more["classification"] != plain["classification"]


def test_images_of_many_sizes_and_half_types() -> None:
    model = fcos(3, score_threshold=0.0, nms_threshold=0.9).eval()
    images = [torch.rand(3, 40, 100), torch.rand(3, 128, 30)]
    for image, found in zip(images, model.detect(images), strict=True):
        H, W = image.shape[1:]
        assert len(found["boxes"]) > 10
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([W, H, W, H])).all()
        assert (found["scores"].diff() <= 0).all()
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.loss(torch.rand(2, 3, SIDE, SIDE), targets())
        found = model.detect(images)
    assert all(term.dtype == torch.float32 for term in terms.values())
    assert found[0]["boxes"].dtype == found[0]["scores"].dtype == torch.float32


def test_wrong_calls_are_explained() -> None:
    with pytest.raises(ValueError, match=r"labels must have shape \[M\] = \[2\].* got \[3\]"):
        inspect.unwrap(assign_targets)(
            *everywhere(), torch.zeros(2, 4), torch.zeros(3, dtype=torch.int64)
        )
    parts = list(said(1, 6, 2, 0))
    with pytest.raises(ValueError, match='box_loss must be "iou" or "giou"'):
        inspect.unwrap(fcos_loss)(*parts, box_loss="diou")
    parts[3] = parts[3][:, :5]
    with pytest.raises(ValueError, match=r"classes must have a number .* \[1, 6\], got \[1, 5\]"):
        inspect.unwrap(fcos_loss)(*parts)
    one = [torch.zeros(1, 4)]
    with pytest.raises(ValueError, match=r"one entry a level, got 1, 2, 1, 1"):
        decode(one, one * 2, [torch.zeros(1)], [torch.zeros(1, 2)], (9, 9))
    with pytest.raises(ValueError, match="ranges must be 3, one for each level"):
        fcos(2, ranges=[(0, 1)])
    with pytest.raises(ValueError, match='sides must be "exp" or "relu"'):
        inspect.unwrap(FCOSHead.__init__)(FCOSHead.__new__(FCOSHead), 16, 2, 3, sides="softplus")
