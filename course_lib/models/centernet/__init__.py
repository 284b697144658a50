"""CenterNet: an object is a point. Peaks of a heatmap, with a size and an offset; no NMS.

The arithmetic is in pure functions: `gaussian_radius`, `gaussian_heatmap` and `encode_targets` make
what the maps should say, `centernet_loss` compares, `find_peaks` and `decode` make detections.
`CenterNet` is the detector around a network; `centernet` makes a small one with an hourglass,
`centernet_resnet18` and `centernet_resnet101` those with transposed convolutions.
"""

from course_lib.models.centernet.detector import (
    CenterNet,
    centernet,
    centernet_resnet18,
    centernet_resnet101,
)
from course_lib.models.centernet.networks import Hourglass, HourglassNetwork, Upsampled
from course_lib.models.centernet.steps import (
    IGNORED,
    Targets,
    centernet_loss,
    corner_radii,
    decode,
    encode_targets,
    find_peaks,
    gaussian_heatmap,
    gaussian_radius,
    heatmap_focal_loss,
)

__all__ = [
    "IGNORED",
    "CenterNet",
    "Hourglass",
    "HourglassNetwork",
    "Targets",
    "Upsampled",
    "centernet",
    "centernet_loss",
    "centernet_resnet18",
    "centernet_resnet101",
    "corner_radii",
    "decode",
    "encode_targets",
    "find_peaks",
    "gaussian_heatmap",
    "gaussian_radius",
    "heatmap_focal_loss",
]
