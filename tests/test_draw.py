"""Pictures: what is drawn, where, in which colour, and what wrong calls say."""

import base64
import html
import io
import re

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle
from PIL import Image
from skimage import data

from course_lib import draw
from course_lib.draw import draw_boxes, draw_overlap, picture, show


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def outlines(ax):
    return [p for p in ax.patches if isinstance(p, Rectangle) and not p.get_fill()]


def tag_frames(ax):
    """The drawn tags, background included, in display pixels."""
    ax.figure.canvas.draw()
    return [text.get_bbox_patch().get_window_extent() for text in ax.texts]


def pixels_of(fig):
    fig.canvas.draw()
    return np.asarray(fig.canvas.buffer_rgba())[..., :3] / 255


def color_at(ax, x, y):
    """The colour drawn at a point given in data coordinates."""
    pixels = pixels_of(ax.figure)
    across, up = ax.transData.transform((x, y))
    return pixels[int(pixels.shape[0] - up), int(across)]


def test_boxes_are_drawn_where_they_are():
    ax = draw_boxes(data.chelsea(), torch.tensor([[10.0, 20, 110, 70], [5, 6, 7, 8]]))
    assert [p.get_bbox().extents.tolist() for p in outlines(ax)] == [
        [10, 20, 110, 70],
        [5, 6, 7, 8],
    ]
    extent = ax.images[0].get_extent()
    assert extent == (0, 451, 300, 0) or list(extent) == [0, 451, 300, 0]  # half-open pixels
    assert color_at(ax, 60, 20) == pytest.approx(to_rgb(draw.TRUTH), abs=0.1)


@pytest.mark.parametrize("image", [None, np.zeros((30, 40, 3), np.uint8)])
def test_y_points_down(image):
    bottom, top = draw_boxes(image, [[1, 2, 3, 4]]).get_ylim()
    assert bottom > top


def test_ticks_only_without_an_image():
    assert len(draw_boxes(data.chelsea(), []).get_xticks()) == 0
    assert len(draw_boxes(None, [], size=(50, 80)).get_xticks()) > 2


def test_the_grid_has_the_given_size_or_fits_the_boxes():
    ax = draw_boxes(None, [[10, 10, 20, 20]], size=(50, 80))
    assert np.allclose([*ax.get_xlim(), *ax.get_ylim()], [0, 80, 50, 0], atol=1)
    ax = draw_boxes(None, [[-30, 100, 20, 140]])
    left, right, (bottom, top) = *ax.get_xlim(), ax.get_ylim()
    assert left < -30 < 20 < right < 60
    assert top < 100 < 140 < bottom < 180


def test_tags_say_label_and_score():
    boxes = [[10, 10, 90, 90], [100, 100, 200, 200], [30, 150, 60, 250]]

    def tags(**given):
        return [text.get_text() for text in draw_boxes(data.chelsea(), boxes, **given).texts]

    assert tags(labels=["cat", "eye", "$x$"], scores=[0.934, 1, 0]) == [
        "cat 0.93",
        "eye 1.00",
        "$x$ 0.00",
    ]
    assert tags(scores=torch.tensor([0.5, 0.25, 0.126])) == ["0.50", "0.25", "0.13"]
    assert tags(labels=torch.tensor([1, 0, 1]), class_names=["cat", "eye"]) == ["eye", "cat", "eye"]
    assert tags(labels=torch.tensor([7, 0, 1])) == ["7", "0", "1"]
    assert tags() == []


def test_colors_follow_the_idea():
    boxes = [[10, 10, 90, 90], [100, 100, 200, 200]]

    def used(**given):
        ax = draw_boxes(None, boxes, **given)
        return [to_hex(p.get_ec()).upper() for p in outlines(ax)]

    assert used() == [draw.TRUTH] * 2
    assert used(scores=[0.5, 0.5]) == [draw.PREDICTION] * 2
    assert used(labels=torch.tensor([3, 1])) == [draw.PALETTE[3], draw.PALETTE[1]]
    assert used(labels=["b", "a"], class_names=["a", "b"]) == [draw.PALETTE[1], draw.PALETTE[0]]
    assert used(labels=["b", "b"]) == [draw.PALETTE[0]] * 2
    assert used(colors=draw.ANCHOR) == [draw.ANCHOR] * 2
    assert used(colors=[draw.ANCHOR, draw.IGNORED]) == [draw.ANCHOR, draw.IGNORED]


def contrast(a, b):
    def luminance(color):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_tags_are_legible_on_every_color():
    colors = [*draw.PALETTE, draw.TRUTH, draw.PREDICTION, draw.OVERLAP, draw.UNION]
    colors += [draw.ENCLOSING, draw.ANCHOR, draw.IGNORED]
    boxes = torch.arange(len(colors))[:, None] * 20.0 + torch.tensor([0, 0, 10, 10])
    ax = draw_boxes(None, boxes, ["x"] * len(colors), colors=colors)
    for text, color in zip(ax.texts, colors, strict=True):
        back = text.get_bbox_patch().get_facecolor()
        assert to_rgb(back) == pytest.approx(to_rgb(color), abs=0.1)  # the same colour to the eye
        assert contrast(text.get_color(), back) >= 4.5  # WCAG 2.1, level AA


def test_tags_on_the_main_colors_are_white():
    ax = draw_overlap([0, 0, 4, 4], [2, 2, 6, 6])
    assert [text.get_color() for text in ax.texts] == ["white", "white"]


@pytest.mark.parametrize("figsize", [(2, 2), (3.6, 3.2), (5, 3), (9, 6)])
def test_tags_are_legible_on_every_figure(figsize):
    ax = draw_overlap([0, 0, 4, 4], [2, 2, 6, 6], ax=plt.subplots(figsize=figsize)[1])
    a, b = tag_frames(ax)
    assert shared(a, b) == 0
    for text in ax.texts:
        assert text.get_fontsize() >= 9
        assert text.get_fontweight() == "bold"


def test_class_colors_are_different():
    assert len(set(draw.PALETTE)) == len(draw.PALETTE) >= 8


BORDERS = [
    [0, 0, 60, 50], [400, 0, 451, 60], [0, 260, 80, 300], [380, 250, 451, 300],
    [0, 0, 451, 300], [430, 100, 500, 180], [200, -20, 220, 10],
]  # fmt: skip


@pytest.mark.parametrize("dpi", [100, 192])
def test_tags_stay_inside_the_picture(dpi):
    ax = draw_boxes(data.chelsea(), BORDERS, [f"class {i}" for i in range(7)], [0.9] * 7)
    ax.figure.set_dpi(dpi)
    frames = tag_frames(ax)
    inside = ax.get_window_extent()
    assert len(frames) == 7
    for frame in frames:
        assert inside.x0 - 1 <= frame.x0 <= frame.x1 <= inside.x1 + 1
        assert inside.y0 - 1 <= frame.y0 <= frame.y1 <= inside.y1 + 1


def test_a_name_too_long_for_the_picture_shrinks():
    ax = plt.subplots(1, 4, figsize=(4, 1.5))[1][0]
    draw_boxes(data.chelsea(), [[10, 10, 90, 90]], ["an uncommonly long class name"], ax=ax)
    (frame,) = tag_frames(ax)
    assert frame.x1 <= ax.get_window_extent().x1 + 1


def shared(a, b):
    return max(min(a.x1, b.x1) - max(a.x0, b.x0), 0) * max(min(a.y1, b.y1) - max(a.y0, b.y0), 0)


def test_tags_of_crowded_boxes_do_not_hide_one_another():
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(12, 2, generator=generator) * 60 + 100
    boxes = torch.cat([corner, corner + 60 + torch.rand(12, 2, generator=generator) * 80], dim=1)
    ax = draw_boxes(data.astronaut(), boxes, ["bicycle"] * 12, torch.linspace(0.1, 1, 12))
    frames = tag_frames(ax)
    hidden = sum(shared(a, b) for i, a in enumerate(frames) for b in frames[:i])
    assert hidden <= 0.02 * sum(frame.width * frame.height for frame in frames)


def test_the_tags_of_two_calls_on_one_picture_do_not_hide_one_another():
    ax = draw_boxes(data.astronaut(), [[153, 15, 301, 192]], ["truth"])
    limits = ax.get_xlim(), ax.get_ylim()
    draw_boxes(None, [[153, 15, 301, 192]], ["prediction"], [0.9], ax=ax)
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    assert len(ax.images) == 1
    assert len(outlines(ax)) == 2
    assert shared(*tag_frames(ax)) < 5


def test_an_empty_grid_keeps_its_size_when_boxes_are_added():
    ax = draw_boxes(None, [], size=(50, 80))
    limits = ax.get_xlim(), ax.get_ylim()
    draw_boxes(None, [[10, 10, 20, 20]], ax=ax)
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    ax = draw_overlap([5, 5, 5, 5], [9, 9, 9, 9], size=(50, 80))
    assert (ax.get_xlim(), ax.get_ylim()) == limits


@pytest.mark.parametrize(
    "box", [[50, 20, 50, 60], [20, 50, 60, 50], [50, 50, 50, 50], [60, 60, 40, 40]]
)
def test_a_box_without_area_is_a_visible_cross(box):
    ax = draw_boxes(None, [box], colors=draw.PREDICTION, size=(100, 100))
    (cross,) = ax.lines
    assert cross.get_marker() == "x"
    assert cross.get_xydata().tolist() == [[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]]
    drawn = np.abs(pixels_of(ax.figure) - to_rgb(draw.PREDICTION)).max(-1) < 0.15
    assert drawn.sum() > 20


def test_a_box_with_area_has_no_cross():
    assert len(draw_boxes(None, [[10, 10, 11, 11]]).lines) == 0


@pytest.mark.parametrize("empty", [[], torch.zeros(0, 4), np.zeros((0, 4))])
def test_no_boxes_give_the_bare_picture(empty):
    for image in (data.chelsea(), None):
        ax = draw_boxes(image, empty, labels=[], scores=[])
        assert len(ax.patches) == len(ax.texts) == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64])
def test_any_number_type_and_gradients_are_fine(dtype):
    boxes = torch.tensor([[1, 2, 30, 40]], dtype=dtype)
    boxes = boxes.requires_grad_() if boxes.is_floating_point() else boxes
    assert outlines(draw_boxes(None, boxes))[0].get_bbox().extents.tolist() == [1, 2, 30, 40]


def test_the_same_image_in_every_accepted_form():
    array = data.chelsea()
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    forms = [array, array / 255, tensor, tensor / 255, (tensor / 255).half()]
    shown = [np.asarray(draw_boxes(form, []).images[0].get_array(), dtype=float) for form in forms]
    shown = [pixels / (255 if pixels.max() > 1 else 1) for pixels in shown]
    for pixels in shown[1:]:
        assert np.allclose(pixels, shown[0], atol=1e-3)
    gray = draw_boxes(torch.zeros(1, 8, 8), []).images[0].get_array()
    assert gray.shape == (8, 8, 3)


def test_a_line_width_follows_the_axes_unless_given():
    large = outlines(draw_boxes(None, [[0, 0, 9, 9]]))[0].get_linewidth()
    axes = plt.subplots(4, 4, figsize=(5, 5))[1]
    small = outlines(draw_boxes(None, [[0, 0, 9, 9]], ax=axes[0, 0]))[0].get_linewidth()
    assert 1 <= small < large
    assert outlines(draw_boxes(None, [[0, 0, 9, 9]], linewidth=5))[0].get_linewidth() == 5


BOX = [[1.0, 2, 3, 4]]
WRONG = [
    ({"boxes": torch.zeros(4)}, r"boxes must have shape \[N, 4\], got \[4\]: give boxes\[None\]"),
    ({"boxes": torch.zeros(2, 5)}, r"boxes must have shape \[N, 4\], got \[2, 5\]"),
    ({"boxes": [*BOX, [1, 2, float("nan"), 4]]}, r"finite.*boxes\[1\] = .*nan"),
    ({"labels": ["a", "b"]}, r"labels must be a list of 1"),
    ({"labels": "a"}, r"labels must be a list of 1.*'a'"),
    (
        {"labels": [2], "class_names": ["a", "b"]},
        r"labels must lie in 0..1 for 2 class_names.*\[2\]",
    ),
    ({"scores": [0.5, 0.6]}, r"scores must have shape \[1\].*got \[2\]"),
    ({"scores": [2.5]}, r"scores must lie in 0..1, got 2.5 to 2.5: put logits"),
    ({"scores": [float("nan")]}, r"scores must lie in 0..1, got nan"),
    ({"colors": ["red", "blue"]}, r"colors must be one colour, or a list of 1"),
    ({"colors": ["no colour"]}, r"colors must be one colour"),
    ({"image": torch.zeros(9, 9, 3)}, r"\[3, H, W\], got \[9, 9, 3\]: permute"),
    ({"image": np.zeros((9, 9, 4))}, r"\[H, W, 3\] or \[H, W\], got \[9, 9, 4\]"),
    ({"image": np.zeros((0, 9, 3))}, r"got \[0, 9, 3\]"),
    ({"image": np.full((9, 9, 3), -2.0)}, r"float in 0..1, got float64 from -2 to -2: rescale"),
    ({"image": np.zeros((9, 9, 3), int)}, r"must be uint8, or float in 0..1, got int64"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_wrong_calls_say_what_is_wrong(given, message):
    with pytest.raises(ValueError, match=message):
        draw_boxes(**{"image": None, "boxes": BOX} | given)
    assert plt.get_fignums() == []  # and leave no figure behind


def test_overlap_is_coloured():
    ax = draw_overlap([0, 0, 10, 10], [5, 5, 15, 15])
    overlap, only_a, outside = (color_at(ax, *at) for at in [(8, 8.4), (2.2, 7.8), (13, 2.2)])

    def nearest(color):
        ideas = ("OVERLAP", "UNION", "PAPER")
        return min(ideas, key=lambda idea: np.abs(color - to_rgb(getattr(draw, idea))).sum())

    assert nearest(overlap) == "OVERLAP"
    assert nearest(outside) == "PAPER"
    assert np.abs(only_a - to_rgb(draw.PAPER)).max() > 0.1
    assert [t.get_text() for t in ax.texts] == ["A", "B"]
    assert not [p for p in outlines(ax) if p.get_linestyle() == "--"]


def test_boxes_apart_have_no_overlap_to_colour():
    ax = draw_overlap([0, 0, 10, 10], [10, 0, 20, 10])
    assert [p for p in ax.patches if to_hex(p.get_facecolor()).upper() == draw.OVERLAP] == []


def test_overlap_can_show_areas_and_the_enclosing_box():
    box1, box2 = torch.tensor([0.0, 0, 10, 10]), torch.tensor([5.0, 5, 15, 15])
    ax = draw_overlap(box1, box2, enclosing=True, areas=True, names=("truth", "guess"))
    assert [t.get_text() for t in ax.texts] == ["truth: 100", "guess: 100"]
    assert "intersection 25" in ax.get_xlabel()
    assert "= 175" in ax.get_xlabel()
    assert "IoU 0.143" in ax.get_xlabel()
    (around,) = [p for p in outlines(ax) if p.get_linestyle() == "--"]
    assert around.get_bbox().extents.tolist() == [0, 0, 15, 15]
    assert to_hex(around.get_ec()).upper() == draw.ENCLOSING


def test_overlap_refuses_many_boxes():
    with pytest.raises(ValueError, match=r"box2 must have shape \[4\], got \[1, 4\]"):
        draw_overlap([0, 0, 1, 1], [[0, 0, 1, 1]])


def test_overlap_on_a_photograph():
    ax = draw_overlap([10, 10, 80, 80], [20, 30, 120, 90], data.chelsea(), title="two boxes")
    assert len(ax.images) == 1
    assert ax.get_title() == "two boxes"


def decoded(made):
    mime, source = re.search(r'src="data:([^;]+);base64,([^"]+)"', made._repr_html_()).groups()
    assert mime == made.mime
    return Image.open(io.BytesIO(base64.b64decode(source)))


def test_a_picture_is_html_with_sharp_pixels_and_words():
    ax = draw_boxes(None, [[110, 20, 330, 280]])
    made = picture(ax.figure, "A <b> & 'c'", 'the "cat" <script>')
    code = made._repr_html_()
    assert "<script>" not in code
    assert "<b>" not in code
    assert f'alt="{html.escape(made.alt)}"' in code
    assert re.search(r"<figcaption[^>]*>A &lt;b&gt; &amp; &#x27;c&#x27;</figcaption>", code)
    assert "max-width:100%" in code
    pixels = decoded(made)
    assert (made.mime, pixels.format) == ("image/png", "PNG")
    assert abs(pixels.width - 2 * made.width) <= 1
    assert repr(made) == "A <b> & 'c'\n[the \"cat\" <script>]"


def test_a_picture_with_photographs_is_a_small_jpeg_with_clean_lines():
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
    for ax in axes:
        draw_boxes(data.astronaut(), [[170, 52, 280, 192]], colors=draw.PREDICTION, ax=ax)
    png = io.BytesIO()
    fig.savefig(png, dpi=192, bbox_inches="tight", pad_inches=0.04, facecolor="w")
    made = picture(fig, "caption", "alt")
    pixels = decoded(made)
    assert (made.mime, pixels.format) == ("image/jpeg", "JPEG")
    assert abs(pixels.width - 2 * made.width) <= 1
    assert len(made.data) < len(png.getvalue()) / 2
    assert pixels.getpixel((0, 0)) == (255, 255, 255)
    before = np.asarray(Image.open(png).convert("RGB")).astype(float)
    line = np.abs(before / 255 - to_rgb(draw.PREDICTION)).max(-1) < 0.02
    assert line.sum() > 1000
    assert (
        np.abs(np.asarray(pixels) - before)[line].mean() < 6
    )  # of 255; halved colour resolution gives 14


def test_a_small_photograph_stays_a_png():
    fig, ax = plt.subplots(figsize=(1.5, 1.2))
    ax.imshow(data.chelsea())
    assert picture(fig, "caption", "alt").mime == "image/png"


def test_show_displays_once_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr(draw, "display", shown.append)
    fig = draw_boxes(None, BOX).figure
    show(fig, "caption", "alt")
    assert [made.caption for made in shown] == ["caption"]
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("caption", "alt"), [("", "alt"), ("caption", " ")])
def test_a_picture_needs_words(caption, alt):
    with pytest.raises(ValueError, match="is empty: say in words"):
        picture(draw_boxes(None, BOX).figure, caption, alt)


def test_axes_are_not_a_figure():
    with pytest.raises(TypeError, match="Figure"):
        picture(draw_boxes(None, BOX), "caption", "alt")


def test_importing_and_drawing_leave_the_settings_alone():
    before = dict(mpl.rcParams)
    picture(draw_boxes(data.chelsea(), BOX, ["x"]).figure, "caption", "alt")
    assert dict(mpl.rcParams) == before
