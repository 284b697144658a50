"""Exercise 2: gaussian_heatmap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from autograde.exercises.lesson_10_centernet.inputs import Size, drawn, no_drawn
from autograde.spec import Case, Draw, Exercise, Mistake
from course_lib.models import centernet as ref

Merge = Callable[[Tensor, Tensor], Tensor]  # what is there already and the new Gaussian


def _reference(
    places: Tensor, radii: Tensor, labels: Tensor, size: Size, num_classes: int
) -> Tensor:
    return ref.gaussian_heatmap(places, radii, labels, size, num_classes)


def _bump(dx: Tensor, dy: Tensor, sigma: float) -> Tensor:
    return torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))


def _square(dx: Tensor, dy: Tensor, r: float) -> Tensor:
    return (dx.abs() <= r) & (dy.abs() <= r)


def _draw(
    sigma: Callable[[float], float] = lambda r: (2 * r + 1) / 6,
    bump: Callable[[Tensor, Tensor, float], Tensor] = _bump,
    inside: Callable[[Tensor, Tensor, float], Tensor] = _square,
    merge: Merge = torch.maximum,
    place: Callable[[list[int]], Sequence[int]] = lambda p: p,
    label: Callable[[int], int] = lambda k: k,
    radius: Callable[[float], float] = lambda r: r,
    keep: Callable[[int, int, float, int, int], bool] = lambda x, y, r, W, H: True,
    after: Callable[[Tensor], Tensor] = lambda heatmap: heatmap,
) -> Callable[[Tensor, Tensor, Tensor, Size, int], Tensor]:
    """The exercise with one step replaced."""

    def wrong(places: Tensor, radii: Tensor, labels: Tensor, size: Size, num_classes: int) -> Any:
        H, W = size
        heatmap = torch.zeros(num_classes, H, W)
        x, y = torch.arange(W), torch.arange(H)[:, None]
        for where, r, k in zip(places.tolist(), radii.tolist(), labels.tolist(), strict=True):
            cx, cy = place(where)
            if not keep(cx, cy, r, W, H):
                continue
            dx, dy = (x - cx).expand(H, W), (y - cy).expand(H, W)
            new = bump(dx, dy, sigma(radius(r))) * inside(dx, dy, radius(r))
            heatmap[label(k)] = merge(heatmap[label(k)], new)
        return after(heatmap)

    return wrong


def _density(dx: Tensor, dy: Tensor, sigma: float) -> Tensor:
    return _bump(dx, dy, sigma) / (2 * torch.pi * sigma**2)


def _inside_the_map(x: int, y: int, r: float, W: int, H: int) -> bool:
    return r <= x < W - r and r <= y < H - r


def _overwritten(old: Tensor, new: Tensor) -> Tensor:
    return torch.where(new > 0, new, old)


def _mean_where_both(old: Tensor, new: Tensor) -> Tensor:
    return torch.where((old > 0) & (new > 0), (old + new) / 2, old + new)


def _first_wins(old: Tensor, new: Tensor) -> Tensor:
    return torch.where(old > 0, old, new)


def _placed(crop: bool) -> Callable[[Tensor, Tensor, Tensor, Size, int], Tensor]:
    """Place by place, or as a stamp; only the lower and the right border are minded.

    crop: of a stamp that reaches over the border its upper left part is taken, whichever border it
    is. Else the places before the first one count from the end.
    """

    def wrong(
        places: Tensor, radii: Tensor, labels: Tensor, size: Size, num_classes: int
    ) -> Tensor:
        H, W = size
        heatmap = torch.zeros(num_classes, H, W)
        for (cx, cy), r, k in zip(
            places.tolist(), map(int, radii.tolist()), labels.tolist(), strict=True
        ):
            along = torch.arange(-r, r + 1)
            stamp = _bump(along, along[:, None], (2 * r + 1) / 6)
            if crop:
                top, left = max(0, cy - r), max(0, cx - r)
                part = heatmap[k, top : cy + r + 1, left : cx + r + 1]
                part.copy_(torch.maximum(part, stamp[: part.shape[0], : part.shape[1]]))
                continue
            for dy in along[along + cy < H].tolist():
                for dx in along[along + cx < W].tolist():
                    value = torch.maximum(heatmap[k, cy + dy, cx + dx], stamp[dy + r, dx + r])
                    heatmap[k, cy + dy, cx + dx] = value
        return heatmap

    return wrong


def _width_first(
    places: Tensor, radii: Tensor, labels: Tensor, size: Size, num_classes: int
) -> Tensor:
    return _reference(places, radii, labels, size[::-1], num_classes)


def _fails_when_empty(
    places: Tensor, radii: Tensor, labels: Tensor, size: Size, num_classes: int
) -> Tensor:
    """All Gaussians are stacked, and there is nothing to stack."""
    alone = [
        _reference(places[[n]], radii[[n]], labels[[n]], size, num_classes)
        for n in range(len(places))
    ]
    return torch.stack(alone).amax(0)


def _case(probes: str, *objects: Sequence[int], size: Size = (8, 9), **about: Any) -> Case:
    """Objects as (column, row, radius, class) on a map; all are shifted by chance, up to 1."""
    K = 1 + max(k for *_, k in objects)
    still = about.pop("still", False)

    def make(d: Draw) -> tuple[Any, ...]:
        shift = (0, 0) if still else (d.integer(0, 1), d.integer(0, 1))
        extra = d.integer(0, 1)
        return *drawn(objects, shift), list(size), K + extra

    return Case(probes, make, **about)


GAUSSIAN_HEATMAP = Exercise(
    name="gaussian_heatmap",
    points=3,
    reference=_reference,
    names=("places", "radii", "labels", "map_size", "num_classes"),
    cases=(
        _case("one object", (4, 2, 2, 0), core=True),
        _case("objects of two classes", (2, 3, 1, 1), (5, 2, 2, 0), (3, 3, 2, 2), core=True),
        _case("two of one class that overlap", (2, 2, 2, 0), (4, 3, 2, 0), core=True),
        _case("a large one, then a small one in it", (3, 3, 3, 0), (5, 4, 1, 0)),
        _case("a small one, then a large one over it", (5, 3, 1, 0), (3, 4, 3, 0)),
        _case("centres in the corners", (0, 0, 2, 0), (8, 7, 3, 1), still=True),
        _case("a radius of 0", (3, 2, 0, 0), (5, 5, 0, 1)),
        _case("a map much higher than wide", (2, 7, 2, 0), (1, 3, 1, 1), size=(11, 5)),
        _case("a large radius", (6, 5, 4, 0), size=(13, 15)),
        Case("no objects at all", no_drawn),
    ),
    mistakes=(
        Mistake(
            "sum",
            "Where two Gaussians overlap they were added. Then the middle between two objects may "
            "rise above 1, and above both centres: take the higher one.",
            _draw(merge=torch.add),
        ),
        Mistake(
            "sum_clamped",
            "Where two Gaussians overlap they were added and cut at 1. Places between two objects "
            "come out too high: take the higher one of the two.",
            _draw(merge=lambda old, new: (old + new).clamp(max=1)),
        ),
        Mistake(
            "overwritten",
            "A later object wipes out what an earlier one has drawn. Take the higher one at each "
            "place: `torch.maximum(old, new)`.",
            _draw(merge=_overwritten),
        ),
        Mistake(
            "first_wins",
            "A later object draws only where nothing is yet, and may lose its own 1. Take the "
            "higher one at each place: `torch.maximum(old, new)`.",
            _draw(merge=_first_wins),
        ),
        Mistake(
            "last_of_class",
            "Of each class only the last object is left: the whole map was replaced. Take the "
            "maximum of the map and the new Gaussian.",
            _draw(merge=lambda old, new: new),
        ),
        Mistake(
            "averaged",
            "Where two Gaussians overlap their mean was taken, and a centre may fall below 1. Take "
            "the higher one.",
            _draw(merge=_mean_where_both),
        ),
        Mistake(
            "sigma_is_radius",
            "σ is the radius here. It is a sixth of the width, (2r + 1) / 6, so that the Gaussian "
            "has faded where it is cut off.",
            _draw(sigma=lambda r: max(r, 1e-6)),
        ),
        Mistake(
            "third_of_radius",
            "σ is a third of the radius here. It is a sixth of the width 2r + 1: the centre's own "
            "place counts, and r = 0 divides by nothing.",
            _draw(sigma=lambda r: max(r / 3, 1e-6)),
        ),
        Mistake(
            "floor_division",
            "`//` divides and cuts down: σ is 0 for a small radius, and a whole number for a "
            "large one. σ is a fraction: `(2 * r + 1) / 6`.",
            _draw(sigma=lambda r: (2 * r + 1) // 6),
        ),
        Mistake(
            "sixth_of_one",
            "σ came out as 2r + 1/6: Python divides before it adds. `(2 * r + 1) / 6` with "
            "brackets.",
            _draw(sigma=lambda r: 2 * r + 1 / 6),
        ),
        Mistake(
            "sixth_of_diameter_twice",
            "σ is a third of the width 2r + 1. It is a sixth of it.",
            _draw(sigma=lambda r: (2 * r + 1) / 3),
        ),
        Mistake(
            "sixth_of_radius",
            "σ is a sixth of r + 1. The width of the Gaussian is 2r + 1: r places on either side, "
            "and the centre.",
            _draw(sigma=lambda r: (r + 1) / 6),
        ),
        Mistake(
            "two_forgotten",
            "The exponent is −d² / σ². It is −d² / (2σ²).",
            _draw(bump=lambda dx, dy, s: torch.exp(-(dx**2 + dy**2) / s**2)),
        ),
        Mistake(
            "sigma_not_squared",
            "σ stands in the exponent without its square: −d² / (2σ²).",
            _draw(bump=lambda dx, dy, s: torch.exp(-(dx**2 + dy**2) / (2 * s))),
        ),
        Mistake(
            "distance_not_squared",
            "The exponent has the distance, not its square: −(dx² + dy²) / (2σ²).",
            _draw(bump=lambda dx, dy, s: torch.exp(-((dx**2 + dy**2) ** 0.5) / (2 * s**2))),
        ),
        Mistake(
            "times_sigma",
            "The exponent was divided by 2 and multiplied with σ²: so Python reads "
            "`/ 2 * sigma**2`. Brackets: `/ (2 * sigma**2)`.",
            _draw(bump=lambda dx, dy, s: torch.exp(-(dx**2 + dy**2) / 2 * s**2)),
        ),
        Mistake(
            "sum_of_absolutes",
            "The exponent has |dx| + |dy|. It has the squares, dx² + dy².",
            _draw(bump=lambda dx, dy, s: torch.exp(-(dx.abs() + dy.abs()) / (2 * s**2))),
        ),
        Mistake(
            "density_in_one_direction",
            "The Gaussian was divided by √(2π)·σ, as a probability density is. Here its peak is 1, "
            "whatever its width.",
            _draw(bump=lambda dx, dy, s: _bump(dx, dy, s) / ((2 * torch.pi) ** 0.5 * s)),
        ),
        Mistake(
            "density",
            "The Gaussian was divided by 2πσ², as a probability density is. Here its peak is 1, "
            "whatever its width.",
            _draw(bump=_density),
        ),
        Mistake(
            "not_cut",
            "The Gaussian does not end at its radius. Where |dx| or |dy| is larger than r there "
            "is 0.",
            _draw(inside=lambda dx, dy, r: torch.ones_like(dx, dtype=torch.bool)),
        ),
        Mistake(
            "cut_too_early",
            "The Gaussian ends one place too early: |dx| = r and |dy| = r still belong to it.",
            _draw(inside=lambda dx, dy, r: (dx.abs() < max(r, 1)) & (dy.abs() < max(r, 1))),
        ),
        Mistake(
            "cut_too_late",
            "The Gaussian ends one place too late: the last ones have |dx| = r or |dy| = r. The "
            "end of a slice or a `range` is not part of it, so that + 1 is needed once.",
            _draw(inside=lambda dx, dy, r: _square(dx, dy, r + 1)),
        ),
        Mistake(
            "one_larger",
            "The radius is larger by 1 than what `radii` says, in σ as well as in the square.",
            _draw(radius=lambda r: r + 1),
        ),
        Mistake(
            "cut_round",
            "The Gaussian was cut along a circle. It ends at r in x and in y, so its corners "
            "belong to it: a square of 2r + 1 places.",
            _draw(inside=lambda dx, dy, r: dx**2 + dy**2 <= r * r),
        ),
        Mistake(
            "flat",
            "The square around the centre is 1 everywhere. Only the centre is 1; around it the "
            "Gaussian falls off.",
            _draw(bump=lambda dx, dy, s: torch.ones_like(dx, dtype=torch.float32)),
        ),
        Mistake(
            "single_ones",
            "There is a single 1 at each centre and nothing around it. Either no Gaussian was "
            "drawn, or the map holds whole numbers (`torch.full(…, 0)`, `dtype=int`), and what is "
            "below 1 was cut to 0: take `torch.zeros(…)`.",
            _draw(radius=lambda r: 0),
        ),
        Mistake(
            "row_column",
            "Rows and columns are exchanged. A place is (column, row); a map is indexed "
            "[row, column].",
            _draw(place=lambda p: p[::-1]),
        ),
        Mistake(
            "one_channel",
            "All objects are in the map of class 0. Each class has a map of its own: "
            "`heatmap[label]`.",
            _draw(label=lambda k: 0),
        ),
        Mistake(
            "classes_merged",
            "Every class got the Gaussians of all objects. An object belongs to the map of its "
            "class alone: `heatmap[label]`.",
            _draw(after=lambda heatmap: heatmap.amax(0, keepdim=True).expand_as(heatmap).clone()),
        ),
        Mistake(
            "border_lost",
            "An object whose Gaussian reaches over the border is missing. Draw the part that lies "
            "inside the map; a negative start of a slice counts from the end.",
            _draw(keep=_inside_the_map),
        ),
        Mistake(
            "wrapped",
            "What reaches over the left or the upper border came back in at the other side: an "
            "index below 0 counts from the end. Leave these places out.",
            _placed(crop=False),
        ),
        Mistake(
            "stamp_from_its_corner",
            "At the left and the upper border the wrong part of the Gaussian was taken, the one "
            "that begins in its own corner. Of what lies outside of the map, so many rows and "
            "columns must be left out of it, too.",
            _placed(crop=True),
        ),
        Mistake(
            "width_first",
            "The map has W rows and H columns. `map_size` is (H, W), and the map [K, H, W].",
            _width_first,
        ),
        Mistake(
            "empty_fails",
            "A picture without objects ends in an error. Start from a map of zeros, and it simply "
            "stays one.",
            _fails_when_empty,
        ),
    ),
    hints=(
        "Start with `torch.zeros(num_classes, H, W)`. For one object you need the distances "
        "`dx = torch.arange(W) - column` and `dy = torch.arange(H)[:, None] - row`; their sum of "
        "squares is a whole map, [H, W].",
        "`bump = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))` with `sigma = (2 * r + 1) / 6`, "
        "times `(dx.abs() <= r) & (dy.abs() <= r)`.",
        "In the loop over the objects: `heatmap[label] = torch.maximum(heatmap[label], bump)`.",
    ),
)
