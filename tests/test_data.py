"""course_lib.data: the pictures are what their boxes say, and each detector has its fault and no other.

The numbers of the stories are pycocotools' own.
"""

import contextlib
import hashlib
import io
import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from course_lib.boxes import box_iou
from course_lib.data import (
    CLASSES,
    DETECTORS,
    Scene,
    candidates,
    coco_ground_truth,
    coco_results,
    crowded_scene,
    evaluation_set,
    painting,
    raw_detections,
    scene,
    scenes,
)
from course_lib.data.painting import Ellipse, Polygon, Stroke, chance, extent, paint
from course_lib.data.things import draw_thing
from course_lib.suppression import batched_nms, nms, soft_nms

SMALL, LARGE = 32**2, 96**2
each_detector = pytest.mark.parametrize("name", DETECTORS)


@pytest.fixture(scope="module")
def painted() -> list[Scene]:
    return evaluation_set()


@pytest.fixture(scope="module")
def crowded() -> Scene:
    return crowded_scene()


# --- painting -----------------------------------------------------------------------------------


def reach(covered: np.ndarray) -> tuple[float, ...]:
    """The smallest half-open box around all painted pixels."""
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_a_pixel_is_painted_by_the_share_of_its_points() -> None:
    image = np.zeros((3, 4, 3), dtype=np.uint8)
    square = [Polygon((160, 80, 16), ((0, 0), (1, 0), (1, 1), (0, 1)))]
    covered = paint(image, square, (0.5, 1, 3, 2.25))
    assert covered.tolist() == [[0, 0, 0, 0], [8, 16, 16, 0], [2, 4, 4, 0]]
    assert image[1, 1].tolist() == [160, 80, 16]
    assert image[1, 0].tolist() == [80, 40, 8]
    assert image[2, 1].tolist() == [40, 20, 4]
    assert image[0].max() == 0


@pytest.mark.parametrize(
    "shape",
    [
        Ellipse((9, 9, 9), 3, 2, 5, 2),
        Ellipse((9, 9, 9), 3, 2, 5, 2, turn=0.4),
        Polygon((9, 9, 9), ((0, 0), (7, 3), (2, 9))),
        Stroke((9, 9, 9), ((0, 0), (7, 3), (2, 9)), 2.5),
    ],
)
def test_a_shape_reaches_as_far_as_it_says(shape: painting.Shape) -> None:
    x1, y1, x2, y2 = shape.extent
    x, y = np.linspace(x1 - 1, x2 + 1, 1201)[None], np.linspace(y1 - 1, y2 + 1, 1203)[:, None]
    inside = shape.inside(x, y)
    found_x, found_y = x[0, inside.any(0)], y[inside.any(1), 0]
    np.testing.assert_allclose(
        (found_x[0], found_y[0], found_x[-1], found_y[-1]), (x1, y1, x2, y2), atol=0.03
    )


def test_the_later_shape_lies_on_top_and_flip_mirrors() -> None:
    image = np.zeros((2, 4, 3), dtype=np.uint8)
    left = Polygon((200, 0, 0), ((0, 0), (1, 0), (1, 2), (0, 2)))
    whole = Polygon((0, 200, 0), ((0, 0), (4, 0), (4, 2), (0, 2)))
    paint(image, [whole, left], (0, 0, 4, 2))
    assert image[0, :, 0].tolist() == [200, 0, 0, 0]
    mirrored = np.zeros_like(image)
    paint(mirrored, [whole, left], (0, 0, 4, 2), flip=True)
    np.testing.assert_array_equal(mirrored, image[:, ::-1])


def test_paint_outside_of_the_picture_is_cut_off() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    disc = [Ellipse((255, 255, 255), 0, 0, 1, 1)]
    assert paint(image, disc, (-20, -20, -10, -10)).sum() == 0
    assert paint(image, disc, (-4, -4, 8, 8)).min() == 16


def test_painting_refuses_what_makes_no_sense() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="box must have x2 > x1"):
        paint(image, [Ellipse((0, 0, 0), 0, 0, 1, 1)], (2, 2, 2, 3))
    with pytest.raises(ValueError, match="at least one shape"):
        extent([])
    with pytest.raises(ValueError, match="name must be one of sheep, dog"):
        draw_thing("unicorn", chance(0))


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("height", [9, 14, 30, 77, 150])
def test_every_thing_fills_its_box_at_every_size(name: str, height: int) -> None:
    for number in range(4):
        drawing = draw_thing(name, chance(number))
        x1, y1, x2, y2 = extent(drawing)
        width = round(height * (x2 - x1) / (y2 - y1))
        box = (3, 4, 3 + width, 4 + height)
        image = np.zeros((height + 8, width + 8, 3), dtype=np.uint8)
        assert reach(paint(image, drawing, box, flip=number % 2 == 1)) == box


def test_chance_is_by_key_and_bells_are_nearly_normal() -> None:
    assert chance(1, 2).random() == chance(1, 2).random() != chance(2, 1).random()
    drawn = painting.bell(chance(5), 40000)
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02
    assert np.abs(drawn).max() <= 6


# --- scenes -------------------------------------------------------------------------------------


def test_a_scene_is_well_formed(painted: list[Scene]) -> None:
    for one in painted:
        H, W = one.size
        G = len(one.boxes)
        assert one.image.shape == (H, W, 3)
        assert one.image.dtype == np.uint8
        assert one.labels.shape == one.crowd.shape == one.visible.shape == one.areas.shape == (G,)
        assert one.boxes.dtype == torch.float32
        assert one.boxes.shape == (G, 4)
        assert (one.boxes == one.boxes.round()).all()
        assert (one.boxes[:, :2] >= 0).all()
        assert (one.boxes[:, 2:] <= torch.tensor([W, H])).all()
        assert (one.boxes[:, 2:] - one.boxes[:, :2] >= 4).all()
        assert ((one.labels >= 0) & (one.labels < len(CLASSES))).all()
        assert (one.visible > 0.5).all()
        assert one.caption in one.alt
    with pytest.raises(FrozenInstanceError):
        painted[0].caption = "another"  # type: ignore[misc]


def test_boxes_are_tight_to_the_paint(monkeypatch: pytest.MonkeyPatch) -> None:
    strokes: list[tuple[tuple[float, ...], np.ndarray]] = []

    def watched(image: np.ndarray, drawing: list, box: tuple, *, flip: bool = False) -> np.ndarray:
        covered = paint(image, drawing, box, flip=flip)
        strokes.append((tuple(box), covered))
        return covered

    monkeypatch.setattr(scenes, "paint", watched)
    seen = 0
    for index in (0, 1, 3, 4, 6, 7, 10, 13, 16, 19, 22, None):
        one = crowded_scene() if index is None else scene(index)
        reached = {box: reach(covered) for box, covered in strokes if covered.any()}
        for box, crowd in zip(one.boxes.tolist(), one.crowd.tolist(), strict=True):
            if not crowd:
                assert reached[tuple(box)] == tuple(box)
                seen += 1
        if one.crowd.any():  # the box of a flock is the smallest around its sheep
            x1, y1, x2, y2 = one.boxes[one.crowd][0].tolist()
            sheep = {box for box in reached if box not in map(tuple, one.boxes.tolist())}
            inside = [b for b in sheep if x1 <= b[0] and y1 <= b[1] and b[2] <= x2 and b[3] <= y2]
            inside = [b for b in inside if all(float(value).is_integer() for value in b)]
            assert len(inside) >= 8
            assert tuple(np.min(inside, 0)[:2]) == (x1, y1)
            assert tuple(np.max(inside, 0)[2:]) == (x2, y2)
        strokes.clear()
    assert seen > 70


def test_the_evaluation_set_has_something_of_everything(painted: list[Scene]) -> None:
    areas = torch.cat([one.areas[~one.crowd] for one in painted])
    labels = torch.cat([one.labels[~one.crowd] for one in painted])
    assert len(painted) == 60
    assert (areas < SMALL).sum() >= 100
    assert ((areas >= SMALL) & (areas <= LARGE)).sum() >= 200
    assert (areas > LARGE).sum() >= 30
    assert labels.bincount(minlength=len(CLASSES)).min() >= 30
    assert sum(len(one.boxes) == 0 for one in painted) == 3
    assert sum(bool(one.crowd.any()) for one in painted) == 6
    assert len({one.image.tobytes() for one in painted}) == 60
    assert len({one.size for one in painted}) == 3
    hidden = torch.cat([one.visible[~one.crowd] for one in painted])
    assert (hidden < 0.9).sum() >= 20


def test_captions_are_plain_words(painted: list[Scene], crowded: Scene) -> None:
    assert crowded.alt == "A painted summer meadow: 15 sheep, one dog and one tree."
    assert painted[7].alt == "A painted autumn meadow with a road with nothing on it."
    assert painted[3].alt.endswith("and a distant flock of sheep.")


def test_a_scene_depends_on_its_index_and_seed_alone(painted: list[Scene]) -> None:
    again = scene(13)
    np.testing.assert_array_equal(again.image, painted[13].image)
    assert torch.equal(again.boxes, painted[13].boxes)
    other = scene(13, seed=1)
    assert other.boxes.shape != again.boxes.shape or not torch.equal(other.boxes, again.boxes)
    assert evaluation_set(0) == []
    assert [one.key for one in evaluation_set(2, seed=5)] == [(5, 0), (5, 1)]


def test_every_machine_paints_and_detects_the_same(painted: list[Scene], crowded: Scene) -> None:
    seen = hashlib.sha256()
    for one in (*painted[:20], crowded):
        seen.update(one.image.tobytes() + one.boxes.numpy().tobytes())
    said = hashlib.sha256()
    for one in (*painted[:20], crowded):
        for values in raw_detections(one).values():
            said.update(values.numpy().tobytes())  # type: ignore[attr-defined]
    assert (seen.hexdigest()[:16], said.hexdigest()[:16]) == (
        "36fcce0a601238cd",
        "3c6c5c5a70fa85e9",
    )


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "3"])
def test_a_wrong_index_is_explained(wrong: object) -> None:
    with pytest.raises(Exception, match=r"index must be a whole number|Type-check"):
        scene(wrong)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"size must be a whole number|Type-check"):
        evaluation_set(wrong)  # type: ignore[arg-type]


# --- the crowded scene --------------------------------------------------------------------------


def found(one: Scene, boxes: Tensor, scores: Tensor) -> tuple[set[int], int]:
    """Which objects the boxes find at IoU 0.5, best scores first, and how many boxes are left."""
    iou = box_iou(boxes, one.boxes)
    taken: set[int] = set()
    extra = 0
    for d in scores.argsort(descending=True, stable=True).tolist():
        free = [g for g in range(len(one.boxes)) if g not in taken and iou[d, g] >= 0.5]
        if free:
            taken.add(max(free, key=lambda g: float(iou[d, g])))
        else:
            extra += 1
    return taken, extra


def test_the_awkward_pair(crowded: Scene) -> None:
    iou = box_iou(crowded.boxes, crowded.boxes).triu(1)
    assert len(crowded.boxes) == 17
    assert (crowded.labels == CLASSES.index("sheep")).sum() == 15
    assert iou.max() == pytest.approx(0.643, abs=0.001)
    assert iou.flatten().sort(descending=True).values[1] < 0.4
    behind, front = divmod(int(iou.argmax()), 17)
    assert crowded.visible[behind] > 0.3
    assert crowded.visible[front] > 0.95


@pytest.mark.parametrize(
    ("threshold", "objects", "extra"),
    [(0.2, 12, 1), (0.3, 14, 1), (0.4, 15, 1), (0.5, 16, 1), (0.6, 17, 2), (0.7, 17, 18)],
)
def test_greedy_nms_on_the_crowded_scene(
    crowded: Scene, threshold: float, objects: int, extra: int
) -> None:
    """One extra box is clutter, which no threshold on overlap can remove."""
    raw = raw_detections(crowded)
    assert 80 <= len(raw["scores"]) <= 150
    keep = nms(raw["boxes"], raw["scores"], threshold)
    taken, left = found(crowded, raw["boxes"][keep], raw["scores"][keep])
    assert (len(taken), left) == (objects, extra)
    if threshold == 0.5:
        overlaps = box_iou(crowded.boxes, crowded.boxes).triu(1)
        assert set(range(17)) - taken <= set(divmod(int(overlaps.argmax()), 17))
        keep = batched_nms(raw["boxes"], raw["scores"], raw["labels"], threshold)
        assert found(crowded, raw["boxes"][keep], raw["scores"][keep]) == (taken, left)


@pytest.mark.parametrize(("least", "extra"), [(0.22, 9), (0.3, 0), (0.34, 0)])
def test_soft_nms_rescues_the_pair(crowded: Scene, least: float, extra: int) -> None:
    raw = raw_detections(crowded)
    keep, scores = soft_nms(raw["boxes"], raw["scores"], sigma=0.5, method="gaussian")
    sure = scores >= least
    taken, left = found(crowded, raw["boxes"][keep][sure], scores[sure])
    assert (len(taken), left) == (17, extra)


def test_the_true_objects_were_all_seen(crowded: Scene) -> None:
    raw = raw_detections(crowded)
    assert (box_iou(raw["boxes"], crowded.boxes).amax(0) > 0.8).all()


# --- candidates ---------------------------------------------------------------------------------


def test_candidates_are_well_formed(painted: list[Scene]) -> None:
    for one in painted:
        raw = raw_detections(one)
        H, W = one.size
        N = len(raw["scores"])
        assert raw["boxes"].shape == (N, 4)
        assert raw["labels"].shape == raw["ious"].shape == (N,)
        assert (raw["scores"].diff() <= 0).all()
        assert ((raw["scores"] >= 0.05) & (raw["scores"] < 1)).all()
        assert ((raw["ious"] >= 0) & (raw["ious"] <= 1)).all()
        assert (raw["boxes"][:, 2:] > raw["boxes"][:, :2]).all()
        assert (raw["boxes"] >= 0).all()
        assert (raw["boxes"] <= torch.tensor([W, H, W, H])).all()
    one, other = raw_detections(painted[0]), raw_detections(painted[0], seed=1)
    assert not torch.equal(one["boxes"][:4], other["boxes"][:4])


def test_predicted_ious_know_the_fit_better_than_scores(painted: list[Scene]) -> None:
    columns: list[list[Tensor]] = [[], [], []]
    fit: dict[str, list[Tensor]] = {"scores": [], "ious": []}
    for one in painted:
        real = one.boxes[~one.crowd]
        if len(real) == 0:
            continue
        raw = raw_detections(one)
        best = box_iou(raw["boxes"], real).amax(1)
        right = best > 0.5
        for column, values in zip(columns, (best, raw["scores"], raw["ious"]), strict=True):
            column.append(values[right])
        for rank, kept in fit.items():
            keep = batched_nms(raw["boxes"], raw[rank], raw["labels"], 0.5)  # type: ignore[literal-required]
            iou = box_iou(raw["boxes"][keep], real).amax(0)
            kept.append(iou[iou >= 0.5])
    with_scores, with_ious = torch.corrcoef(torch.stack([torch.cat(c) for c in columns]))[0, 1:]
    assert with_scores == pytest.approx(0.577, abs=0.01)
    assert with_ious == pytest.approx(0.911, abs=0.01)
    by_score, by_iou = (torch.cat(kept) for kept in fit.values())
    assert len(by_score) == len(by_iou)
    assert by_score.mean() == pytest.approx(0.850, abs=0.002)
    assert by_iou.mean() == pytest.approx(0.874, abs=0.002)
    assert (by_score >= 0.9).float().mean() == pytest.approx(0.209, abs=0.01)
    assert (by_iou >= 0.9).float().mean() == pytest.approx(0.285, abs=0.01)


def test_the_overlap_used_here_is_that_of_the_library(painted: list[Scene]) -> None:
    some, others = painted[1].boxes.double(), raw_detections(painted[1])["boxes"].double()
    ours = candidates.pair_iou(some.numpy(), others.numpy())
    np.testing.assert_allclose(ours, box_iou(some, others).numpy(), rtol=0, atol=1e-12)


def test_a_scene_is_asked_for() -> None:
    with pytest.raises(Exception, match=r"scene must be a Scene, got int|Type-check"):
        raw_detections(3)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"write detect\(\[scene\]\)|Type-check"):
        DETECTORS["good"].detect(scene(0))  # type: ignore[arg-type]


# --- detectors ----------------------------------------------------------------------------------


def judge(painted: list[Scene], answers: list) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_ground_truth(painted)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(coco_results(answers, painted)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.fixture(scope="module")
def answers(painted: list[Scene]) -> dict[str, list]:
    return {name: detector.detect(painted) for name, detector in DETECTORS.items()}


@pytest.fixture(scope="module")
def judged(painted: list[Scene], answers: dict[str, list]) -> dict[str, COCOeval]:
    return {name: judge(painted, answers[name]) for name in DETECTORS}


AP, AP50, AP75, AP_SMALL, AP_MEDIUM, AP_LARGE = range(6)

STORIES = {  # AP, AP50, AP small, medium, large
    "good": (0.613, 0.851, 0.474, 0.643, 0.798),
    "loose": (0.357, 0.851, 0.280, 0.369, 0.468),
    "twice": (0.411, 0.557, 0.355, 0.453, 0.609),
    "cluttered": (0.613, 0.851, 0.474, 0.643, 0.798),
    "gullible": (0.342, 0.485, 0.160, 0.450, 0.798),
    "shortsighted": (0.485, 0.656, 0.000, 0.644, 0.798),
    "overconfident": (0.613, 0.851, 0.474, 0.643, 0.798),
    "shuffled": (0.471, 0.673, 0.319, 0.531, 0.781),
    "timid": (0.370, 0.491, 0.045, 0.478, 0.640),
    "confused": (0.497, 0.693, 0.342, 0.527, 0.691),
    "raw": (0.328, 0.423, 0.280, 0.393, 0.508),
}


@each_detector
def test_the_numbers_of_each_story(judged: dict[str, COCOeval], name: str) -> None:
    stats = judged[name].stats[[AP, AP50, AP_SMALL, AP_MEDIUM, AP_LARGE]]
    np.testing.assert_allclose(stats, STORIES[name], atol=0.002)


@each_detector
def test_an_answer_is_well_formed_and_stands_alone(
    painted: list[Scene], answers: dict[str, list], name: str
) -> None:
    detector = DETECTORS[name]
    assert detector.name == name
    assert detector.says.endswith(".")
    assert "\n" not in detector.says
    for answer in answers[name]:
        N = len(answer["scores"])
        assert set(answer) == {"boxes", "scores", "labels"}
        assert answer["boxes"].shape == (N, 4)
        assert (answer["boxes"].dtype, answer["scores"].dtype) == (torch.float32, torch.float32)
        assert answer["labels"].dtype == torch.int64
        assert answer["labels"].shape == (N,)
        assert (answer["scores"].diff() <= 0).all()
        assert ((answer["scores"] > 0) & (answer["scores"] <= 1)).all()
        assert (answer["boxes"][:, 2:] > answer["boxes"][:, :2]).all()
    alone = detector.detect([painted[9]])[0]
    assert all(torch.equal(alone[key], answers[name][9][key]) for key in answers[name][9])  # type: ignore[literal-required]
    assert detector.detect([]) == []


@pytest.mark.parametrize("name", ["cluttered", "overconfident"])
def test_all_twelve_numbers_of_good(judged: dict[str, COCOeval], name: str) -> None:
    np.testing.assert_array_equal(judged[name].stats, judged["good"].stats)


def matches(evaluation: COCOeval, threshold: int = 0) -> list[tuple]:
    """(image, class, truths matched by each detection at an IoU threshold), over all sizes."""
    rows = [row for row in evaluation.evalImgs if row and row["aRng"] == [0, 1e10]]
    return [(r["image_id"], r["category_id"], r["dtMatches"][threshold].tolist()) for r in rows]


def test_loose_is_right_as_often_but_never_by_much(judged: dict[str, COCOeval]) -> None:
    assert matches(judged["loose"]) == matches(judged["good"])
    assert judged["loose"].stats[AP50] == pytest.approx(judged["good"].stats[AP50], abs=1e-9)
    assert judged["loose"].stats[AP75] < 0.05


def test_clutter_shows_in_precision_alone(painted: list[Scene], answers: dict[str, list]) -> None:
    """Precision over all boxes, however faint: AP does not see it."""
    precision = {}
    for name in ("good", "cluttered"):
        right = total = 0
        for one, answer in zip(painted, answers[name], strict=True):
            iou = box_iou(answer["boxes"], one.boxes)
            same = answer["labels"][:, None] == one.labels
            right += int(((iou >= 0.5) & same).any(1).sum())
            total += len(answer["scores"])
        precision[name] = right / total
    assert precision["good"] > 0.7
    assert precision["cluttered"] < 0.15
    faintest = min(a["scores"].min() for a in answers["good"] if len(a["scores"]))
    for good, cluttered in zip(answers["good"], answers["cluttered"], strict=True):
        assert (cluttered["scores"][len(good["scores"]) :] < faintest).all()


def test_shortsighted_loses_small_objects_only(judged: dict[str, COCOeval]) -> None:
    stats, good = judged["shortsighted"].stats, judged["good"].stats
    assert stats[AP_SMALL] < 0.001
    assert stats[AP_MEDIUM] == pytest.approx(good[AP_MEDIUM], abs=0.002)
    assert stats[AP_LARGE] == good[AP_LARGE]


def test_overconfident_keeps_the_order_and_ties(answers: dict[str, list]) -> None:
    good = torch.cat([a["scores"] for a in answers["good"]])
    over = torch.cat([a["scores"] for a in answers["overconfident"]])
    assert over.min() > 0.9
    assert torch.equal(good[:, None] > good, over[:, None] > over)


def test_twice_and_shuffled_keep_the_boxes_of_good(answers: dict[str, list]) -> None:
    for one, twice, shuffled in zip(
        answers["good"],
        answers["twice"],
        answers["shuffled"],
        strict=True,
    ):
        rows = {tuple(row) for row in one["boxes"].tolist()}
        assert rows == {tuple(row) for row in shuffled["boxes"].tolist()}
        assert rows <= {tuple(row) for row in twice["boxes"].tolist()}
        assert len(twice["boxes"]) == 2 * len(one["boxes"])


def test_timid_is_right_about_half_of_the_objects(
    painted: list[Scene], answers: dict[str, list], judged: dict[str, COCOeval]
) -> None:
    said = sum(len(answer["scores"]) for answer in answers["timid"])
    objects = sum(int((~one.crowd).sum()) for one in painted)
    assert said / objects == pytest.approx(0.47, abs=0.03)
    assert all(all(found) for _, _, found in matches(judged["timid"]))


def test_confused_mixes_dogs_and_cats_and_nothing_else(judged: dict[str, COCOeval]) -> None:
    def by_class(name: str) -> np.ndarray:
        precision = judged[name].eval["precision"]  # [T, R, K, area, maxDets]
        return precision[:, :, :, 0, 2].mean((0, 1))

    good, confused = by_class("good"), by_class("confused")
    for k, name in enumerate(CLASSES):
        if name in ("dog", "cat"):
            assert confused[k] < 0.5 * good[k]
        else:
            assert confused[k] == good[k]


def test_nms_turns_raw_into_good_again(
    painted: list[Scene], answers: dict[str, list], judged: dict[str, COCOeval]
) -> None:
    kept = []
    for answer in answers["raw"]:
        keep = batched_nms(answer["boxes"], answer["scores"], answer["labels"], 0.5)
        kept.append({key: values[keep] for key, values in answer.items()})
    np.testing.assert_allclose(judge(painted, kept).stats[:6], judged["good"].stats[:6], atol=0.003)


# --- COCO's files -------------------------------------------------------------------------------


def test_ground_truth_is_valid_coco(painted: list[Scene]) -> None:
    written = json.loads(json.dumps(coco_ground_truth(painted)))
    assert [image["id"] for image in written["images"]] == list(range(1, 61))
    assert [row["id"] for row in written["annotations"]] == list(
        range(1, len(written["annotations"]) + 1)
    )
    assert [(row["id"], row["name"]) for row in written["categories"]] == list(
        enumerate(CLASSES, 1)
    )
    rows = iter(written["annotations"])
    for i, one in enumerate(painted, 1):
        H, W = one.size
        assert (written["images"][i - 1]["height"], written["images"][i - 1]["width"]) == (H, W)
        for box, label, crowd in zip(one.boxes.tolist(), one.labels, one.crowd, strict=True):
            row = next(rows)
            x1, y1, x2, y2 = box
            assert row["bbox"] == [x1, y1, x2 - x1, y2 - y1]
            assert row["area"] == (x2 - x1) * (y2 - y1)
            assert (row["image_id"], row["category_id"]) == (i, int(label) + 1)
            assert row["iscrowd"] == int(crowd)


def test_segmentations_cover_their_boxes(painted: list[Scene]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_ground_truth(painted)
        truth.createIndex()
    crowds = 0
    for row in truth.dataset["annotations"]:
        x, y, w, h = (int(value) for value in row["bbox"])
        mask = truth.annToMask(row)
        expected = np.zeros_like(mask)
        expected[y : y + h, x : x + w] = 1
        np.testing.assert_array_equal(mask, expected)
        assert coco_mask.area(truth.annToRLE(row)) == row["area"]
        crowds += row["iscrowd"]
    assert crowds == 6


def test_run_lengths_of_a_crowd_that_touches_the_border() -> None:
    from course_lib.data.coco import _run_lengths

    for x, y, w, h in ((0, 0, 5, 4), (0, 1, 2, 3), (3, 0, 2, 4), (1, 1, 1, 1), (4, 3, 1, 1)):
        rle = _run_lengths(x, y, w, h, 4, 5)
        mask = coco_mask.decode(coco_mask.frPyObjects(rle, 4, 5))
        expected = np.zeros((4, 5))
        expected[y : y + h, x : x + w] = 1
        np.testing.assert_array_equal(mask, expected)


def test_results_are_valid_coco(painted: list[Scene]) -> None:
    answers = DETECTORS["good"].detect(painted[:9])
    written = json.loads(json.dumps(coco_results(answers, painted[:9])))
    assert len(written) == sum(len(answer["scores"]) for answer in answers)
    first, answer = written[0], answers[0]
    x1, y1, x2, y2 = answer["boxes"][0].tolist()
    assert first["bbox"] == [x1, y1, x2 - x1, y2 - y1]
    assert first["score"] == float(answer["scores"][0])
    assert first["category_id"] == int(answer["labels"][0]) + 1
    assert first["image_id"] == 1


def test_results_that_do_not_fit_are_explained(painted: list[Scene]) -> None:
    answers = DETECTORS["good"].detect(painted[:2])
    with pytest.raises(ValueError, match="one dict for each scene, got 2 for 3 scenes"):
        coco_results(answers, painted[:3])
    with pytest.raises(ValueError, match=r"detections\[0\] lacks labels, scores"):
        coco_results([{"boxes": answers[0]["boxes"]}], painted[:1])
