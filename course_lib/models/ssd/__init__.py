"""SSD: default boxes of six sizes on six maps, a class and four deltas for each.

The arithmetic is in pure functions: `assign_targets` tells each default box what to say, `ssd_loss`
compares, with three hard negatives for each positive, `decode` makes detections. `SSD` is the
detector around a backbone; `ssd300_vgg16` the one with the published weights.
"""

from course_lib.models.background import BACKGROUND, IGNORED
from course_lib.models.ssd.detector import SSD, ssd300_vgg16
from course_lib.models.ssd.networks import SSDFeatureExtractorVGG, SSDHead
from course_lib.models.ssd.steps import assign_targets, decode, ssd_loss

__all__ = [
    "BACKGROUND",
    "IGNORED",
    "SSD",
    "SSDFeatureExtractorVGG",
    "SSDHead",
    "assign_targets",
    "decode",
    "ssd300_vgg16",
    "ssd_loss",
]
