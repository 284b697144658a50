"""Walls inside the sandbox: what keeps a forked kernel apart from its siblings.

bubblewrap puts its walls around a process that it starts; a fork of a warm process has to raise
them by itself. So the warm process stands inside bubblewrap's walls (no network, no classroom, a
read-only system), and each fork raises a second ring with the same system calls: user, mount,
process, network and IPC namespaces of its own, a /tmp and a /proc of its own, its own room and no
other, no capabilities and no way to get them back. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autograde.kernel.closed import close

NEW_MOUNTS, NEW_HOSTNAME, NEW_IPC = 0x00020000, 0x04000000, 0x08000000
NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
READ_ONLY, NO_SUID, NO_DEV, NO_EXEC, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
RECURSIVE, PRIVATE = 16384, 1 << 18
DROP_BOUND, NO_NEW_PRIVILEGES, CLEAR_AMBIENT = (24, 0), (38, 1), (47, 4)
CAPABILITY_VERSION = 0x20080522
MOST_TASKS = 320  # processes and threads: a bomb ends here until the watchdog has counted it

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Room:
    """Where a kernel lives and what it may take, in bytes.

    keep: folders under /tmp that Python itself lives in.
    """

    path: str
    keep: list[str]
    room: int
    memory: int
    file: int


def _done(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _unshare(kinds: int) -> None:
    """New namespaces for this process, in which the user is who it was."""
    user, group = os.getuid(), os.getgid()
    _done(_libc.unshare(kinds), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mount(what: str | None, where: str, kind: str | None, flags: int, options: str = "") -> None:
    texts = [t.encode() if t else None for t in (what, where, kind)]
    _done(_libc.mount(*texts, ctypes.c_ulong(flags), options.encode() or None), f"mount {where}")


def _own_files(room: Room) -> None:
    """A fresh /tmp with nothing in it but this room, fresh shared memory, fresh terminals."""
    _mount(None, "/", None, RECURSIVE | PRIVATE)
    places = (room.path, *room.keep)
    kept = {p: os.open(p, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW) for p in places}
    _mount("tmpfs", "/tmp", "tmpfs", NO_SUID | NO_DEV, f"mode=1777,size={room.room * 4}")
    for path, fd in kept.items():
        os.makedirs(path)
        _mount(f"/proc/self/fd/{fd}", path, None, BIND)
        os.close(fd)
    _mount("tmpfs", "/dev/shm", "tmpfs", NO_SUID | NO_DEV, f"mode=1777,size={room.room}")
    _mount("devpts", "/dev/pts", "devpts", NO_SUID | NO_EXEC, "newinstance,ptmxmode=0666,mode=620")


def _loopback() -> None:
    """Let a process of the student's speak to another over 127.0.0.1; there is no other way out."""
    get, put, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        name = b"lo".ljust(16, b"\0")
        flags = struct.unpack("16xh", fcntl.ioctl(line, get, name + bytes(24))[:18])[0]
        fcntl.ioctl(line, put, name + struct.pack("h", flags | up) + bytes(22))


def _no_capabilities() -> None:
    """Give up every right over the namespaces, for good."""
    for capability in range(64):
        _libc.prctl(DROP_BOUND[0], capability, 0, 0, 0)  # fails past the last there is
    _libc.prctl(*CLEAR_AMBIENT, 0, 0, 0)
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    _done(_libc.capset(header, bytes(24)), "capset")
    _done(_libc.prctl(*NO_NEW_PRIVILEGES, 0, 0, 0), "no new privileges")


def close_files(keep: int) -> None:
    """Close everything that was open in the warm process, but one."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _plain_signals() -> None:
    """Signals as in a fresh process: what has no handler cannot reach the first process at all."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def raise_walls(room: Room, ready: Callable[[], None]) -> None:
    """Return in a process behind walls of its own; the calling process never returns.

    ready: called by the first process behind the walls, before anything of a student's runs.
    That process waits for its child, in which this function returns, and ends with it: when the
    first process of a process namespace ends, the system ends all others in it.
    """
    _plain_signals()
    _unshare(NEW_USER | NEW_MOUNTS | NEW_PROCESSES | NEW_IPC | NEW_NETWORK | NEW_HOSTNAME)
    _own_files(room)
    _loopback()
    if os.fork() != 0:
        os._exit(0)  # the first process belongs to bubblewrap's first process from now on
    _mount("proc", "/proc", "proc", NO_SUID | NO_DEV | NO_EXEC)
    with contextlib.suppress(OSError):  # a limit of this namespace's own from Linux 6.14 on
        Path("/proc/sys/kernel/pid_max").write_text(str(MOST_TASKS))
    # Mounts that come from another user namespace cannot be taken away, so once more:
    _unshare(NEW_USER | NEW_MOUNTS)
    _mount(None, "/proc", None, REMOUNT | BIND | READ_ONLY | NO_SUID | NO_DEV | NO_EXEC)
    _no_capabilities()
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (room.file, room.file))
    resource.setrlimit(resource.RLIMIT_AS, (4 * room.memory, 4 * room.memory))
    close()
    ready()
    kernel = os.fork()
    if kernel != 0:
        while os.wait()[0] != kernel:
            pass
        os._exit(0)
