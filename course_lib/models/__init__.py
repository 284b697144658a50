"""Detectors, and the backbones, pyramids and heads that they are made of.

`create_detector(name, num_classes)` makes any of them. Every one keeps the contract of
`course_lib.models.detector.Detector`, so `course_lib.engine` trains and measures them alike.
"""

from importlib import import_module
from typing import Any

from course_lib.models.detector import Detector

# Name: module and function that builds it. A detector is imported when it is asked for.
DETECTORS: dict[str, tuple[str, str]] = {
    "yolo": ("course_lib.models.yolo", "yolo"),
    "yolov1": ("course_lib.models.yolo", "yolov1"),
    "retinanet": ("course_lib.models.retinanet", "retinanet"),
    "retinanet_resnet50_fpn": ("course_lib.models.retinanet", "retinanet_resnet50_fpn"),
    "fcos": ("course_lib.models.fcos", "fcos"),
    "fcos_resnet50_fpn": ("course_lib.models.fcos", "fcos_resnet50_fpn"),
    "faster_rcnn": ("course_lib.models.faster_rcnn", "faster_rcnn"),
    "fasterrcnn_resnet50_fpn": ("course_lib.models.faster_rcnn", "fasterrcnn_resnet50_fpn"),
    "maskrcnn_resnet50_fpn": ("course_lib.models.faster_rcnn", "maskrcnn_resnet50_fpn"),
    "ssd300_vgg16": ("course_lib.models.ssd", "ssd300_vgg16"),
    "centernet": ("course_lib.models.centernet", "centernet"),
    "centernet_resnet18": ("course_lib.models.centernet", "centernet_resnet18"),
    "centernet_resnet101": ("course_lib.models.centernet", "centernet_resnet101"),
}
# By torchvision's names, and found here, too: `course_lib.models.retinanet_resnet50_fpn()`.
FULL_SIZE = (
    "fasterrcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssd300_vgg16",
)

__all__ = ["DETECTORS", "Detector", "create_detector", *FULL_SIZE]


def __getattr__(name: str) -> Any:
    if name not in FULL_SIZE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = DETECTORS[name]
    return getattr(import_module(module), function)


# Built by that name, these count background among their classes, as torchvision does.
COUNT_BACKGROUND = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "ssd300_vgg16")


def create_detector(name: str, num_classes: int, **options: Any) -> Detector:
    """The detector of that name, with fresh weights; `options` go to the function that builds it.

    num_classes: K kinds of objects, labels 0..K-1, whatever the detector. Torchvision's weights
        number COCO's categories from 1 instead: to load them, build the detector by its own name,
        such as `course_lib.models.ssd300_vgg16()`.
    Errors: KeyError for an unknown name, with the names that there are.
    """
    if name not in DETECTORS:
        raise KeyError(f"there is no detector {name!r}; there are: {', '.join(DETECTORS)}")
    if name in COUNT_BACKGROUND:
        options = {"background_is_0": False, **options}
    module, function = DETECTORS[name]
    detector: Detector = getattr(import_module(module), function)(num_classes, **options)
    return detector
