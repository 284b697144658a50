"""What ends a command with a message instead of a result."""


class Stopped(Exception):
    """Grading was stopped by Ctrl-C; what was judged is kept."""


class NoWorkers(Exception):
    """There is nobody to judge: no scheduler at that address, or workers of another version."""
