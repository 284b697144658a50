"""Attacks on the parts of the grader, each made for real, and each shown to be closed.

Whole submissions that attack are in tests/attacks, graded as one class by test_attack_class.py;
what is too greedy is in test_limits.py. Here are the walls one by one.
"""

from __future__ import annotations

import copy
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import zmq
from attack_lab import (
    AREA,
    IOU,
    LESSON,
    NOTHING,
    POINTS,
    RIGHT_ANSWER,
    SECRET,
    WRONG_ANSWER,
    WRONG_AREA,
    WRONG_IOU,
    handed_in,
    inside,
    live,
    points,
    printed,
    sheets,
)
from attacks import outputs
from attacks.answers import table_of_public_cases
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograde import execution, results
from autograde.cells import clean_html, clean_markdown, clean_outputs, restore
from autograde.exercises import find_lesson
from autograde.judge import judge, parse_answers
from autograde.results import Result, judged
from autograde.sandbox import (
    PROJECT,
    Limits,
    Sandbox,
    bubblewrap,
    open_sandbox,
    read_room_file,
    run_inside,
)
from autograde.sheets import make_sheet
from autograde.student.marking import mark
from autograde.student.runner import run_cases
from autograde.triage import LARGEST, BrokenSubmission, look_at
from autograde.trial import try_file

needs_sandbox = pytest.mark.skipif(bubblewrap() is None, reason="no bubblewrap here")
Grade = Callable[..., Result]
MB = 1 << 20


@pytest.fixture(autouse=True)
def host_untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """After every attack: no room is left, and no process that knew of one."""
    rooms: list[str] = []
    make = tempfile.mkdtemp

    def mkdtemp(*args: object, **named: object) -> str:
        path = make(*args, **named)
        if str(named.get("prefix", "")).startswith("room-"):
            rooms.append(path)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    yield rooms
    assert _left_over(rooms) == []
    end = time.monotonic() + 5
    while (left := _processes_with(rooms)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def _left_over(rooms: list[str]) -> list[str]:
    """The rooms that were not removed; they are gone after this."""
    left = [r for r in rooms if os.path.isdir(r)]
    if left:
        subprocess.run(["rm", "-rf", *left], check=True)  # folders too deep for Python, too
    return left


def _processes_with(texts: list[str]) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if any(text in command for text in texts):
            found.append(command[:200])
    return found


@pytest.fixture
def grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grade:
    """Restore and judge a notebook as a submission of the small lesson is."""
    monkeypatch.setattr(results, "hidden_sheets", lambda lesson, secret: sheets())

    def run(notebook: NotebookNode, limits: Limits | None = None) -> Result:
        restored, _ = restore(notebook, handed_in())
        store = tmp_path / "results"
        return judged(restored, handed_in(), LESSON, SECRET, store, limits or Limits())

    return run


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for answers and for deaf kernels only as long as a test can."""
    monkeypatch.setattr(execution, "ANSWER_SECONDS", 4)


@needs_sandbox
def test_honest_work_earns_its_points(grade: Grade) -> None:
    result = grade(handed_in())
    assert points(result) == POINTS
    assert result.flags == []


@needs_sandbox
def test_ended_kernels_cost_only_their_cells(grade: Grade) -> None:
    """os._exit, sys.exit and kill: what was right before and after stays right."""
    kill = "import os, signal\nfor pid in (os.getppid(), 1, -1, os.getpid()):\n"
    kill += "    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass"
    attack = handed_in(between=["import os\nos._exit(0)"], last=[kill, "import sys\nsys.exit(3)"])
    result = grade(attack)
    assert points(result) == POINTS
    assert sum(f.startswith("kernel-died") for f in result.flags) == 2


def test_a_cell_that_trains_takes_a_few_steps(grade: Grade) -> None:
    train = "from course_lib.engine.budget import budget\nprint(budget(400), 'steps')"
    result = grade(handed_in(last=[train]))
    assert points(result) == POINTS
    assert "8 steps" in printed(result)


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = [b'x' * (20 << 20) for _ in range(60)]", "memory"),
        ("import os\nfor _ in range(300):\n    if not os.fork(): time.sleep(60)", "processes"),
        (
            "import os\nfor k in range(5):\n"
            "    open(os.environ['AUTOGRADE_ROOM'] + f'/{k}', 'wb').write(b'x' * (20 << 20))",
            "files",
        ),
        (
            "import os\nfor k in range(3000):\n"
            "    os.makedirs(os.environ['AUTOGRADE_ROOM'] + f'/{k}')",
            "files",
        ),
        pytest.param(
            "import os\nos.chdir(os.environ['AUTOGRADE_ROOM'])\nfor _ in range(900):\n"
            "    os.mkdir('a'); os.chdir('a')\ntime.sleep(0.6)\n"
            "x = [b'x' * (20 << 20) for _ in range(30)]",
            "memory",
            id="memory, behind very deep folders",
        ),
        pytest.param(
            "import os\nfds = [os.memfd_create('x') for _ in range(30)]\n"
            "for fd in fds: os.write(fd, b'x' * (20 << 20))",
            "memory",
            id="memory that is mapped nowhere",
        ),
        pytest.param(
            "import threading\nthreading.stack_size(65536)\nfor _ in range(2000):\n"
            "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "threads",
            id="threads",
        ),
    ],
)
def test_watchdog_ends_greed(code: str, reason: str) -> None:
    limits = Limits(memory=400 * MB, processes=40, room=64 * MB)
    with open_sandbox(limits) as sandbox:
        code = f"import sys, time\nsys.setrecursionlimit(9999)\n{code}\ntime.sleep(3)"
        ended = run_inside([sys.executable, "-c", code], sandbox, 30)
    assert reason in ended


@needs_sandbox
def test_deep_folders_blind_nobody(host_untouched: list[str]) -> None:
    """Folders deeper than Python's recursion neither stop the watchdog nor the cleaning up."""
    code = (
        "import os, time\nos.chdir(os.environ['AUTOGRADE_ROOM'])\nfor _ in range(1500):\n"
        "    os.mkdir('a'); os.chdir('a')\n"
        "time.sleep(1)\nx = [b'x' * (20 << 20) for _ in range(40)]\ntime.sleep(3)"
    )
    try:
        with open_sandbox(Limits(memory=400 * MB)) as sandbox:
            ended = run_inside([sys.executable, "-c", code], sandbox, 30)
    finally:
        left = _left_over(host_untouched)
    assert left == []
    assert "memory" in ended or "files" in ended


@needs_sandbox
def test_kernel_messages_waiting_for_us_are_few() -> None:
    """A kernel that floods while nobody reads fills its own memory, not ours."""
    with open_sandbox(Limits()) as sandbox:
        context = execution._manager(sandbox).context
        with context.socket(zmq.SUB) as reader:
            waiting = reader.getsockopt(zmq.RCVHWM) * reader.getsockopt(zmq.MAXMSGSIZE)
    assert 0 < waiting <= 1 << 30


# ---------------------------------------------------------------- out of the notebook


LOOK = """
import json, os, sys
found, names = [], []
open_to_all = [{prefix!r}, {base!r}, "/usr", "/proc", "/sys"]
for folder, folders, files in os.walk("/"):
    for name in files + folders:
        path = os.path.join(folder, name)
        if any(path.startswith(p + "/") for p in open_to_all):
            continue
        if name in {names!r}:
            names.append(path)
        if not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as file:
                data = file.read(4 << 20)
        except OSError:
            continue
        found += [path for text in {texts!r} if text.encode() in data]
reached = [p for p in {paths!r} if os.path.exists(p)]
pids = [p for p in os.listdir("/proc") if p.isdigit()]
print(json.dumps([found, names, reached, len(pids), os.listdir("/tmp")]))
"""


@needs_sandbox
def test_nothing_to_find_inside(tmp_path: Path) -> None:
    """No secret, no gradebook, no solution, no expected value, no other submission."""
    other = tmp_path / "other.ipynb"
    other.write_text(SECRET)
    question = find_lesson(LESSON).task("half_shifted")
    wanted = {
        PROJECT: ("classroom", "solutions", "lessons", "tests", "pyproject.toml", ".git"),
        PROJECT / "autograde": ("exercises", "judge.py", "sheets.py", "results.py"),
        PROJECT / "autograde" / "student" / "public": (f"{LESSON}.json",),
    }
    paths = [str(folder / name) for folder, names in wanted.items() for name in names]
    names = [f"{LESSON}.{end}" for end in ("py", "ipynb", "json")]
    names += ["gradebook.db", "secret", "submitted", "lesson_01_iou", "another_way.py"]
    with open_sandbox(Limits()) as neighbour:
        (neighbour.room / "box_iou.in.json").write_text(SECRET)
        code = LOOK.format(
            prefix=sys.prefix,
            base=sys.base_prefix,
            names=names,
            texts=[SECRET, question.why[:30], "tell_iou", '"expected":{'],
            paths=[*paths, str(other), str(neighbour.room)],
        )
        found, named, reached, processes, temporary = json.loads(inside(code))
    assert (found, named, reached) == ([], [], [])
    assert processes <= 3
    # Its own room, and where Python itself lies, should that be a temporary folder.
    python = {Path(p).parts[2] for p in (sys.prefix, sys.base_prefix) if p.startswith("/tmp/")}
    assert len(set(temporary) - python) == 1


@needs_sandbox
def test_environment_of_the_host_is_not_readable_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN_OF_THE_HOST", "host-token-5d1f")
    code = "import glob\nfor f in glob.glob('/proc/[0-9]*/environ'): print(open(f).read())"
    assert "host-token" not in inside(code)


@needs_sandbox
def test_nothing_of_the_host_can_be_written() -> None:
    """Neither files nor the kernel's settings, of which core_pattern runs programs as root."""
    course = "/course/autograde/student/check.py"
    targets = [sys.executable, course, f"{sys.prefix}/x", f"{sys.base_prefix}/x", "/usr/x"]
    targets += ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"]
    code = f"""
import os
for path in {targets!r}:
    try:
        os.close(os.open(path, os.O_WRONLY | (0 if path.startswith("/proc") else os.O_CREAT)))
        print(path)
    except OSError:
        pass
"""
    assert inside(code) == ""


@needs_sandbox
def test_no_unbounded_place_to_write() -> None:
    """Files in memory count for nobody, so every place for them has a size."""
    folders = ["/", "/dev", "/course", "/course/autograde/student/public", "/dev/shm", "/tmp"]
    code = f"""
import os
for folder in {folders!r}:
    try:
        open(folder + "/x", "w").close()
    except OSError:
        continue
    size = os.statvfs(folder)
    print(folder, size.f_blocks * size.f_frsize)
"""
    for line in inside(code, Limits(room=4 * MB)).splitlines():
        folder, size = line.split()
        assert int(size) <= 64 * MB, folder


LEAVE = """
import os, sys
here = os.environ["AUTOGRADE_ROOM"]
places = ["/tmp", "/dev/shm", os.environ["HOME"], here, os.environ["IPYTHONDIR"], "/root", "/",
          "/course", "/tmp/ipython/profile_default/startup", "/tmp/.local/lib/python3.11"]
for place in places:
    for name in ("left_behind.py", "sitecustomize.py", "usercustomize.py"):
        try:
            os.makedirs(place, exist_ok=True)
            open(os.path.join(place, name), "w").write("print('left_' + 'behind')")
        except OSError:
            pass
"""


@needs_sandbox
def test_nothing_stays_for_the_next() -> None:
    """What one submission leaves anywhere, start-up files too, the next does not find."""
    inside(LEAVE)
    find = "import os\nfor f, _, n in os.walk('/'):\n    if 'left_behind.py' in n: print(f)"
    assert inside(find) == ""


@needs_sandbox
def test_kernel_holds_no_expected_value(grade: Grade) -> None:
    """Frames, `In`, every object of the garbage collector, the room and the judge's modules."""
    look = """
import gc, os, sys
hits = []
for thing in gc.get_objects():
    if type(thing) is dict and "expected" in thing and "probes" in thing:
        hits.append("a sheet")
for module in ("judge", "sheets", "results", "exercises", "execution", "spec"):
    try:
        __import__("autograde." + module)
        hits.append(module)
    except ImportError:
        pass
if any("expected" in text for text in In[:-1]):
    hits.append("In")
frame = sys._getframe()
while frame:
    if any("sheet" in name for name in frame.f_locals):
        hits.append(str(frame))
    frame = frame.f_back
room = sorted(n for n in os.listdir(os.environ["AUTOGRADE_ROOM"]) if "kernel" not in n)
print(hits, [n for n in room if not n.endswith(".ready")])
"""
    result = grade(handed_in(last=[look]))
    assert points(result) == POINTS
    assert printed(result).splitlines()[-1] == "[] []"


def test_public_cases_known_by_heart_pass_at_home() -> None:
    """The table that is handed in as "public-table" is a real temptation."""
    task = find_lesson(LESSON).task("box_iou")
    public = make_sheet(find_lesson(LESSON), task)
    scope: dict = {"torch": __import__("torch")}
    exec(table_of_public_cases(), scope)
    at_home = mark(public, list(run_cases(scope["box_iou"], public["cases"])))
    assert at_home.share > 0.8


# ---------------------------------------------------------------- the room's files


def _right_answers(name: str) -> str:
    """An answer file that would earn all points."""
    lines = [
        {"status": "ok", "value": case["expected"], "changed": [], "library": []}
        for case in sheets()[name]["cases"]
    ]
    return "".join(json.dumps(line) + "\n" for line in lines) + '"end"\n'


@needs_sandbox
@pytest.mark.usefixtures("impatient")
def test_forged_files_in_the_room(grade: Grade, tmp_path: Path) -> None:
    """Ordinary files, links to files of the host, a FIFO: no points, and no harm."""
    treasure = tmp_path / "answers.jsonl"
    treasure.write_text(_right_answers("box_area"))
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    wrong = json.dumps({"status": "ok", "value": {"kind": "number", "data": 1.0}})
    attack = f"""
import os
os.chdir(os.environ["AUTOGRADE_ROOM"])
def fresh(name):
    if os.path.lexists(name): os.unlink(name)
    return name
for name in ("box_area", "box_iou", "half_shifted"):
    open(fresh(name + ".ready"), "w").close()
    for end in (".draft", ".in.json"):
        os.symlink({str(victim)!r}, fresh(name + end))
os.symlink({str(treasure)!r}, fresh("box_area.out.jsonl"))
open(fresh("box_iou.out.jsonl"), "w").write({wrong!r} + '\\n"end"\\n')
os.mkfifo(fresh("half_shifted.out.jsonl"))
"""
    result = grade(handed_in("box_area = 0", WRONG_IOU, WRONG_ANSWER, last=[attack]))
    assert points(result) == NOTHING
    assert victim.read_text() == "as it was"
    assert treasure.read_text() == _right_answers("box_area")


@needs_sandbox
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("end", ["ready", "draft", "in.json", "out.jsonl"])
def test_folders_in_place_of_files(grade: Grade, end: str) -> None:
    """A folder where the judge wants a file costs its exercise, not the others."""
    attack = f"""
import os
path = os.environ["AUTOGRADE_ROOM"] + "/box_iou.{end}"
if os.path.exists(path): os.unlink(path)
os.makedirs(path + "/in/the/way")
"""
    result = points(grade(handed_in(last=[attack])))
    assert result | {"box_iou": 0} == POINTS | {"box_iou": 0}
    assert result["box_iou"] in (0, POINTS["box_iou"])


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("folder"),
        *("link", "fifo", "socket", "huge", "missing"),
    ],
)
def test_room_files_are_plain_and_small(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "answer"
    aim = tmp_path / "host"
    aim.write_text("a file of the host")
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(aim)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(50 << 30)  # sparse: it takes no room on the disk
    started = time.monotonic()
    assert read_room_file(path, MB) is None
    assert time.monotonic() - started < 1


def _packed(kind: str, data: object, **more: object) -> dict:
    return {"status": "ok", "value": {"kind": kind, "data": data, **more}}


CRAFTED = [
    {},
    {"status": ["ok"]},
    {"status": "ok", "value": [1]},
    {"status": "ok", "changed": [10**9]},
    {"status": "ok", "changed": {"a": 1}, "library": [["a"], {"b": 1}, 5]},
    {"status": "error", "error": ["TypeError"]},
    pytest.param(_packed("number", 10**400)),
    _packed("number", {"a": 1}),
    _packed("number", float("inf")),
    _packed("text", "x" * 100_000),
    _packed("list", [{"kind": "none"}] * 1000),
    _packed("tensor", [1], dtype=[], shape=[1]),
    _packed("tensor", [10**400], dtype="float32", shape=[1]),
    _packed("tensor", [1.0], dtype="float32", shape=[1] * 70),
    pytest.param(
        _packed("array", [1.0], dtype="float32", shape=[1] * 70),
    ),
    _packed("tensor", [], dtype="float32", shape=[200_000] * 30 + [0]),
    _packed("tensor", ["x"], dtype="float32", shape=[1]),
    _packed("tensor", [[1.0]], dtype="int64", shape=[1]),
]


@pytest.mark.parametrize("outcome", CRAFTED, ids=lambda o: json.dumps(o)[:50])
def test_crafted_answers_earn_nothing(outcome: dict) -> None:
    """An answer file that no runner of ours would write breaks nothing."""
    for sheet in sheets().values():
        count = len(sheet.get("cases", [0]))
        lines = [json.dumps(outcome)] * count + ['"end"', ""]
        outcomes, reason = parse_answers("\n".join(lines).encode(), count)
        assert judge(sheet, outcomes, reason).points == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b"",
        b"\n\n\n",
        b"9" * 10_000,
        b'"end"\n',
    ],
    ids=lambda raw: repr(raw[:8]),
)
def test_broken_answer_files_earn_nothing(raw: bytes) -> None:
    for sheet in sheets().values():
        outcomes, reason = parse_answers(raw, len(sheet.get("cases", [0])))
        assert judge(sheet, outcomes, reason).points == 0


# ---------------------------------------------------------------- cells and metadata


@needs_sandbox
def test_scrambled_cells_are_put_right(grade: Grade) -> None:
    """Changed points, check cells rewritten, deleted and doubled, ids exchanged: no gain."""
    notebook = handed_in(WRONG_AREA, IOU, RIGHT_ANSWER)
    cells = {c.id: c for c in notebook.cells}
    cells["check_box_area"].metadata.nbgrader.points = 400
    cells["check_box_area"].source = "400.0"
    twin = copy.deepcopy(cells["check_half_shifted"])
    twin.metadata.nbgrader.points = 50
    notebook.cells.remove(cells["check_box_iou"])
    notebook.cells.append(twin)
    extra = new_code_cell("9.0")
    extra.metadata = {"nbgrader": {**cells["check_box_area"].metadata.nbgrader, "points": 9,
                                   "grade_id": "check_invented"}}  # fmt: skip
    notebook.cells.append(extra)
    restored, flags = restore(notebook, handed_in())
    of = {c.id: c for c in restored.cells}
    assert {f.partition(":")[0] for f in flags} == {"cell-changed", "cell-restored", "double-cell"}
    assert of["check_box_area"].metadata.nbgrader.points == POINTS["box_area"]
    graded = [c for c in restored.cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert [c.metadata.nbgrader.points for c in graded] == [*POINTS.values()]
    assert points(grade(notebook)) == POINTS | {"box_area": 0.0}


@needs_sandbox
def test_split_and_repointed_cells(grade: Grade) -> None:
    """A solution split over two cells counts; a check pointed at another exercise does not."""
    notebook = handed_in("half = 0.5", IOU, RIGHT_ANSWER, between=[])
    cells = {c.id: c for c in notebook.cells}
    notebook.cells.insert(notebook.cells.index(cells["box_area"]) + 1, new_code_cell(AREA))
    iou, shift = cells["check_box_iou"], cells["check_half_shifted"]
    iou.metadata, shift.metadata = shift.metadata, iou.metadata
    earned = points(grade(notebook))
    assert earned["box_area"] == POINTS["box_area"]
    assert all(earned[name] <= POINTS[name] for name in POINTS)
    assert set(earned) == set(POINTS)


# ---------------------------------------------------------------- the marker's browser


@pytest.mark.parametrize("text", outputs.HTML)
def test_html_is_cleaned(text: str) -> None:
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": text}}
    cell = new_code_cell("1", outputs=clean_outputs([NotebookNode(output)]))
    assert live(new_notebook(cells=[cell])) == []
    assert "alert" not in clean_html(text) or "<" not in clean_html(text).replace("<p>", "")


@pytest.mark.parametrize("text", outputs.MARKDOWN)
def test_markdown_is_cleaned(text: str) -> None:
    cell = new_markdown_cell(text)
    clean_markdown(cell, new_notebook(cells=[]))
    assert live(new_notebook(cells=[cell])) == []


# ---------------------------------------------------------------- the files that are handed in


def _submission(root: Path, student: str = "eve") -> Path:
    file = root / student / LESSON / f"{LESSON}.ipynb"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    return file


@pytest.mark.parametrize(
    "kind",
    [
        *("linked file", "linked folder", "linked student", "fifo", "folder", "huge", "none"),
        *(
            pytest.param(kind)
            for kind in ("a link beside it", "a fifo beside it", "a link in a folder beside it")
        ),
    ],
)
def test_odd_files_are_refused(tmp_path: Path, kind: str) -> None:
    submitted = tmp_path / "submitted"
    target = _submission(submitted, "bob")
    file = submitted / "eve" / LESSON / f"{LESSON}.ipynb"
    if kind == "linked student":
        file.parent.parent.symlink_to(submitted / "bob")
    elif kind == "linked folder":
        file.parent.parent.mkdir()
        file.parent.symlink_to(target.parent)
    else:
        file.parent.mkdir(parents=True)
    if kind == "linked file":
        file.symlink_to(Path("..") / ".." / "bob" / LESSON / file.name)
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "huge":
        with file.open("wb") as out:
            out.truncate(LARGEST + 1)
    elif "beside" in kind:
        file.write_text("{}")
        beside = file.parent / "notes.txt"
        if "folder" in kind:
            beside = file.parent / "figures" / "notes.txt"
            beside.parent.mkdir()
        os.mkfifo(beside) if "fifo" in kind else beside.symlink_to(tmp_path / "secret")
    with pytest.raises(BrokenSubmission):
        look_at(file, submitted)


def test_a_plain_file_is_accepted(tmp_path: Path) -> None:
    file = _submission(tmp_path)
    (file.parent / "notes.txt").write_text("my notes")
    look_at(file, tmp_path)


def test_links_tell_nothing_of_other_folders(tmp_path: Path) -> None:
    """The names in a folder that a link points to are not listed in the message."""
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "private.ipynb").write_text("{}")
    (tmp_path / "submitted" / "eve").mkdir(parents=True)
    (tmp_path / "submitted" / "eve" / LESSON).symlink_to(secret)
    file = tmp_path / "submitted" / "eve" / LESSON / f"{LESSON}.ipynb"
    with pytest.raises(BrokenSubmission) as broken:
        look_at(file, tmp_path / "submitted")
    assert "private" not in str(broken.value)


# ---------------------------------------------------------------- one file at a time


@needs_sandbox
def test_modules_beside_a_file_are_not_seen(tmp_path: Path) -> None:
    """A torch.py, course_lib or autograde of the student's own shadows nothing."""
    bomb = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nraise SystemExit(0)\n"
    for name in ("torch.py", "sitecustomize.py", "json.py"):
        (tmp_path / name).write_text(bomb)
    for name in ("course_lib", "autograde", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(bomb)
    file = tmp_path / "mine.py"
    file.write_text(
        "import os, torch\n"
        "os.chdir(os.environ['AUTOGRADE_ROOM'])\n"
        "for name in ('torch.py', 'torchvision.py', 'json.py'):\n"
        "    open(name, 'w').write('raise SystemExit(0)')\n" + IOU
    )
    assert try_file(f"{LESSON}/box_iou", file).verdict.points == POINTS["box_iou"]
    assert not (tmp_path / "ran").exists()


@needs_sandbox
@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import sys\nsys.exit(0)", id="sys.exit"),
        pytest.param("import os\nos._exit(0)", id="os._exit"),
        pytest.param("import os\nos.kill(-1, 9)", id="kill"),
        pytest.param(
            "import json, os\nroom = os.environ['AUTOGRADE_ROOM']\n"
            "n = len(json.load(open(room + '/in.json'))['cases'])\n"
            "line = json.dumps({'status': 'ok', 'value': {'kind': 'number', 'data': 1}})\n"
            "open(room + '/out.jsonl', 'w').write((line + '\\n') * n + '\"end\"\\n')\n"
            "os._exit(0)",
            id="forged answers",
        ),
    ],
)
def test_files_that_end_the_process(tmp_path: Path, source: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source)
    trial = try_file(f"{LESSON}/box_iou", file)
    assert trial.verdict.points == 0
    assert trial.verdict.status != "passed"


@needs_sandbox
def test_room_of_one_student_is_closed_to_others() -> None:
    """A room is its owner's alone on the host, too."""
    with open_sandbox(Limits()) as sandbox:
        assert isinstance(sandbox, Sandbox)
        assert stat.S_IMODE(sandbox.room.stat().st_mode) == 0o700
