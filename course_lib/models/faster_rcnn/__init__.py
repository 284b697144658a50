"""Faster R-CNN: a network that proposes where to look, and one that says what is there; and Mask
R-CNN, which adds where exactly.

The arithmetic is in pure functions: `propose` and `proposal_targets` of the first stage,
`assign_proposals`, `detection_loss` and `decode` of the second, and for masks `mask_targets`,
`mask_loss` and `paste_masks`.
`FasterRCNN` and `MaskRCNN` are the detectors around a backbone; `faster_rcnn` makes a small one,
`fasterrcnn_resnet50_fpn` and `maskrcnn_resnet50_fpn` those with the published weights.
"""

from course_lib.models.background import BACKGROUND, IGNORED
from course_lib.models.faster_rcnn.detector import (
    FasterRCNN,
    faster_rcnn,
    fasterrcnn_resnet50_fpn,
)
from course_lib.models.faster_rcnn.heads import (
    FastRCNNPredictor,
    MaskRCNNPredictor,
    RPNHead,
    TwoMLPHead,
)
from course_lib.models.faster_rcnn.mask_detector import MaskRCNN, maskrcnn_resnet50_fpn
from course_lib.models.faster_rcnn.masks import mask_loss, mask_targets, paste_masks
from course_lib.models.faster_rcnn.proposals import proposal_loss, proposal_targets, propose
from course_lib.models.faster_rcnn.steps import assign_proposals, decode, detection_loss

__all__ = [
    "BACKGROUND",
    "IGNORED",
    "FastRCNNPredictor",
    "FasterRCNN",
    "MaskRCNN",
    "MaskRCNNPredictor",
    "RPNHead",
    "TwoMLPHead",
    "assign_proposals",
    "decode",
    "detection_loss",
    "faster_rcnn",
    "fasterrcnn_resnet50_fpn",
    "mask_loss",
    "mask_targets",
    "maskrcnn_resnet50_fpn",
    "paste_masks",
    "proposal_loss",
    "proposal_targets",
    "propose",
]
