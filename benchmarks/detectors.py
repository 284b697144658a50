"""`python -m benchmarks.detectors`: every small detector of the course on the same data, for the
same time, with the same engine; and the page that shows it.

A run paints scenes to learn from and others to evaluate on, trains for `--seconds`, evaluates with
COCO's metrics, and times `detect`. Each detector has the learning rate and batch size that it
recommends. After every run the results file is written anew, so a stopped command goes on where it
was. `--page` draws docs/scoreboard.md and its picture from the file alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import scoreboard
from course_lib._train_data import painted
from course_lib.engine import FitConfig, evaluate, fit
from course_lib.models import Detector, create_detector

DETECTORS = ("yolo", "retinanet", "fcos", "centernet")
NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
SIDE, SIZE, EVALUATED = 128, 1500, 300
BATCH, ROUNDS = 16, 15  # of timing `detect`


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    parser.add_argument("only", nargs="*", help=f"of {', '.join(DETECTORS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=75, help="of training (default: 75)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13], metavar="SEED")
    parser.add_argument("--data", default="shapes", choices=("shapes", "digits"))
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--out", type=Path, default=scoreboard.RESULTS, help="the results file")
    parser.add_argument("--page", action="store_true", help="draw the page, measure nothing")
    args = parser.parse_args()
    if unknown := set(args.only) - set(DETECTORS):
        print(f"no such detector: {', '.join(sorted(unknown))}; there are {', '.join(DETECTORS)}",
              file=sys.stderr)  # fmt: skip
        return 2
    if not args.page:
        torch.set_num_threads(args.threads)
        _measure_all(args)
    for path in scoreboard.write(args.out):
        print(path)
    return 0


def _measure_all(args: argparse.Namespace) -> None:
    setting = {
        "data": args.data,
        "side": SIDE,
        "pictures": SIZE,
        "evaluated": EVALUATED,
        "seconds": args.seconds,
        "threads": args.threads,
        "torch": torch.__version__.split("+")[0],
    }
    results: dict[str, Any] = {"setting": setting, "detectors": {}}
    if args.out.exists():
        before = json.loads(args.out.read_text(encoding="utf-8"))
        if before["setting"] == setting:
            results = before
    for name in args.only or DETECTORS:
        entry = results["detectors"].setdefault(name, {"runs": {}})
        for seed in args.seeds:
            if str(seed) in entry["runs"]:
                continue
            measured = _measure(name, args.data, seed, args.seconds)
            entry["params"] = measured.pop("params")
            entry["multiply_adds"] = measured.pop("multiply_adds")
            entry["runs"][str(seed)] = measured
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(f"{name}, seed {seed}: AP {measured['AP']:.3f}, AP50 {measured['AP50']:.3f}, "
                  f"{measured['steps']} steps", flush=True)  # fmt: skip


def _measure(name: str, data: str, seed: int, seconds: float) -> dict[str, Any]:
    train, valid, _ = painted(data, SIZE, EVALUATED, SIDE, seed)
    torch.manual_seed(seed)
    model = create_detector(name, len(train.classes))
    history = fit(model, train, FitConfig.of(model, seconds=seconds, seed=seed), progress="none")
    result = evaluate(model, valid)
    return {
        "params": sum(p.numel() for p in model.parameters()),
        "multiply_adds": multiply_adds(model),
        **{number: round(result[number], 4) for number in NUMBERS},
        "steps": history.steps,
        "images_per_second": round(history.images_per_second, 1),
        "detections_per_second": round(_detect_speed(model, valid), 1),
    }


def multiply_adds(model: Detector) -> int:
    """Multiplications with an addition that one picture costs, in convolutions and products."""
    model.eval()
    images = torch.zeros(1, 3, SIDE, SIDE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(model.prepare(images)[0])
    return counter.get_total_flops() // 2


def _detect_speed(model: Detector, dataset: Any) -> float:
    """Images a second, from pictures to boxes: the median of some batches."""
    model.eval()
    images = torch.stack([dataset[i][0] for i in range(BATCH)]) / 255
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        model.detect(images)
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[2:])


if __name__ == "__main__":
    sys.exit(main())
