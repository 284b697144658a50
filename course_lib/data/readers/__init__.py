"""Datasets from files: COCO's JSON and Pascal VOC's folders, read with open eyes.

A reader looks at all annotations, and at the head of each image, before the first picture is asked
for; `problems` says what it does about what is wrong, and `dataset.report` what it found.
"""

from course_lib.data.readers.coco import CocoDetection
from course_lib.data.readers.pictures import read_image
from course_lib.data.readers.problems import KINDS, DataError, Problem, Report
from course_lib.data.readers.voc import VOC_CLASSES, VocDetection

__all__ = [
    "KINDS",
    "VOC_CLASSES",
    "CocoDetection",
    "DataError",
    "Problem",
    "Report",
    "VocDetection",
    "read_image",
]
