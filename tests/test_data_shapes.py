"""course_lib.data: Shapes and Digits are the same on every machine, and their truth is the paint's."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from course_lib.data import Digits, Shapes, collate
from course_lib.data.painted import PaintedDataset


def fingerprint(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


MAKE: dict[str, Callable[..., PaintedDataset]] = {
    "shapes": Shapes,
    "crowds": lambda size, **options: Shapes(size, crowds=1.0, **options),
    "large": lambda size, **options: Shapes(size, side=256, **options),
    "digits": Digits,
    "test digits": lambda size, **options: Digits(size, train=False, **options),
}
each_kind = pytest.mark.parametrize("kind", MAKE)


def bounds(mask: Tensor) -> list[float]:
    """The smallest half-open box around the pixels of a mask."""
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    return [float(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]


@each_kind
def test_form_of_a_target(kind: str) -> None:
    dataset = MAKE[kind](12, masks=True, keypoints=True)
    assert len(dataset) == 12
    for i, (image, target) in enumerate(dataset[i] for i in range(12)):
        S, N = dataset.side, len(target["labels"])
        assert (image.dtype, image.shape) == (torch.uint8, (3, S, S))
        assert target["image_id"] == i
        for key, dtype, shape in (
            ("boxes", torch.float32, (N, 4)),
            ("labels", torch.int64, (N,)),
            ("area", torch.float32, (N,)),
            ("iscrowd", torch.int64, (N,)),
            ("visible", torch.float32, (N,)),
            ("masks", torch.bool, (N, S, S)),
            ("keypoints", torch.float32, (N, 4, 3)),
        ):
            assert (target[key].dtype, tuple(target[key].shape)) == (dtype, shape), key
        assert N >= 1
        assert ((target["labels"] >= 0) & (target["labels"] < len(dataset.classes))).all()
        x1, y1, x2, y2 = target["boxes"].unbind(1)
        assert (x1 >= 0).all()
        assert (y1 >= 0).all()
        assert (x2 <= S).all()
        assert (y2 <= S).all()
        torch.testing.assert_close(target["area"], (x2 - x1) * (y2 - y1), rtol=0, atol=0)


@each_kind
def test_a_picture_depends_on_seed_and_index_alone(kind: str) -> None:
    few, many = MAKE[kind](5), MAKE[kind](5000)
    backwards = [many[i] for i in (4, 3, 2, 1, 0)][::-1]
    for i in range(5):
        a, b = few[i], backwards[i]
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1]["boxes"], b[1]["boxes"])
    other = MAKE[kind](5, seed=1)
    assert not any(torch.equal(few[i][0], other[j][0]) for i in range(5) for j in range(5))


def test_batches_pad_at_the_bottom_and_on_the_right() -> None:
    small, large = Shapes(2, side=64), Shapes(2, side=96)
    images, targets = collate([small[0], large[1]])
    assert images.shape == (2, 3, 96, 96)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images[0, :, :64, :64], small[0][0] / 255, rtol=0, atol=0)
    assert images[0, :, 64:].max() == images[0, :, :, 64:].max() == 0
    torch.testing.assert_close(images[1], large[1][0] / 255, rtol=0, atol=0)
    assert [target["size"] for target in targets] == [(64, 64), (96, 96)]
    assert torch.equal(targets[1]["boxes"], large[1][1]["boxes"])
    assert np.isclose(float(images.max()), 1, atol=0.2)
