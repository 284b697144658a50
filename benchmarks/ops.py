"""`python -m benchmarks.ops`: course_lib beside torchvision, op by op, in one run.

python -m benchmarks.ops                      # everything, on the CPU; some minutes
python -m benchmarks.ops nms roi_align        # only the ops that you name
python -m benchmarks.ops --device cuda --save # and keep it in benchmarks/results/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measure import Comparison

PEER_MISSING = """\
The benchmarks need torchvision, and it cannot be imported: {error}
Make a second environment for them and run there:
    python -m venv .venv-peer
    .venv-peer/bin/pip install -r benchmarks/requirements-peer.txt
    .venv-peer/bin/python -m {module}"""


def arguments(module: str, description: str | None, what: str) -> argparse.Namespace:
    """The command line that all benchmarks share; ends the program where torchvision is missing."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("only", nargs="*", help=f"{what} (default: all)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (default: 2)")
    parser.add_argument("--save", action="store_true", help="keep it in benchmarks/results/")
    given = parser.parse_args()
    try:
        import torch
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision beside another torch
        print(PEER_MISSING.format(error=error, module=module), file=sys.stderr)
        raise SystemExit(2) from None
    if given.device == "cuda" and not torch.cuda.is_available():
        print("--device cuda: PyTorch sees no GPU here", file=sys.stderr)
        raise SystemExit(2)
    torch.set_num_threads(given.threads)
    return given


def unknown(given: argparse.Namespace, known: Iterable[str]) -> bool:
    """Was something asked for that is not there? Then it is said."""
    if wrong := set(given.only) - set(known):
        there = ", ".join(sorted(known))
        print(f"Not there: {', '.join(sorted(wrong))}; there are {there}", file=sys.stderr)
    return bool(wrong)


def run(
    name: str, given: argparse.Namespace, comparisons: Iterable[Comparison], **options: float
) -> int:
    """Measure all rows, print them as they come, keep them if asked to; the exit status."""
    from benchmarks import record
    from benchmarks.measure import DisagreementError, check_agreement, measure, peak

    rows: list[dict[str, Any]] = []
    machine = record.machine(given.device, given.threads)
    print(", ".join(f"{key} {value}" for key, value in machine.items()), "\n")
    print(record.HEAD, end="", flush=True)
    for comparison in comparisons:
        try:
            check_agreement(comparison)
        except DisagreementError as error:
            print(f"The results differ, so no times are given: {error}", file=sys.stderr)
            return 1
        timing = measure(comparison, **options)
        row = {
            "op": comparison.op,
            "size": comparison.size,
            "n": comparison.n,
            "torchvision_ms": timing.theirs,
            "ours_ms": timing.ours,
            "torchvision_mib": peak(comparison.theirs, given.device),
            "ours_mib": peak(comparison.ours, given.device),
        }
        rows.append(row)
        print(record.row_text(row), flush=True)
        if given.save:
            record.save(f"{name}-{given.device}", machine, [row])
    print(record.exponents_text(rows))
    return 0


def main() -> int:
    given = arguments("benchmarks.ops", __doc__, "ops to measure, such as box_iou")
    from benchmarks import boxes, focal, pooling, suppression

    parts = (boxes, suppression, focal, pooling)
    rows = [row for part in parts for row in part.comparisons(given.device)]
    if unknown(given, {row.op.split()[0] for row in rows}):
        return 2
    return run("ops", given, [r for r in rows if not given.only or r.op.split()[0] in given.only])


if __name__ == "__main__":
    sys.exit(main())
