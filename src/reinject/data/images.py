"""Encode batches of small images as PNG, and decode them.

Pillow writes one PNG in about 25 microseconds, as long as an autoencoder needs to make the image. Here the pixels are
stored uncompressed (deflate's stored blocks, about 5 microseconds an image). The Parquet column around them is
compressed as a whole, which for small images is also smaller. Any reader of PNG reads these files. :func:`decode` reads
a batch of them at once, without Pillow, and other images by Pillow.
"""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from reinject.base.errors import ArgumentError, DataError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 3: 2}  # channels -> PNG's colour type: grey, RGB


def encode(images: NDArray[np.uint8]) -> Iterator[bytes]:
    """Return the PNG of each image of a batch.

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
    before = _before(c, h, w)
    for image in rows:
        yield before + _chunk(b"IDAT", zlib.compress(image.tobytes(), 0)) + _AFTER


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (
            struct.pack(">I", len(data)),
            kind,
            data,
            struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))),
        )
    )


def _before(c: int, h: int, w: int) -> bytes:
    """Return all bytes of a file before the pixels."""
    return _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, _COLOUR_TYPE[c], 0, 0, 0))


_AFTER = _chunk(b"IEND", b"")
_DAMAGED = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)  # raised by Pillow


def decode(files: Iterable[bytes], owner: str) -> NDArray[np.uint8]:
    """Return the pixels of images of one size, grey or RGB, turned as their EXIF orientation says.

    Arguments:
        files: the bytes of each image, in any format that Pillow reads.
        owner: name for messages.

    Returns:
        uint8, shape (B, C, H, W), C = 1 (grey) or 3 (RGB).

    Raises:
        DataError: no image at all, an unreadable one, other channels, or images of different shapes.

    Example:
        >>> x = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
        >>> bool((decode(encode(x), "x") == x).all())
        True
    """
    files = list(files)
    if not files:
        raise DataError(owner, "holds no images", "Give a folder or data set with images")
    ours = _decode_ours(files)
    if ours is not None:
        return ours
    pixels = [_decode_one(data, owner) for data in files]
    shapes = {p.shape for p in pixels}
    if len(shapes) > 1:
        a, b = sorted(shapes)[:2]
        raise DataError(
            owner, f"images of different shapes, {a} and {b}", "Resize and convert them to one size and mode first"
        )
    return np.ascontiguousarray(np.stack(pixels).transpose(0, 3, 1, 2))


def _decode_ours(files: Sequence[bytes]) -> NDArray[np.uint8] | None:
    """Return the pixels of images of one size that :func:`encode` has written.

    None if one of them is of another kind, or damaged.
    """
    shape = _shape_of(files[0])
    if shape is None:
        return None
    c, h, w = shape
    stride, total = 1 + w * c, len(files[0])
    if not 0 < h * w * c < total:  # ours are not compressed, so no header can ask for much memory
        return None
    end = total - len(_AFTER) - 4  # of the only chunk of pixels, without its checksum
    before = _before(c, h, w)
    first = len(before) + 8  # of its data
    before += struct.pack(">I", max(0, end - first)) + b"IDAT"
    rows = []
    for data in files:
        if len(data) != total or not data.startswith(before) or not data.endswith(_AFTER):
            return None
        if zlib.crc32(data[first - 4 : end]) != _number(data, end):
            return None
        row = _inflated(data[first:end], h * stride)
        if row is None or any(row[::stride]):  # damaged, or its rows are filtered
            return None
        rows.append(row)
    pixels = np.frombuffer(b"".join(rows), np.uint8).reshape(len(files), h, stride)[:, :, 1:]
    return np.ascontiguousarray(pixels.reshape(len(files), h, w, c).transpose(0, 3, 1, 2))


def _shape_of(data: bytes) -> tuple[int, int, int] | None:
    """Return (C, H, W) of a PNG of the kinds that :func:`encode` writes."""
    channels = {kind: c for c, kind in _COLOUR_TYPE.items()}
    if len(data) < len(_before(1, 1, 1)) or data[25] not in channels:
        return None
    return channels[data[25]], _number(data, 20), _number(data, 16)


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _inflated(data: bytes, size: int) -> bytes | None:
    """Decompress data, if it is complete and of the given size, in bounded memory."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, size + 1)
    except zlib.error:
        return None
    return found if stream.eof and len(found) == size and not stream.unused_data else None


def _decode_one(data: bytes, owner: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation) is not None  # as ``datasets`` does
            whole = ImageOps.exif_transpose(image) if turned else image
            whole = whole.convert("RGB") if whole.mode == "P" else whole
            if whole.mode not in ("L", "RGB"):
                raise DataError(owner, f"an image has mode {image.mode}", "Convert the images to grey (L) or RGB")
            pixels = np.asarray(whole)
    except UnidentifiedImageError as error:  # Pillow's text holds an address in memory
        raise DataError(owner, "an image has a format that Pillow does not know", "Remove or repair it") from error
    except _DAMAGED as error:
        raise DataError(owner, f"an image cannot be read ({error})", "Remove or repair it") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
