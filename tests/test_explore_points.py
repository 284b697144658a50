"""The explorers of FCOS's locations and of CenterNet's heatmaps, without a browser."""

import math
import random

import pytest
import torch
import traitlets

from course_lib.boxes import box_iou
from course_lib.explore import fcos_explorer, heatmap_explorer
from course_lib.explore import heatmap as heatmaps
from course_lib.explore.fcos import SCENES as PLACES
from course_lib.models.centernet import corner_radii, gaussian_heatmap, gaussian_radius

# ------------------------------------------------------------------ FCOS

RANGES = {3: (0, 64), 4: (64, 128), 5: (128, 256), 6: (256, 512), 7: (512, math.inf)}


def by_hand(explorer):
    """The candidates of each location of each level, smallest first, from the paper's sentences."""
    found = {}
    for level, (low, high) in RANGES.items():
        stride = 2**level
        found[level] = []
        for row in range(512 // stride):
            for column in range(512 // stride):
                x, y = stride // 2 + column * stride, stride // 2 + row * stride
                asking = []
                for k, (x1, y1, x2, y2) in enumerate(explorer.boxes):
                    sides = x - x1, y - y1, x2 - x, y2 - y
                    away = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2))
                    asks = min(sides) > 0
                    asks = asks and (not explorer.sampling or away < explorer.radius * stride)
                    asks = asks and (not explorer.ranges or low <= max(sides) <= high)
                    if asks:
                        asking.append(((x2 - x1) * (y2 - y1), k))
                found[level].append([k for _, k in sorted(asking)])
    return found


@pytest.mark.parametrize("scene", PLACES)
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("radius", [1.5, 0.7, None])
def test_who_answers_is_the_paper_s(scene, ranges, radius):
    explorer = fcos_explorer(scene, sampling=radius is not None)
    explorer.ranges = ranges
    if radius:
        explorer.radius = radius
    wanted = by_hand(explorer)
    M = len(explorer.boxes)
    for row, (level, asking) in enumerate(wanted.items()):
        owners = [ks[0] if ks else -1 for ks in asking]
        assert explorer.owners[level].tolist() == owners
        assert explorer.candidates[level].sum(1).tolist() == [len(ks) for ks in asking]
        assert explorer.counts[level] == {
            "locations": len(asking),
            "positive": sum(k >= 0 for k in owners),
            "ambiguous": sum(len(ks) > 1 for ks in asking),
            "background": owners.count(-1),
        }
        assert explorer.owned[row].tolist() == [owners.count(k) for k in range(M)]


def ambiguous(explorer):
    return [counts["ambiguous"] for counts in explorer.counts.values()]


def test_the_scenes_tell_their_stories():
    """Ranges part what differs in size, centre sampling much of the rest; the smallest gets it."""
    explorer = fcos_explorer()
    assert ambiguous(explorer) == [0] * 5
    explorer.sampling = False
    assert ambiguous(explorer) == [0, 0, 0, 2, 0]
    explorer.ranges = False
    assert sum(ambiguous(explorer)) > 1000
    explorer = fcos_explorer("face in head")
    assert ambiguous(explorer) == [0, 6, 0, 0, 0]
    assert explorer.candidates[4][explorer.location[0] * 32 + explorer.location[1]].all()
    assert explorer.answers == 0, "the face is smaller than the head"
    explorer.boxes = explorer.boxes[::-1]
    assert explorer.answers == 1
    for name, levels in (("eye in face", [3, 4]), ("head and collar", [4, 4])):
        owned = fcos_explorer(name).owned
        assert [3 + int(level) for level in owned.argmax(0)] == levels
        assert sum(ambiguous(fcos_explorer(name))) == 0


def test_the_chosen_location_says_its_sides():
    explorer = fcos_explorer("face in head")
    explorer.location = (6, 14)  # of stride 16: x 232, y 104
    assert explorer.place == [232, 104]
    assert explorer.sides.tolist() == [[62, 52, 48, 88], [80, 92, 72, 92]]
    assert explorer.centerness == pytest.approx(math.sqrt(48 / 62 * 52 / 88))
    explorer.level = 3
    assert explorer.location == (13, 29)
    assert (explorer.answers, explorer.centerness) == (-1, None)
    explorer.ranges = False
    assert explorer.answers == 1, "near the centre of the head, not of the face"
    explorer.place = [512, 512]
    assert explorer.location == (63, 63)
    with pytest.raises(traitlets.TraitError, match=r"0..15 and 0..15 on P5, got \(16, 0\)"):
        explorer.level, explorer.location = 5, (16, 0)
    for wrong in (5, (1, 2, 3), ("a", 1), (0.5, 1), (-1, 0)):
        with pytest.raises(traitlets.TraitError, match="location must be"):
            explorer.location = wrong


# ------------------------------------------------------------------ heatmap


@pytest.mark.parametrize("published", [True, False])
def test_the_smallest_of_three_radii_is_the_library_s(published):
    rng = random.Random(5)
    for _ in range(200):
        h, w, o = rng.randint(1, 120), rng.randint(1, 120), rng.uniform(0.3, 0.95)
        radii = corner_radii(h, w, o, published)
        assert min(radii.values()) == gaussian_radius(h, w, o, published)
        if published:
            assert min(radii, key=radii.get) == "outwards"
        else:
            for radius, (a, b, c, d) in zip(radii.values(), ((1, 1, 1, 1), (1, 1, -1, -1), (-1, -1, 1, 1)), strict=True):  # fmt: skip
                box = torch.tensor([[0, 0, w, h]], dtype=torch.float64)
                moved = box + radius * torch.tensor([a, b, c, d], dtype=torch.float64)
                assert box_iou(box, moved).item() == pytest.approx(o)
    assert corner_radii(64, 64, 0.7, published)["outwards" if published else "inwards"] == (
        pytest.approx(17.49 if published else 5.23, abs=0.005)
    )


def test_no_other_move_within_the_radius_is_worse():
    rng, explorer = torch.Generator().manual_seed(2), heatmap_explorer("a tree")
    for explorer.published in (False, True):
        far = explorer.radius * explorer.stride
        box = torch.tensor(explorer.boxes, dtype=torch.float64)
        moves = (torch.rand(2000, 4, generator=rng, dtype=torch.float64) * 2 - 1) * far
        moves[::2] = moves[::2].sign() * far
        assert box_iou(box, box + moves).min() >= explorer.worst - 1e-12
        assert explorer.worst == explorer.ious["inwards"]


def test_the_published_radius_lets_poor_boxes_pass():
    worst = {}
    for scene in heatmaps.SCENES:
        explorer = heatmap_explorer(scene)
        assert explorer.worst >= explorer.iou - 0.01, "sizes are rounded up to whole locations"
        right = explorer.radius
        explorer.published = True
        assert explorer.radius > right
        worst[scene] = explorer.worst
    assert worst["close together"] == pytest.approx(0.287, abs=0.001)
    assert max(worst.values()) < 0.5
    explorer.iou = 0.3
    assert min(explorer.ious.values()) == 0, "the corners meet in the middle"


def test_sides_are_rounded_up_for_the_radius():
    explorer = heatmap_explorer("one far away")
    explorer.iou = 0.5
    assert explorer.targets.sizes.tolist() == [[7.25, 6]]
    assert explorer.radii == corner_radii(6, 8, 0.5)
    assert min(corner_radii(6, 7.25, 0.5).values()) < explorer.radius == 1
    assert explorer.worst == pytest.approx(14 / 29)  # inwards: 21 · 16 of 29 · 24 pixels


def test_centres_places_and_offsets():
    explorer = heatmap_explorer("close together")
    assert explorer.size == (75, 105)
    assert explorer.location == (48, 59)  # the centre is 237, 194
    assert explorer.offset.tolist() == [0.25, 0.5]
    moved = torch.tensor([[189.0, 152, 283, 232]]), torch.tensor([[190.0, 154, 284, 234]])
    assert explorer.read_back == pytest.approx(box_iou(*moved).item())
    explorer.object = 1
    assert explorer.location == (50, 61)
    explorer.stride = 8
    assert explorer.size == (38, 53)
    assert explorer.location == (25, 30)
    same = heatmap_explorer("one peak for two")
    assert same.targets.places[0] == same.targets.places[1]
    assert (same.heatmap == 1).sum() == 1


@pytest.mark.parametrize("scene", heatmaps.SCENES)
def test_the_heatmap_is_the_higher_of_two(scene):
    explorer = heatmap_explorer(scene, published=True)
    each = []
    for k in range(len(explorer.boxes)):
        explorer.object = k
        row, column = explorer.location
        one = gaussian_heatmap(
            torch.tensor([[column, row]]), torch.tensor([explorer.radius]), torch.tensor([0]),
            explorer.size, 1,
        )  # fmt: skip
        each.append(one[0])
    torch.testing.assert_close(explorer.heatmap, torch.stack(each).amax(0), rtol=0, atol=0)


def test_one_box_less_is_looked_at_no_more():
    explorer = heatmap_explorer()
    explorer.object = 1
    explorer.choose("a tree")
    assert explorer.object == 0
    with pytest.raises(traitlets.TraitError, match="object must be below the number of boxes, 1"):
        explorer.object = 1


# ------------------------------------------------------------------ refused

BOX = [0, 0, 9, 9]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (fcos_explorer, "boxes", []), (fcos_explorer, "boxes", [BOX] * 5),
        (fcos_explorer, "boxes", [BOX, [0, 0, 513, 9]]), (fcos_explorer, "boxes", [[5, 0, 5, 9]]),
        (fcos_explorer, "boxes", [[0, 0, 9]]), (fcos_explorer, "boxes", [["a"] * 4]),
        (fcos_explorer, "boxes", [[0, 0, float("nan"), 9]]), (fcos_explorer, "boxes", 5),
        (fcos_explorer, "level", 2), (fcos_explorer, "level", 8), (fcos_explorer, "place", [1]),
        (fcos_explorer, "place", [-1, 0]), (fcos_explorer, "place", [0, 513]),
        (fcos_explorer, "place", [0, float("nan")]), (fcos_explorer, "place", ["a", 1]),
        (fcos_explorer, "radius", 0.4), (fcos_explorer, "radius", 3.1),
        (fcos_explorer, "sampling", "yes"), (fcos_explorer, "ranges", None),
        (fcos_explorer, "world", {}),
        (heatmap_explorer, "boxes", []), (heatmap_explorer, "boxes", [BOX] * 3),
        (heatmap_explorer, "boxes", [[0, 0, 421, 9]]), (heatmap_explorer, "boxes", [[0, 9, 9, 9]]),
        (heatmap_explorer, "boxes", [BOX, "box"]), (heatmap_explorer, "object", 2),
        (heatmap_explorer, "object", -1), (heatmap_explorer, "iou", 0.29),
        (heatmap_explorer, "iou", 0.96), (heatmap_explorer, "stride", 16),
        (heatmap_explorer, "published", "yes"), (heatmap_explorer, "world", {}),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(make, name, value):
    explorer = make()
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (fcos_explorer, "one of small and large, face in head.*'none'"),
        (heatmap_explorer, "one of close together, side by side.*'none'"),
    ],
)
def test_a_button_that_is_not_there(make, words):
    with pytest.raises(ValueError, match=words):
        make("none")
