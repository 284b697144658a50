"""FCOS: every location in an object says its class and its four sides. No anchors.

The arithmetic is in pure functions: `grid_locations` and `box_sides`, the three rules of
`assign_targets`, `centerness`, `fcos_loss` and `decode`.
`FCOS` is the detector around a backbone; `fcos` makes a small one, `fcos_resnet50_fpn` the one with
the published weights.
"""

from course_lib.models.fcos.detector import FCOS, fcos, fcos_resnet50_fpn
from course_lib.models.fcos.heads import FCOSHead
from course_lib.models.fcos.steps import (
    BACKGROUND,
    IGNORED,
    RANGES,
    assign_targets,
    box_sides,
    centerness,
    decode,
    decode_sides,
    fcos_loss,
    grid_locations,
    in_range,
    near_centre,
    smallest_box,
)

__all__ = [
    "BACKGROUND",
    "FCOS",
    "IGNORED",
    "RANGES",
    "FCOSHead",
    "assign_targets",
    "box_sides",
    "centerness",
    "decode",
    "decode_sides",
    "fcos",
    "fcos_loss",
    "fcos_resnet50_fpn",
    "grid_locations",
    "in_range",
    "near_centre",
    "smallest_box",
]
