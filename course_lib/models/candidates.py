"""The last steps of a dense detector: from many scores to few boxes.

Letters
    N       anchors or locations of one level
    K       classes
    kept    candidates, or detections
"""

from collections.abc import Sequence

from jaxtyping import Float, Int64
from torch import Tensor

from course_lib.boxes import clip_boxes_to_image
from course_lib.models._best import best_kept


def best_scores(
    scores: Float[Tensor, "N K"],
    score_threshold: float | int,
    most: int,
) -> tuple[Float[Tensor, " kept"], Int64[Tensor, " kept"], Int64[Tensor, " kept"]]:
    """Scores, rows and classes [kept] of what is worth a look at one level, best first.

    Of all N*K scores those above `score_threshold`, and of these the best `most`. Equal scores: by
    row, then by class.
    """
    K = scores.shape[1]
    flat = scores.flatten()  # [N*K]
    index = (flat > score_threshold).nonzero().squeeze(1)
    index = index[flat[index].sort(descending=True, stable=True).indices[:most]]  # [kept]
    return flat[index], index // K, index % K


def suppress(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    labels: Int64[Tensor, " N"],
    size: Sequence[int],
    nms_threshold: float | int,
    max_detections: int,
) -> dict[str, Tensor]:
    """The detections among candidates: cut at the border, NMS by class, the best of the rest.

    Shapes: boxes [N, 4] xyxy in pixels, scores and labels [N]; size is (height, width) of the
        image. To `boxes` [kept, 4], `scores` [kept] and `labels` [kept], by decreasing score.
    What lies wholly outside of the image is dropped.
    """
    boxes = clip_boxes_to_image(boxes, size)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(1)
    boxes, scores, labels = boxes[inside], scores[inside], labels[inside]
    keep = best_kept(boxes, scores, labels, nms_threshold, max_detections)
    return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]}
