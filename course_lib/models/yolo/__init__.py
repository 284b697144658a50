"""YOLO, as it was first: one look at the image, one grid, one object a cell.

The arithmetic is in pure functions: `encode_grid` writes objects into a grid, `responsible` chooses
who answers for an object, `yolo_loss` compares, `decode_grid` and `grid_candidates` read boxes from
the grid. `decode_v2` is how the next version reads them. `YOLO` is the detector around a network;
`yolo` makes a small one, `yolov1` the one of the paper.
"""

from course_lib.models.yolo.detector import YOLO, yolo, yolov1
from course_lib.models.yolo.grid import (
    Candidates,
    Cells,
    cell_of,
    decode_grid,
    encode_grid,
    first_in_cell,
    grid_candidates,
    responsible,
    split_cells,
    who_answers,
)
from course_lib.models.yolo.loss import YoloLoss, yolo_loss
from course_lib.models.yolo.networks import paper_network, small_network
from course_lib.models.yolo.v2 import decode_v2

__all__ = [
    "YOLO",
    "Candidates",
    "Cells",
    "YoloLoss",
    "cell_of",
    "decode_grid",
    "decode_v2",
    "encode_grid",
    "first_in_cell",
    "grid_candidates",
    "paper_network",
    "responsible",
    "small_network",
    "split_cells",
    "who_answers",
    "yolo",
    "yolo_loss",
    "yolov1",
]
