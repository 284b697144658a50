"""The explorers of YOLO's grid and of the pyramid, without a browser: what Python answers."""

import math

import pytest
import torch
import traitlets
from torch import Tensor

from course_lib.anchors import shape_iou
from course_lib.boxes import box_iou
from course_lib.explore import grid_explorer, pyramid_explorer
from course_lib.explore.pyramid import DETECTORS, OBJECTS, RATIOS, SCALES, SIZES

# ------------------------------------------------------------------ grid


def by_hand(explorer):
    """The five terms of the loss, from the paper's equation, box by box."""
    H, W = explorer.size
    S, K, sure = explorer.S, len(explorer.world["classes"]), explorer.confidence
    terms, taken = dict.fromkeys(explorer.loss._fields, 0.0), set()
    for truth, pair in zip(explorer.truths, explorer.predicted, strict=True):
        x, y = ((truth[k] + truth[k + 2]) / 2 for k in (0, 1))
        cell = min(int(y / H * S), S - 1), min(int(x / W * S), S - 1)
        if cell in taken:
            continue
        taken.add(cell)
        box = torch.tensor(pair, dtype=torch.float64)
        ious = box_iou(box, torch.tensor([truth], dtype=torch.float64))[:, 0].tolist()
        best = ious.index(max(ious))
        px, py = ((pair[best][k] + pair[best][k + 2]) / 2 for k in (0, 1))
        sides = [(b[2] - b[0], b[3] - b[1]) for b in (truth, pair[best])]
        terms["centre"] += 5 * (((px - x) / W * S) ** 2 + ((py - y) / H * S) ** 2)
        for k, whole in enumerate((W, H)):
            root, said = (math.sqrt(side[k] / whole) for side in sides)
            terms["size"] += 5 * (said - root) ** 2
        terms["object"] += (sure[best] - ious[best]) ** 2
        terms["no_object"] += 0.5 * sure[1 - best] ** 2
        p = explorer.p
        terms["classes"] += (1 - p) ** 2 + (K - 1) * ((1 - p) / (K - 1)) ** 2
    terms["no_object"] += 0.5 * 2 * (S**2 - len(taken)) * explorer.empty**2
    return terms, len(taken)


@pytest.mark.parametrize("S", [3, 4, 7, 11, 14])
def test_the_loss_is_the_paper_s(S):
    explorer = grid_explorer(S)
    explorer.confidence, explorer.empty, explorer.p = [0.7, 0.2], 0.15, 0.8
    terms, held = by_hand(explorer)
    assert {k: v.item() for k, v in explorer.loss._asdict().items()} == pytest.approx(terms)
    assert held == len(explorer.truths) - len(explorer.lost)
    parts = []
    for k in range(len(explorer.truths)):
        explorer.object = k
        if k not in explorer.lost:
            parts.append(torch.stack(explorer.here))
        assert explorer.ious[explorer.answers] == explorer.ious.max()
    idle = S**2 - held
    rest = torch.stack(explorer.loss) - torch.stack(parts).sum(0)
    assert rest.tolist() == pytest.approx([0, 0, 0, 0.5 * 2 * idle * 0.15**2, 0], abs=1e-12)


def test_grid_presets_tell_their_stories():
    found = {}
    for name, _ in grid_explorer().world["presets"]:
        found[name] = explorer = grid_explorer(preset=name)
        assert explorer.predictions.shape == (explorer.S, explorer.S, 10 + 7)
        assert explorer.targets.shape == (explorer.S, explorer.S, 5 + 7)
    assert sum(found["perfect"].loss) == 0
    assert found["learned a little"].lost == []
    shared = found["two in one cell"]
    assert shared.lost == [shared.object] == [3]
    assert shared.owner == 2
    assert shared.cells[2].tolist() == shared.cells[3].tolist()
    for k in range(5):
        found["both miss"].object = k
        assert found["both miss"].ious.tolist() == [0, 0]
    learned, shouting = found["learned a little"].loss, found["too sure of nothing"].loss
    assert shouting.no_object > 0.8 * sum(shouting) > 10 * learned.no_object
    wide = found["10 pixels too wide"]
    costs = {}
    for k, (x1, _, x2, _) in enumerate(wide.truths):
        wide.object = k
        costs[x2 - x1] = wide.here.size.item()
        assert wide.here.centre == 0
        assert wide.slip() == pytest.approx(wide.here.size.item())
    widths = sorted(costs)
    assert [costs[w] for w in widths] == sorted(costs.values(), reverse=True), (
        "small ones cost more"
    )


def test_the_nearer_box_answers_where_both_miss():
    explorer = grid_explorer(preset="both miss")
    explorer.object = 1
    x1, y1, x2, y2 = explorer.truths[1]
    far, near = [x1 + 190, y1, x2 + 190, y2], [x2 + 1, y1, x2 + 1 + (x2 - x1), y2]
    for pair, answers in (([far, near], 1), ([near, far], 0)):
        explorer.predicted = [pair if k == 1 else old for k, old in enumerate(explorer.predicted)]
        assert explorer.answers == answers
        assert explorer.here.object == pytest.approx(explorer.confidence[answers] ** 2)


def test_a_centre_on_a_line_belongs_to_the_right_and_lower_cell():
    explorer = grid_explorer(4)
    explorer.truths = [[150, 110, 170, 130], *explorer.truths[1:]]  # its centre: 160, 120
    assert explorer.cells[0].tolist() == [2, 2]
    explorer.truths = [[300, 220, 320, 240], *explorer.truths[1:]]
    assert explorer.cells[0].tolist() == [3, 3]


# ------------------------------------------------------------------ pyramid


def test_retinanet_s_anchors():
    explorer = pyramid_explorer()
    counts = [explorer.counts[k]["anchors"] for k in (3, 4, 5, 6, 7)]
    assert counts == [36_864, 9_216, 2_304, 576, 144]
    assert sum(counts) == 49_104  # as FACTS.md says of EfficientDet-D0, which has the same
    for k, anchors in explorer.anchors.items():
        x1, y1, x2, y2 = anchors[3:6].unbind(1)  # the squares of the first location
        assert (x2 - x1).tolist() == (y2 - y1).tolist()
        assert (x2 - x1).tolist() == pytest.approx(
            [2**k * 4 * 2 ** (j / 3) for j in range(3)], abs=1
        )
        assert ((x1 + x2) / 2).tolist() == [2**k / 2] * 3


def brute(explorer) -> dict[int, Tensor]:
    """IoU of the box with each anchor of each level, anchor by anchor."""
    x1, y1, x2, y2 = explorer.box
    found = {}
    for k, (H, W) in explorer.grids.items():
        stride, ious = 2**k, []
        for r in range(H):
            for c in range(W):
                for ratio in RATIOS[explorer.ratios]:
                    for j in range(SIZES[explorer.sizes]):
                        side = SCALES[explorer.scale] * stride * 2 ** (j / SIZES[explorer.sizes])
                        w, h = side / math.sqrt(ratio), side * math.sqrt(ratio)
                        w, h = 2 * round(w / 2), 2 * round(h / 2)
                        x, y = (c + 0.5) * stride, (r + 0.5) * stride
                        across = min(x2, x + w / 2) - max(x1, x - w / 2)
                        down = min(y2, y + h / 2) - max(y1, y - h / 2)
                        inter = max(across, 0) * max(down, 0)
                        ious.append(inter / ((x2 - x1) * (y2 - y1) + w * h - inter))
        found[k] = torch.tensor(ious, dtype=torch.float64)
    return found


@pytest.mark.parametrize(
    ("box", "preset", "low_quality"),
    [("rocket", "no pyramid", False), ("a star", "no pyramid", True), ("badge", "one anchor a location", True)],
)  # fmt: skip
def test_levels_are_as_counted_anchor_by_anchor(box, preset, low_quality):
    explorer = pyramid_explorer(box, preset)
    explorer.low_quality = low_quality
    wanted = brute(explorer)
    most = max(iou.max() for iou in wanted.values())
    for k, iou in wanted.items():
        torch.testing.assert_close(explorer.ious[k], iou, atol=1e-12, rtol=0)
        rescued = (iou > most - 1e-12) & (iou < 0.5) if low_quality else iou < 0
        assert explorer.counts[k] == {
            "anchors": len(iou),
            "positive": int(((iou >= 0.5) | rescued).sum()),
            "rescued": int(rescued.sum()),
            "ignored": int(((iou >= 0.4) & (iou < 0.5) & ~rescued).sum()),
            "negative": int(((iou < 0.4) & ~rescued).sum()),
        }
        assert explorer.best[k] == pytest.approx(iou.max().item())


def test_levels_hand_a_growing_box_on():
    explorer, fitting = pyramid_explorer(), []
    for side in (24, 34, 45, 66, 90, 133, 180, 260, 360, 500):
        explorer.box = [256 - side / 2, 256 - side / 2, 256 + side / 2, 256 + side / 2]
        best = explorer.best
        fitting.append(max(best, key=best.get))
        assert all(best[k] <= explorer.reach[k] + 1e-12 for k in best)
    assert fitting == sorted(fitting)
    assert set(fitting) == {3, 4, 5, 6}


def test_pyramid_buttons_tell_their_stories():
    taking = {}
    for name in OBJECTS:
        counts = pyramid_explorer(name).counts
        taking[name] = [k for k, level in counts.items() if level["positive"]]
    assert taking["her eye"] == []
    assert taking["name tag"] == [3]
    assert taking["face"] == [4, 5]
    assert taking["astronaut"] == [6, 7]
    assert len(DETECTORS) == 4
    alone = pyramid_explorer("name tag", "no pyramid")
    assert alone.counts[5]["positive"] == 0
    alone.low_quality = True
    assert alone.counts[5]["positive"] == alone.counts[5]["rescued"] > 0
    eye = pyramid_explorer("her eye")
    eye.low_quality = True
    counts = eye.counts
    assert sum(level["rescued"] for level in counts.values()) == counts[3]["rescued"] > 0


def test_reach_is_of_shapes():
    explorer = pyramid_explorer("rocket")
    sides = torch.tensor([[118.0, 290]])
    for k, reach in explorer.reach.items():
        anchors = explorer.anchors[k]
        shapes = (anchors[:, 2:] - anchors[:, :2]).unique(dim=0)
        assert reach == pytest.approx(shape_iou(sides.double(), shapes).max().item())


# ------------------------------------------------------------------ refused


BOX = [0, 0, 9, 9]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (grid_explorer, "S", 2), (grid_explorer, "S", 15), (grid_explorer, "object", 5),
        (grid_explorer, "object", -1), (grid_explorer, "truths", [BOX] * 4),
        (grid_explorer, "truths", [BOX] * 4 + [[0, 0, 0, 9]]),
        (grid_explorer, "truths", [BOX] * 4 + [[0, 0, 9, 241]]),
        (grid_explorer, "truths", [BOX] * 4 + [[0, 0, float("nan"), 9]]),
        (grid_explorer, "predicted", [[BOX, BOX]] * 4), (grid_explorer, "predicted", [[BOX]] * 5),
        (grid_explorer, "predicted", [[BOX, BOX]] * 4 + [[BOX, "box"]]),
        (grid_explorer, "confidence", [0.5]), (grid_explorer, "confidence", [0.5, 1.1]),
        (grid_explorer, "empty", 1.1), (grid_explorer, "p", -0.1),
        (grid_explorer, "lambda_coord", 11), (grid_explorer, "lambda_noobj", -1),
        (grid_explorer, "world", {}),
        (pyramid_explorer, "box", [0, 0, 513, 9]), (pyramid_explorer, "box", [5, 0, 5, 9]),
        (pyramid_explorer, "box", [0, 0, 9]), (pyramid_explorer, "box", ["a"] * 4),
        (pyramid_explorer, "level", 2), (pyramid_explorer, "levels", "3-6"),
        (pyramid_explorer, "scale", "3"), (pyramid_explorer, "sizes", "four"),
        (pyramid_explorer, "ratios", "two"), (pyramid_explorer, "high", 0.3),
        (pyramid_explorer, "low", 0.6), (pyramid_explorer, "low", 0.0),
        (pyramid_explorer, "world", {}),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(make, name, value):
    explorer = make()
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grid_explorer(preset="none"), "one of learned a little, both miss.*'none'"),
        (lambda: pyramid_explorer("cat"), "one of her eye, a star.*'cat'"),
        (lambda: pyramid_explorer(preset="none"), "one of her eye.*no pyramid.*'none'"),
    ],
)
def test_a_button_that_is_not_there(call, words):
    with pytest.raises(ValueError, match=words):
        call()
