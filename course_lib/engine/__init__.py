"""Training, measuring and using any detector that keeps the contract of `course_lib.models`.

`fit` trains, as a `FitConfig` says, and answers with its `History`; `evaluate` measures with COCO's
metrics. `python -m course_lib.train NAME` does both from the command line.
"""

from course_lib.engine.checkpoint import load_weights
from course_lib.engine.config import FitConfig
from course_lib.engine.evaluate import evaluate
from course_lib.engine.history import History
from course_lib.engine.loop import fit
from course_lib.engine.optimizer import Ema
from course_lib.engine.progress import Moment
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
]
