"""Run a submitted notebook in the sandbox, and ask the snapshots of its exercises.

The kernel that runs student's code hands nothing over that is believed: outputs are kept for
reading only, and answers are compared in this process, which never runs a line of the student's.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import fcntl
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output

from autograde.cells import checked_exercise
from autograde.judge import parse_answers
from autograde.sandbox import Limits, Sandbox, Watchdog, open_sandbox, read_room_file
from autograde.sheets import case_inputs
from autograde.student.marking import Sheet
from autograde.student.runner import CASE_SECONDS, Outcome
from autograde.warm import ForkedProvisioner, NotWarm, WarmServer, warm_server

MOST_DEATHS = 3
GRACE = 2  # seconds for a kernel to react to an interrupt, and then to being ended
SNAPSHOT_SECONDS = 15  # for a kernel to fork
ANSWER_SECONDS = 4 * CASE_SECONDS  # for the answers of one exercise
ANSWERS_SECONDS = 2 * ANSWER_SECONDS  # for those of all together


class KernelDied(Exception):
    """The kernel ended, or had to be ended, while this cell ran."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index, self.reason = index, reason


@dataclass
class Executed:
    """A notebook with its outputs, and what came out of each exercise's snapshot.

    answers: exercise -> (outcomes, reason why some are missing).
    """

    notebook: NotebookNode
    answers: dict[str, tuple[list[Outcome], str]] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)


class SandboxKernelManager(AsyncKernelManager):
    """An IPython kernel in a sandbox, spoken to over sockets in the room."""

    sandbox: Sandbox

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]
        return self.sandbox.command([*kernel, "--HistoryManager.hist_file=:memory:"])


def _manager(sandbox: Sandbox, server: WarmServer | None = None) -> SandboxKernelManager:
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, sandbox.limits.message)
    context.setsockopt(zmq.RCVHWM, 32)  # messages that may wait in our memory
    # Who breaks the line at the other end, by writing into every file that is open, takes no
    # message ever again: a send must not wait for that.
    context.setsockopt(zmq.SNDTIMEO, 1000 * GRACE)
    manager = SandboxKernelManager(
        transport="ipc", connection_file=str(sandbox.room / "kernel.json"), context=context
    )
    manager.sandbox = sandbox
    if server is not None:
        manager.provisioner = ForkedProvisioner(kernel_id="", parent=manager)
        manager.provisioner.server, manager.provisioner.sandbox = server, sandbox
    # A signal would reach bubblewrap and end everything: interrupt by message.
    manager._kernel_spec = KernelSpec(
        argv=["python"], language="python", display_name="Python", interrupt_mode="message"
    )
    return manager


class _Client(NotebookClient):
    """nbclient with a bound on what is kept of the outputs."""

    def __init__(self, notebook: NotebookNode, sandbox: Sandbox, server: WarmServer | None) -> None:
        super().__init__(
            notebook,
            km=_manager(sandbox, server),
            timeout=sandbox.limits.cell_seconds,
            interrupt_on_timeout=True,
            error_on_timeout={
                "ename": "CellTimeoutError",
                "evalue": f"this cell ran longer than {sandbox.limits.cell_seconds} s",
                "traceback": [f"This cell ran longer than {sandbox.limits.cell_seconds} s."],
            },
            allow_errors=True,
            store_widget_state=False,
            coalesce_streams=True,
        )
        self.sandbox, self.limits = sandbox, sandbox.limits
        self.kept: dict[int, int] = {}

    def process_message(self, msg: Any, cell: NotebookNode, cell_index: int) -> Any:
        kinds = ("stream", "display_data", "execute_result", "error", "update_display_data")
        if msg["msg_type"] in kinds:
            size = _size(msg["content"])
            kept = self.kept.get(cell_index, 0)
            full = kept + size > self.limits.cell_output
            if full or sum(self.kept.values()) + size > self.limits.notebook_output:
                if kept >= 0:
                    text = "[more output than is kept]\n"
                    cell.outputs.append(new_output("stream", name="stdout", text=text))
                    self.kept[cell_index] = self.limits.cell_output
                return None
            self.kept[cell_index] = kept + size
        try:
            return super().process_message(msg, cell, cell_index)
        except CellControlSignal:  # nbclient's own: the cell is done
            raise
        except Exception:  # a message that no honest kernel sends is left out
            return None

    def on_comm_open_jupyter_widget(self, msg: Any) -> None:
        """Widgets have no life in grading; what a kernel says of them is not interpreted."""


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_size(v) for v in value.values())
    if isinstance(value, list):
        return sum(_size(v) for v in value)
    return len(value) if isinstance(value, str | bytes) else 8


def execute(
    notebook: NotebookNode,
    sheets: dict[str, Sheet],
    limits: Limits,
    left_out: Collection[int] = (),
) -> Executed:
    """Run `notebook` in a fresh sandbox and judge-ready collect the answers to `sheets`.

    left_out: places of cells that are not run. A cell that takes the kernel down is left out, too,
    and the rest run again, a few times over: exercises that were right before stay right.
    """
    skip: dict[int, str] = {}
    stop = len(notebook.cells)
    flags: list[str] = []
    end = time.monotonic() + 2 * limits.notebook_seconds  # for all runs together
    warm = True
    while True:
        try:
            server = warm_server(limits) if warm else None
            with open_sandbox(limits, server.rooms if server else None) as sandbox:
                if sandbox.bwrap is None:
                    flags.append("no-sandbox")
                client = _Client(copy.deepcopy(notebook), sandbox, server)
                result = asyncio.run(_run(client, sheets, skip, stop, left_out))
                result.flags = sorted(set(flags + result.flags))
                return result
        except (NotWarm, RuntimeError):  # there came no kernel: once more, with a fresh one
            if not warm:
                raise
            warm = False
        except KernelDied as death:
            flags.append(f"kernel-died:cell-{death.index + 1}")
            skip[death.index] = death.reason
            if len(skip) >= MOST_DEATHS:
                stop = min(stop, death.index)
            if len(skip) > MOST_DEATHS + 2 or stop <= 0 or time.monotonic() > end:
                flags.append("gave-up")
                return Executed(copy.deepcopy(notebook), {}, sorted(set(flags)))


async def _run(
    client: _Client,
    sheets: dict[str, Sheet],
    skip: dict[int, str],
    stop: int,
    left_out: Collection[int],
) -> Executed:
    notebook, sandbox = client.nb, client.sandbox
    result = Executed(notebook)
    end = time.monotonic() + sandbox.limits.notebook_seconds
    ran = 0
    manager = client.km  # nbclient forgets it where a kernel does not start
    assert manager is not None
    null = subprocess.DEVNULL  # what a kernel says outside of cells is nobody's business
    await client.async_start_new_kernel(stdout=null, stderr=null)
    try:
        pid = manager.provisioner.pid  # type: ignore[union-attr]
        with Watchdog(pid, sandbox) as watchdog:
            await client.async_start_new_kernel_client()
            for index, cell in enumerate(notebook.cells[:stop]):
                if cell.cell_type != "code" or index in left_out:
                    continue
                if index in skip:
                    text = f"This cell ended the kernel and was left out: {skip[index]}\n"
                    cell.outputs = [new_output("stream", name="stdout", text=text)]
                    continue
                if time.monotonic() > end:
                    result.flags.append("out-of-time")
                    break
                ran = index
                await _run_cell(client, cell, index, watchdog)
                exercise = checked_exercise(cell)
                if exercise in sheets and not _errors(cell):
                    await _snapshot(client, exercise, index, watchdog)
            # Questions first: their answers are shown, so no hidden input may be in the room yet.
            last = time.monotonic() + ANSWERS_SECONDS
            for exercise in sorted(sheets, key=lambda name: sheets[name]["type"] != "question"):
                result.answers[exercise] = await _ask(exercise, sheets[exercise], sandbox, last)
            alive = await ensure_async(manager.is_alive())
            if alive and any(reason for _, reason in result.answers.values()):
                alive = await _answers(client, watchdog)  # a kernel's snapshots end a bit before it
            if not alive and not watchdog.reason:
                raise KernelDied(ran, "the process ended after it")
    finally:
        with contextlib.suppress(Exception):
            await ensure_async(manager.shutdown_kernel(now=True))
        with contextlib.suppress(Exception):
            if client.kc is not None:
                client.kc.stop_channels()
        manager.context.destroy(linger=0)
    return result


async def _run_cell(client: _Client, cell: NotebookNode, index: int, watchdog: Watchdog) -> None:
    """Execute one cell; KernelDied if the kernel is gone, or deaf, afterwards."""
    limit = client.limits.cell_seconds
    started = time.monotonic()
    task = asyncio.ensure_future(client.async_execute_cell(cell, index))
    done, _ = await asyncio.wait({task}, timeout=limit + GRACE)
    if not done:
        watchdog.kill()
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
        if task.done() and not task.cancelled():
            task.exception()  # taken note of: else it is logged at some later time, in any code
        reason = f"it ran longer than {limit} s and could not be interrupted"
        raise KernelDied(index, watchdog.reason or reason)
    try:
        task.result()
    except CellExecutionError:
        pass  # stands among the cell's outputs
    except DeadKernelError:
        raise KernelDied(index, watchdog.reason or "the process ended") from None
    except Exception:  # a message that no honest kernel sends
        watchdog.kill()
        raise KernelDied(index, watchdog.reason or "its messages made no sense") from None
    if time.monotonic() - started > limit:
        text = f"This cell ran longer than {limit} s and was interrupted.\n"
        cell.outputs.append(new_output("stream", name="stdout", text=text))
        if not await _answers(client, watchdog):
            reason = f"it ran longer than {limit} s, and the kernel did not answer again"
            raise KernelDied(index, watchdog.reason or reason)


async def _answers(client: _Client, watchdog: Watchdog) -> bool:
    """Does the kernel still answer a question?"""
    assert client.kc is not None
    return await _reply_to(client, client.kc.kernel_info(), watchdog, GRACE)


async def _reply_to(client: _Client, msg_id: str, watchdog: Watchdog, seconds: float) -> bool:
    """Wait for the reply to a message; False if none comes, or the kernel is gone."""
    assert client.kc is not None
    assert client.km is not None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            reply = await ensure_async(client.kc.shell_channel.get_msg(timeout=0.5))
            if reply["parent_header"]["msg_id"] == msg_id:
                return True
        except queue.Empty:
            pass
        except Exception:  # no honest kernel's message
            await asyncio.sleep(0.05)
        if watchdog.reason or not await ensure_async(client.km.is_alive()):
            return False
    return False


def _errors(cell: NotebookNode) -> list[NotebookNode]:
    return [o for o in cell.outputs if o.output_type == "error"]


async def _snapshot(client: _Client, exercise: str, index: int, watchdog: Watchdog) -> None:
    """Have the kernel fork the process that will answer for `exercise`."""
    module = "autograde.student.handover"
    code = f"__import__({module!r}, fromlist=['snapshot']).snapshot({exercise!r})"
    assert client.kc is not None
    msg_id = client.kc.execute(code, silent=True, store_history=False, allow_stdin=False)
    if not await _reply_to(client, msg_id, watchdog, SNAPSHOT_SECONDS):
        raise KernelDied(index, watchdog.reason or "the kernel did not answer again")


async def _ask(
    exercise: str, sheet: Sheet, sandbox: Sandbox, last: float
) -> tuple[list[Outcome], str]:
    """Hand the hidden inputs to an exercise's snapshot and read its answers, until `last`."""
    room = sandbox.room
    ready = room / f"{exercise}.ready"
    if read_room_file(ready, 1) is None:
        return [], ""
    cases = case_inputs(sheet)
    asked = {"cases": cases, "forbidden": sheet.get("forbidden", [])}
    draft = room / f"{exercise}.draft"
    try:
        _write_new(draft, json.dumps(asked))
        draft.replace(room / f"{exercise}.in.json")  # whole or not at all
    except OSError:
        return [], "the notebook changed the files through which it is asked"
    answers = room / f"{exercise}.out.jsonl"
    deadline = min(time.monotonic() + ANSWER_SECONDS, last)
    raw = None
    while time.monotonic() < deadline:
        gone = _is_free(ready)  # before we look: what it wrote, it wrote before it ended
        raw = read_room_file(answers, sandbox.limits.file)
        if gone or (raw is not None and raw.endswith(b'"end"\n')):
            break
        await asyncio.sleep(0.02)
    return parse_answers(raw, len(cases))


def _is_free(path: Path) -> bool:
    """Does nobody hold the lock on a file? A snapshot holds its own for as long as it lives."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def _write_new(path: Any, text: str) -> None:
    """Write a file in the room without following what untrusted code may have put there."""
    with contextlib.suppress(OSError):
        path.unlink()
    with path.open("x") as file:
        file.write(text)
