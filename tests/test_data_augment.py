"""course_lib.data.augment: whatever happens to a picture happens to a mask drawn on it.

The oracle: draw each box as a mask, change the mask with plain numpy, take its bounds.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import hypothesis
import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from course_lib.data import CocoDetection, Digits, Shapes, dataset_summary, write_coco
from course_lib.data.augment import (
    Augmented,
    ColorJitter,
    Compose,
    DropSmall,
    Mosaic,
    RandomCrop,
    RandomHorizontalFlip,
    RandomScale,
    Resize,
    adjust_color,
    crop,
    drop_small,
    hflip,
    pad,
    resize,
)
from course_lib.data.targets import PER_OBJECT

settings = hypothesis.settings(deadline=None, max_examples=60)
Target = dict[str, Any]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def boxes_as_masks(boxes: Tensor, H: int, W: int) -> np.ndarray:
    masks = np.zeros((len(boxes), H, W), dtype=bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


def bounds(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@st.composite
def samples(draw: st.DrawFn) -> tuple[Tensor, Target]:
    """A small picture of noise, with boxes in whole pixels, their masks, and two keypoints each."""
    H, W = draw(st.integers(2, 24)), draw(st.integers(2, 24))
    N = draw(st.integers(0, 5))
    boxes = []
    for _ in range(N):
        x1, y1 = draw(st.integers(0, W - 1)), draw(st.integers(0, H - 1))
        boxes.append([x1, y1, draw(st.integers(x1 + 1, W)), draw(st.integers(y1 + 1, H))])
    noise = np.random.default_rng(draw(st.integers(0, 999)))
    xyxy = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    masks = boxes_as_masks(xyxy, H, W)
    points = torch.zeros(N, 2, 3)
    for n, (x1, y1, x2, y2) in enumerate(boxes):
        points[n, 0] = torch.tensor([x1 + 0.5, y1 + 0.5, 2.0])
        points[n, 1] = torch.tensor([x2 - 0.5, y2 - 0.5, 1.0]) if n % 2 else torch.zeros(3)
    target = {
        "boxes": xyxy,
        "labels": torch.arange(N),
        "image_id": 7,
        "area": (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]),
        "iscrowd": torch.tensor([int(n == 3) for n in range(N)], dtype=torch.int64),
        "masks": torch.from_numpy(masks),
        "keypoints": points,
        "visible": torch.ones(N),
    }
    image = torch.from_numpy(noise.integers(0, 256, (3, H, W), dtype=np.uint8))
    return image, target


def agrees(target: Target, masks: np.ndarray, labels: list[int]) -> None:
    """The target has these objects, and their masks and boxes are these."""
    assert target["labels"].tolist() == labels
    np.testing.assert_array_equal(target["masks"].numpy(), masks)
    assert target["boxes"].tolist() == [bounds(mask) for mask in masks]
    assert target["iscrowd"].tolist() == [int(label == 3) for label in labels]
    assert target["image_id"] == 7
    assert {len(target[key]) for key in PER_OBJECT if key in target} <= {len(labels)}


# --- the pure functions --------------------------------------------------------------------------


@settings
@hypothesis.given(samples())
def test_hflip(sample: tuple[Tensor, Target]) -> None:
    image, target = sample
    mirrored, flipped = hflip(image, target, flip_pairs=[(0, 1)])
    np.testing.assert_array_equal(mirrored.numpy(), image.numpy()[:, :, ::-1])
    agrees(flipped, target["masks"].numpy()[:, :, ::-1], target["labels"].tolist())
    W = image.shape[2]
    for old, new in zip(target["keypoints"].tolist(), flipped["keypoints"].tolist(), strict=True):
        assert new[1] == [W - old[0][0], *old[0][1:]]
        assert new[0] == ([W - old[1][0], *old[1][1:]] if old[1][2] else [0, 0, 0])
    again, back = hflip(mirrored, flipped, flip_pairs=[(0, 1)])
    assert torch.equal(again, image)
    assert all(torch.equal(back[key], target[key]) for key in PER_OBJECT if key in target)


@settings
@hypothesis.given(samples(), st.data())
def test_crop(sample: tuple[Tensor, Target], data: st.DataObject) -> None:
    image, target = sample
    H, W = image.shape[1:]
    x1, y1 = data.draw(st.integers(0, W - 1)), data.draw(st.integers(0, H - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, W)), data.draw(st.integers(y1 + 1, H))
    keep = data.draw(st.sampled_from(["area", "centre"]))
    least = data.draw(st.sampled_from([0, 0.25, 0.5, 1]))
    shown, cut = crop(image, target, (x1, y1, x2, y2), keep=keep, min_visible=least)
    np.testing.assert_array_equal(shown.numpy(), image.numpy()[:, y1:y2, x1:x2])
    stays, shares = [], []
    for n, mask in enumerate(target["masks"].numpy()):
        left = mask[y1:y2, x1:x2].sum()
        rows, columns = np.nonzero(mask)
        middle = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
        if keep == "area":
            good = left >= least * mask.sum()
        else:
            good = x1 <= middle[0] < x2 and y1 <= middle[1] < y2
        if left and (good or n == 3):
            stays.append(n)
            shares.append(left / mask.sum())
    agrees(cut, target["masks"].numpy()[stays][:, y1:y2, x1:x2], stays)
    np.testing.assert_allclose(cut["visible"], shares, rtol=1e-6)
    np.testing.assert_allclose(cut["area"], cut["masks"].sum((1, 2)), rtol=1e-5)
    for new, old in zip(
        cut["keypoints"].tolist(), target["keypoints"][stays].tolist(), strict=True
    ):
        for (x, y, v), (a, b, u) in zip(new, old, strict=True):
            inside = x1 <= a < x2 and y1 <= b < y2 and u > 0
            assert (x, y, v) == ((a - x1, b - y1, u) if inside else (0, 0, 0))


@settings
@hypothesis.given(
    samples(), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)
)
def test_pad(sample: tuple[Tensor, Target], left: int, top: int, right: int, bottom: int) -> None:
    image, target = sample
    H, W = image.shape[1:]
    size = (H + top + bottom, W + left + right)
    sheet, moved = pad(image, target, size, left=left, top=top, fill=9)
    around = ((0, 0), (top, bottom), (left, right))
    np.testing.assert_array_equal(sheet, np.pad(image.numpy(), around, constant_values=9))
    agrees(moved, np.pad(target["masks"].numpy(), around), target["labels"].tolist())
    back, again = crop(sheet, moved, (left, top, left + W, top + H), min_visible=1)
    assert torch.equal(back, image)
    assert all(torch.equal(again[key], target[key]) for key in PER_OBJECT if key in target)


@settings
@hypothesis.given(samples(), st.integers(1, 4), st.integers(1, 4))
def test_resize_by_whole_factors(sample: tuple[Tensor, Target], fy: int, fx: int) -> None:
    image, target = sample
    H, W = image.shape[1:]
    larger, scaled = resize(image, target, (H * fy, W * fx))
    assert larger.shape == (3, H * fy, W * fx)
    masks = target["masks"].numpy().repeat(fy, 1).repeat(fx, 2)
    agrees(scaled, masks, target["labels"].tolist())
    np.testing.assert_allclose(scaled["area"], masks.sum((1, 2)), rtol=1e-6)
    expected = target["keypoints"] * torch.tensor([fx, fy, 1])
    assert torch.equal(scaled["keypoints"], expected)
    if fx % 2 and fy % 2:  # the middle of each group of pixels is the pixel it came from
        middle = larger[:, fy // 2 :: fy, fx // 2 :: fx]
        assert (middle.int() - image.int()).abs().max() <= 1


@settings
@hypothesis.given(samples(), st.integers(1, 40), st.integers(1, 40))
def test_resize_to_any_size(sample: tuple[Tensor, Target], height: int, width: int) -> None:
    image, target = sample
    H, W = image.shape[1:]
    changed, scaled = resize(image, target, (height, width))
    assert (changed.dtype, changed.shape) == (torch.uint8, (3, height, width))
    rows = ((np.arange(height) + 0.5) * H / height).astype(int)
    columns = ((np.arange(width) + 0.5) * W / width).astype(int)
    masks = target["masks"].numpy()[:, rows][:, :, columns]
    exact = np.abs((np.arange(height) + 0.5) * H / height % 1) > 1e-6  # no tie between two pixels
    clear = np.abs((np.arange(width) + 0.5) * W / width % 1) > 1e-6
    np.testing.assert_array_equal(
        scaled["masks"].numpy()[:, exact][:, :, clear], masks[:, exact][:, :, clear]
    )
    for box, mask in zip(scaled["boxes"].tolist(), masks, strict=True):
        if mask.any():
            np.testing.assert_allclose(box, bounds(mask), atol=1.001)
    scale = torch.tensor([width / W, height / H])
    torch.testing.assert_close(scaled["boxes"], target["boxes"] * scale.repeat(2))


def test_a_smaller_picture_is_smoothed_first() -> None:
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    image[:, :, ::2] = 200  # stripes one pixel wide
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    smaller, _ = resize(image, target, (8, 8))
    assert (smaller[:, :, 1:-1].int() - 100).abs().max() <= 5


@pytest.mark.parametrize(
    "change",
    [
        lambda image, target: hflip(image, target, [(1, 3)]),
        lambda image, target: crop(image, target, (10, 20, 100, 90)),
        lambda image, target: pad(image, target, (200, 200), left=3),
        lambda image, target: resize(image, target, (50, 60)),
        lambda image, target: drop_small(image, target, 20),
        lambda image, target: ColorJitter()(image, target, rng()),
        lambda image, target: RandomCrop((90, 140))(image, target, rng()),
    ],
)
def test_functions_leave_their_input_alone(change: Any) -> None:
    dataset = Shapes(3, masks=True, keypoints=True)
    image, target = dataset[2]
    change(image, target)
    fresh, truth = dataset[2]
    assert torch.equal(fresh, image)
    assert target.keys() == truth.keys()
    for key, value in truth.items():
        assert key == "image_id" or torch.equal(target[key], value), key


def test_drop_small_keeps_crowds() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 3], [0, 0, 5, 5], [0, 0, 2, 2]])
    target = {
        "boxes": boxes, "labels": torch.tensor([0, 1, 2]), "iscrowd": torch.tensor([0, 0, 1]),
    }  # fmt: skip
    _, kept = drop_small(torch.zeros(3, 9, 9, dtype=torch.uint8), target, 4)
    assert kept["labels"].tolist() == [1, 2]


def test_an_object_goes_with_the_last_of_its_mask() -> None:
    """The corner of a triangle's box is in the window, none of the triangle is."""
    mask = torch.ones(8, 8).tril().bool()[None]
    target = {"boxes": torch.tensor([[0.0, 0, 8, 8]]), "labels": torch.tensor([0]), "masks": mask}
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    assert len(crop(image, target, (4, 0, 8, 4), min_visible=0.2)[1]["labels"]) == 0
    assert len(crop(image, target, (4, 4, 8, 8), min_visible=0.2)[1]["labels"]) == 1
    del target["masks"]
    assert len(crop(image, target, (4, 0, 8, 4), min_visible=0.2)[1]["labels"]) == 1


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jaxtyping's own check, which the option --jaxtyping-packages puts before ours."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i, t: crop(i, t, (0, 0, 17, 5)), r"x2 <= 16 and 0 <= y1 < y2 <= 12 .* 12 x 16"),
        (lambda i, t: crop(i, t, (3, 2, 3, 5)), "window must be"),
        (lambda i, t: crop(i, t, (0, 0, 3, 5), keep="most"), 'keep must be "area" or "centre"'),
        (lambda i, t: pad(i, t, (12, 15)), "12 x 16 at row 0, column 0 does not fit"),
        (lambda i, t: pad(i, t, (20, 20), left=-1), "does not fit"),
        (lambda i, t: resize(i, t, (0, 3)), "size must be"),
        (lambda i, t: hflip(i, t), "flip_pairs must say which keypoints"),
        (lambda i, t: hflip(i, t, [(0, 2)]), r"indices 0\.\.1"),
        (lambda i, t: hflip(i, {**t, "labels": torch.zeros(3)}), r"'labels'.* 1 boxes, got 3"),
        (lambda i, t: hflip(i, {"boxes": t["boxes"]}), "target must have 'labels', it has 'boxes'"),
        (lambda i, t: hflip(i[0], t), r"\[3, H, W\], got \[12, 16\]"),
        (lambda i, t: adjust_color(i, contrast=-1), "contrast must be 0 or more"),
        (lambda i, t: RandomHorizontalFlip(2), "p must lie in 0..1"),
        (lambda i, t: RandomScale(0, 1), "0 < least <= most"),
        (lambda i, t: RandomCrop((0, 4)), "size must be"),
        (lambda i, t: Resize([]), "size must be"),
        (lambda i, t: Resize((3, 4), longest=9), "no meaning"),
        (lambda i, t: ColorJitter(hue=3), "hue must lie in 0..1"),
        (lambda i, t: Mosaic(Shapes(4), p=2), "p must lie"),
        (lambda i, t: Mosaic(Shapes(4), scales=(0, 1)), "scales must be"),
        (lambda i, t: Mosaic(Shapes(4), size=(2, 2)), "size must be"),
    ],
)  # fmt: skip
def test_wrong_calls_are_explained(call: Any, message: str) -> None:
    image = torch.zeros(3, 12, 16, dtype=torch.uint8)
    target = {
        "boxes": torch.tensor([[1.0, 1, 5, 5]]), "labels": torch.tensor([0]),
        "keypoints": torch.ones(1, 2, 3),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        call(image, target)


@pytest.mark.usefixtures("unchecked")
def test_pictures_are_bytes() -> None:
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    with pytest.raises(TypeError, match=r"uint8 tensor \[3, H, W\], got torch.float32"):
        hflip(torch.zeros(3, 4, 4), target)
    with pytest.raises(TypeError, match=r"uint8 \[3, H, W\], got torch.float32"):
        adjust_color(torch.zeros(3, 4, 4))


# --- colour --------------------------------------------------------------------------------------


def close_to(actual: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual.numpy(), expected.clip(0, 255), atol=0.51)


def test_colours_one_change_at_a_time() -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8))
    pixels = image.numpy().astype(np.float64)
    grey = (np.array([0.299, 0.587, 0.114]) * pixels.transpose(1, 2, 0)).sum(-1)
    assert torch.equal(adjust_color(image), image)
    close_to(adjust_color(image, brightness=1.3), pixels * 1.3)
    close_to(adjust_color(image, contrast=0.4), 0.4 * pixels + 0.6 * grey.mean())
    close_to(adjust_color(image, saturation=0), np.broadcast_to(grey, pixels.shape))
    close_to(adjust_color(image, saturation=0.7), 0.7 * pixels + 0.3 * grey)
    close_to(
        adjust_color(image, brightness=0.5, contrast=0.6, saturation=0.7),
        0.7 * (0.6 * pixels * 0.5 + 0.4 * grey.mean() * 0.5)
        + 0.3 * (0.6 * grey * 0.5 + 0.4 * grey.mean() * 0.5),
    )


def test_the_hue_turns_around_grey() -> None:
    image = torch.from_numpy(
        np.random.default_rng(0).integers(90, 160, (3, 20, 30), dtype=np.uint8)
    )
    assert torch.equal(adjust_color(image, hue=1), image)
    halves = adjust_color(adjust_color(image, hue=0.5), hue=0.5)
    assert (halves.int() - image.int()).abs().max() <= 2
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    before, after = ((x * weights).sum(0) for x in (image, adjust_color(image, hue=0.3)))
    assert (before - after).abs().max() < 1
    red = torch.tensor([200, 60, 60], dtype=torch.uint8)[:, None, None].expand(3, 2, 2)
    assert adjust_color(red, hue=1 / 3)[:, 0, 0].argmax() != 0
    plain = torch.full((3, 4, 4), 77, dtype=torch.uint8)
    assert torch.equal(adjust_color(plain, hue=0.4), plain)


# --- with chance ---------------------------------------------------------------------------------

STEPS = {
    "flip": RandomHorizontalFlip(0.5, [(1, 3)]),
    "fixed": Resize((96, 160)),
    "shorter": Resize([90, 100, 110], longest=180),
    "scale": RandomScale(0.5, 2),
    "crop": RandomCrop((100, 90)),
    "larger crop": RandomCrop((100, 190), keep="centre"),
    "colour": ColorJitter(0.5, 0.5, 0.5, 0.5),
    "small": DropSmall(20),
    "all": Compose([
        RandomHorizontalFlip(0.5, [(1, 3)]), RandomScale(), RandomCrop((128, 128)), ColorJitter(),
    ]),
}  # fmt: skip
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))


@each_step
def test_a_generator_decides_all(step: Any) -> None:
    image, target = Shapes(1, objects=(6, 6), masks=True, keypoints=True)[0]
    results = [step(image, target, rng(seed)) for seed in (0, 0, 1, 2, 3, 4, 5)]
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1]["boxes"], results[1][1]["boxes"])
    chance = not isinstance(step, Resize | DropSmall) or isinstance(getattr(step, "size", 0), list)
    different = {(x.shape, x.sum().item(), t["boxes"].sum().item()) for x, t in results}
    assert (len(different) > 1) == chance
    torch.manual_seed(4)
    state = torch.get_rng_state()
    step(image, target, rng(9))
    assert torch.equal(torch.get_rng_state(), state)
    without = step(image, target)
    torch.manual_seed(4)
    assert torch.equal(step(image, target)[0], without[0])


@each_step
def test_boxes_stay_around_their_masks(step: Any) -> None:
    dataset = Shapes(12, objects=(3, 6), min_visible=1, masks=True, keypoints=True)
    for i in range(12):
        image, target = step(*dataset[i], rng(i))
        H, W = image.shape[1:]
        assert image.dtype == torch.uint8
        assert target["masks"].shape[1:] == (H, W)
        for box, mask, points in zip(
            target["boxes"], target["masks"], target["keypoints"], strict=True
        ):
            # A cropped box is the crop of the box, which can be larger than what is left to see.
            x1, y1, x2, y2 = bounds(mask.numpy())
            assert box[0] <= x1 + 1
            assert box[1] <= y1 + 1
            assert box[2] >= x2 - 1
            assert box[3] >= y2 - 1
            assert (box >= 0).all()
            assert (box <= torch.tensor([W, H, W, H])).all()
            known = points[points[:, 2] > 0]
            assert (known[:, :2] >= box[:2] - 1e-3).all()
            assert (known[:, :2] <= box[2:] + 1e-3).all()


def test_flips_are_as_frequent_as_told() -> None:
    image, target = Digits(1)[0]
    generator = rng()
    for p in (0, 0.3, 1):
        step = RandomHorizontalFlip(p)
        flips = sum(not torch.equal(step(image, target, generator)[0], image) for _ in range(400))
        assert abs(flips / 400 - p) < 0.08


def test_crops_reach_every_place() -> None:
    image = torch.arange(6, dtype=torch.uint8).expand(3, 6, 6)
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    generator = rng()
    step = RandomCrop((6, 4))
    assert {step(image, target, generator)[0][0, 0, 0].item() for _ in range(60)} == {0, 1, 2}
    step = RandomCrop((6, 8), fill=99)
    places = {tuple(step(image, target, generator)[0][0, 0].tolist()) for _ in range(60)}
    row = (0, 1, 2, 3, 4, 5)
    assert places == {(*row, 99, 99), (99, *row, 99), (99, 99, *row)}


def test_resize_keeps_proportions() -> None:
    image = torch.zeros(3, 60, 100, dtype=torch.uint8)
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    assert Resize(30)(image, target)[0].shape == (3, 30, 50)
    assert Resize(30, longest=40)(image, target)[0].shape == (3, 24, 40)
    assert Resize((30, 30))(image, target)[0].shape == (3, 30, 30)
    heights = {Resize([20, 30])(image, target, rng(i))[0].shape[1] for i in range(20)}
    assert heights == {20, 30}


# --- datasets around datasets --------------------------------------------------------------------


def test_an_augmented_picture_depends_on_seed_epoch_and_index_alone() -> None:
    def series(seed: int, epoch: int, order: list[int]) -> list[Tensor]:
        dataset = Augmented(Mosaic(Shapes(6), p=0.5, seed=seed), STEPS["all"], seed)
        dataset.set_epoch(epoch)
        found = {i: dataset[i][0] for i in order}
        return [found[i] for i in range(6)]

    first = series(0, 0, [0, 1, 2, 3, 4, 5])
    assert all(map(torch.equal, first, series(0, 0, [5, 3, 1, 0, 2, 4])))
    assert not any(map(torch.equal, first, series(0, 1, [0, 1, 2, 3, 4, 5])))
    assert not any(map(torch.equal, first, series(1, 0, [0, 1, 2, 3, 4, 5])))


def test_workers_make_the_same_pictures() -> None:
    dataset = Augmented(Mosaic(Shapes(8)), STEPS["all"])
    dataset.set_epoch(3)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    for i, (image, target) in enumerate(loader):
        assert torch.equal(image, dataset[i][0])
        assert torch.equal(target["boxes"], dataset[i][1]["boxes"])


def test_a_dataset_around_another_has_what_that_has() -> None:
    dataset = Augmented(Mosaic(Shapes(8, keypoints=True)), STEPS["colour"])
    assert len(dataset) == 8
    assert dataset.classes == Shapes().classes
    assert dataset.flip_pairs == ((1, 3),)
    assert dataset.side == 128
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = dataset.no_such_thing
    with pytest.raises(IndexError):
        dataset[8]


def test_a_summary_counts_what_is_shown(tmp_path: Path) -> None:
    write_coco(Shapes(6, objects=(5, 5)), tmp_path)
    read = CocoDetection(tmp_path / "annotations.json", tmp_path / "images")
    cut = Augmented(read, RandomCrop((50, 50)))
    assert dataset_summary(cut).picture_sizes == {(50, 50): 6}
    assert dataset_summary(cut).objects < dataset_summary(read).objects
    again = pickle.loads(pickle.dumps(cut))
    assert torch.equal(again[2][0], cut[2][0])


def test_a_mosaic_shows_what_its_target_says() -> None:
    """Each mask of a mosaic lies in its quarter, and its pixels are those of a picture of one class."""
    plain = Shapes(30, contrast=0, objects=(2, 5), masks=True, keypoints=True)
    mosaic = Mosaic(plain, (100, 140), min_visible=0.4, min_side=5)
    objects = 0
    for i in range(30):
        image, target = mosaic[i]
        assert image.shape == (3, 100, 140)
        assert target["image_id"] == i
        N = len(target["labels"])
        objects += N
        assert {len(target[key]) for key in PER_OBJECT if key in target} == {N}
        assert target["masks"].sum(0).max() <= 1
        sides = target["boxes"][:, 2:] - target["boxes"][:, :2]
        assert N == 0 or sides.min() >= 5
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            x1, y1, x2, y2 = bounds(mask.numpy())
            assert box[0] <= x1 + 1
            assert box[1] <= y1 + 1
            assert box[2] >= x2 - 1
            assert box[3] >= y2 - 1
    assert objects > 60
    never = Mosaic(plain, p=0)
    assert torch.equal(never[3][0], plain[3][0])


def test_a_mosaic_joins_what_all_four_know() -> None:
    class Uneven(torch.utils.data.Dataset):
        classes = ("a",)

        def __len__(self) -> int:
            return 8

        def __getitem__(self, i: int) -> tuple[Tensor, Target]:
            target: Target = {
                "boxes": torch.tensor([[0.0, 0, 40, 40]]),
                "labels": torch.tensor([0]),
            }
            if i % 2:
                target["area"] = torch.tensor([1600.0])
            return torch.zeros(3, 40, 40, dtype=torch.uint8), target

    for i in range(8):
        _, target = Mosaic(Uneven(), min_visible=0)[i]
        assert len(target["boxes"]) == len(target["labels"]) == 4
        assert set(target) <= {"boxes", "labels", "area"}
