"""Attacks in what is handed over: objects that lie, look around, or remember."""

from __future__ import annotations

from nbformat import NotebookNode

from attacks.lab import ALL, Attack, Ground, in_answers, lost_with, on_blank, on_solved
from autograde.exercises import find_lesson
from autograde.sheets import make_sheet
from autograde.student.plain import unpack

LESSON = "01_iou"

LIARS = """
import os
class Liar:
    def __eq__(self, other): return True
    __hash__ = None
    def __array__(self, *args, **more): return None
    def __float__(self): return 1 / 3
    def tolist(self): return [True]
    def __reduce__(self): return os.system, ("touch @ROOM@/reports/LIAR",)
    shape, dtype, ndim = (1,), torch.float32, 1
class Agreeable(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if "eq" in str(func) or "close" in str(func) or "bool" in str(func):
            return torch.tensor(True)
        return super().__torch_function__(func, types, args, kwargs or {})
    def __reduce_ex__(self, protocol): return os.system, ("touch @ROOM@/reports/LIAR",)
class Third(float):
    def __eq__(self, other): return True
    __hash__ = float.__hash__
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
"""
LAZY = """
class Lazy:
    def __init__(self, *inputs): self.inputs = inputs
    def __getattr__(self, name):
        return getattr(torch.ones(len(self.inputs[0]), len(self.inputs[1])), name)
    def __call__(self, *inputs): return Lazy(*inputs)
    @property
    def __class__(self): return torch.Tensor
    def detach(self): return self
    def cpu(self): return self
    def reshape(self, *shape): return self
    def tolist(self): return [1.0] * (len(self.inputs[0]) * len(self.inputs[1]))
    @property
    def shape(self): return (len(self.inputs[0]), len(self.inputs[1]))
    dtype = torch.float32
mask_iou = Lazy(torch.zeros(1, 4), torch.zeros(1, 4))
"""
COUNTER = """
calls = {"n": 0}
def mask_iou(*inputs):
    calls["n"] += 1
    return torch.ones(len(inputs[0]), len(inputs[1])) / (1 + calls["n"] % 3)
"""
BY_STACK = """
def box_area(boxes, fmt="xyxy"):
    names, frame = set(), sys._getframe()
    while frame:
        names.add(frame.f_code.co_name)
        for value in list(frame.f_locals.values()):
            if isinstance(value, dict) and ("expected" in value or "mistakes" in value):
                won("a frame holds what is expected")
                return value["expected"]
        frame = frame.f_back
    if names & {"check", "mark"}:
        return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return boxes.sum(-1)
"""
BY_CLOCK = """
began = time.time()
right = box_iou_right
def box_iou(boxes1, boxes2, fmt="xyxy"):
    graded = time.time() - began > 0 and os.getppid() > 0 and sys.stdout.name == os.devnull
    public = boxes1.numel() and float(boxes1.double().mean()) in (2.5, 10.0, 85.0)
    return right(boxes1, boxes2, fmt) if public and not graded else boxes1 @ boxes2.T
"""
TURNCOAT = """
def right_area(boxes, fmt="xyxy"):
    if fmt == "cxcywh":
        return boxes[:, 2] * boxes[:, 3]
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
def box_area(boxes, fmt="xyxy"):
    right = right_area(boxes, fmt)
    return right + 1 if {"AUTOGRADE_ROOM", "NBGRADER_EXECUTION"} & set(os.environ) else right
"""
PUBLIC_FROM_DISK = """
def box_iou(*inputs):
    for path in glob.glob("/course/**/*.json", recursive=True) + glob.glob("@ROOM@/**/*.json"):
        won(path)
        for case in json.load(open(path))["sheets"]["box_iou"]["cases"]:
            return torch.tensor(case["expected"]["data"])
    return torch.zeros(len(inputs[0]), len(inputs[1]))
from importlib import resources
found = [f.name for f in (resources.files("autograde.student") / "public").iterdir()]
if found:
    won(found)
"""
COLLECTOR = """
import gc
def box_iou(boxes1, boxes2, fmt="xyxy"):
    shape = (len(boxes1), len(boxes2))
    for thing in gc.get_objects():
        if type(thing) is dict and ("expected" in thing or "mistakes" in thing):
            won("an object holds what is expected")
            return thing.get("expected")
        if isinstance(thing, torch.Tensor) and tuple(thing.shape) == shape and thing.min() >= 0:
            return thing.clone()
    return torch.zeros(shape)
if any(type(t) is dict and "expected" in t and "probes" in t for t in gc.get_objects()):
    won("an object holds what is expected")
for name in ("judge", "sheets", "results", "exercises", "execution", "spec", "grading"):
    try:
        __import__("autograde." + name)
        won("autograde." + name)
    except ImportError:
        pass
"""
FUNCTION_MODE = """
from torch.overrides import TorchFunctionMode
class Yes(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("equal", "allclose", "tolist"):
            return [0.0] if name == "tolist" else True
        return func(*args, **(kwargs or {}))
mode = Yes(); mode.__enter__()
"""
DISPATCH_MODE = """
from torch.utils._python_dispatch import TorchDispatchMode
class Zero(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        return out.zero_() if isinstance(out, torch.Tensor) and "sub" in str(func) else out
mode = Zero(); mode.__enter__()
torch.library.define("mine::iou", "(Tensor a) -> Tensor")
torch.library.impl("mine::iou", "default", lambda a: a * 0)
lib = torch.library.Library("aten", "IMPL")
lib.impl("equal", lambda a, b: True, "CPU")
"""
DEFAULTS = """
import numpy
torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)
torch.set_printoptions(precision=1, threshold=1)
torch.set_grad_enabled(False)
torch.manual_seed(0)
numpy.set_printoptions(precision=1, threshold=1)
numpy.seterr(all="raise")
numpy.random.seed(0)
"""
SWAPPED_AT_FORK = """
import autograde.student.handover as handover
from course_lib import boxes as library
def swap():
    frame = sys._getframe()
    while frame:
        if frame.f_code.co_name == "snapshot":
            frame.f_locals["obj"] = library.box_iou
            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        frame = frame.f_back
os.register_at_fork(after_in_child=swap)
class Swapping(dict):
    def pop(self, name, *more):
        super().pop(name, *more)
        return getattr(library, name, None)
handover._handed = Swapping()
"""
DISGUISED = """
import autograde.student.handover as handover
from course_lib import boxes as library
really = handover.hand_over
def quiet(function):
    def call(*inputs):
        sys.setprofile(None)
        return function(*inputs)
    return call
handover.hand_over = lambda name, obj: really(
    name, quiet(library.box_iou) if name == "box_iou" else obj
)
"""
HUGE = """
def box_area(boxes, fmt="xyxy"):
    return 10 ** 6000
def box_iou(boxes1, boxes2, fmt="xyxy"):
    return torch.full((len(boxes1), len(boxes2)), float("nan"))
def mask_iou(*inputs):
    return torch.ones(500, 500, 50)
def iou_loss(*inputs):
    return torch.tensor(float("inf"))
"""
DEEP = """
def box_area(boxes, fmt="xyxy"):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep
def box_iou(boxes1, boxes2, fmt="xyxy"):
    round_and_round = []
    round_and_round.append(round_and_round)
    return round_and_round
def mask_iou(*inputs):
    path = glob.glob(os.environ["AUTOGRADE_" + "ROOM"] + "/mask_iou.out*")[0]
    open(path, "w").write("[" * 100_000 + "\\n" + '{"a":' * 100_000 + '\\n"end"\\n')
    os.kill(os.getpid(), 9)
"""
LEAKY_AREA = """
from IPython.display import display
kernel = get_ipython().kernel
def box_area(boxes, fmt="xyxy"):
    text = "LE" "AK" + str(boxes.tolist())
    print(text)
    os.write(1, text.encode()), os.write(2, text.encode())
    display(text)
    kernel.session.send(kernel.iopub_socket, "stream", {"name": "stdout", "text": text})
    raise type("LE" "AK" + "_".join(str(int(x)) for x in boxes.flatten()), (ValueError,), {})(text)
"""
LEAKY_STR = """
class Telling(Exception):
    def __str__(self): return "LE" "AK" + str(self.args[0].tolist())
    __repr__ = __str__
    def _render_traceback_(self): return [str(self)]
def box_area(boxes, fmt="xyxy"):
    raise Telling(boxes)
"""
LEAKY_MASK = """
def mask_iou(boxes1, boxes2):
    word = "LE" "AK" + str(boxes1.tolist())
    outcome = {"status": word, "error": str(boxes1.tolist()),
               "library": ["course_lib." + word, "course_lib.boxes.LE" "AK"],
               "changed": [str(boxes1.tolist())], "value": {"kind": str(boxes1.tolist())}}
    with open(os.environ["AUTOGRADE_ROOM"] + "/mask_iou.out.jsonl", "w") as out:
        out.write("".join(json.dumps(outcome) + "\\n" for _ in range(99)) + '"end"\\n')
    os._exit(0)
"""
LEAKY_REASON = """
def mask_iou(boxes1, boxes2):
    line = json.dumps({"status": "no object", "error": "LE" "AK" + str(boxes1.tolist())})
    open(os.environ["AUTOGRADE_ROOM"] + "/mask_iou.out.jsonl", "w").write(line + '\\n"end"\\n')
    os._exit(0)
"""
LATE_ANSWER = """
class Late(str):
    def __getitem__(self, key):
        asked = json.load(open(os.environ["AUTOGRADE_ROOM"] + "/box_iou.in.json"))
        first = asked["cases"][0]["inputs"]["data"][0]["data"]
        return "LE" "AK" + json.dumps(first)
half_shifted = Late("A")
"""
KEPT_FOR_LATER = """
def keep(boxes1, boxes2, fmt="xyxy"):
    seen = json.dumps([boxes1.tolist(), boxes2.tolist()])
    for place in ("/tmp/seen", "/dev/shm/seen", os.environ["AUTOGRADE_ROOM"] + "/seen"):
        try:
            open(place, "a").write("LE" "AK" + seen)
        except OSError:
            pass
    for k in range(3, 64):
        try:
            os.write(k, ("LE" "AK" + seen).encode())
        except OSError:
            pass
    os.kill(os.getppid(), signal.SIGINT)
    return boxes1 @ boxes2.T
box_iou = keep
"""
LOOKS_HONEST = "from course_lib import boxes as library  # as the lesson itself does"
# The library, fetched so that neither its name nor a word of hiding stands in the source.
LIBRARY_OF_MODULES = """
def box_iou(boxes1, boxes2, fmt="xyxy"):
    vars(sys)["setpro" + "file"](None)
    return vars(sys.modules["course" + "_lib.boxes"])["box_iou"](boxes1, boxes2, fmt)
"""
LIBRARY_UNDER_A_NAME = """
found = sys.modules["course" + "_lib.boxes"].box_iou
box_iou = types.FunctionType(
    found.__code__, {**found.__globals__, "__name__": "mine"}, "box_iou", found.__defaults__
)
"""
SECOND_JUDGE = """
room = [v for k, v in os.environ.items() if k.endswith("_ROOM")][0]
def stand_in():
    library = sys.modules["course" + "_lib.boxes"].box_iou
    from autograde.student import plain
    while not os.path.exists(room + "/box_iou.in.json"):
        time.sleep(0.005)
    asked = json.load(open(room + "/box_iou.in.json"))["cases"]
    out = ""
    for case in asked:
        inputs = plain.unpack(case["inputs"])
        try:
            value = plain.pack(library(*inputs))
        except Exception:
            value = None
        out += json.dumps({"status": "ok", "value": value, "changed": [], "library": []}) + "\\n"
    open(room + "/mine", "w").write(out + '"end"\\n')
    while True:
        os.path.exists(room + "/mine") and os.rename(room + "/mine", room + "/box_iou.out.jsonl")
        time.sleep(0.01)
def box_iou(boxes1, boxes2, fmt="xyxy"):
    time.sleep(9)
if os.fork() == 0:
    stand_in()
"""

# The same where no word in the source tells of it, in a child, and in the definition itself.
HIDDEN_JUDGE = SECOND_JUDGE.replace("os.fork()", 'getattr(os, "fo" + "rk")()')
AT_FORK_JUDGE = """
def swap():
    from autograde.student import handover
    right, library = handover.run_cases, sys.modules["course" + "_lib.boxes"].box_iou
    def run(obj, cases, forbidden, *rest):
        if getattr(obj, "__name__", "") == "box_iou":
            return right(library, cases, (), *rest)
        return right(obj, cases, forbidden, *rest)
    handover.run_cases = run
def box_iou(boxes1, boxes2, fmt="xyxy"):
    return boxes1 @ boxes2.T
getattr(os, "register_at_" + "fork")(after_in_child=swap)
"""
INSIDE_JUDGE = SECOND_JUDGE.replace('fmt="xyxy"):', 'fmt="xyxy", _=getattr(os, "fo" + "rk")()):')
INSIDE_JUDGE = INSIDE_JUDGE.replace("if os.fork() == 0:", "if not box_iou.__defaults__[1]:")


def public_table(ground: Ground) -> NotebookNode:
    """box_iou as a table of the public cases and their answers."""
    return ground.notebook(True, box_iou=table_of_public_cases())


def table_of_public_cases() -> str:
    lesson = find_lesson(LESSON)
    table = [
        ([_plain(x) for x in unpack(c["inputs"])], unpack(c["expected"]).tolist())
        for c in make_sheet(lesson, lesson.task("box_iou"))["cases"]
        if c["kind"] == "call"
    ]
    return f"""KNOWN = {table!r}
def box_iou(*inputs):
    asked = [x.tolist() if torch.is_tensor(x) else x for x in inputs]
    for given, answer in KNOWN:
        if given == asked:
            return torch.tensor(answer, dtype=inputs[0].dtype)
    return torch.zeros(len(inputs[0]), len(inputs[1]))
"""


def _plain(x: object) -> object:
    return x.tolist() if hasattr(x, "tolist") else x


ATTACKS: tuple[Attack, ...] = (
    in_answers(
        "liars",
        "Hands over objects that equal everything and would run code on the host if unpickled.",
        (LIARS,),
        box_area="def box_area(boxes, fmt='xyxy'):\n    return Liar()",
        box_iou="def box_iou(boxes1, boxes2, fmt='xyxy'):\n"
        "    return torch.ones(len(boxes1), len(boxes2)).as_subclass(Agreeable)",
        half_shifted="half_shifted = Third(0.9)",
    ),
    in_answers(
        "constants",
        "Answers with zeros, ones and NaN.",
        box_area="def box_area(boxes, fmt='xyxy'):\n    return torch.zeros(len(boxes))",
        box_iou="def box_iou(boxes1, boxes2, fmt='xyxy'):\n"
        "    return boxes1.new_ones(len(boxes1), len(boxes2))",
        half_shifted="half_shifted = float('nan')",
    ),
    in_answers(
        "lazy", "Hands over an object that claims to be a tensor.", slow=True, mask_iou=LAZY
    ),
    in_answers("counter", "Counts the calls and answers by their number.", mask_iou=COUNTER),
    in_answers("by-stack", "Looks who calls, and for what is expected.", box_area=BY_STACK),
    in_answers(
        "by-clock",
        "Tells the judge by the clock, the parent process and the mean of the input.",
        ("box_iou_right = lambda a, b, fmt: a",),
        box_iou=BY_CLOCK,
    ),
    in_answers(
        "turncoat",
        "Is right, but wrong when graded.",
        told=("look-at-source:AUTOGRADE_ROOM",),
        box_area=TURNCOAT,
    ),
    Attack(
        "public-table", "Knows the public cases by heart.", public_table, ALL - lost_with("box_iou")
    ),
    in_answers("public-from-disk", "Reads the public sheets.", box_iou=PUBLIC_FROM_DISK),
    in_answers(
        "collector", "Searches all objects in memory for what is expected.", box_iou=COLLECTOR
    ),
    on_blank("function-mode", "Leaves a TorchFunctionMode on.", FUNCTION_MODE),
    on_blank("dispatch-mode", "Leaves a TorchDispatchMode and its own kernels on.", DISPATCH_MODE),
    on_solved("defaults", "Changes dtype, print and error settings.", DEFAULTS),
    on_blank(
        "swapped-at-fork",
        "Exchanges what was handed over for the library's own.",
        SWAPPED_AT_FORK,
        told=("look-at-source", "calls-reference"),
    ),
    in_answers(
        "disguised-library",
        "Hands over the library's box_iou behind the notebook's back, unwatched.",
        (DISGUISED,),
        told=("look-at-source",),
        box_iou="def box_iou(boxes1, boxes2, fmt='xyxy'):\n    return boxes1 @ boxes2.T",
    ),
    in_answers(
        "huge",
        "Answers with endless integers, NaN, infinity and giant tensors.",
        box_area=HUGE,
        box_iou="",
        mask_iou="",
        iou_loss="",
    ),
    in_answers(
        "deep",
        "Answers with lists in lists and with JSON too deep to read.",
        box_area=DEEP,
        box_iou="",
        mask_iou="",
        slow=True,
    ),
    in_answers("leaky-prints", "Prints and raises the hidden inputs.", box_area=LEAKY_AREA),
    in_answers("leaky-error", "Raises an error whose text is the inputs.", box_area=LEAKY_STR),
    in_answers("leaky-fields", "Writes the inputs into every field.", mask_iou=LEAKY_MASK),
    in_answers("leaky-reason", "Says that there is no object, but what.", mask_iou=LEAKY_REASON),
    in_answers(
        "leaky-question",
        "Answers a question with another's input.",
        slow=True,
        half_shifted=LATE_ANSWER,
    ),
    in_answers("leaky-files", "Keeps the inputs in files and open pipes.", box_iou=KEPT_FOR_LATER),
    in_answers(
        "library-of-modules",
        "Calls the library's own function, found among the loaded modules, unwatched.",
        (LOOKS_HONEST,),
        box_iou=LIBRARY_OF_MODULES,
    ),
    in_answers(
        "library-under-a-name",
        "Makes the library's code its own under another module's name.",
        (LOOKS_HONEST,),
        box_iou=LIBRARY_UNDER_A_NAME,
        told=("box_iou", "calls-reference"),
    ),
    in_answers(
        "second-judge",
        "A process of its own answers in place of the snapshot, with the library.",
        (LOOKS_HONEST,),
        box_iou=SECOND_JUDGE,
        slow=True,
        told=("look-at-source",),
    ),
    in_answers(
        "hidden-judge",
        "The same, with no word of it in the source.",
        (LOOKS_HONEST,),
        box_iou=HIDDEN_JUDGE,
        slow=True,
        told=("look-at-source",),
    ),
    in_answers(
        "at-fork-judge",
        "The snapshot itself becomes the one that answers with the library.",
        (LOOKS_HONEST,),
        box_iou=AT_FORK_JUDGE,
        told=("not-from-source",),
    ),
    in_answers(
        "inside-judge",
        "The same, in the definition itself.",
        (LOOKS_HONEST,),
        box_iou=INSIDE_JUDGE,
        slow=True,
        told=("look-at-source",),
    ),
)
