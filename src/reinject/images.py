"""Batches of small images to PNG and back.

Pillow writes one PNG in about 25 microseconds, as long as an autoencoder needs to make it. Here the pixels are wrapped
uncompressed (deflate's stored blocks, some 5 microseconds an image); the Parquet column around them is compressed as a
whole, which for small images is also smaller. Any reader of PNG reads them.
"""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reinject.errors import ArgumentError, DataError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 3: 2}  # channels -> PNG's colour type: grey, RGB


def encode(images: NDArray[np.uint8]) -> Iterator[bytes]:
    """The PNG of each image of a batch.

    Arguments:
        images: uint8, shape (B, C, H, W), C = 1 (grey) or 3 (RGB).

    Raises:
        ArgumentError: another shape or dtype.

    Example:
        >>> [len(data) for data in encode(np.zeros((2, 1, 8, 8), np.uint8))]
        [140, 140]
    """
    if images.ndim != 4 or images.shape[1] not in _COLOUR_TYPE or images.dtype != np.uint8:
        raise ArgumentError("images", f"{images.dtype} of shape {images.shape}", "Give uint8 (B, 1 or 3, H, W)")
    b, c, h, w = images.shape
    rows = np.zeros((b, h, 1 + w * c), np.uint8)  # the first byte of a row is its filter: 0, none
    rows[:, :, 1:] = images.transpose(0, 2, 3, 1).reshape(b, h, w * c)
    head = struct.pack(">IIBBBBB", w, h, 8, _COLOUR_TYPE[c], 0, 0, 0)
    before = _SIGNATURE + _chunk(b"IHDR", head)
    after = _chunk(b"IEND", b"")
    for image in rows:
        yield before + _chunk(b"IDAT", zlib.compress(image.tobytes(), 0)) + after


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (
            struct.pack(">I", len(data)),
            kind,
            data,
            struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))),
        )
    )


def decode(files: Iterable[bytes], owner: str) -> NDArray[np.uint8]:
    """Pixels of images of one size, grey or RGB.

    Arguments:
        files: the bytes of each image, in any format that Pillow reads.
        owner: what to name in an error.

    Returns:
        uint8, shape (B, C, H, W), C = 1 (grey) or 3 (RGB).

    Raises:
        DataError: no image at all, one that cannot be read, other channels, or images of different shapes.

    Example:
        >>> x = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
        >>> bool((decode(encode(x), "x") == x).all())
        True
    """
    pixels = [_decode_one(data, owner) for data in files]
    if not pixels:
        raise DataError(owner, "holds no images", "Give a folder or data set with some")
    shapes = {p.shape for p in pixels}
    if len(shapes) > 1:
        a, b = sorted(shapes)[:2]
        raise DataError(owner, f"images of different shapes, {a} and {b}", "Bring them to one size and mode first")
    return np.ascontiguousarray(np.stack(pixels).transpose(0, 3, 1, 2))


def _decode_one(data: bytes, owner: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            whole = image.convert("RGB") if image.mode == "P" else image
            if whole.mode not in ("L", "RGB"):
                raise DataError(owner, f"an image has mode {image.mode}", "Convert the images to grey (L) or RGB")
            pixels = np.asarray(whole)
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for damaged files
        raise DataError(owner, f"an image cannot be read ({error})", "Remove or mend it") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
