"""Reading a student's code: what is refused, what is only flagged, what is nobody's business."""

from __future__ import annotations

import pytest

from autograde.source_check import borrowed

GIVEN = "import torch\nfrom course_lib import boxes as library\nfrom course_lib import draw"
OWN = "def box_iou(a, b):\n    return overlap(a, b) / union(a, b)"

REFUSED = {
    "module in the body": "def box_iou(a, b):\n    return library.box_iou(a, b)",
    "import in the body": "def box_iou(a, b):\n    from course_lib.boxes import box_iou as f\n    return f(a, b)",
    "import instead of a definition": "from course_lib.boxes import box_iou",
    "import of everything": "from course_lib.boxes import *",
    "assigned": "box_iou = library.box_iou",
    "through a helper": "import course_lib.boxes\ndef h(a, b): return course_lib.boxes.box_iou(a, b)\n"
    "def box_iou(a, b): return h(a, b)",
    "through a variable": "secret = library\nbest = secret\ndef box_iou(a, b): return library.box_iou(a, b)",
    "private parts": "def box_iou(a, b):\n    i, u = library._overlap(a, b)\n    return i / u",
    "a private module": "from course_lib._pairs import iou\ndef box_iou(a, b):\n    return iou(a, b)",
    "a kernel": "from course_lib.kernels.nms import greedy\ndef box_iou(a, b):\n    return greedy(a, b)",
    "torchvision": "def box_iou(a, b):\n    import torchvision.ops as o\n    return o.box_iou(a, b)",
    "in a class": "class A:\n    f = library.box_iou\nbox_iou = A.f",
    "in a lambda": "box_iou = lambda a, b: library.box_iou(a, b)",
}


@pytest.mark.parametrize("how", REFUSED)
def test_calling_the_answer_is_refused(how: str) -> None:
    assert borrowed([GIVEN, REFUSED[how]], "box_iou", frozenset([GIVEN]))[0]


ALLOWED = {
    "own code": OWN,
    "the library elsewhere": OWN + "\nprint(library.box_iou(a, b))",
    "another function of the library": "def box_iou(a, b):\n    return library.box_area(a) * 0",
    "pictures": "def box_iou(a, b):\n    draw.draw_boxes(None, a)\n    return 1",
    "a local of the same name": "iou = library.box_iou(x, y)\ndef box_iou(a, b):\n    iou = 1\n    return iou",
    "a parameter of the same name": "q = library.box_iou\ndef box_iou(q, b):\n    return q",
    "magics and broken lines": "%matplotlib inline\n!ls\n" + OWN,
}


@pytest.mark.parametrize("how", ALLOWED)
def test_honest_code_passes(how: str) -> None:
    assert borrowed([GIVEN, ALLOWED[how]], "box_iou", frozenset([GIVEN])) == ([], [])


def test_given_cells_are_not_the_students() -> None:
    figure = "iou = library.box_iou(a, b)\nbox_iou_of = iou"
    uses = "def box_iou(a, b):\n    return iou"
    assert borrowed([GIVEN, figure, uses], "box_iou", frozenset([GIVEN, figure]))[0] == []


HIDING = {
    "getattr": "def box_iou(a, b):\n    return getattr(library, 'box' + '_iou')(a, b)",
    "import by name": "def box_iou(a, b):\n    return __import__('x').y(a)",
    "exec": "def box_iou(a, b):\n    exec('z = 1')",
    "a name in text": "def box_iou(a, b):\n    import sys\n    return sys.modules['course_lib.boxes']",
    "importlib": "import importlib\ndef box_iou(a, b):\n    return importlib.import_module('q')",
}


@pytest.mark.parametrize("how", HIDING)
def test_what_may_hide_a_call_is_flagged(how: str) -> None:
    library, hiding = borrowed([GIVEN, HIDING[how]], "box_iou", frozenset([GIVEN]))
    assert library == []
    assert hiding


def test_code_that_is_no_python_is_no_problem() -> None:
    deep = "x = " + "(" * 5000 + ")" * 5000
    assert borrowed(["x <- c(1, 2)", "\x00", deep, OWN], "box_iou") == ([], [])


LONG = '''
def f(boxes1, boxes2):
    """Words."""
    top_left = torch.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = torch.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    return intersection / (area(boxes1)[:, None] + area(boxes2)[None, :] - intersection)
'''
