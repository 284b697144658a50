"""Training, measuring and using any detector that keeps the contract of `course_lib.models`.

`fit` trains, as a `FitConfig` says, and answers with its `History`; `evaluate` measures with COCO's
metrics; `predict` detects in images of any size and kind, in tiles where they are large.
`python -m course_lib.train NAME` does the first two from the command line.
"""

from course_lib.engine.checkpoint import load_weights
from course_lib.engine.config import FitConfig
from course_lib.engine.evaluate import evaluate
from course_lib.engine.history import History
from course_lib.engine.loop import fit
from course_lib.engine.optimizer import Ema
from course_lib.engine.predict import predict
from course_lib.engine.progress import Moment
from course_lib.engine.tiles import merge_parts, tile_windows
from course_lib.engine.training import NotFiniteError

__all__ = [
    "Ema",
    "FitConfig",
    "History",
    "Moment",
    "NotFiniteError",
    "evaluate",
    "fit",
    "load_weights",
    "merge_parts",
    "predict",
    "tile_windows",
]
