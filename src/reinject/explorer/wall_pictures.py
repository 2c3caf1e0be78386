"""Make images of the page: a wall of walks, uploads and drawings, the field of a plane."""

import base64
import io
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from reinject.base.errors import DataError
from reinject.data.images import encode
from reinject.explorer.tiles import Grid
from reinject.networks import Inputs

_LARGEST = 20_000_000  # pixels of an upload
_BRUSH = 0.045  # radius of the pen, relative to the picture's width


def levels(x: Tensor, inputs: Inputs) -> NDArray[np.uint8]:
    """Convert values to screen levels, uint8, with x's shape."""
    unit = (x - inputs.low) / (inputs.high - inputs.low)
    found: NDArray[np.uint8] = (unit.nan_to_num(0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return found


def tile(x: Tensor, inputs: Inputs) -> bytes:
    """Encode one point as a PNG.

    Arguments:
        x: (C, H, W), data units.
        inputs: meaning of the values.
    """
    return next(encode(levels(x[None], inputs)))


def wall(x: Tensor, inputs: Inputs, grid: Grid) -> bytes:
    """Encode all walks as one PNG, with black between the tiles.

    Arguments:
        x: (walks, C, H, W), data units.
        inputs: meaning of the values.
        grid: places of the tiles.
    """
    sheet = np.zeros((1, x.shape[1], *grid.size), np.uint8)
    for k, pixels in enumerate(levels(x, inputs)):
        top, left = grid.corner(k)
        sheet[0, :, top : top + grid.height, left : left + grid.width] = pixels
    return next(encode(sheet))


def uri(png: bytes) -> str:
    """Encode an image that a page can show."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def picture(data: bytes, inputs: Inputs) -> Tensor:
    """Convert an uploaded image to a point, (C, H, W), data units, with the models' size and colours.

    Raises:
        DataError: the upload is not an image, or has too many pixels.
    """
    channels, height, width = inputs.shape
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if image.width * image.height > _LARGEST:
                raise DataError("upload", f"{image.width} x {image.height} pixels are too many", "Give a smaller image")
            image.draft("RGB", (8 * width, 8 * height))
            small = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise DataError("upload", "is not a readable image", "Give a PNG or a JPEG") from error
    unit = torch.from_numpy(np.asarray(small, np.float32).reshape(height, width, channels) / 255).permute(2, 0, 1)
    return unit.contiguous() * (inputs.high - inputs.low) + inputs.low


class Pad:
    """Draw a picture with a round pen, white on black."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        _, self.height, self.width = inputs.shape
        self.ink = torch.zeros(self.height, self.width)

    def stroke(self, x: float, y: float) -> None:
        """Put the pen down at (x, y), as shares of width and height in [0, 1]."""
        rows = (torch.arange(self.height) + 0.5)[:, None] / self.height
        columns = (torch.arange(self.width) + 0.5)[None] / self.width
        radius = max(_BRUSH, 0.6 / self.width)
        ink = (1.5 - ((rows - y) ** 2 + (columns - x) ** 2).sqrt() / radius).clamp(0, 1)
        self.ink = torch.maximum(self.ink, ink)

    def point(self) -> Tensor:
        """The drawing, (C, H, W), data units."""
        scaled = self.ink * (self.inputs.high - self.inputs.low) + self.inputs.low
        return scaled.expand(self.inputs.shape).clone()
