"""The warm process: imports once what every lesson needs, and forks a kernel when it is asked.

Runs inside bubblewrap and never runs a line of a student's. Each request comes over the socket
whose number is given, with the end of a socket of its own for the fork to answer on.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import socket
import sys

from autograde.kernel.walls import Room, close_files, raise_walls

# Not what looks for a running kernel when it is imported: matplotlib's inline backend, widgets.
BEFORE = (
    *("torch", "numpy", "matplotlib.pyplot", "IPython", "ipykernel.kernelapp"),
    "autograde.student.check",
)
COLD = ("course_lib.explore", "course_lib.train", "course_lib.data.__main__")


def warm_up() -> None:
    """Import what lessons import, so that each fork begins with it."""
    for name in BEFORE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import course_lib

    for module in pkgutil.walk_packages(course_lib.__path__, "course_lib."):
        if not module.name.startswith(COLD):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # the collector need not touch, and so copy, what all forks share


def serve(line: socket.socket) -> None:
    """Fork a kernel for each request, until the other side closes the line."""
    line.send(b"warm")
    while True:
        fds = array.array("i")
        text, extra, _, _ = line.recvmsg(4096, socket.CMSG_SPACE(fds.itemsize))
        if not text:
            return
        for _, _, data in extra:
            fds.frombytes(data)
        if os.fork() == 0:
            _become_kernel(json.loads(text), socket.socket(fileno=fds[0]))
        os.close(fds[0])
        os.wait()  # for the process that raises the walls; it leaves them to another


def _become_kernel(asked: dict, answer: socket.socket) -> None:
    """In the fork: raise walls, report, wait for the word, and be a kernel."""

    def ready() -> None:
        answer.send(b"ready")
        if answer.recv(1) != b"!":
            os._exit(1)
        answer.close()

    try:
        close_files(keep=answer.fileno())
        raise_walls(Room(**asked["room"]), ready)
    except BaseException as error:
        with contextlib.suppress(OSError):
            answer.send(f"{type(error).__name__}: {error}".encode()[:300])
        os._exit(1)
    with contextlib.suppress(BaseException):
        _run(asked["environment"], asked["connection"])
    os._exit(0)


def _run(environment: dict[str, str], connection: str) -> None:
    import numpy
    import torch
    from ipykernel.kernelapp import IPKernelApp

    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir("/tmp")
    sys.argv = ["ipykernel_launcher"]
    random.seed()  # as in a fresh process: no fork can foretell another's numbers
    numpy.random.seed()
    torch.seed()
    app = IPKernelApp.instance()
    app.initialize(["-f", connection, "--HistoryManager.hist_file=:memory:"])
    app.start()


if __name__ == "__main__":
    warm_up()
    serve(socket.socket(fileno=int(sys.argv[1])))
