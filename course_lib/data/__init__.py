"""Data to learn detection on, and data that a lesson knows all about.

`Shapes` and `Digits` are datasets for training, made in memory; `collate` makes batches of them.

`scene` and `evaluation_set` paint pictures whose truth is exact, `crowded_scene` the one where
non-maximum suppression fails; `raw_detections` says what a detector says before suppression,
`DETECTORS` are detectors with one known fault each, and `coco_ground_truth` and `coco_results`
write all of it as COCO's files have it.
"""

from course_lib.data.annotations import coco_annotations, write_coco
from course_lib.data.batches import collate
from course_lib.data.candidates import Candidates, Detections, raw_detections
from course_lib.data.coco import coco_ground_truth, coco_results
from course_lib.data.detectors import DETECTORS, Detector
from course_lib.data.digits import Digits
from course_lib.data.meadows import Meadows
from course_lib.data.readers import (
    CocoDetection,
    DataError,
    Report,
    VocDetection,
    read_image,
)
from course_lib.data.scenes import Scene, crowded_scene, evaluation_set, scene
from course_lib.data.shapes import Shapes
from course_lib.data.sheets import contact_sheet
from course_lib.data.summary import DatasetSummary, dataset_summary
from course_lib.data.things import CLASSES

__all__ = [
    "CLASSES",
    "DETECTORS",
    "Candidates",
    "CocoDetection",
    "DataError",
    "DatasetSummary",
    "Detections",
    "Detector",
    "Digits",
    "Meadows",
    "Report",
    "Scene",
    "Shapes",
    "VocDetection",
    "coco_annotations",
    "coco_ground_truth",
    "coco_results",
    "collate",
    "contact_sheet",
    "crowded_scene",
    "dataset_summary",
    "evaluation_set",
    "raw_detections",
    "read_image",
    "scene",
    "write_coco",
]
