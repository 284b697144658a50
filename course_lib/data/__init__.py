"""Painted scenes, and pretended detectors with known faults: data that a lesson knows all about.

`scene` and `evaluation_set` paint pictures whose truth is exact, `crowded_scene` the one where
non-maximum suppression fails; `raw_detections` says what a detector says before suppression,
`DETECTORS` are detectors with one known fault each, and `coco_ground_truth` and `coco_results`
write all of it as COCO's files have it.
"""

from course_lib.data.candidates import Candidates, Detections, raw_detections
from course_lib.data.coco import coco_ground_truth, coco_results
from course_lib.data.detectors import DETECTORS, Detector
from course_lib.data.scenes import Scene, crowded_scene, evaluation_set, scene
from course_lib.data.things import CLASSES

__all__ = [
    "CLASSES",
    "DETECTORS",
    "Candidates",
    "Detections",
    "Detector",
    "Scene",
    "coco_ground_truth",
    "coco_results",
    "crowded_scene",
    "evaluation_set",
    "raw_detections",
    "scene",
]
