"""A closed room for a student's code: bubblewrap where there is one, process limits always.

Inside there is no network, no other process, no classroom, no solutions and no exercises: only
the system's and Python's files, `course_lib` and the student's side of `autograde`, all
read-only, a small private /tmp, and one folder (the room) that is shared with the judge.
Nothing that comes out of the room is trusted; `read_room_file` is how it is read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from course_lib.engine.budget import VARIABLE as BUDGET_VARIABLE

PROJECT = Path(__file__).resolve().parent.parent
COURSE = Path("/course")  # where the sandbox sees course_lib and the student's side of autograde


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Sizes in bytes, times in seconds."""

    cell_seconds: int = 30
    notebook_seconds: int = 600
    memory: int = 3 << 30
    processes: int = 80
    threads: int = 200
    room: int = 64 << 20
    file: int = 32 << 20
    message: int = 16 << 20  # one message from a kernel
    cell_output: int = 8 << 20
    notebook_output: int = 24 << 20


def bubblewrap() -> str | None:
    """The path of a bubblewrap that works here, or None."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    probe = [path, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"]
    works = subprocess.run(probe, capture_output=True, timeout=20, check=False).returncode == 0
    return path if works else None


NO_SANDBOX = """\
WARNING: no working bubblewrap (bwrap) here, so students' code runs WITHOUT a sandbox: with limits
on time and memory, but with your user's files and network in its reach. Do not grade
submissions of people whom you do not trust this way. On Debian or Ubuntu:
    apt-get install bubblewrap
"""


class Sandbox:
    """A room on disk, and the commands that run inside it.

    forks: the command runs nothing of a student's, but forks processes that do, each of which
    raises walls of its own (`autograde.kernel`). It sees the system's /proc for that.
    """

    def __init__(self, room: Path, limits: Limits, bwrap: str | None, forks: bool = False) -> None:
        self.room, self.limits, self.bwrap, self.forks = room, limits, bwrap, forks
        self.course = COURSE if bwrap else PROJECT

    def command(self, argv: list[str]) -> list[str]:
        """The command that runs `argv` inside."""
        env = shutil.which("env") or "/usr/bin/env"
        if not self.forks:
            closed = self.course / "autograde" / "kernel" / "closed.py"
            argv = [sys.executable, "-I", "-S", str(closed), *argv]
        inside = [env, "-i", *(f"{k}={v}" for k, v in self.environment().items()), *argv]
        if self.bwrap:
            # bubblewrap is process 1 inside: its own environment can be read there, too.
            inside = [env, "-i", self.bwrap, *self._walls(), "--", *inside]
        return [*self._manners(), *inside]

    def environment(self) -> dict[str, str]:
        """The environment inside, which has nothing of the host's."""
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": "/tmp" if self.bwrap else str(self.room),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.course),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",  # a file in the current folder never shadows a module
            "IPYTHONDIR": "/tmp/ipython" if self.bwrap else str(self.room / "ipython"),
            "MPLCONFIGDIR": "/tmp/matplotlib" if self.bwrap else str(self.room / "matplotlib"),
            "NBGRADER_EXECUTION": "autograde",
            "AUTOGRADE_ROOM": str(self.room),
            # One thread: as many students side by side as there are cores, and a forked
            # snapshot never waits for a thread pool that the fork left behind.
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            # No point depends on how well a detector learnt: a cell that trains takes a few steps.
            BUDGET_VARIABLE: "0.02",
        }

    def _manners(self) -> list[str]:
        """Behind everybody else in the queue for the processors, and within the system's limits."""
        nice, prlimit, limits = shutil.which("nice"), shutil.which("prlimit"), self.limits
        before = [nice, "-n", "10"] if nice else []
        if prlimit is None:
            return before
        sizes = [f"--fsize={limits.file}", f"--as={4 * limits.memory}"]
        return [*before, prlimit, "--core=0", *sizes, "--"]

    def _walls(self) -> list[str]:
        walls = ["--unshare-all", "--unshare-user", "--cap-drop", "ALL", "--die-with-parent"]
        walls += ["--new-session", "--hostname", "sandbox"]
        for folder in (
            "/usr",
            "/bin",
            "/sbin",
            "/lib",
            "/lib32",
            "/lib64",
            "/etc/ld.so.cache",
            "/etc/fonts",
        ):
            if os.path.islink(folder):
                walls += ["--symlink", os.readlink(folder), folder]
            elif os.path.exists(folder):
                walls += ["--ro-bind", folder, folder]
        if self.forks:
            # Not 0: who is root cannot map itself into a namespace of its own without more rights.
            walls += ["--uid", "1000", "--gid", "1000", "--bind", "/proc", "/proc", "--dev", "/dev"]
        else:
            # Root outside stays root to /proc/sys, whose core_pattern runs programs on the host.
            walls += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
        walls += ["--size", str(self.limits.room), "--tmpfs", "/dev/shm"]
        walls += ["--size", str(self.limits.room * 4), "--tmpfs", "/tmp"]
        for prefix in dict.fromkeys((sys.base_prefix, sys.prefix)):
            if not Path(prefix).is_relative_to("/usr"):
                walls += ["--ro-bind", prefix, prefix]
        for installed in Path(sys.prefix).glob("lib/python*/site-packages/autograde"):
            # a copy that is not editable holds the exercises
            walls += ["--tmpfs", str(installed), "--remount-ro", str(installed)]
        student = COURSE / "autograde" / "student"
        walls += ["--ro-bind", str(PROJECT / "course_lib"), str(COURSE / "course_lib")]
        walls += ["--ro-bind", str(PROJECT / "autograde" / "student"), str(student)]
        walls += ["--tmpfs", str(student / "public"), "--remount-ro", str(student / "public")]
        kernel = "autograde/kernel"
        walls += ["--ro-bind", str(PROJECT / kernel), str(COURSE / kernel)]
        init = "autograde/__init__.py"
        walls += ["--ro-bind", str(PROJECT / init), str(COURSE / init)]
        walls += ["--bind", str(self.room), str(self.room), "--chdir", "/tmp"]
        return [*walls, "--remount-ro", "/dev", "--remount-ro", "/"]


@contextlib.contextmanager
def open_sandbox(limits: Limits, rooms: Path | None = None) -> Iterator[Sandbox]:
    """A sandbox with a fresh room, which is removed at the end. rooms: where to make the room."""
    # Sockets live in the room, and their paths must stay under 108 characters.
    place = rooms or ("/tmp" if os.path.isdir("/tmp") else None)
    room = Path(tempfile.mkdtemp(prefix="room-", dir=place))
    try:
        yield Sandbox(room, limits, bubblewrap())
    finally:
        _remove(room)


def _remove(room: Path) -> None:
    """Remove a room whatever stands in it: folders too deep for Python, or closed to us."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(room, ignore_errors=True)
    if room.exists():
        subprocess.run(["chmod", "-R", "u+rwX", str(room)], capture_output=True, check=False)
        subprocess.run(["rm", "-rf", str(room)], capture_output=True, check=False)


def read_room_file(path: Path, largest: int) -> bytes | None:
    """A file that untrusted code may have made: None unless it is a plain file of modest size."""
    flags = os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
    try:
        fd = os.open(path, flags)
    except OSError:
        return None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > largest:
            return None
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(largest)
    finally:
        os.close(fd)


class Watchdog:
    """Ends a process and all its children when they take too much memory, disk or processes."""

    def __init__(self, pid: int, sandbox: Sandbox) -> None:
        self.pid, self.sandbox = pid, sandbox
        self.reason = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self.kill()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            try:
                self.reason = self._excess()
            except Exception as error:  # what cannot be watched does not run
                self.reason = f"it could not be watched: {type(error).__name__}"
            if self.reason:
                self.kill()
                return

    def _excess(self) -> str:
        limits = self.sandbox.limits
        family = self._family()
        if len(family) > limits.processes:
            return f"more than {limits.processes} processes"
        if sum(_threads(p) for p in family) > limits.threads:
            return f"more than {limits.threads} threads"
        if sum(_memory(p) for p in family) + _unmapped(family) > limits.memory:
            return f"more than {limits.memory >> 20} MB of memory"
        if _folder_size(self.sandbox.room) > limits.room:
            return f"more than {limits.room >> 20} MB of files"
        return ""

    def _family(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.Error:
            return []

    def kill(self) -> None:
        """End everything, now."""
        for process in reversed(self._family()):
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)


def _memory(process: psutil.Process) -> int:
    """Proportional memory: pages shared by forked snapshots count once among them."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        with contextlib.suppress(psutil.Error):
            return process.memory_info().rss
    return 0


def _threads(process: psutil.Process) -> int:
    try:
        return process.num_threads()
    except psutil.Error:
        return 0


def _unmapped(family: list[psutil.Process]) -> int:
    """Bytes in memory files (memfd): where no process has them mapped, _memory misses them."""
    sizes: dict[tuple[int, int], int] = {}
    for process in family:
        folder = f"/proc/{process.pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{name}").startswith("/memfd:"):
                        info = os.stat(f"{folder}/{name}")
                        sizes[info.st_dev, info.st_ino] = info.st_blocks * 512
    return sum(sizes.values())


def _folder_size(folder: Path) -> int:
    """Bytes in a folder; endless where it cannot be read to its end, as deep as it may be."""
    total, folders, todo = 0, 0, [str(folder)]
    while todo:
        folders += 1
        if folders > 2000:
            return 1 << 60
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        total += max(4096, entry.stat(follow_symlinks=False).st_size)
                        if entry.is_dir(follow_symlinks=False):
                            todo.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            return 1 << 60
    return total


def run_inside(argv: list[str], sandbox: Sandbox, seconds: float) -> str:
    """Run a command in the sandbox to its end; "" or the reason why it was ended."""
    null = subprocess.DEVNULL
    process = subprocess.Popen(sandbox.command(argv), stdin=null, stdout=null, stderr=null)
    with Watchdog(process.pid, sandbox) as watchdog:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            watchdog.kill()
            process.wait(10)
            return watchdog.reason or f"took more than {seconds:.0f} s"
    return watchdog.reason
