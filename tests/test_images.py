"""Images: what we write any reader reads, and our own reader says of a file what Pillow says."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reinject.base.errors import ArgumentError, DataError
from reinject.data import images
from reinject.data.images import decode, encode

SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(1, 70), st.integers(1, 9))


def drawn(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def by_pillow(data: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return (pixels if pixels.ndim == 3 else pixels[:, :, None]).transpose(2, 0, 1)


def compressed(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0).squeeze(2) if len(image) == 1 else image.transpose(1, 2, 0)).save(
        file, "png"
    )
    return file.getvalue()


@pytest.fixture
def unread(monkeypatch):
    """Pillow reads nothing here."""

    def refuse(*_):
        raise AssertionError("went by way of Pillow")

    monkeypatch.setattr(images, "_decode_one", refuse)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(1, 4), st.integers(0, 99))
def test_pillow_reads_what_we_write(shape, count, seed):
    x = drawn((count, *shape), seed)
    assert (np.stack([by_pillow(data) for data in encode(x)]) == x).all()
    assert (decode(encode(x), "x") == x).all()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (5, 3, 32, 32), (2, 3, 200, 201)])  # the last: several blocks
def test_we_read_what_we_write_without_pillow(shape):
    x = drawn(shape)
    assert (decode(encode(x), "x") == x).all()


def test_others_are_read_by_pillow():
    x = drawn((3, 3, 8, 8))
    ours = list(encode(x))
    assert (decode([*ours[:2], compressed(x[2])], "x") == x).all()


def _said(read, data: bytes):
    try:
        return read(data).tolist()
    except DataError as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_of_a_damaged_file_we_say_what_pillow_says(data):
    """Any one byte another, or the end missing: never pixels that Pillow would not give."""
    file = bytearray(next(encode(drawn((1, 3, 5, 4)))))
    at = data.draw(st.integers(0, len(file) - 1))
    if data.draw(st.booleans()):
        file[at] ^= data.draw(st.integers(1, 255))
    else:
        del file[at:]
    theirs = _said(lambda one: images._decode_one(one, "x").transpose(2, 0, 1), bytes(file))
    assert _said(lambda one: decode([one], "x")[0], bytes(file)) == theirs


def test_filtered_rows_are_left_to_pillow():
    """Rows written as differences from the row above, which is what filter 2 says."""
    x = drawn((1, 1, 6, 6))
    plain = x[0, 0].astype(int)
    rows = np.diff(plain, axis=0, prepend=0).astype(np.uint8)
    raw = b"".join(b"\2" + row.tobytes() for row in rows)
    file = images._before(1, 6, 6) + images._chunk(b"IDAT", zlib.compress(raw, 0)) + images._AFTER
    assert (decode([file], "x") == x).all()


def test_a_file_that_swells_is_not_inflated():
    """A few bytes that would become a gigabyte: no more than an image of the stated size is held."""
    assert images._inflated(zlib.compress(bytes(10**7)), 100) is None
    assert images._inflated(zlib.compress(bytes(100)), 100) == bytes(100)


@pytest.mark.parametrize(("h", "w"), [(2**32 - 1, 2**32 - 1), (2**15, 2**15), (0, 4), (4, 0)])
def test_a_header_that_says_what_is_not_there_is_refused(h, w):
    """With a right checksum; the second would be a gigabyte, the first one more than any length can say."""
    file = images._before(1, h, w) + images._chunk(b"IDAT", zlib.compress(bytes(100))) + images._AFTER
    with pytest.raises(DataError, match="an image"):
        decode([file], "x")


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ArgumentError):
        list(encode(np.zeros((1, 2, 4, 4), np.uint8)))
    with pytest.raises(DataError, match="an image has a format that Pillow does not know"):
        decode([b"not an image"], "here")
    with pytest.raises(DataError, match="no images"):
        decode([], "here")
    mixed = [*encode(np.zeros((1, 1, 4, 4), np.uint8)), *encode(np.zeros((1, 3, 4, 4), np.uint8))]
    with pytest.raises(DataError, match="different shapes"):
        decode(mixed, "here")
