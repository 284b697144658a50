"""Precise RoI pooling: no points at all, the integral of the bilinear surface over the bin."""

from jaxtyping import Float
from torch import Tensor

from course_lib.pooling._bands import integrated_band
from course_lib.pooling._regions import Boxes, Size, pair, regions
from course_lib.pooling._rows import pool_bands


def prroi_pool(
    input: Float[Tensor, "B C H W"],
    boxes: Boxes,
    output_size: Size,
    spatial_scale: float | int = 1.0,
) -> Float[Tensor, "R C P Q"]:
    """The mean of the bilinear surface over each bin, exactly, for each box.

    Args:
        input: feature maps. Outside of them all values are 0.
        boxes: xyxy in pixels; [R, 5] with the image in front, or a list of [R, 4] for each image.
        output_size: bins in rows and columns; one number for both.
        spatial_scale: cells of the map for each pixel.

    Empty and inverted boxes: 0, and no gradient.
    Dtype: that of input; half types are computed in float32, the weights in float64.
    Gradient: to the input and to the boxes, deterministic.
    Source: Jiang et al., Acquisition of Localization Confidence for Accurate Object Detection,
        ECCV 2018, section 3.3, equations 4 to 7. torchvision has no such function.
    """
    found = regions(input, boxes, spatial_scale)
    P, Q = pair(output_size)
    x1, y1, x2, y2 = found.xyxy.unbind(1)  # [R] each
    empty = (x2 <= x1) | (y2 <= y1)  # [R]
    height, width = ((end - start).masked_fill(empty, 0) for start, end in ((y1, y2), (x1, x2)))
    H, W = found.size([input])
    y = integrated_band(y1, height, H, P)
    x = integrated_band(x1, width, W, Q)
    return pool_bands([input], found.image, found.level, y, x)
