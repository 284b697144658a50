"""Any dataset of the course in COCO's words, for other tools and for the disk."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image
from pycocotools import mask as run_lengths
from torch import Tensor

from course_lib.data.targets import Sample


def coco_annotations(dataset: Any) -> dict[str, Any]:
    """The content of a COCO annotation file: images, annotations, categories.

    dataset: has `classes` and pairs (image, target). Image ids are those of the targets if these
        differ, else 1, 2, …. Category k + 1 is class k. Boxes become [x, y, width, height].
    Masks become run lengths, keypoints three numbers each, counted in pixels from 0, where targets
    have them. `area` is the target's, or the box's.
    """
    return _Writer(dataset).content


def write_coco(dataset: Any, folder: str | PathLike[str]) -> Path:
    """Write a dataset as `annotations.json` and PNG files in `images`; the annotation file.

    `CocoDetection(folder / "annotations.json", folder / "images")` reads it again.
    Errors: FileExistsError if there is an annotation file already.
    """
    folder = Path(folder)
    file = folder / "annotations.json"
    if file.exists():
        raise FileExistsError(f"{file} is there already; choose another folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    content = _Writer(dataset, folder / "images").content
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


class _Writer:
    """Goes through a dataset once; each picture is asked for once."""

    def __init__(self, dataset: Any, folder: Path | None = None) -> None:
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        for i in range(len(dataset)):
            self._add(i, dataset[i], folder)
        ids = [image["id"] for image in self.images]
        if len(set(ids)) < len(ids):  # several datasets in one, say
            place = 0
            for i, image in enumerate(self.images, 1):
                image["id"] = i
                for _ in range(image.pop("objects")):
                    self.annotations[place]["image_id"] = i
                    place += 1
        for image in self.images:
            image.pop("objects", None)
        names = list(getattr(dataset, "keypoint_names", ()))
        points = any("keypoints" in row for row in self.annotations)
        categories = [
            {"id": k, "name": name, **({"keypoints": names, "skeleton": []} if points else {})}
            for k, name in enumerate(dataset.classes, 1)
        ]
        self.content = {
            "info": {"description": type(dataset).__name__, "version": "1"},
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }

    def _add(self, i: int, sample: Sample, folder: Path | None) -> None:
        image, target = sample
        H, W = image.shape[1:]
        image_id = int(target.get("image_id", i))
        name = f"{i:06}.png"
        boxes, labels = target["boxes"].double().tolist(), target["labels"].tolist()
        self.images.append(
            {"id": image_id, "file_name": name, "height": H, "width": W, "objects": len(labels)}
        )
        if folder is not None:
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / name)
        for n, ((x1, y1, x2, y2), label) in enumerate(zip(boxes, labels, strict=True)):
            w, h = x2 - x1, y2 - y1
            row = {
                "id": len(self.annotations) + 1,
                "image_id": image_id,
                "category_id": label + 1,
                "bbox": [x1, y1, w, h],
                "area": float(target["area"][n]) if "area" in target else w * h,
                "iscrowd": int(target["iscrowd"][n]) if "iscrowd" in target else 0,
            }
            if "masks" in target:
                row["segmentation"] = _run_lengths(target["masks"][n])
            if "keypoints" in target:
                row["keypoints"] = _points(target["keypoints"][n])
                row["num_keypoints"] = int((target["keypoints"][n, :, 2] > 0).sum())
            self.annotations.append(row)


def _run_lengths(mask: Tensor) -> dict[str, Any]:
    pixels = np.asfortranarray(mask.numpy().astype(np.uint8))
    encoded = run_lengths.encode(pixels)
    return {"size": list(mask.shape), "counts": encoded["counts"].decode("ascii")}


def _points(points: Float32[Tensor, "P 3"]) -> list[float]:
    """x, y, v of each; the middle of the first pixel is COCO's 0."""
    rows = [(x - 0.5, y - 0.5, v) if v else (0.0, 0.0, 0.0) for x, y, v in points.tolist()]
    return [value for row in rows for value in row]
