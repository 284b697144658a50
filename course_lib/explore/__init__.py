"""Figures to play with: drag a box, turn γ, see geometry, numbers and curves change together."""

from course_lib.explore.anchors import AnchorsExplorer, anchors_explorer
from course_lib.explore.fcos import FCOSExplorer, fcos_explorer
from course_lib.explore.focal import FocalLossExplorer, focal_loss_explorer
from course_lib.explore.grid import GridExplorer, grid_explorer
from course_lib.explore.heatmap import HeatmapExplorer, heatmap_explorer
from course_lib.explore.iou import IoUExplorer, iou_explorer
from course_lib.explore.mean_ap import MAPExplorer, map_explorer
from course_lib.explore.nms import NMSExplorer, nms_explorer
from course_lib.explore.page import save
from course_lib.explore.parts import (
    BarStrip,
    BoxCanvas,
    ColumnStrip,
    CurvePlot,
    Readout,
    SceneView,
)
from course_lib.explore.pyramid import PyramidExplorer, pyramid_explorer
from course_lib.explore.roi import RoIExplorer, roi_explorer

__all__ = [
    "AnchorsExplorer", "BarStrip", "BoxCanvas", "ColumnStrip", "CurvePlot", "FCOSExplorer",
    "FocalLossExplorer", "GridExplorer", "HeatmapExplorer", "IoUExplorer", "MAPExplorer",
    "NMSExplorer", "PyramidExplorer", "Readout", "RoIExplorer", "SceneView", "anchors_explorer",
    "fcos_explorer", "focal_loss_explorer", "grid_explorer", "heatmap_explorer", "iou_explorer",
    "map_explorer", "nms_explorer", "pyramid_explorer", "roi_explorer", "save",
]  # fmt: skip
