"""Images brought to the size that weights have learned with, and boxes brought back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from course_lib.models.detector import Detector
from course_lib.models.resize import Resize, resize_boxes, resize_image, resize_masks


@pytest.mark.parametrize(
    ("resize", "size", "expected"),
    [
        (Resize(800, 1333), (480, 640), (800, 1066)),  # COCO's usual picture
        (Resize(800, 1333), (640, 480), (1066, 800)),
        (Resize(800, 1333), (400, 1600), (333, 1333)),  # the longer side decides
        (Resize(800, 1333), (800, 800), (800, 800)),
        (Resize(fixed=(300, 300)), (17, 900), (300, 300)),
        (Resize(4, 8), (1, 900), (1, 8)),  # never less than a pixel
    ],
)
def test_sizes_by_hand(resize: Resize, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resize.size_of(size) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000))
def test_sizes_keep_their_shape_and_their_limits(height: int, width: int) -> None:
    H, W = Resize(800, 1333).size_of((height, width))
    assert max(H, W) <= 1333
    assert min(H, W) <= 800
    scale = min(800 / min(height, width), 1333 / max(height, width))
    assert abs(H - height * scale) <= 1.01
    assert abs(W - width * scale) <= 1.01


@settings(deadline=None)
@given(st.integers(1, 900), st.integers(1, 900))
def test_boxes_go_and_come_back(height: int, width: int) -> None:
    boxes = torch.rand(5, 4, dtype=torch.float64) * 500
    there = resize_boxes(boxes, (height, width), (300, 700))
    assert_close(there[:, 0], boxes[:, 0] * 700 / width)
    assert_close(there[:, 3], boxes[:, 3] * 300 / height)
    assert_close(resize_boxes(there, (300, 700), (height, width)), boxes)


def test_whole_numbers_become_floats() -> None:
    boxes = resize_boxes(torch.tensor([[1, 2, 3, 4]]), (10, 10), (5, 15))
    assert boxes.tolist() == [[1.5, 1.0, 4.5, 2.0]]


def test_an_image_of_the_right_size_is_the_same_one() -> None:
    image = torch.rand(3, 20, 30)
    assert resize_image(image, (20, 30)) is image
    assert resize_image(image, (10, 60)).shape == (3, 10, 60)


def test_masks_stay_masks() -> None:
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2] = True
    twice = resize_masks(masks, (8, 8))
    assert twice.dtype == torch.bool
    assert twice.sum((1, 2)).tolist() == [32, 0]
    assert resize_masks(masks[:0], (8, 6)).shape == (0, 8, 6)


class Echo(Detector):
    """Says where the brightest pixel is, as a box of one pixel of the batch."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum(1).flatten(1).argmax(1)

    def loss(self, images, targets):
        batch, sizes = self.prepare(images)
        self.seen = batch, self.prepare_targets(images, targets, sizes)
        return {"none": batch.sum() * 0}

    def detect(self, images):
        batch, sizes = self.prepare(images)
        found = []
        for place in self(batch):
            y, x = divmod(int(place), batch.shape[-1])
            box = torch.tensor([[x, y, x + 1.0, y + 1.0]])
            found.append({"boxes": box, "scores": torch.ones(1), "labels": torch.zeros(1).long()})
        return self.in_own_pixels(images, found, sizes)


def test_a_detector_answers_in_the_pixels_of_its_image() -> None:
    images = [torch.zeros(3, 40, 60), torch.zeros(3, 50, 20)]
    images[0][:, 30:34, 8:12] = 1
    images[1][:, 4:8, 12:16] = 1
    for resize in (None, Resize(80, 300), Resize(fixed=(100, 90))):
        found = Echo(1, resize=resize).detect(images)
        for each, (x, y) in zip(found, ((8, 30), (12, 4)), strict=True):
            left, top, right, bottom = each["boxes"][0].tolist()
            assert x - 1 <= left < right <= x + 5
            assert y - 1 <= top < bottom <= y + 5


def test_targets_and_padding_fit_the_batch() -> None:
    model = Echo(1, resize=Resize(64, 96))
    image = torch.full((3, 32, 40), 0.5)
    target = {
        "boxes": torch.tensor([[4.0, 8, 20, 32]]),
        "labels": torch.tensor([0]),
        "masks": torch.ones(1, 32, 40, dtype=torch.bool),
    }
    model.loss([image], [target])
    batch, (moved,) = model.seen
    assert batch.shape == (1, 3, 64, 96)  # 80 columns, padded to 96
    assert (batch[..., 80:] == 0).all()
    assert (batch[..., :80] != 0).all()
    assert moved["boxes"].tolist() == [[8, 16, 40, 64]]
    assert moved["masks"].shape == (1, 64, 80)
    assert target["boxes"].tolist() == [[4, 8, 20, 32]], "the caller's own stay as they are"


def test_wrong_sides_are_explained() -> None:
    with pytest.raises(ValueError, match=r"two numbers of pixels above 0, got \(0, 1333\)"):
        Resize(0)
    with pytest.raises(ValueError, match=r"two numbers of pixels above 0, got \(300, 0\)"):
        Resize(fixed=(300, 0))
