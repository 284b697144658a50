"""A loss curve that grows in the notebook while the model learns, and stays there when it has."""

from course_lib.engine.progress import Lines


class Curve(Lines):
    def __init__(self) -> None:
        super().__init__(50)
