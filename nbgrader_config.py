"""Where nbgrader finds the class's rooms, and which of our steps it runs.

Set CLASSROOM to grade another class than the one in classroom/.
"""

import os
from pathlib import Path

from autograde.nbgrader_setup import configure

here = Path(__file__).resolve().parent
classroom = Path(os.environ.get("CLASSROOM", here / "classroom")).resolve()
configure(get_config(), classroom, release=here / "lessons")  # noqa: F821 - nbgrader gives it
