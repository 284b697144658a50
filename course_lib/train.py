"""python -m course_lib.train NAME: train a detector by name, evaluate it, write down how it did.

python -m course_lib.train retinanet --seconds 60
python -m course_lib.train yolo --data digits --json yolo.json
python -m course_lib.train retinanet_resnet50_fpn --data train.json --images train2017
torchrun --nproc-per-node 4 -m course_lib.train retinanet --steps 2000 --batch-size 64
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_lib._distributed import process_count, process_number
from course_lib._train_data import PAINTED, Datasets, from_files, painted
from course_lib.engine import FitConfig, History, evaluate, fit
from course_lib.engine.distributed import processes
from course_lib.metrics import CocoResult
from course_lib.models import DETECTORS, Detector, create_detector


class CommandError(Exception):
    """What is wrong with the command, in words for whoever typed it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 for a wrong command, 1 for a training that failed, 130 for Ctrl-C."""
    args = _parser().parse_args(argv)
    try:
        _check(args)
        with processes(args.device) as device:
            _run(args, device)
    except (CommandError, ValueError, OSError) as error:
        _complain(error)
        return 2
    except ArithmeticError as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        _complain("stopped" + ("; go on with --resume" if args.checkpoint else ""))
        return 130
    return 0


def _run(args: argparse.Namespace, device: torch.device) -> None:
    data = _data(args)
    for note in data.notes:
        _say(note)
    with torch.random.fork_rng([]):
        torch.manual_seed(args.seed)
        model = create_detector(args.name, len(data.train.classes)).to(device)
    if process_count() > 1 and device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    config = _config(args, model)
    params = sum(p.numel() for p in model.parameters())
    _say(
        f"{args.name}: {params:,} parameters, {len(data.train.classes)} classes; "
        f"{len(data.train):,} images to learn from, {len(data.valid):,} to evaluate on; {device}"
        + (f", {process_count()} processes" if process_count() > 1 else "")
    )
    history = fit(model, data.train, config, progress=args.progress, resume=args.resume)
    result = evaluate(
        model, data.valid, batch_size=config.batch_size, workers=config.workers,
        progress=args.progress,
    )  # fmt: skip
    _say(str(result))
    if args.json is not None and process_number() == 0:
        record = _record(args, history, result, params, device)
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _data(args: argparse.Namespace) -> Datasets:
    if args.data in PAINTED:
        return painted(args.data, args.size, args.eval, args.side, args.seed)
    return from_files(
        Path(args.data), args.images, args.valid, args.valid_images, args.side, args.on_error
    )


def _config(args: argparse.Namespace, model: Detector) -> FitConfig:
    """What the detector recommends, and what the command says."""
    names = ("steps", "seconds", "batch_size", "lr", "ema", "precision", "workers", "checkpoint")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return FitConfig.of(model, seed=args.seed, **given)


def _record(
    args: argparse.Namespace,
    history: History,
    result: CocoResult,
    params: int,
    device: torch.device,
) -> dict[str, Any]:
    return {
        "detector": args.name,
        "seconds": round(history.seconds[-1], 3),
        **{name: result[name] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")},
        "params": params,
        "images_per_second": round(history.images_per_second, 2),
        "steps": history.steps,
        "waiting": round(history.waiting, 4),
        "data": args.data,
        "seed": args.seed,
        "device": str(device),
        "processes": process_count(),
    }


def _check(args: argparse.Namespace) -> None:
    """Says now what would go wrong after a minute of training."""
    if args.name not in DETECTORS:
        raise CommandError(_unknown("detector", args.name, DETECTORS))
    if args.data not in PAINTED and not Path(args.data).exists():
        raise CommandError(_unknown("data or file", args.data, PAINTED))
    if args.resume and args.checkpoint is None:
        raise CommandError("--resume needs --checkpoint FILE: what to go on from")
    for option, file in (("--json", args.json), ("--checkpoint", args.checkpoint)):
        if file is None:
            continue
        if file.is_dir():
            raise CommandError(f"{option}: {file} is a folder, name a file in it")
        if not file.parent.is_dir():
            raise CommandError(f"{option}: there is no folder {file.parent}")
    if args.device is not None:
        _check_device(args.device)


def _check_device(name: str) -> None:
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise CommandError(f"--device: {name!r} is no device; cpu, cuda, cuda:1 or mps") from None
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind, True):
        raise CommandError(f"--device: PyTorch finds no {kind} device on this machine")
    if kind == "cuda" and (torch.device(name).index or 0) >= torch.cuda.device_count():
        raise CommandError(
            f"--device: there is no {name}, only {torch.cuda.device_count()} of them"
        )


def _unknown(what: str, name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no {what} {name!r}; {hint}There are: {', '.join(known)}"


def _say(text: str) -> None:
    if process_number() == 0:
        print(text, flush=True)


def _complain(problem: object) -> None:
    if process_number() == 0:
        print(f"course_lib.train: {problem}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.train",
        description="Train a detector by name, and evaluate it with COCO's metrics.",
        epilog="The learning rate, the batch size and whatever else the command does not say are "
        "what the detector recommends. A painted picture to evaluate on is never one to learn "
        "from. Files without anything to evaluate on keep every tenth picture for it.",
    )
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(DETECTORS)}")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        default="shapes",
        help=f"{', '.join(PAINTED)}, COCO's JSON file, or a folder as Pascal VOC has it "
        "(default: shapes)",
    )
    data.add_argument("--images", type=Path, metavar="FOLDER", help="of a JSON file's images "
                      "(default: images beside the JSON file, or its own folder)")  # fmt: skip
    data.add_argument("--valid", type=Path, metavar="PATH", help="a file or folder to evaluate on")
    data.add_argument("--valid-images", type=Path, metavar="FOLDER", help="of --valid's images")
    data.add_argument("--on-error", choices=("refuse", "skip", "clip"), default="refuse",
                      help="what to do about mistakes in files (default: refuse)")  # fmt: skip
    data.add_argument("--size", type=_count, default=1500, metavar="N",
                      help="painted pictures to learn from (default: 1500)")  # fmt: skip
    data.add_argument("--eval", type=_count, default=200, metavar="N",
                      help="painted pictures to evaluate on (default: 200)")  # fmt: skip
    data.add_argument("--side", type=_count, metavar="PIXELS", help="of painted pictures; the "
                      "shorter side to which others are resized, also to evaluate")  # fmt: skip
    how = parser.add_argument_group("training")
    long = how.add_mutually_exclusive_group()
    long.add_argument("--seconds", type=float, metavar="S", help="of training (default: 60)")
    long.add_argument("--steps", type=_count, metavar="N", help="instead of seconds; repeatable")
    how.add_argument("--batch-size", type=_count, metavar="B", help="of all processes together")
    how.add_argument("--lr", type=float, help="the highest learning rate")
    how.add_argument("--ema", type=float, metavar="DECAY", help="average the weights, as in 0.999")
    how.add_argument("--seed", type=int, default=0, help="of weights, data and order (default: 0)")
    how.add_argument("--device", help="cpu, cuda, mps (default: a GPU if there is one)")
    how.add_argument("--precision", choices=("auto", "float32", "bfloat16", "float16"))
    how.add_argument("--workers", type=int, metavar="N", help="processes that load data")
    files = parser.add_argument_group("files and output")
    files.add_argument("--checkpoint", type=Path, metavar="FILE", help="written once a minute")
    files.add_argument("--resume", action="store_true", help="go on from it, if it is there")
    files.add_argument("--json", type=Path, metavar="FILE", help="write down the result")
    files.add_argument("--progress", choices=("auto", "line", "lines", "none"), default="auto")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
