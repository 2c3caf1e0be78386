"""Pack many small images in one sheet, which a page cuts apart."""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LARGEST = 48  # pixels of a side: a thumbnail
_LOSSY = 150_000  # larger sheets, in bytes, use a lossy format
_QUALITIES = (80, 50, 20)
_WEBP = 16_384  # a side of a WebP must have fewer pixels


@dataclass(frozen=True)
class Sprites:
    """Hold a sheet of images of one size, numbered row by row.

    Attributes:
        uri: the sheet, as a data URI.
        columns: images in a row.
        width, height: size of one image, pixels.
        count: number of images.
    """

    uri: str
    columns: int
    width: int
    height: int
    count: int

    @classmethod
    def of(cls, x: NDArray[np.float32], columns: int | None = None, most: int = 500_000) -> "Sprites":
        """Make a sheet of images.

        Arguments:
            x: (N, C, H, W) with one channel or three, in [0, 1]; values beyond are clipped.
            columns: images in a row; default: the sheet is about square.
            most: most bytes of the sheet; larger sheets get lossy compression, then fewer pixels.

        Example:
            >>> sheet = Sprites.of(np.zeros((5, 1, 4, 4), np.float32))
            >>> sheet.columns, sheet.count, sheet.uri[:15]
            (3, 5, 'data:image/png;')
        """
        stride = math.ceil(max(x.shape[2:]) / _LARGEST)
        small = x[:, :, ::stride, ::stride]
        levels = (np.nan_to_num(small).clip(0, 1) * 255).round().astype(np.uint8)
        count, channels, height, width = levels.shape
        wide = columns or max(1, math.ceil(math.sqrt(count)))
        rows = max(1, math.ceil(count / wide))
        padded = np.zeros((rows * wide, channels, height, width), np.uint8)
        padded[:count] = levels
        sheet = padded.reshape(rows, wide, channels, height, width).transpose(0, 3, 1, 4, 2)
        uri = _uri(sheet.reshape(rows * height, wide * width, channels), most)
        return cls.of(small[:, :, ::2, ::2], wide, most) if uri is None else cls(uri, wide, width, height, count)

    def as_json(self) -> dict[str, object]:
        """Return JSON values for the page's script."""
        return {"uri": self.uri, "columns": self.columns, "width": self.width, "height": self.height}


def drawable(shape: tuple[int, ...]) -> bool:
    """Say whether samples of a shape can be shown as images.

    Example:
        >>> drawable((1, 28, 28)), drawable((64,)), drawable((2, 8, 8))
        (True, False, False)
    """
    return len(shape) == 3 and shape[0] in (1, 3)


def _uri(pixels: NDArray[np.uint8], most: int) -> str | None:
    """Encode the sheet as a data URI, lossless if small; None if it does not fit."""
    image = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    if file.tell() <= min(most, _LOSSY):
        return _as_uri("png", file)
    if max(image.size) < _WEBP:
        for quality in _QUALITIES:
            file = io.BytesIO()
            image.save(file, "WEBP", quality=quality)
            if file.tell() <= most:
                return _as_uri("webp", file)
    return None


def _as_uri(kind: str, file: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
