"""Change a picture's colours: light, contrast, saturation and hue in one step.

Each change is a matrix [3, 3] on (red, green, blue) and a constant, so all of them together are
one matrix and one constant, whatever their number: one product for each pixel.
"""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)


def adjust_color(
    image: UInt8[Tensor, "3 H W"],
    *,
    brightness: float | int = 1.0,
    contrast: float | int = 1.0,
    saturation: float | int = 1.0,
    hue: float | int = 0.0,
) -> UInt8[Tensor, "3 H W"]:
    """The picture in other colours, changed in the order of the arguments, then cut off at 0..255.

    brightness: times so much light.
    contrast: so many times as far from the mean grey of the picture.
    saturation: so many times as far from its own grey, each pixel; 0 is a grey picture.
    hue: turned by so many times a full circle around grey, which keeps how bright it is.
    torchvision cuts off after each step and turns the hue in HSV, which is slower and makes jumps
    in what is nearly grey; the first three agree wherever nothing is cut off.
    """
    for name, value in (
        ("brightness", brightness), ("contrast", contrast), ("saturation", saturation),
    ):  # fmt: skip
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, got {value}")
    if image.dtype != torch.uint8:
        raise TypeError(f"image must be uint8 [3, H, W], got {image.dtype}")
    H, W = image.shape[1:]
    pixels = image.reshape(3, H * W).float()
    grey = torch.tensor(GREY)
    towards_grey = grey.expand(3, 3)  # each channel becomes the grey of the pixel
    mean = float(grey @ pixels.mean(1)) * brightness if contrast != 1 else 0.0
    matrix = torch.eye(3) * (brightness * contrast)
    matrix = (saturation * torch.eye(3) + (1 - saturation) * towards_grey) @ matrix
    if hue:
        matrix = _turn(hue) @ matrix
    changed = torch.addmm(torch.full((3, 1), (1 - contrast) * mean + 0.5), matrix, pixels)
    return changed.clamp_(0, 255).to(torch.uint8).view(3, H, W)


def _turn(hue: float | int) -> Float[Tensor, "3 3"]:
    """The turn around grey in YIQ, the colours of old television: Y stays, (I, Q) is turned."""
    to_yiq = torch.tensor((GREY, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)))
    cos, sin = math.cos(2 * math.pi * hue), math.sin(2 * math.pi * hue)
    turn = torch.tensor(((1.0, 0.0, 0.0), (0.0, cos, -sin), (0.0, sin, cos)))
    return torch.linalg.inv(to_yiq) @ turn @ to_yiq
