"""Pooling: a grid of numbers of one fixed size for every region of a feature map.

Letters
    B, C, H, W  images, channels, rows and columns of the feature maps
    R           regions (RoIs): boxes xyxy in pixels of the input image
    P, Q        rows and columns of bins in the answer

`spatial_scale` takes a box from the pixels of the image to the cells of the map: 1/16 for a map of
stride 16. The value of the cell in row y and column x stands at the point (x, y), as in
torchvision: between those points the map is a bilinear surface.

Three ways to fill a bin, a module each:
    quantised   `roi_pool`: the bin is rounded to whole cells, the largest of them counts
    align       `roi_align`: a few points of the surface, and their mean
    precise     `prroi_pool`: the integral of the surface over the bin, over its area
and
    levels      which map of a pyramid a box is pooled from, and `MultiScaleRoIAlign`

Names, argument order and meaning are those of `torchvision.ops`; each docstring says where we
differ. Beside `roi_align`, `roi_pool` and `prroi_pool` stand `_plain` loops to read; a test holds
them equal. Their parts: `project_boxes` and `bin_cells` for RoIPool's two roundings, `bin_points`
and `bilinear_sample` for RoIAlign, `hat_integrals` for Precise RoI Pooling.

Errors, for every function here: TypeError for what is not a tensor of numbers, ValueError for
another shape, an image that is not there, or a size that is no size.
"""

from course_lib.pooling.align import (
    bilinear_sample,
    bin_points,
    roi_align,
    roi_align_plain,
    sample_points,
)
from course_lib.pooling.levels import MultiScaleRoIAlign, assign_levels
from course_lib.pooling.precise import hat_integrals, prroi_pool, prroi_pool_plain
from course_lib.pooling.quantised import (
    bin_cells,
    project_boxes,
    roi_pool,
    roi_pool_bins,
    roi_pool_plain,
)

__all__ = [
    "MultiScaleRoIAlign",
    "assign_levels",
    "bilinear_sample",
    "bin_cells",
    "bin_points",
    "hat_integrals",
    "project_boxes",
    "prroi_pool",
    "prroi_pool_plain",
    "roi_align",
    "roi_align_plain",
    "roi_pool",
    "roi_pool_bins",
    "roi_pool_plain",
    "sample_points",
]
