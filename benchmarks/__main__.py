"""`python -m benchmarks`: compare course_lib with torchvision, op by op, and print a table."""

import argparse
import sys

THREADS = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "only", nargs="*", help="ops to measure, such as box_iou (default: all of them)"
    )
    parser.add_argument("--threads", type=int, default=THREADS, help="CPU threads (default: 2)")
    arguments = parser.parse_args()
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision beside another torch
        print(
            f"The benchmarks need torchvision, and it cannot be imported: {error}\n"
            "Make a second environment for them and run there:\n"
            "    python -m venv .venv-peer\n"
            "    .venv-peer/bin/pip install -r benchmarks/requirements-peer.txt\n"
            "    .venv-peer/bin/python -m benchmarks",
            file=sys.stderr,
        )
        return 2

    from benchmarks import boxes, pooling, suppression
    from benchmarks.measure import DisagreementError, print_table

    torch.set_num_threads(arguments.threads)
    comparisons = boxes.comparisons() + suppression.comparisons() + pooling.comparisons()
    known = {comparison.op.split()[0] for comparison in comparisons}
    if unknown := set(arguments.only) - known:
        print(
            f"No such op: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}",
            file=sys.stderr,
        )
        return 2
    chosen = [
        comparison
        for comparison in comparisons
        if not arguments.only or comparison.op.split()[0] in arguments.only
    ]
    print(
        f"torch {torch.__version__.split('+')[0]}, "
        f"torchvision {torchvision.__version__.split('+')[0]}, "
        f"{arguments.threads} CPU threads, float32, medians\n"
    )
    try:
        print_table(chosen)
    except DisagreementError as error:
        print(f"The results differ, so no times are given: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
