"""`python -m course_lib.data shapes`: what is in a dataset, in the terminal and as a page.

python -m course_lib.data digits --out digits.html
python -m course_lib.data annotations.json --images photos
python -m course_lib.data VOCdevkit/VOC2007 --split train
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_lib.data import CocoDetection, DataError, Digits, Meadows, Shapes, VocDetection
from course_lib.data.summary import dataset_summary

MADE = {"shapes": Shapes, "digits": Digits, "meadows": Meadows}
SIZE = 300  # pictures of a made dataset, unless told otherwise


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.data",
        description="Show what is in a dataset: a summary here, and a page to open in a browser.",
    )
    names = ", ".join(MADE)
    parser.add_argument("name", help=f"{names}, a COCO annotation file, or a VOC folder")
    parser.add_argument("--out", type=Path, help="the page to write; by default NAME.html here")
    parser.add_argument(
        "--images", type=Path, help="COCO: the image folder, if not found by itself"
    )
    parser.add_argument("--split", default="trainval", help="VOC: the list in ImageSets/Main")
    parser.add_argument(
        "--any-class", action="store_true", help="VOC: take class names as they come"
    )
    parser.add_argument("--size", type=int, default=SIZE, help=f"how many of {names}")
    parser.add_argument("--seed", type=int, default=0, help=f"which series of {names}")
    parser.add_argument("--pictures", type=int, default=24, help="how many the page shows")
    given = parser.parse_args(arguments)
    try:
        dataset, name = _open(given)
    except (DataError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    summary = dataset_summary(dataset, name)
    print(summary)
    from course_lib.data.page import dataset_page  # figures' colours: a second that errors need not

    out = given.out or Path(f"{Path(given.name).stem}.html")
    out.write_text(dataset_page(dataset, summary, pictures=given.pictures), encoding="utf-8")
    print(f"\n{out}: open it in a browser")
    return 0


def _open(given: argparse.Namespace) -> tuple[Any, str]:
    """The dataset, and what to call it. Problems of files are named, not refused."""
    if given.name in MADE:
        return MADE[given.name](
            given.size, given.seed
        ), f"{given.name.capitalize()}, seed {given.seed}"
    path = Path(given.name)
    if path.is_dir():
        options: dict[str, Any] = {"classes": None} if given.any_class else {}
        voc = VocDetection(path, given.split, on_error="clip", **options)
        return voc, f"{path.name}, {given.split}"
    if not path.exists():
        raise FileNotFoundError(f"{path} is no file, no folder, and none of {', '.join(MADE)}")
    return CocoDetection(path, given.images or _images_of(path), on_error="clip"), path.name


def _images_of(file: Path) -> Path:
    """Where the images of a COCO file usually are."""
    split = file.stem.removeprefix("instances_").removeprefix("person_keypoints_")
    for base in (file.parent, file.parent.parent):
        for name in (f"images/{split}", split, "images"):
            if (base / name).is_dir():
                return base / name
    return file.parent


if __name__ == "__main__":
    sys.exit(main())
