"""RetinaNet: a pyramid of anchors, two subnets, and the loss that made one-stage detectors good.

The arithmetic is in pure functions: `assign_targets` tells each anchor what to say,
`retinanet_loss` compares, `decode` makes detections; `flatten_levels` puts the subnets' maps in the
anchors' order.
`RetinaNet` is the detector around a backbone; `retinanet` makes a small one,
`retinanet_resnet50_fpn` the one with the published weights.
"""

from course_lib.models.retinanet.detector import RetinaNet, retinanet, retinanet_resnet50_fpn
from course_lib.models.retinanet.heads import RetinaNetHead, flatten_levels
from course_lib.models.retinanet.steps import (
    BACKGROUND,
    IGNORED,
    assign_targets,
    best_candidates,
    decode,
    retinanet_loss,
)

__all__ = [
    "BACKGROUND",
    "IGNORED",
    "RetinaNet",
    "RetinaNetHead",
    "assign_targets",
    "best_candidates",
    "decode",
    "flatten_levels",
    "retinanet",
    "retinanet_loss",
    "retinanet_resnet50_fpn",
]
