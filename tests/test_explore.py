"""Explorers without a browser: what Python answers, what it refuses, what a page is made of."""

import json
import re

import anywidget
import nbformat
import pytest
import torch
import traitlets
from browser import PROJECT
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from course_lib import boxes as ops
from course_lib import draw
from course_lib.anchors import base_anchors, grid_anchors
from course_lib.explore import (
    AnchorsExplorer,
    BarStrip,
    BoxCanvas,
    ColumnStrip,
    CurvePlot,
    FCOSExplorer,
    FocalLossExplorer,
    GridExplorer,
    HeatmapExplorer,
    IoUExplorer,
    MAPExplorer,
    NMSExplorer,
    PyramidExplorer,
    Readout,
    RoIExplorer,
    SceneView,
    anchors_explorer,
    focal_loss_explorer,
    iou_explorer,
    map_explorer,
    nms_explorer,
    roi_explorer,
    save,
)
from course_lib.explore import _link as link
from course_lib.explore.__main__ import explorers_page
from course_lib.explore.anchors import PRESETS as ANCHOR_PRESETS
from course_lib.explore.iou import PRESETS
from course_lib.explore.page import alive, embed, page
from course_lib.losses import sigmoid_focal_loss
from course_lib.pooling import prroi_pool, roi_align, roi_pool

PHOTO = re.compile(r"data:image/jpeg;base64,[\w+/=]+")

# ------------------------------------------------------------------ IoU


@pytest.mark.parametrize("scene", PRESETS)
def test_python_answers_with_the_library(scene):
    explorer = iou_explorer(scene)
    for preset in PRESETS[scene]:
        explorer.choose(preset)
        a, b = explorer.boxes.split(1)
        if scene == "masks":
            masks = explorer.masks
            assert explorer.iou == pytest.approx(
                ops.mask_iou(masks[:1], masks[1:]).item(), abs=1e-7
            )
            assert torch.equal(ops.masks_to_boxes(masks, half_open=True).double(), explorer.boxes)
        else:
            assert explorer.iou == ops.box_iou(a, b).item()
        assert explorer.giou == ops.generalized_box_iou(a, b).item()
        assert explorer.diou == ops.distance_box_iou(a, b).item()
        assert explorer.ciou == ops.complete_box_iou(a, b).item()


@pytest.mark.parametrize(
    ("scene", "preset", "iou"),
    [
        ("photo", "poor 0.40", 0.40), ("photo", "good 0.73", 0.73), ("photo", "excellent 0.93", 0.93),
        ("photo", "touching", 0), ("photo", "apart", 0), ("grid", "touching", 0),
        ("grid", "1/7", 1 / 7), ("grid", "half covered", 1 / 3), ("grid", "nested", 1 / 4),
        ("masks", "hooked", 0), ("masks", "same box", 0.2),
    ],
)  # fmt: skip
def test_presets_give_what_they_promise(scene, preset, iou):
    assert iou_explorer(scene, preset).iou == pytest.approx(iou, abs=0.005)


def test_presets_touching_nested_apart():
    for scene in ("photo", "grid"):
        a, b = iou_explorer(scene, "touching").boxes
        assert a[2] == b[0]
        a, b = iou_explorer(scene, "nested").boxes
        assert torch.all(a[:2] < b[:2])
        assert torch.all(b[2:] < a[2:])
        assert iou_explorer(scene, "apart").giou < -0.05
    hooked = iou_explorer("masks", "hooked")
    hooked_boxes = ops.box_iou(hooked.boxes[:1], hooked.boxes[1:])
    assert hooked_boxes > 0.3, "the boxes overlap, the shapes do not"


def test_presets_lie_in_their_scene():
    explorer = iou_explorer()
    for scene in explorer.scenes.values():
        for name, pair in scene["presets"]:
            for x1, y1, x2, y2 in pair:
                assert 0 <= x1 < x2 <= scene["width"], name
                assert 0 <= y1 < y2 <= scene["height"], name


def test_boxes_can_be_set():
    explorer = iou_explorer("grid")
    explorer.boxes = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4]])
    assert explorer.iou == pytest.approx(1 / 3)
    assert explorer.places["grid"] == [[0, 0, 4, 4], [2, 0, 6, 4]]
    assert iou_explorer("grid").boxes[0].tolist() == [4, 3, 8, 7], "another explorer is another"


def test_blobs_keep_their_size_and_stay_in_the_scene():
    explorer = iou_explorer("masks")
    sides = explorer.boxes[:, 2:] - explorer.boxes[:, :2]
    count = explorer.masks.sum((1, 2))
    explorer.boxes = [[-5, 3.4, 2, 2], [1e6, 30, 9, 9]]
    assert torch.equal(explorer.boxes[:, 2:] - explorer.boxes[:, :2], sides)
    assert explorer.boxes[0, :2].tolist() == [0, 3]
    assert torch.equal(explorer.masks.sum((1, 2)), count)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda e: e.choose("near"), ValueError, "one of poor 0.40, good 0.73, excellent 0.93"),
        (lambda e: setattr(e, "boxes", [[0, 0, 1, 1]]), ValueError, r"shape \[2, 4\], got \[1, 4\]"),
        (lambda e: setattr(e, "boxes", [[0, 0, 1, 1], [0, 0, 1, float("nan")]]),
         traitlets.TraitError, "needs 0 <= x1 <= x2 <= 512"),
        (lambda e: setattr(e, "boxes", [[0, 0, 1, 1], [9, 9, 0, 12]]),
         traitlets.TraitError, r"got \[9.0, 9.0, 0.0, 12.0\]"),
        (lambda e: setattr(e, "boxes", [[0, 0, 1, 1], [0, 0, 5000, 1]]),
         traitlets.TraitError, "scene 'photo'"),
        (lambda e: setattr(e, "places", {**e.places, "sea": [[0] * 4] * 2}),
         traitlets.TraitError, "photo, grid, masks.*'sea'"),
        (lambda e: setattr(e, "places", {"photo": [[0] * 4] * 2}),
         traitlets.TraitError, "photo, grid, masks"),
        (lambda e: setattr(e, "places", {**e.places, "photo": "boxes"}),
         traitlets.TraitError, "photo, grid, masks.*'boxes'"),
        (lambda e: setattr(e, "scene", "sea"), traitlets.TraitError, "photo"),
        (lambda e: setattr(e, "scenes", {}), traitlets.TraitError, "read-only"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused(change, error, words):
    explorer = iou_explorer()
    before = explorer.places
    with pytest.raises(error, match=words):
        change(explorer)
    assert explorer.places == before


# ------------------------------------------------------------------ focal loss


def test_focal_loss_by_hand():
    explorer = focal_loss_explorer(gamma=2, alpha=0.25)
    assert explorer.loss == pytest.approx(0.25 * 0.1**2 * 0.1053605156578263)
    explorer.kind = "background"
    assert explorer.loss == pytest.approx(0.75 * 0.1**2 * 0.1053605156578263)


def test_forty_times_more_loss_from_the_easy_ones():
    """100,000 easy at 0.1 against 100 hard at 2.3."""
    share = focal_loss_explorer(gamma=0, alpha=0.5).shares["loss"]
    assert (1 - share) / share == pytest.approx(45.76, abs=0.01)
    assert focal_loss_explorer(gamma=4, alpha=0.5).shares["loss"] > 0.97


def test_shares_are_the_library_s():
    explorer = focal_loss_explorer(gamma=1.3, alpha=0.4)
    explorer.many, explorer.few = {"count": 5000, "p": 0.97}, {"count": 30, "p": 0.3}
    logits = torch.tensor([-torch.logit(torch.tensor(0.97)), torch.logit(torch.tensor(0.3))])
    logits = logits.double().requires_grad_()
    loss = sigmoid_focal_loss(logits, torch.tensor([0.0, 1.0]).double(), alpha=0.4, gamma=1.3)
    loss.sum().backward()
    for name, each in (("loss", loss), ("gradient", logits.grad)):
        easy, hard = (each.detach().abs() * torch.tensor([5000, 30])).tolist()
        assert explorer.shares[name] == pytest.approx(hard / (easy + hard), rel=1e-5)


def test_no_examples_no_share():
    explorer = focal_loss_explorer()
    explorer.many = explorer.few = {"count": 0, "p": 0.5}
    assert explorer.shares == {"loss": 0, "gradient": 0}


def test_cumulative_loss_is_as_the_paper_describes():
    """Figure 4: γ matters little for objects and much for background."""
    explorer = focal_loss_explorer()
    held = {}
    for kind in ("object", "background"):
        for gamma in (0, 0.5, 1, 2):
            curve = explorer.cumulative(kind, gamma)
            assert curve[0] == 0
            assert curve[-1] == pytest.approx(1)
            assert torch.all(curve.diff().diff() >= -1e-12), "sorted: ever steeper"
            held[kind, gamma] = 1 - curve[len(curve) * 4 // 5].item()
    assert 0.4 < held["object", 0] < held["object", 2] < 0.65
    assert 0.4 < held["background", 0] < 0.6
    assert held["background", 2] > 0.95
    assert torch.equal(explorer.cumulative("object"), explorer.cumulative("object", 2.0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", -0.1), ("gamma", 5.1), ("alpha", 1.1), ("p", 0), ("p", 1), ("kind", "thing"),
        ("many", {"count": 3}), ("many", {"count": -1, "p": 0.5}), ("few", {"count": 1, "p": 1.0}),
        ("few", {"count": "many", "p": 0.5}), ("logits", {}), ("paper", {}),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(name, value):
    explorer = focal_loss_explorer()
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


# ------------------------------------------------------------------ NMS and mAP


def test_nms_explorer_tells_the_lesson_s_story():
    """Greedy NMS at 0.5 loses one of the awkward pair; lower loses more, higher repeats."""
    explorer = nms_explorer()
    objects = len(explorer.truth)
    assert (len(explorer.kept), explorer.found) == (objects - 1, objects - 1)
    explorer.threshold = 0.3
    assert explorer.found < objects - 1
    explorer.threshold = 0.8
    assert explorer.found == objects < len(explorer.kept) - 5
    explorer.method = "gaussian"
    assert explorer.found == objects == len(explorer.kept)
    assert bool((explorer.kept_scores[:-1] >= explorer.kept_scores[1:]).all())
    assert explorer.kept_scores.min() >= explorer.least


def test_map_explorer_tells_the_detectors_stories():
    judged = {}
    for name in ("good", "loose", "twice", "cluttered", "gullible", "timid", "shuffled"):
        explorer = map_explorer(name)
        half = explorer.average_precision()
        explorer.score = 0
        counts = explorer.counts
        explorer.iou = 0.75
        judged[name] = (half, explorer.average_precision(), counts)
    good = judged["good"]
    assert judged["loose"][0] == good[0] > 0.8
    assert judged["loose"][1] < 0.1 < 0.8 < good[1]
    assert judged["cluttered"][:2] == good[:2]
    assert judged["cluttered"][2]["fp"] > 5 * good[2]["fp"]
    assert judged["timid"][2]["fp"] == 0
    for name in ("twice", "gullible", "timid", "shuffled"):
        assert judged[name][0] < good[0] - 0.1


def test_map_explorer_averages_by_three_rules():
    explorer = map_explorer("gullible")
    values = {rule: explorer.average_precision(rule) for rule in ("11", "all", "101")}
    assert explorer.average_precision() == values["101"]
    assert len(set(values.values())) == 3
    tp, fp, fn = explorer.counts.values()
    assert (explorer.precision, explorer.recall) == (tp / (tp + fp), tp / (tp + fn))
    explorer.score = 1
    assert (explorer.precision, explorer.recall) == (0, 0)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (nms_explorer, "method", "hard"), (nms_explorer, "threshold", 1.1),
        (nms_explorer, "sigma", 0), (nms_explorer, "step", -2), (nms_explorer, "boxes", []),
        (map_explorer, "detector", "best"), (map_explorer, "iou", 0), (map_explorer, "rule", "12"),
        (map_explorer, "picture", 6), (map_explorer, "world", {}),
    ],
)  # fmt: skip
def test_judges_refuse_what_means_nothing(make, name, value):
    explorer = make()
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


# ------------------------------------------------------------------ anchors and RoIs


def test_anchors_explorer_tells_its_stories():
    found = {}
    for name in ANCHOR_PRESETS:
        explorer = anchors_explorer(preset=name)
        found[name] = explorer
        counts, A, (H, W) = explorer.counts, len(explorer.base), explorer.grid
        assert counts["anchors"] == H * W * A == len(explorer.anchors)
        assert counts["positive"] + counts["ignored"] + counts["negative"] == counts["anchors"]
        assert explorer.positives.sum() == counts["positive"]
    objects = len(explorer.boxes)
    assert objects == 8
    assert len(found["a first try"].missed) == 2
    assert found["all found"].missed == []
    squares = found["squares only"]
    alone = squares.missed
    squares.ratios = "three"
    assert len(alone) == 4
    assert len(squares.missed) == 1
    sides = (explorer.boxes[:, 2:] - explorer.boxes[:, :2]).prod(1).sqrt()
    large = found["too large"].missed
    assert max(sides[large]) < min(side for k, side in enumerate(sides) if k not in large)
    assert len(found["stride 64"].missed) > 4
    strict, rescued = found["0.7 and 0.3"], found["… and rescued"]
    assert strict.counts["ignored"] > 3 * found["a first try"].counts["ignored"]
    assert len(strict.missed) == objects - 1
    assert rescued.missed == []
    assert rescued.counts["rescued"] == rescued.counts["positive"] - strict.counts["positive"] > 0


def test_anchors_explorer_answers_for_a_box_and_a_place():
    explorer = anchors_explorer("own")
    explorer.own, explorer.size, explorer.stride = [40, 40, 72, 72], 32, 16
    explorer.sizes = explorer.ratios = "one"
    base = base_anchors([32], [1], rounded=False, dtype=torch.float64)
    anchors = grid_anchors(base, (15, 20), 16, offset=0.5)
    assert torch.equal(explorer.anchors, anchors)
    assert torch.equal(explorer.ious, ops.box_iou(explorer.boxes, anchors))
    explorer.place = [56, 63.9]
    assert explorer.location == (3, 3)
    assert explorer.here.tolist() == [1]
    assert explorer.counts["positive"] == 1, "a step of half its side leaves an IoU of 1/3"
    explorer.place = [320, 240]
    assert explorer.location == (14, 19)
    with explorer.hold_trait_notifications():
        explorer.low = 0.9
        explorer.high = 0.95
    assert (explorer.low, explorer.high) == (0.9, 0.95)


def test_roi_explorer_answers_with_the_library():
    explorer = roi_explorer(bins=3, points=1, aligned=False)
    features = torch.tensor(explorer.map, dtype=torch.float64)[None, None]
    box = torch.tensor([[0.0, *(16 * side for side in explorer.box)]], dtype=torch.float64)
    for method, answer in (
        ("pool", roi_pool(features, box, 3, 1 / 16)),
        ("align", roi_align(features, box, 3, 1 / 16, 1, False)),
        ("precise", prroi_pool(features, box, 3, 1 / 16)),
    ):
        assert torch.equal(explorer.pooled(method), answer[0, 0])
    explorer.aligned = True
    assert torch.equal(explorer.pooled("align"), roi_align(features, box, 3, 1 / 16, 1, True)[0, 0])
    torch.testing.assert_close(
        explorer.pooled("precise"), roi_align(features, box, 3, 1 / 16, 64, True)[0, 0],
        atol=1e-3, rtol=0,
    )  # fmt: skip
    assert explorer.moved == pytest.approx(0.4)
    with pytest.raises(ValueError, match="pool, align, precise, got 'max'"):
        explorer.pooled("max")


def test_a_tenth_of_a_cell_is_a_jump_or_nothing_for_roi_pool():
    explorer = roi_explorer()
    jumps = {"pool": [], "align": [], "precise": []}
    for k in range(30):
        explorer.box = [round(1 + k / 10, 1), 1.3, round(3.9 + k / 10, 1), 4.4]
        for method, seen in jumps.items():
            seen.append(explorer.pooled(method))
    changed = {m: torch.stack(s).diff(dim=0).abs().amax((1, 2)) for m, s in jumps.items()}
    assert int((changed["pool"] == 0).sum()) > 20
    assert changed["pool"].max() > 2
    for method in ("align", "precise"):
        assert 0 < changed[method].min() < changed[method].max() < 0.8


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (anchors_explorer, "truth", "crowd"), (anchors_explorer, "size", 7),
        (anchors_explorer, "sizes", "two"), (anchors_explorer, "ratios", "two"),
        (anchors_explorer, "stride", 12), (anchors_explorer, "high", 0.3),
        (anchors_explorer, "low", 0.6), (anchors_explorer, "own", [0, 0, 0, 9]),
        (anchors_explorer, "own", [0, 0, 400, 9]), (anchors_explorer, "own", [0, 0, 9]),
        (anchors_explorer, "own", [0, 0, 9, float("nan")]), (anchors_explorer, "own", ["a"] * 4),
        (anchors_explorer, "place", [-1, 0]), (anchors_explorer, "place", 5),
        (anchors_explorer, "world", {}),
        (roi_explorer, "box", [1, 1, 1, 2]), (roi_explorer, "box", [0, 0, 9, 2]),
        (roi_explorer, "box", [0, 0, 9]), (roi_explorer, "box", [0, 0, float("nan"), 2]),
        (roi_explorer, "box", "box"), (roi_explorer, "bins", 4), (roi_explorer, "points", 0),
        (roi_explorer, "map", []), (roi_explorer, "stride", 8),
    ],
)  # fmt: skip
def test_regions_refuse_what_means_nothing(make, name, value):
    explorer = make()
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


def test_a_preset_that_is_not_there():
    with pytest.raises(ValueError, match=r"one of a first try, all found.*'small'"):
        anchors_explorer(preset="small")


# ------------------------------------------------------------------ modules and pages

WIDGETS = (
    IoUExplorer, NMSExplorer, MAPExplorer, AnchorsExplorer, RoIExplorer, FocalLossExplorer,
    GridExplorer, PyramidExplorer, FCOSExplorer, HeatmapExplorer, BoxCanvas, CurvePlot, BarStrip,
    Readout, SceneView, ColumnStrip,
)  # fmt: skip
READS = re.compile(r"export default widget\(\w+, \[([^\]]*)\]\);")


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_module_stands_alone_and_reads_what_python_sends(widget):
    text = str(widget._esm)
    assert not re.search(r"^\s*import\b|\bimport\(|^export (?!default)", text, re.MULTILINE)
    (read,) = READS.findall(text)
    names = set(re.findall(r'"(\w+)"', read))
    sent = {n for n in widget.class_trait_names(sync=True) if not n.startswith("_")}
    ours = sent - set(anywidget.AnyWidget.class_trait_names(sync=True)) - {"chosen"}
    assert names == ours


def test_no_name_is_declared_at_the_top_of_two_modules():
    """They become one text."""
    owner = {}
    for file in sorted(link.FOLDER.glob("*.js")):
        declared = re.findall(
            r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)",
            file.read_text(),
            re.MULTILINE,
        )
        for name in declared:
            assert owner.setdefault(name, file.name) == file.name, f"{name} is in {owner[name]} too"


def test_every_module_is_small_and_needs_no_network():
    for file in link.FOLDER.iterdir():
        text = file.read_text()
        assert len(text.splitlines()) < 600, file.name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file.name
        assert "eval(" not in text
        assert "innerHTML" not in text, "what comes from a trait must stay text"


def test_colours_are_the_course_s():
    for name in ("TRUTH", "PREDICTION", "OVERLAP", "UNION", "ENCLOSING", "ANCHOR", "IGNORED"):
        assert f"--odx-{name.lower()}: {getattr(draw, name)};" in link.look()


def test_the_page_in_docs_does_not_drift():
    """The pictures apart: their bytes are the JPEG encoder's."""
    committed = (PROJECT / "docs" / "explorers.html").read_text(encoding="utf-8")
    fresh = explorers_page()
    assert len(PHOTO.findall(fresh)) == len(PHOTO.findall(committed)) == 13
    assert PHOTO.sub("", fresh) == PHOTO.sub("", committed), "run `make lessons` and commit"


def test_a_shared_module_is_written_once():
    first, second = embed([iou_explorer().get_state(), iou_explorer("grid").get_state()])
    assert first.count("text/plain") == 1
    assert "text/plain" not in second
    assert (first + second).count('class="odx-data"') == 2
    assert (first + second).count('type="module"') == 1


def test_nothing_in_a_state_can_end_its_script():
    canvas = BoxCanvas(label="</script><script>alert(1)</script>", boxes=[[0, 0, 1, 1]])
    (piece,) = embed([canvas.get_state()])
    assert piece.lower().count("</script>") == 3
    data = re.search(r'class="odx-data">(.*?)</script>', piece, re.DOTALL).group(1)
    assert json.loads(data)["state"]["label"] == canvas.label
    assert "&lt;b&gt;" in page("<b>", [canvas])


def test_save_keeps_what_is_shown(tmp_path):
    explorer = iou_explorer("grid", "nested")
    text = save(explorer, tmp_path / "iou.html").read_text()
    data = re.search(r'class="odx-data">(.*?)</script>', text, re.DOTALL).group(1)
    assert json.loads(data)["state"]["places"] == explorer.places
    assert json.loads(data)["state"]["scene"] == "grid"


def test_an_exported_notebook_keeps_its_explorers():
    code = ["from course_lib.explore import iou_explorer\niou_explorer('grid')", "print('text')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in code])
    NotebookClient(notebook, kernel_name="python3").execute()
    before = nbformat.writes(notebook)
    text, _ = HTMLExporter(template_name="lab").from_notebook_node(alive(notebook))
    assert nbformat.writes(notebook) == before
    assert '"scene": "grid"' in text
    assert "html-manager" not in text
    assert "widget-view" not in text
    plain, _ = HTMLExporter(template_name="lab").from_notebook_node(notebook)
    assert "html-manager" in plain, "what it would be without us"
