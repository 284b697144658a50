"""Kernels forked from a warm process: as a fresh one to the student, and nothing shared by two."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator

import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograde import execution
from autograde.execution import Executed, execute
from autograde.sandbox import Limits, bubblewrap
from autograde.warm import NotWarm, WarmServer, warm_server

pytestmark = pytest.mark.skipif(bubblewrap() is None, reason="no bubblewrap here")
LIMITS = Limits()


@pytest.fixture(scope="module")
def server() -> WarmServer:
    found = warm_server(LIMITS)
    assert found is not None, "there is no warm process here, though there is bubblewrap"
    return found


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "warm_server", lambda limits: None)


def run(*cells: str) -> Executed:
    return execute(new_notebook(cells=[new_code_cell(c) for c in cells]), {}, LIMITS)


def said(*cells: str) -> str:
    """What the cells print."""
    done = run(*cells)
    errors = [o for c in done.notebook.cells for o in c.outputs if o.output_type == "error"]
    assert not errors, errors
    return "".join(o.get("text", "") for c in done.notebook.cells for o in c.outputs)


# ---------------------------------------------------------------- as fresh

LOOK = """
import os, sys, random, threading
import numpy as np, torch, course_lib.boxes
print(os.getcwd(), sorted(os.environ.items()))
print(torch.get_num_threads(), torch.get_default_dtype(), __name__)
print(threading.active_count(), sys.path, sys.argv, os.nice(0), os.umask(0o22))
"""
FIGURE = """
import matplotlib.pyplot as plt
from IPython.display import HTML, display
plt.figure(figsize=(2, 1)); plt.plot([1, 3, 2]); plt.show()
display(HTML("<b>x</b>"))
"""
SPEAK = "!echo hello; id -u | wc -l\n%timeit -n1 -r1 1\nimport warnings; warnings.warn('w'); 1 / 0"


def outputs(done: Executed) -> str:
    """What came out, but for the names of rooms and what depends on the clock."""
    kept = []
    for cell in done.notebook.cells:
        for o in cell.outputs:
            lines = [n for n in o.get("text", "").splitlines() if "per loop" not in n]
            lines = [n for n in lines if "ipykernel_" not in n]
            kept.append((o.output_type, lines, o.get("data"), o.get("ename")))
    return re.sub(r"/tmp/(rooms-\w+/)?room-\w+", "ROOM", json.dumps(kept))


def test_forked_kernel_is_as_a_fresh_one(
    server: WarmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same environment, modules' state, figures, shell commands and errors."""
    warm = outputs(run(LOOK, FIGURE, SPEAK))
    assert server.alive()
    monkeypatch.setattr(execution, "warm_server", lambda limits: None)
    assert warm == outputs(run(LOOK, FIGURE, SPEAK))
    assert "image/png" in warm
    assert "hello" in warm


def test_random_numbers_are_not_those_of_a_sibling() -> None:
    draw = "import random, uuid, torch, numpy as np\nfor x in "
    draw += "(random.random(), np.random.rand(), torch.rand(1), uuid.uuid4()): print(x)"
    lines = [said(draw).splitlines() for _ in range(3)]
    assert [len(set(column)) for column in zip(*lines, strict=True)] == [3, 3, 3, 3]


@pytest.mark.usefixtures("cold")
def test_without_a_warm_process_kernels_start_fresh() -> None:
    assert said("print(6 * 7)") == "42\n"


def test_a_warm_process_that_died_is_started_again(server: WarmServer) -> None:
    before = warm_server(LIMITS)
    assert before is not None
    before.process.kill()
    before.process.wait()
    assert said("print(1)") == "1\n"
    after = warm_server(LIMITS)
    assert after is not None
    assert after is not before
    assert not before.rooms.exists()


def test_a_fork_that_fails_says_why(server: WarmServer, tmp_path) -> None:
    found = warm_server(LIMITS)
    assert found is not None
    from autograde.sandbox import Sandbox

    with pytest.raises(NotWarm, match="FileNotFoundError"):
        found.fork(Sandbox(tmp_path / "no-such-room", LIMITS, bubblewrap()), "x.json")
    assert said("print(2)") == "2\n"


def test_where_forking_fails_a_fresh_kernel_does_the_work(
    server: WarmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork(*_: object) -> int:
        raise NotWarm("no room")

    monkeypatch.setattr(WarmServer, "fork", fork)
    assert said("import os; print(os.getppid())") == "1\n"


# ---------------------------------------------------------------- nothing shared

WALLS = """
import ctypes, glob, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print("rights", [status[k].strip() for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")])
print("others", sorted(int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()))
print("rooms", glob.glob("/tmp/rooms-*/*") == [os.environ["AUTOGRADE_ROOM"]])
print("shared", [line for line in open("/proc/self/maps") if "rw-s" in line and "/dev/zero" not in line])
print("net", os.listdir("/sys/class/net") if os.path.exists("/sys/class/net") else open("/proc/net/dev").read().count(":"))
"""


def test_walls_of_a_forked_kernel() -> None:
    text = said(WALLS)
    none = "0000000000000000"
    assert f"rights {[none] * 5 + ['1']}" in text
    assert "others [1]" in text  # the process that waits for the kernel, in its own namespace
    assert "rooms True" in text
    assert "shared []" in text
    assert "net 1" in text  # the loopback


ESCAPE = """
import ctypes, os, glob
libc = ctypes.CDLL(None, use_errno=True)
def tell(name, result):
    print(name, "DONE" if result == 0 else "refused")
room = os.environ["AUTOGRADE_ROOM"]
for where in (b"/tmp", room.encode(), b"/proc", b"/dev/shm", b"/"):
    tell(f"umount {where}", libc.umount2(where, 2))
tell("remount", libc.mount(None, b"/proc", None, 32 | 4096, None))
for pid in (1, os.getppid()):
    for name in ("ns/mnt", "ns/user", "ns/pid"):
        try:
            fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
            tell(f"setns {name}", libc.setns(fd, 0))
        except OSError as error:
            print(name, "refused")
tell("namespaces", libc.unshare(0x10000000 | 0x00020000))
try:
    uid = os.getuid()
    open("/proc/self/setgroups", "w").write("deny")
    open("/proc/self/uid_map", "w").write("1000 1000 1")
except OSError:
    print("maps refused")
for where in (b"/tmp", room.encode(), b"/proc", b"/dev/shm"):
    tell(f"umount inside {where}", libc.umount2(where, 2))
tell("proc again", libc.mount(b"proc", b"/tmp", b"proc", 0, None))
print("seen", [p for p in glob.glob("/tmp/rooms-*/*") if p != room], [p for p in glob.glob("/proc/*/root/tmp/rooms-*/*") if not p.endswith(room)])
try:
    os.kill(1, 9); print("first process still", os.path.exists("/proc/1"))
except OSError:
    print("kill refused")
try:
    open("/proc/sys/kernel/core_pattern", "w").write("|/tmp/x"); print("core_pattern DONE")
except OSError:
    print("core_pattern refused")
"""


def test_no_way_through_the_walls(server: WarmServer) -> None:
    """Beside another student's open room: no mount is taken away, no other room is seen."""
    found = warm_server(LIMITS)
    assert found is not None
    other = found.rooms / "room-of-another"
    other.mkdir(mode=0o700)
    (other / "answers.json").write_text("CANARY")
    try:
        text = said(
            ESCAPE, "import os; os.system('grep -rl CANARY / --include=answers.json 2>/dev/null')"
        )
    finally:
        for file in other.iterdir():
            file.unlink()
        other.rmdir()
    done = [line for line in text.splitlines() if line.endswith("DONE")]
    assert set(done) <= {"namespaces DONE"}, text
    assert "seen [] []" in text
    assert "core_pattern refused" in text
    assert "answers.json" not in text


POISON = """
import builtins, ctypes, gc, os, sys
import numpy, torch
import course_lib.boxes as boxes
import autograde.student.check, autograde.student.handover as handover, autograde.student.runner as runner
boxes.box_iou = torch.allclose = torch.tensor = lambda *a, **k: 1 / 0
handover.snapshot = runner.run_case = lambda *a: os._exit(1)
torch.nn.functional.relu = None
torch.set_default_dtype(torch.float64); torch.manual_seed(0); torch.set_num_threads(3)
builtins.isinstance = lambda *a: True
sys.modules["math"] = None; sys.path.insert(0, "/tmp")
os.environ["NBGRADER_EXECUTION"] = "no"; os.environ["PYTHONSTARTUP"] = "/tmp/x.py"
libc = ctypes.CDLL(None)
made = 0
for path in ["/tmp/torch.py", "/tmp/math.py", "/dev/shm/x", "/course/course_lib/x.py", "/tmp/ipython/profile_default/startup/x.py",
             sys.prefix + "/lib/x.pth", os.environ["AUTOGRADE_ROOM"] + "/../x", "/etc/x"]:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").write("POISON"); made += 1
    except OSError:
        pass
print("shm", libc.shmget(4711, 4096, 0o1666) >= 0, "made", made)
zeros = torch.zeros(4)
ctypes.memset(id(0) + 24, 7, 4)  # the small whole number 0 of this process
"""
HEALTHY = """
import ctypes, glob, os, sys
import torch, math, course_lib.boxes as boxes, autograde.student.handover as handover
print(boxes.box_iou.__module__, torch.tensor([1.0]).dtype, torch.get_num_threads(), int("0") + 1)
print(handover.snapshot.__module__, isinstance(1, str), torch.nn.functional.relu is not None, math.pi)
print("/tmp" in sys.path, os.environ["NBGRADER_EXECUTION"], "PYTHONSTARTUP" in os.environ)
print(ctypes.CDLL(None).shmget(4711, 4096, 0), glob.glob("/tmp/*.py") + glob.glob("/dev/shm/*") + glob.glob("/tmp/rooms*/x"))
"""


def test_what_one_student_poisons_is_sound_for_the_next() -> None:
    before = said(HEALTHY)
    poisoned = run(POISON)  # the kernel may well be dead after that
    assert "kernel-died:cell-1" in poisoned.flags or "shm True" in str(poisoned.notebook)
    assert said(HEALTHY) == before
    assert before.splitlines()[0] == "course_lib.boxes torch.float32 1 1"
    assert before.splitlines()[3] == "-1 []"


SPIN = "import os, subprocess\nsubprocess.Popen(['sleep', '1000'], start_new_session=True)\nos.fork() or os.setsid()"


@pytest.fixture
def processes() -> Iterator[set[int]]:
    """Our processes before; after the test the same, but for the warm one."""
    warm_server(LIMITS)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    yield before
    end = time.monotonic() + 5
    while time.monotonic() < end:
        left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
        left = [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(left)


def test_nothing_outlives_a_kernel(processes: set[int]) -> None:
    for _ in range(3):
        run(SPIN)


def test_the_warm_process_ends_with_its_owner() -> None:
    """A grader that is killed leaves no warm process and no kernel behind."""
    import subprocess
    import sys

    code = (
        "import time\nfrom autograde.sandbox import Limits\nfrom autograde.warm import warm_server\n"
        "s = warm_server(Limits())\nprint(s.process.pid, flush=True)\ntime.sleep(100)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    family = [p.pid for p in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]]
    assert len(family) >= 2
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    end = time.monotonic() + 10
    while any(psutil.pid_exists(p) for p in family) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [p for p in family if psutil.pid_exists(p)]
