"""A picture as an address, for the image of a canvas."""

import base64
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def jpeg(image: UInt8[np.ndarray, "H W 3"], quality: int = 85) -> str:
    """The image as data:image/jpeg;base64,..."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
