"""Scenes and detections in the words of COCO: dicts and lists that `json.dumps` takes.

COCO counts images, annotations and categories from 1 and writes a box as [x, y, width, height].
Category k + 1 is CLASSES[k], image i + 1 is the i-th scene given. `area` is the area of the box:
COCO's own is that of the painted outline, ours decides small, medium and large by the same rule
for truths and detections.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from course_lib.boxes import box_convert
from course_lib.data.scenes import Scene
from course_lib.data.things import CLASSES


def coco_ground_truth(scenes: Sequence[Scene]) -> dict[str, Any]:
    """The scenes as the content of a COCO annotation file.

    segmentation: the outline of the box as a polygon; for a crowd as run lengths, as COCO has it.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i, scene in enumerate(scenes, 1):
        H, W = scene.size
        images.append({"id": i, "file_name": f"scene_{i:04}.png", "height": H, "width": W})
        rows = zip(_xywh(scene.boxes), scene.labels.tolist(), scene.crowd.tolist(), strict=True)
        for (x, y, w, h), label, crowd in rows:
            outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": i,
                "category_id": label + 1,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": int(crowd),
                "segmentation": _run_lengths(x, y, w, h, H, W) if crowd else outline,
            })  # fmt: skip
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES, 1)]
    info = {"description": "painted scenes", "version": "1"}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def coco_results(
    detections: Sequence[Mapping[str, Tensor]], scenes: Sequence[Scene]
) -> list[dict[str, Any]]:
    """The detections as the content of a COCO results file, for the scenes they were made for."""
    if len(detections) != len(scenes):
        raise ValueError(
            "detections must hold one dict for each scene, "
            f"got {len(detections)} for {len(scenes)} scenes"
        )
    results = []
    for i, found in enumerate(detections, 1):
        missing = {"boxes", "scores", "labels"} - set(found)
        if missing:
            raise ValueError(f"detections[{i - 1}] lacks {', '.join(sorted(missing))}")
        rows = zip(
            _xywh(found["boxes"]), found["scores"].tolist(), found["labels"].tolist(), strict=True
        )
        for box, score, label in rows:
            results.append({"image_id": i, "category_id": label + 1, "bbox": box, "score": score})
    return results


def _xywh(boxes: Float[Tensor, "N 4"]) -> list[list[float]]:
    return box_convert(boxes.detach().cpu().double(), "xyxy", "xywh").tolist()


def _run_lengths(
    x: int | float, y: int | float, w: int | float, h: int | float, H: int, W: int
) -> dict[str, Any]:
    """COCO's uncompressed run lengths of a box in whole pixels: outside, inside, outside, …,
    counted down the columns."""
    left, top, wide, high = (round(value) for value in (x, y, w, h))
    counts = [left * H + top, high]
    for _ in range(wide - 1):
        if high == H:
            counts[-1] += high
        else:
            counts += [H - high, high]
    counts.append(W * H - sum(counts))
    return {"size": [H, W], "counts": counts}
