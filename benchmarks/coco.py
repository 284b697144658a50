"""`python -m benchmarks.coco`: evaluate_coco beside pycocotools on 80,000 detections.

Both get the same dictionaries and do all that it takes to answer: pycocotools its loadRes,
evaluate, accumulate and summarize. It runs in the ordinary environment of the course.
"""

import argparse
import contextlib
import copy
import io
import statistics
import sys
import time
from typing import Any, Literal

import numpy as np
import torch
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from course_lib.metrics import evaluate_coco

IMAGES, PER_IMAGE = 1_000, 80
HEIGHT, WIDTH = 480, 640

IouType = Literal["bbox", "segm"]
Rows = list[dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coco", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| compared | categories | detections | truths | pycocotools s | ours s | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    kinds: tuple[tuple[IouType, int], ...] = (("bbox", 80), ("bbox", 1), ("segm", 80))
    for iou_type, categories in kinds:
        truth, found = random_dataset(categories, iou_type)
        difference = compare(truth, found, iou_type)
        if difference > 1e-9:
            print(f"The results differ by {difference}, so no times are given", file=sys.stderr)
            return 1
        theirs, ours = measure(truth, found, iou_type, arguments.runs)
        print(
            f"| {iou_type} | {categories} | {len(found):,} | {len(truth['annotations']):,} "
            f"| {theirs:.2f} | {ours:.3f} | {theirs / ours:.1f} |",
            flush=True,
        )
    return 0


def random_dataset(categories: int, iou_type: IouType) -> tuple[dict[str, Any], Rows]:
    """About 7 objects an image, 1 in 50 a crowd; 80 detections, 7 in 10 of them near an object."""
    rng = np.random.default_rng(0)
    annotations: Rows = []
    found: Rows = []

    def boxes(n: int) -> np.ndarray:  # xywh, sides of 8 to 200 pixels
        return np.hstack((rng.uniform(0, 400, (n, 2)), np.exp(rng.uniform(2, 5.3, (n, 2)))))

    for image in range(1, IMAGES + 1):
        truths = boxes(int(rng.integers(0, 15)))
        of_truth = rng.integers(1, categories + 1, len(truths))
        for box, category in zip(truths.tolist(), of_truth.tolist(), strict=True):
            row = {"id": len(annotations) + 1, "image_id": image, "category_id": category}
            row |= {"bbox": box, "area": box[2] * box[3], "iscrowd": int(rng.random() < 0.02)}
            annotations.append(row)
        clutter = boxes(PER_IMAGE)
        for n in range(PER_IMAGE):
            box, category = clutter[n], rng.integers(1, categories + 1)
            if len(truths) and rng.random() < 0.7:
                near = rng.integers(len(truths))
                box = truths[near] + rng.normal(0, 0.08, 4) * truths[near, 2:].mean()
                box[2:] = box[2:].clip(min=1)
                category = of_truth[near] if rng.random() < 0.9 else category
            row = {"image_id": image, "category_id": int(category)}
            row |= {"bbox": box.round(2).tolist(), "score": round(float(rng.random()), 3)}
            found.append(row)
    if iou_type == "segm":
        for row in annotations + found:
            row["segmentation"] = ellipse(*row["bbox"])
        for row in found:
            del row["bbox"]
    truth = {
        "images": [{"id": i + 1, "height": HEIGHT, "width": WIDTH} for i in range(IMAGES)],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": str(k + 1)} for k in range(categories)],
    }
    return truth, found


def ellipse(x: float, y: float, w: float, h: float) -> dict[str, Any]:
    """Run lengths of the ellipse in the box."""
    angle = np.linspace(0, 2 * np.pi, 25)[:-1]
    points = np.stack((x + w / 2 * (1 + np.cos(angle)), y + h / 2 * (1 + np.sin(angle))), 1)
    return run_lengths.merge(run_lengths.frPyObjects([points.ravel().tolist()], HEIGHT, WIDTH))


def pycocotools(truth: dict[str, Any], found: Rows, iou_type: IouType) -> COCOeval:
    """All that pycocotools does for its twelve numbers, without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth
        known.createIndex()
        evaluation = COCOeval(known, known.loadRes(found), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def compare(truth: dict[str, Any], found: Rows, iou_type: IouType) -> float:
    """The largest difference in any number of the two answers."""
    ours = evaluate_coco(truth, found, iou_type)
    theirs = pycocotools(copy.deepcopy(truth), copy.deepcopy(found), iou_type)
    pairs = [(ours.stats, theirs.stats)]
    pairs += [
        (getattr(ours, name), theirs.eval[name]) for name in ("precision", "recall", "scores")
    ]
    return max(float(np.abs(mine - other).max()) for mine, other in pairs)


def measure(
    truth: dict[str, Any], found: Rows, iou_type: IouType, runs: int
) -> tuple[float, float]:
    """Median seconds of pycocotools and of ours, in turn, swapping who is first."""
    sides = (pycocotools, evaluate_coco)
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(runs):
        for side in (0, 1) if run % 2 == 0 else (1, 0):
            # pycocotools writes into what it is given, so each run gets a copy, outside the clock.
            mine, said = copy.deepcopy(truth), copy.deepcopy(found)
            start = time.perf_counter()
            np.asarray(sides[side](mine, said, iou_type).stats)  # ours are computed when asked for
            times[side].append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


if __name__ == "__main__":
    sys.exit(main())
