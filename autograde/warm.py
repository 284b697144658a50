"""Kernels that are forked from a warm process: ready in a fraction of a second, still walled in.

A fresh kernel spends seconds on importing torch and matplotlib. A warm process has done that
once; it stands in the sandbox, runs nothing of a student's, and forks a kernel behind walls of its
own (`autograde.kernel`) for each notebook. Where that cannot be, kernels start fresh: slower, with
the same result.
"""

from __future__ import annotations

import array
import asyncio
import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import KernelProvisionerBase

from autograde.sandbox import Limits, Sandbox, bubblewrap

START_SECONDS = 60
FORK_SECONDS = 20


class NotWarm(Exception):
    """The warm process gave no kernel; the message says why."""


class WarmServer:
    """A warm process in the sandbox, and the folder with the rooms of its kernels."""

    def __init__(self, limits: Limits, bwrap: str) -> None:
        self.rooms = Path(tempfile.mkdtemp(prefix="rooms-", dir="/tmp"))
        self._lock = threading.Lock()
        self._line, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sandbox = Sandbox(self.rooms, limits, bwrap, forks=True)
        backend = "MPLBACKEND=module://matplotlib_inline.backend_inline"  # as a kernel sets it
        server = ["/usr/bin/env", backend, sys.executable, "-m", "autograde.kernel.server"]
        null = subprocess.DEVNULL
        with inside:
            self.process = subprocess.Popen(
                sandbox.command([*server, str(inside.fileno())]),
                stdin=null, stdout=null, stderr=null, pass_fds=[inside.fileno()],
            )  # fmt: skip
        self._line.settimeout(START_SECONDS)
        try:
            if self._line.recv(16) != b"warm":
                raise NotWarm("the warm process ended while it started")
        except (OSError, NotWarm) as error:
            self.close()
            raise NotWarm(str(error)) from None

    def fork(self, sandbox: Sandbox, connection: str) -> tuple[int, int]:
        """Fork a kernel into the room of `sandbox`; its process, and a pidfd for it."""
        limits = sandbox.limits
        keep = [p for p in {sys.prefix, sys.base_prefix} if p.startswith("/tmp/")]
        room = {"path": str(sandbox.room), "keep": keep, "room": limits.room,
                "memory": limits.memory, "file": limits.file}  # fmt: skip
        asked = {"room": room, "environment": sandbox.environment(), "connection": connection}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            ours.settimeout(FORK_SECONDS)
            handed = array.array("i", [theirs.fileno()])
            try:
                with self._lock:
                    self._line.sendmsg(
                        [json.dumps(asked).encode()],
                        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)],
                    )
                theirs.close()
                said, extra, _, _ = ours.recvmsg(400, socket.CMSG_SPACE(12))
                if said != b"ready" or not extra:
                    raise NotWarm(said.decode(errors="replace") or "the fork ended")
                # The system itself says which process spoke, as it is called out here.
                pid = struct.unpack("iII", extra[0][2])[0]
                pidfd = os.pidfd_open(pid)
                ours.send(b"!")
            except OSError as error:
                raise NotWarm(f"{type(error).__name__}: {error}") from None
        return pid, pidfd

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """End the warm process, and with it every kernel that it forked."""
        self._line.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.rooms, ignore_errors=True)


@cache
def _servers() -> dict[Limits, WarmServer | None]:
    """The warm processes of this process, by their limits; None where there can be none."""
    kept: dict[Limits, WarmServer | None] = {}
    atexit.register(_close_all, kept)
    return kept


def _close_all(kept: dict[Limits, WarmServer | None]) -> None:
    for server in filter(None, kept.values()):
        server.close()


_starting = threading.Lock()


def warm_server(limits: Limits) -> WarmServer | None:
    """The warm process for these limits, started at the first call; None where there is none."""
    with _starting:
        kept = _servers()
        server = kept.get(limits)
        if server is not None and not server.alive():
            server.close()
            del kept[limits]
        if limits not in kept:
            kept[limits] = None
            if (bwrap := bubblewrap()) and hasattr(os, "pidfd_open"):
                with contextlib.suppress(NotWarm, OSError):
                    kept[limits] = WarmServer(limits, bwrap)
        return kept[limits]


class ForkedProvisioner(KernelProvisionerBase):
    """What jupyter_client needs to know of a kernel that is no child of ours."""

    server: WarmServer
    sandbox: Sandbox
    pid: int = -1
    _pidfd: int = -1

    @property
    def has_process(self) -> bool:
        return self._pidfd >= 0

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        assert self.parent is not None
        self.parent.write_connection_file()
        self.connection_info = self.parent.get_connection_info()
        return {"cmd": ["forked"], **kwargs}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        assert self.parent is not None
        self.pid, self._pidfd = self.server.fork(self.sandbox, self.parent.connection_file)
        return self.connection_info

    async def poll(self) -> int | None:
        if self._pidfd < 0:
            return 0
        return 0 if select.select([self._pidfd], [], [], 0)[0] else None

    async def wait(self) -> int | None:
        while await self.poll() is None:
            await asyncio.sleep(0.01)
        return 0

    async def send_signal(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signum)

    async def kill(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        await self.kill()

    async def cleanup(self, restart: bool = False) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
