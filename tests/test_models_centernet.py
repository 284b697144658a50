"""CenterNet: radius, heatmaps, loss and peaks against plain loops; its targets read back."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from course_lib.models import create_detector
from course_lib.models.centernet import (
    CenterNet,
    Hourglass,
    Upsampled,
    centernet,
    centernet_loss,
    decode,
    encode_targets,
    find_peaks,
    gaussian_heatmap,
    gaussian_radius,
    heatmap_focal_loss,
)

SIDE, STRIDE, K = 64, 4, 3
GRID = (SIDE // STRIDE, SIDE // STRIDE)

lengths = st.floats(1, 200)
overlaps = st.floats(0.05, 0.95)
places = st.integers(0, 40).map(float)
scenes = st.lists(
    st.tuples(places, places, st.integers(2, 24), st.integers(2, 24), st.integers(0, K - 1)),
    max_size=8,
)


def boxes_of(scene: list[tuple[float, float, int, int, int]]) -> tuple[Tensor, Tensor]:
    rows = torch.tensor(scene, dtype=torch.float64).reshape(-1, 5)
    return torch.cat((rows[:, :2], rows[:, :2] + rows[:, 2:4]), dim=1), rows[:, 4].long()


# --- radius --------------------------------------------------------------------------------------


def iou_of_sides(h: float, w: float, h2: float, w2: float, inter: float) -> float:
    return inter / (h * w + h2 * w2 - inter)


@given(lengths, lengths, overlaps)
def test_at_the_radius_the_overlap_is_the_least_allowed(h: float, w: float, o: float) -> None:
    """Moved by r in any of the three ways no box falls below it, and in one it is reached."""
    r = gaussian_radius(h, w, o)
    assert 0 < r < min(h, w)
    shifted = iou_of_sides(h, w, h, w, (h - r) * (w - r))
    inwards = max(h - 2 * r, 0) * max(w - 2 * r, 0) / (h * w)
    outwards = h * w / ((h + 2 * r) * (w + 2 * r))
    least = min(shifted, inwards, outwards)
    assert least == pytest.approx(o, rel=1e-6)


def test_the_radius_by_hand_and_as_published() -> None:
    assert gaussian_radius(64, 64) == pytest.approx(5.2269, abs=1e-4)
    assert gaussian_radius(64, 64, published=True) == pytest.approx(17.4925, abs=1e-4)
    assert gaussian_radius(0, 5) == 0
    # Inwards: (1 − 2r)² = 0.25 gives a quarter of the side; the other two allow 0.37 and 0.5.
    assert gaussian_radius(8, 8, 0.25) == pytest.approx(2)


@given(lengths, lengths, overlaps)
def test_the_published_radius_is_their_program_s(h: float, w: float, o: float) -> None:
    b1, c1 = h + w, w * h * (1 - o) / (1 + o)
    b2, c2 = 2 * (h + w), (1 - o) * w * h
    b3, c3 = -2 * o * (h + w), (o - 1) * w * h
    r1 = (b1 + math.sqrt(b1**2 - 4 * c1)) / 2
    r2 = (b2 + math.sqrt(b2**2 - 16 * c2)) / 2
    r3 = (b3 + math.sqrt(b3**2 - 16 * o * c3)) / 2
    expected = min(r1, r2, r3)
    assert gaussian_radius(h, w, o, published=True) == pytest.approx(expected, rel=1e-6, abs=1e-9)


# --- targets -------------------------------------------------------------------------------------


def slow_heatmap(
    centres: list[list[int]], radii: list[float], labels: list[int], H: int, W: int
) -> list[list[list[float]]]:
    maps = [[[0.0] * W for _ in range(H)] for _ in range(K)]
    for (column, row), radius, label in zip(centres, radii, labels, strict=True):
        r = int(radius)
        sigma = (2 * r + 1) / 6
        for y in range(max(0, row - r), min(H, row + r + 1)):
            for x in range(max(0, column - r), min(W, column + r + 1)):
                value = math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
                maps[label][y][x] = max(maps[label][y][x], value)
    return maps


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 5), st.floats(0, 9), st.integers(0, K - 1)),
        max_size=6,
    )
)
def test_the_heatmap_is_a_loop(objects: list[tuple[int, int, float, int]]) -> None:
    centres = [[x, y] for x, y, _, _ in objects]
    radii, labels = [r for *_, r, _ in objects], [k for *_, k in objects]
    found = gaussian_heatmap(
        torch.tensor(centres).long().reshape(-1, 2), torch.tensor(radii, dtype=torch.float64), torch.tensor(labels).long(),
        (6, 9), K,
    )  # fmt: skip
    assert_close(found, torch.tensor(slow_heatmap(centres, radii, labels, 6, 9)), atol=1e-6, rtol=0)


@settings(deadline=None)
@given(scenes)
def test_targets_are_a_loop(scene: list[tuple[float, float, int, int, int]]) -> None:
    """Section 3, object by object."""
    boxes, labels = boxes_of(scene)
    found = encode_targets(boxes, labels, GRID, STRIDE, K)
    centres, radii = [], []
    for n, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        cx, cy = (x1 + x2) / 2 / STRIDE, (y1 + y2) / 2 / STRIDE
        column, row = int(cx), int(cy)
        centres.append([column, row])
        w, h = (x2 - x1) / STRIDE, (y2 - y1) / STRIDE
        radii.append(gaussian_radius(math.ceil(h), math.ceil(w)))
        assert found.places[n] == row * GRID[1] + column
        assert found.sizes[n].tolist() == pytest.approx([w, h])
        assert found.offsets[n].tolist() == pytest.approx([cx - column, cy - row])
    expected = torch.tensor(slow_heatmap(centres, radii, labels.tolist(), *GRID))
    assert_close(found.heatmap, expected, atol=1e-6, rtol=0)


def maps_of(targets: Any) -> tuple[Tensor, Tensor, Tensor]:
    """What a perfect network says."""
    H, W = GRID
    size, offset = torch.zeros(2, 2, H * W, dtype=torch.float64)
    size[:, targets.places] = targets.sizes.T
    offset[:, targets.places] = targets.offsets.T
    return targets.heatmap.double(), size.reshape(2, H, W), offset.reshape(2, H, W)


@settings(deadline=None)
@given(scenes)
def test_decoding_its_own_targets_gives_the_truth(
    scene: list[tuple[float, float, int, int, int]],
) -> None:
    boxes, labels = boxes_of(scene)
    targets = encode_targets(boxes, labels, GRID, STRIDE, K)
    assume(len(set(targets.places.tolist())) == len(boxes))
    found = decode(*maps_of(targets), STRIDE, (SIDE, SIDE), score_threshold=0.999)
    truth = sorted([int(k), *b] for k, b in zip(labels, boxes.tolist(), strict=True))
    read = sorted(
        [int(k), *b] for k, b in zip(found["labels"], found["boxes"].tolist(), strict=True)
    )
    assert_close(torch.tensor(read), torch.tensor(truth), atol=1e-9, rtol=0)


def test_objects_outside_and_of_one_place() -> None:
    boxes = torch.tensor([[60.0, 60, 80, 90], [8, 8, 12, 12], [9, 9, 11.5, 11.5]])
    targets = encode_targets(boxes, torch.tensor([0, 1, 1]), GRID, STRIDE, K)
    assert targets.places.tolist() == [15 * 16 + 15, 2 * 16 + 2, 2 * 16 + 2]
    assert (targets.heatmap == 1).sum() == 2
    nothing = encode_targets(torch.zeros(0, 4), torch.zeros(0).long(), GRID, STRIDE, K)
    assert nothing.heatmap.abs().sum() == 0
    assert nothing.sizes.shape == nothing.offsets.shape == (0, 2)


# --- loss ----------------------------------------------------------------------------------------


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


@given(st.floats(-30, 30), st.sampled_from([-1.0, 0.0, 0.3, 0.9, 1.0]))
def test_the_focal_loss_is_its_formula(logit: float, y: float) -> None:
    p, q = 1 / (1 + math.exp(-logit)), 1 / (1 + math.exp(logit))
    log_p, log_q = log_sigmoid(logit), log_sigmoid(-logit)
    expected = 0.0 if y < 0 else -(q**2) * log_p if y == 1 else -((1 - y) ** 4) * p**2 * log_q
    x, heat = torch.tensor([logit], dtype=torch.float64), torch.tensor([y], dtype=torch.float64)
    assert heatmap_focal_loss(x, heat).item() == pytest.approx(expected, rel=1e-9, abs=1e-300)
    single = heatmap_focal_loss(x.float(), heat)
    assert single.item() == pytest.approx(expected, rel=1e-5, abs=1e-37)
    assert heatmap_focal_loss(x.bfloat16(), heat.float()).dtype == torch.float32


def test_gradients_are_right() -> None:
    dice = torch.Generator().manual_seed(0)
    boxes = torch.tensor([[4.0, 4, 30, 28], [20, 30, 62, 60]], dtype=torch.float64)
    targets = encode_targets(boxes, torch.tensor([0, 2]), (16, 16), STRIDE, K)
    shapes = (K, 2, 2)
    said = [torch.randn(1, c, 16, 16, generator=dice, dtype=torch.float64) for c in shapes]
    inputs = [x[..., :5, :5].clone().requires_grad_() for x in said]

    def total(*parts: Tensor) -> Tensor:
        whole = [x.clone() for x in said]
        for x, part in zip(whole, parts, strict=True):
            x[..., :5, :5] = part
        return sum(centernet_loss(*whole, [targets]).values())

    assert torch.autograd.gradcheck(total, inputs)


def test_the_loss_is_a_loop() -> None:
    dice = torch.Generator().manual_seed(1)
    scenes = [[[4.0, 4, 30, 28, 0], [20, 30, 62, 60, 2]], [], [[10, 10, 20, 40, 1]]]
    targets = []
    for scene in scenes:
        rows = torch.tensor(scene).reshape(-1, 5)
        targets.append(encode_targets(rows[:, :4], rows[:, 4].long(), GRID, STRIDE, K))
    heat, size, offset = (torch.randn(3, c, *GRID, generator=dice) for c in (K, 2, 2))
    focal = away = drift = 0.0
    for b, target in enumerate(targets):
        focal += heatmap_focal_loss(heat[b].double(), target.heatmap.double()).sum().item()
        for place, wh, xy in zip(*target[1:], strict=True):
            row, column = divmod(int(place), GRID[1])
            away += sum(abs(size[b, k, row, column] - wh[k]).item() for k in (0, 1))
            drift += sum(abs(offset[b, k, row, column] - xy[k]).item() for k in (0, 1))
    terms = centernet_loss(heat, size, offset, targets)
    assert list(terms) == ["heatmap", "size", "offset"]
    found = [term.item() for term in terms.values()]
    assert found == pytest.approx([focal / 3, 0.1 * away / 3, drift / 3], rel=1e-5)
    told = centernet_loss(heat, size, offset, targets, objects=1, lambda_size=1)
    assert told["size"].item() == pytest.approx(away, rel=1e-5)


# --- inference -----------------------------------------------------------------------------------


def test_peaks_are_a_loop() -> None:
    dice = torch.Generator().manual_seed(2)
    for _ in range(20):
        heat = (torch.rand(K, 7, 9, generator=dice) * 12).round() / 12  # with ties
        expected = []
        for k in range(K):
            for y in range(7):
                for x in range(9):
                    near = heat[k, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                    if heat[k, y, x] >= near.max() and heat[k, y, x] > 0.2:
                        expected.append((-heat[k, y, x].item(), k, y * 9 + x))
        expected = sorted(expected)[:12]
        scores, where, labels = find_peaks(heat, 12, 0.2)
        found = zip((-scores).tolist(), labels.tolist(), where.tolist(), strict=True)
        assert list(found) == expected


def test_nothing_and_empty_boxes_are_no_detections() -> None:
    heat = torch.zeros(K, *GRID)
    for peak in (0.0, 0.9):
        heat[0, 3, 3] = peak
        found = decode(heat, torch.zeros(2, *GRID), torch.zeros(2, *GRID), STRIDE, (SIDE, SIDE))
        assert {name: tuple(x.shape) for name, x in found.items()} == {
            "boxes": (0, 4), "scores": (0,), "labels": (0,)
        }  # fmt: skip


# --- the detector --------------------------------------------------------------------------------


def small(**options: Any) -> CenterNet:
    torch.manual_seed(0)
    return centernet(K, channels=(24, 24, 32, 32), **options)


def targets() -> list[dict[str, Tensor]]:
    boxes = torch.tensor([[4.0, 4, 30, 28], [20, 30, 62, 60], [40, 2, 54, 20]])
    return [
        {"boxes": boxes, "labels": torch.tensor([0, 2, 1])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]


@pytest.mark.parametrize("name", ["centernet", "centernet_resnet18"])
def test_outputs_at_a_quarter_of_the_sides(name: str) -> None:
    model = create_detector(name, 5).eval()
    outputs = model(torch.rand(1, 3, 64, 96))
    shapes = {name: tuple(x.shape) for name, x in outputs.items()}
    assert shapes == {"heatmap": (1, 5, 16, 24), "size": (1, 2, 16, 24), "offset": (1, 2, 16, 24)}
    assert outputs["heatmap"].sigmoid().mean().item() == pytest.approx(0.1, rel=0.3)


def test_the_full_size_networks() -> None:
    with torch.device("meta"):
        model = create_detector("centernet_resnet18", 80)
    body = {name for name in model.state_dict() if name.startswith("network.body.")}
    assert "network.body.layer4.1.bn2.running_var" in body
    weights = {n: tuple(w.shape) for n, w in model.state_dict().items()}
    assert weights["network.deconv_layers.0.weight"] == (512, 256, 4, 4)
    assert weights["network.deconv_layers.6.weight"] == (256, 256, 4, 4)


def test_an_hourglass_takes_any_size() -> None:
    x = torch.rand(1, 8, 13, 7)
    assert Hourglass((8, 12, 16))(x).shape == x.shape
    assert isinstance(create_detector("centernet_resnet18", 2).network, Upsampled)


def test_ten_steps_on_one_batch_bring_every_term_down() -> None:
    model = small()
    images = torch.rand(2, 3, SIDE, SIDE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(11):
        terms = model.loss(images, targets())
        history.append({name: term.item() for name, term in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    for name in history[0]:
        assert history[-1][name] < 0.8 * history[0][name], name


def test_gradients_are_finite_without_any_object() -> None:
    model = small()
    sum(model.loss(torch.rand(2, 3, SIDE, SIDE), [targets()[1]] * 2).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_crowd_teaches_its_class_nothing() -> None:
    model = small().eval()
    target = targets()[0] | {"iscrowd": torch.tensor([0, 1, 0])}
    wanted = model._wanted(target, GRID)
    assert len(wanted.places) == 2
    assert (wanted.heatmap[2, 8:15, 5:15] == -1).all()  # 30 / 4 = 7.5 to 60 / 4 = 15
    assert (wanted.heatmap[:2] >= 0).all()
    images = torch.rand(1, 3, SIDE, SIDE)
    assert model.loss(images, [target])["heatmap"].isfinite()


def test_images_of_many_sizes_and_half_types() -> None:
    model = small(score_threshold=0.0).eval()
    images = [torch.rand(3, 40, 100), torch.rand(3, 128, 30)]
    for image, found in zip(images, model.detect(images), strict=True):
        H, W = image.shape[1:]
        assert (found["boxes"] >= 0).all()
        assert (found["boxes"] <= torch.tensor([W, H, W, H])).all()
        assert (found["scores"].diff() <= 0).all()
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.loss(torch.rand(2, 3, SIDE, SIDE), targets())
        found = model.detect(images)
    assert all(term.dtype == torch.float32 for term in terms.values())
    assert found[0]["boxes"].dtype == found[0]["scores"].dtype == torch.float32


@pytest.mark.parametrize("width", [64, 50])
def test_a_mirrored_image_has_mirrored_detections(width: int) -> None:
    """With the flip test the two views are one, but for the offset, which does not mirror."""
    model = small(flip_test=True, score_threshold=0.0).eval()
    for parameter in model.offset.parameters():
        torch.nn.init.zeros_(parameter)
    model.offset[-1].bias.data[:] = torch.tensor([0.5, 0.5])
    image = torch.rand(3, 64, width)
    (one,) = model.detect([image])
    (other,) = model.detect([image.flip(-1)])
    if width % STRIDE == 0:
        assert_close(one["scores"], other["scores"], atol=1e-5, rtol=0)
        mirrored = torch.stack(
            (width - other["boxes"][:, 2], other["boxes"][:, 1], width - other["boxes"][:, 0],
             other["boxes"][:, 3]), dim=1,
        )  # fmt: skip
        assert_close(one["boxes"][:5], mirrored[:5], atol=1e-3, rtol=0)
    assert (one["boxes"][:, 2] <= width).all()


def test_wrong_calls_are_explained() -> None:
    with pytest.raises(ValueError, match=r"min_overlap between 0 and 1, got 3, 4 and 1"):
        gaussian_radius(3, 4, 1)
    with pytest.raises(ValueError, match=r"labels must have shape \[M\] = \[2\].* got \[3\]"):
        inspect.unwrap(encode_targets)(torch.zeros(2, 4), torch.zeros(3).long(), GRID, 4, K)
    maps = [torch.zeros(2, c, *GRID) for c in (K, 2, 2)]
    with pytest.raises(ValueError, match="targets must be 2, one an image, got 0"):
        inspect.unwrap(centernet_loss)(*maps, [])
