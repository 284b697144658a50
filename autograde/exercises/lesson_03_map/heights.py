"""What exercises 4 and 6 share: an average is the mean of some heights of the curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from autograde.spec import Mistake
from course_lib import metrics as ref

Height = Callable[[Tensor, Tensor, float], float]  # of precision, recall and a recall point
Average = Callable[[Tensor, Tensor], float]


def evenly(count: int) -> list[float]:
    return [k / (count - 1) for k in range(count)]


def _to_the_right(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r >= point].tolist(), default=0.0)


def _where_reached(p: Tensor, r: Tensor, point: float) -> float:
    return next(iter(p[r >= point].tolist()), 0.0)


def _strictly_right(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r > point].tolist(), default=0.0)


def _mean_to_the_right(p: Tensor, r: Tensor, point: float) -> float:
    reached = p[r >= point]
    return float(reached.mean()) if len(reached) else 0.0


def _to_the_left(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r <= point].tolist(), default=0.0)


def _last_goes_on(p: Tensor, r: Tensor, point: float) -> float:
    return max(p[r >= point].tolist(), default=p[-1].item() if len(p) else 0.0)


def _linear(p: Tensor, r: Tensor, point: float) -> float:
    return float(np.interp(point, r.numpy(), p.numpy(), right=0.0)) if len(p) else 0.0


def _max_of_nothing(p: Tensor, r: Tensor, point: float) -> float:
    return float(p[r >= point].max())


def _linear_to_the_end(p: Tensor, r: Tensor, point: float) -> float:
    return float(np.interp(point, r.numpy(), p.numpy())) if len(p) else 0.0


def _linear_envelope(p: Tensor, r: Tensor, point: float) -> float:
    return _linear_to_the_end(ref.precision_envelope(p), r, point)


def _nearest(p: Tensor, r: Tensor, point: float) -> float:
    return p[(r - point).abs().argmin()].item() if len(p) else 0.0


def _last_on_the_left(p: Tensor, r: Tensor, point: float) -> float:
    return p[r <= point].tolist()[-1] if (r <= point).any() else 0.0


def _highest_so_far(p: Tensor, r: Tensor, point: float) -> float:
    return _where_reached(p.cummax(0).values, r, point) if len(p) else 0.0


def _highest_of_all(p: Tensor, r: Tensor, point: float) -> float:
    return p.max().item() if (r >= point).any() else 0.0


def _not_flipped_back(p: Tensor, r: Tensor, point: float) -> float:
    return _where_reached(ref.precision_envelope(p).flip(0), r, point)


def _off_the_end(p: Tensor, r: Tensor, point: float) -> float:
    return ref.precision_envelope(p).tolist()[int((r < point).sum())]


def average(points: list[float], height: Height = _to_the_right) -> Average:
    return lambda p, r: sum(height(p, r, point) for point in points) / len(points)


def over_reached(points: list[float]) -> Average:
    def wrong(p: Tensor, r: Tensor) -> float:
        reached = [_to_the_right(p, r, t) for t in points if (r >= t).any()]
        return sum(reached) / max(len(reached), 1)

    return wrong


def over(points: list[float], count: int) -> Average:
    return lambda p, r: sum(_to_the_right(p, r, point) for point in points) / count


def mean_precision(p: Tensor, r: Tensor) -> float:
    return p.mean().item() if len(p) else 0.0


HEIGHT_MISTAKES: tuple[tuple[str, str, Height], ...] = (
    (
        "where_reached",
        "You take the precision where the recall is reached first. The curve may rise again "
        "further right: take the highest from there on.",
        _where_reached,
    ),
    (
        "strictly_right",
        "A recall of exactly the point is left out by `>`. It reaches the point: use `>=`.",
        _strictly_right,
    ),
    (
        "mean_to_the_right",
        "This is the mean precision from the point on. Take the highest one: whoever needs that "
        "recall would stop where precision is best.",
        _mean_to_the_right,
    ),
    (
        "to_the_left",
        "You look to the left of the point, at recalls that are too small. What counts lies at "
        "the point or to its right: recall >= point.",
        _to_the_left,
    ),
    (
        "last_goes_on",
        "Beyond the last recall the last precision goes on. What the detector never reaches has "
        "height 0.",
        _last_goes_on,
    ),
    (
        "linear",
        "The height is drawn as a straight line from point to point of the curve. The rule takes "
        "the highest precision at this recall or a higher one.",
        _linear,
    ),
    (
        "max_of_nothing",
        "max() of an empty selection is an error. Where no recall is as large as the point, the "
        "height is 0.",
        _max_of_nothing,
    ),
    (
        "off_the_end",
        "Where no recall is as large as the point, searchsorted answers D, and index D is beyond "
        "the end. The height is 0 there: put a 0 behind the envelope.",
        _off_the_end,
    ),
    (
        "highest_so_far",
        "The envelope runs from the left: the highest precision so far. It is the highest from "
        "here to the right: flip, cummax, flip back.",
        _highest_so_far,
    ),
    (
        "highest_of_all",
        "Every point that is reached gets the highest precision of all. Look only at the recalls "
        "from the point on; or, if you use cummax: flip first, and flip back.",
        _highest_of_all,
    ),
    (
        "not_flipped_back",
        "After flip and cummax the heights are still in reverse order. Flip them back before you "
        "read them.",
        _not_flipped_back,
    ),
    (
        "nearest",
        "You take the precision at the nearest recall, which may lie to the left. What counts is "
        "the highest precision among recall >= point.",
        _nearest,
    ),
    (
        "last_on_the_left",
        "You take the last precision before the point. It lies to the left: a recall that is too "
        "small. What counts is the highest precision among recall >= point.",
        _last_on_the_left,
    ),
    (
        "linear_to_the_end",
        "np.interp draws straight lines from point to point, and goes on level behind the last. "
        "Take the highest precision among recall >= point, and 0 where there is none.",
        _linear_to_the_end,
    ),
    (
        "linear_envelope",
        "The envelope is right, but np.interp draws slopes between its points and goes on level "
        "behind the last. It is a staircase, and 0 beyond the last recall.",
        _linear_envelope,
    ),
)


def height_mistakes(points: list[float]) -> tuple[Mistake, ...]:
    """Right points, but another height at them; or something else than the mean of heights."""
    return (
        *(Mistake(n, says, average(points, height)) for n, says, height in HEIGHT_MISTAKES),
        Mistake(
            "over_reached",
            "The mean is taken over the points that are reached only. The others have height 0, "
            f"and they count: divide by {len(points)}.",
            over_reached(points),
        ),
        Mistake(
            "heights_not_averaged",
            f"These are the {len(points)} heights. The answer is their mean, one number.",
            lambda p, r: [_to_the_right(p, r, point) for point in points],
        ),
        Mistake(
            "sum_of_heights",
            "The heights are added but not divided by their number: the mean is what is asked for.",
            over(points, 1),
        ),
        Mistake(
            "swapped",
            "Precision and recall have changed places. Select by recall, "
            "`precision[recall >= point]`: the heights are precisions.",
            lambda p, r: average(points)(r, p),
        ),
        Mistake(
            "mean_of_precision",
            "This is the mean of `precision`, one value for each detection. Every recall point "
            "counts alike instead, however many detections lie between two of them.",
            mean_precision,
        ),
    )


ELEVEN, HUNDRED = evenly(11), evenly(101)
