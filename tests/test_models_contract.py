"""What holds for every detector: its labels, what it refuses to learn from, and the weights it takes."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from course_lib import models
from course_lib.anchors import AnchorGenerator
from course_lib.models import COUNT_BACKGROUND, DETECTORS, FULL_SIZE, Detector, create_detector
from course_lib.models.backbones import create_backbone
from course_lib.models.faster_rcnn import MaskRCNN
from course_lib.models.norms import FrozenBatchNorm2d
from course_lib.models.pyramid import BackboneWithFPN
from course_lib.models.resize import Resize

SIDE, K = 64, 3
SMALL = ("yolo", "retinanet", "fcos", "faster_rcnn", "centernet")


def small(name: str) -> Detector:
    torch.manual_seed(0)
    if name != "mask":
        return create_detector(name, K)
    backbone = BackboneWithFPN(create_backbone("tiny"), 16, norm="batch")
    make = AnchorGenerator(((12,), (24,), (48,)), (1.0,), offset=0.5)
    return MaskRCNN(backbone, K, make, width=32, drawn=32, proposals=(60, 30))


@functools.cache
def refusing(name: str) -> Detector:
    """One for all that is refused before it is computed with."""
    return small(name)


def targets(**changes: Any) -> list[dict[str, Any]]:
    first = {"boxes": torch.tensor([[4.0, 4, 30, 28], [20, 30, 62, 60]])}
    first["labels"] = torch.tensor([0, 2])
    second = {"boxes": torch.tensor([[8.0, 8, 40, 40]]), "labels": torch.tensor([1])}
    return [first, {**second, **changes}]


def images() -> Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DETECTORS)
def test_labels_count_from_0_whatever_the_detector(name: str) -> None:
    with torch.device("meta"):
        assert create_detector(name, 7).labels == range(7)


@pytest.mark.parametrize("name", FULL_SIZE)
def test_by_torchvisions_names_two_stages_and_ssd_count_background(name: str) -> None:
    with torch.device("meta"):
        model = getattr(models, name)()
    assert model.num_outputs == model.num_classes == 91
    assert model.labels == range(1 if name in COUNT_BACKGROUND else 0, 91)
    if name in COUNT_BACKGROUND:
        with pytest.raises(ValueError, match="counts background here, so it must be 2 or more"):
            getattr(models, name)(1)


@pytest.mark.parametrize("name", COUNT_BACKGROUND)
def test_the_only_class_is_learned_and_found(name: str) -> None:
    """One kind of objects, label 0: not background."""
    torch.manual_seed(0)
    options = {} if name == "ssd300_vgg16" else {"resize": Resize(64, 64), "norm": "group"}
    model = create_detector(name, 1, score_threshold=0.0, **options)
    box = torch.tensor([[10.0, 10, 50, 50]])
    masks = torch.zeros(1, SIDE, SIDE)
    masks[0, 10:50, 10:50] = 1
    target = {"boxes": box, "labels": torch.tensor([0]), "masks": masks}
    terms = model.loss(images()[:1], [target])
    assert all(float(term.detach()) > 0 for term in terms.values()), terms
    found = model.eval().detect(images()[:1])[0]
    assert len(found["boxes"]) > 0
    assert set(found["labels"].tolist()) == {0}


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As users have it: what checks types in the tests would speak first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


# --- what is refused -----------------------------------------------------------------------------

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "no targets": (lambda: None, "must be a list of dicts, one for each image, got NoneType"),
    "one dict": (lambda: targets()[0], "must be a list of dicts, one for each image, got dict"),
    "one too few": (lambda: targets()[:1], "each of the 2 images, got 1; an image without objects"),
    "no labels": (lambda: [{"boxes": torch.zeros(0, 4)}] * 2, "'labels', it has 'boxes'"),
    "a list": (lambda: targets(boxes=[[8, 8, 40, 40]]), r"\['boxes'\] must be a torch.Tensor, got"),
    "one box": (lambda: targets(boxes=torch.tensor([8.0, 8, 40, 40])), r"write .*\[None\]"),
    "no boxes": (lambda: targets(boxes=torch.zeros(0)), r"no boxes at all are torch.zeros\(0, 4\)"),
    "five numbers": (lambda: targets(boxes=torch.zeros(1, 5)), r"\[N, 4\], got \[1, 5\]"),
    "two labels": (
        lambda: targets(labels=torch.tensor([1, 1])),
        r"\[1\], one for each box, got \[",
    ),
    "half labels": (lambda: targets(labels=torch.tensor([0.5])), r"write labels.long\(\)"),
    "label K": (lambda: targets(labels=torch.tensor([K])), r"object 0 of targets\[1\] .* 0..2"),
    "label -1": (lambda: targets(labels=torch.tensor([-1])), "has the label -1, and this detector"),
    "xywh": (lambda: targets(boxes=torch.tensor([[40.0, 40, 8, 8]])), "covers nothing.*xywh"),
    "a line": (lambda: targets(boxes=torch.tensor([[8.0, 8, 8, 40]])), r"\[8, 8, 8, 40\]"),
    "NaN": (lambda: targets(boxes=torch.tensor([[8.0, torch.nan, 9, 40]])), "covers nothing"),
    "infinite": (lambda: targets(boxes=torch.tensor([[8.0, 8, torch.inf, 40]])), "covers nothing"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("bad", BAD)
def test_targets_that_teach_nonsense_are_refused(name: str, bad: str) -> None:
    given, message = BAD[bad]
    with pytest.raises((TypeError, ValueError), match=message):
        refusing(name).loss(images(), given())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", SMALL)
def test_what_is_odd_but_sound_is_learned_from(name: str) -> None:
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    whole = {
        "boxes": torch.tensor([[8, 8, 40, 40]]),
        "labels": torch.tensor([1], dtype=torch.int32),
    }
    outside = {"boxes": torch.tensor([[-9.0, 8, 99, 40]]), "image_id": 3}
    for changes in (nothing, whole, outside):
        terms = small(name).loss(images(), targets(**changes))
        assert all(term.isfinite().all() for term in terms.values())


def test_background_is_no_label_where_it_counts() -> None:
    with torch.device("meta"):
        model = models.fasterrcnn_resnet50_fpn(K)
    with pytest.raises(ValueError, match=r"label 0, .* knows 1..2; 0 is background here"):
        model.prepare_targets(images(), targets(), [(SIDE, SIDE)] * 2)


MASKS: dict[str, tuple[Tensor, str]] = {
    "0 and 255": (torch.full((1, SIDE, SIDE), 255, dtype=torch.uint8), "got 255 to 255; write"),
    "one dimension more": (torch.zeros(1, 1, SIDE, SIDE), r"= \[1, 64, 64\], got \[1, 1, 64, 64\]"),
    "another size": (torch.zeros(1, 8, 8), r"= \[1, 64, 64\], got \[1, 8, 8\]"),
    "one too few": (torch.zeros(0, SIDE, SIDE), r"= \[1, 64, 64\], got \[0, 64, 64\]"),
}


@pytest.mark.parametrize("bad", MASKS)
def test_masks_that_teach_nonsense_are_refused(bad: str) -> None:
    masks, message = MASKS[bad]
    given = targets(masks=masks)
    given[0]["masks"] = torch.ones(2, SIDE, SIDE, dtype=torch.bool)
    for resize in (None, Resize(32, 32)):  # before anything is made of them
        model = refusing("mask")
        model.resize = resize
        with pytest.raises(ValueError, match=message):
            model.loss(images(), given)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", SMALL)
def test_forward_says_where_lists_go(name: str) -> None:
    for given in (list(images()), images()[0]):
        with pytest.raises(TypeError, match=r"one batch \[B, 3, H, W\].*write detect\(images\)"):
            refusing(name)(given)
    with pytest.raises(ValueError, match="must have pixels, got an image of"):
        refusing(name).detect([torch.rand(3, 0, 8)])


@pytest.mark.parametrize("name", ["retinanet", "fcos", "faster_rcnn", "centernet", "ssd300_vgg16"])
def test_what_detect_goes_by_is_checked_and_can_be_changed(name: str) -> None:
    with torch.device("meta"):
        with pytest.raises(ValueError, match=r"score_threshold must lie in 0..1, got 1.5"):
            create_detector(name, K, score_threshold=1.5)
        with pytest.raises(ValueError, match="max_detections must be 0 or more, got -1"):
            create_detector(name, K, max_detections=-1)
    torch.manual_seed(0)
    model = create_detector(name, K, score_threshold=0.0).eval()
    assert len(model.detect(images())[0]["boxes"]) > 3
    model.inference["max_detections"] = 3
    assert 0 < len(model.detect(images())[0]["boxes"]) <= 3
    model.inference["score_threshold"] = 1.0
    assert len(model.detect(images())[0]["boxes"]) == 0


@pytest.mark.usefixtures("unchecked")
def test_resize_is_a_resize() -> None:
    with pytest.raises(TypeError, match=r"must be a Resize, such as Resize\(320, 533\), got \(3"):
        create_detector("retinanet", K, resize=(320, 400))
    with pytest.raises(ValueError, match="two numbers of pixels above 0, got 300"):
        Resize(fixed=300)


def test_no_box_reaches_over_the_border_after_resizing() -> None:
    torch.manual_seed(0)
    model = create_detector("ssd300_vgg16", K, score_threshold=0.0).eval()
    for side in (37, 101, 333):
        boxes = model.detect([torch.rand(3, side, side + 7)])[0]["boxes"]
        assert boxes.min() >= 0
        assert bool((boxes <= torch.tensor([side + 7, side, side + 7, side])).all())


# --- weights of torchvision ----------------------------------------------------------------------


@pytest.fixture(params=FULL_SIZE)
def full_size(request: pytest.FixtureRequest) -> Callable[..., Detector]:
    def build(*args: int) -> Detector:
        with torch.device("meta"):
            model: Detector = getattr(models, request.param)(*args)
        return model

    build.__name__ = request.param
    return build


def test_weights_load_under_todays_names(full_size: Callable[..., Detector]) -> None:
    model = full_size()
    with torch.device("meta"):
        assert model.from_torchvision(model.state_dict()) is model
    eps = {module.eps for module in model.modules() if hasattr(module, "running_var")}
    assert eps == {"fcos_resnet50_fpn": {1e-5}, "ssd300_vgg16": set()}.get(
        full_size.__name__, {0.0}
    )


def test_of_another_number_of_classes_all_but_the_last_layers_load(
    full_size: Callable[..., Detector],
) -> None:
    weights, model = full_size().state_dict(), full_size(5)
    with pytest.raises(
        RuntimeError, match=r"weights know 91 classes, this detector 5; .*new_class"
    ):
        model.from_torchvision(weights)
    with torch.device("meta"):
        model.from_torchvision(weights, new_classes=True)


def test_what_is_kept_and_what_is_loaded() -> None:
    torch.manual_seed(0)
    old, new = models.fcos_resnet50_fpn(4), models.fcos_resnet50_fpn(2)
    before = {name: weight.clone() for name, weight in new.state_dict().items()}
    new.from_torchvision(old.state_dict(), new_classes=True)
    for name, weight in new.state_dict().items():
        source = before if "cls_logits" in name else old.state_dict()
        assert torch.equal(weight, source[name]), name


@pytest.mark.parametrize("other", FULL_SIZE)
def test_weights_of_another_detector_are_refused(
    full_size: Callable[..., Detector], other: str
) -> None:
    if other == full_size.__name__:
        return
    with torch.device("meta"):
        weights = getattr(models, other)().state_dict()
    with pytest.raises(
        RuntimeError, match=r"not of this network: .* missing, .* not known"
    ) as error:
        full_size().from_torchvision(weights)
    assert len(str(error.value)) < 600


@pytest.mark.usefixtures("unchecked")
def test_other_things_than_weights_are_refused_in_words() -> None:
    with torch.device("meta"):
        model = models.retinanet_resnet50_fpn(5)
    own = model.state_dict()
    given: dict[str, tuple[Any, str]] = {
        "a path": ("weights.pth", r"got str; write torch.load\(file"),
        "a network": (model, r"got a network; write network.state_dict\(\)"),
        "a checkpoint": (
            {"epoch": 3, "model": own},
            r"with 'epoch', 'model'; write checkpoint\['mo",
        ),
        "in parallel": ({f"module.{k}": w for k, w in own.items()}, r"begin with 'module\.'"),
        "compiled": ({f"_orig_mod.{k}": w for k, w in own.items()}, r"begin with '_orig_mod\.'"),
        "one missing": (dict(list(own.items())[1:]), r"1 names \(\S+\) missing, none not known"),
        "one more": ({**own, "odd": torch.zeros(1)}, r"none missing, 1 names \(odd\) not known"),
        "a shape": (
            {**own, "head.regression_head.bbox_reg.bias": torch.zeros(7)},
            r"bbox_reg.bias has shape \[7\] there and \[36\] here",
        ),
    }
    for name, (weights, message) in given.items():
        with pytest.raises((TypeError, RuntimeError)) as error:
            model.from_torchvision(weights)
        assert re.search(message, str(error.value)), name


def test_nothing_is_loaded_where_something_is_refused() -> None:
    torch.manual_seed(0)
    model, other = models.ssd300_vgg16(3), models.ssd300_vgg16(4)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(RuntimeError):
        model.from_torchvision(other.state_dict())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


# --- eps of frozen BatchNorm ---------------------------------------------------------------------


def test_eps_is_the_published_one_or_what_you_say_and_travels_with_the_weights() -> None:
    torch.manual_seed(0)
    model = models.retinanet_resnet50_fpn(2)
    weights = model.state_dict()
    for said, expected in ((None, 0.0), (1e-5, 1e-5), (1e-3, 1e-3)):
        model.from_torchvision(weights, norm_eps=said)
        file = io.BytesIO()
        torch.save({"model": model.state_dict()}, file)
        file.seek(0)
        again = models.retinanet_resnet50_fpn(2)
        again.load_state_dict(torch.load(file, weights_only=True)["model"])
        for one in (model, again):
            assert {m.eps for m in one.modules() if isinstance(m, FrozenBatchNorm2d)} == {expected}
    assert list(weights) == list(again.state_dict()), "the names are those of the weights"


def test_a_state_dict_that_does_not_tell_eps_leaves_it() -> None:
    layer = FrozenBatchNorm2d(2, eps=0.5)
    layer.load_state_dict(nn.BatchNorm2d(2).state_dict())
    assert layer.eps == 0.5
    layer.load_state_dict(dict(FrozenBatchNorm2d(2, eps=0.1).state_dict()))  # notes are lost
    assert layer.eps == 0.5


def test_without_eps_no_variance_may_be_0() -> None:
    torch.manual_seed(0)
    model = models.fasterrcnn_resnet50_fpn(2)
    weights = model.state_dict()
    weights["backbone.body.layer1.0.bn1.running_var"][3] = 0
    with pytest.raises(RuntimeError, match=r"layer1.0.bn1 has a variance of 0.*norm_eps=1e-5"):
        model.from_torchvision(weights)
    model.from_torchvision(weights, norm_eps=1e-5)
