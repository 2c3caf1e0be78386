"""Random streams: a generator for every name; the name determines its whole state.

A seed is not enough: PyTorch's CPU generator keeps 32 bits of it, so among some 77,000 seeds two are likely equal.
"""

import hashlib
from collections.abc import Iterable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from reinject.base.errors import ReinjectError

SCHEME = 2  # of new walks
FIRST = 1  # of archives that name none: seeds, of which a CPU keeps 32 bits
SCHEMES = (FIRST, SCHEME)
_WORDS = 624  # of the Mersenne twister, kept in 64 bits each
_BEGIN = 24  # bytes before the twister in torch's state of a CPU's generator


class _Narrow(torch.Generator):
    """A generator of scheme 1, whose parts are of scheme 1 too."""


def stream(key: Iterable[int], device: str | torch.device = "cpu", scheme: int = SCHEME) -> torch.Generator:
    """Return a generator that is a pure function of integers and of the kind of device.

    Scheme 2 takes SHAKE-256 of the integers. On a CPU this fills all 19,968 bits of the state of the Mersenne twister.
    Another device gets a seed of 63 bits, and keeps all of them. Scheme 1 takes a word of NumPy's
    SeedSequence, of which a CPU keeps 32 bits: there the streams (0, 549, 15) and (0, 763, 94) are equal.

    Arguments:
        key: integers >= 0 that name the stream.
        device: device of the generator.
        scheme: 2, or 1 for archives that were made with it.

    Raises:
        ReinjectError: an unknown scheme.

    Example:
        >>> torch.equal(torch.rand(3, generator=stream((0, 1))), torch.rand(3, generator=stream((0, 1))))
        True
    """
    place, numbers = torch.device(device), tuple(key)
    if scheme == FIRST:
        word = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
        return _Narrow(place).manual_seed(int(word) >> 1)  # manual_seed takes a signed 64-bit integer
    if scheme != SCHEME:
        raise ReinjectError("streams", f"scheme {scheme!r} is not known", "Install a newer reinject")
    name = hashlib.shake_256(f"reinject {' '.join(map(str, numbers))}".encode())
    if place.type != "cpu":
        return torch.Generator(place).manual_seed(int.from_bytes(name.digest(8), "little") >> 1)
    state = _template().clone()
    words = np.frombuffer(name.digest(4 * _WORDS), "<u4")
    state.numpy()[_BEGIN : _BEGIN + 8 * _WORDS].view(np.uint64)[:] = words
    generator = torch.Generator()
    generator.set_state(state)
    return generator


def parts_of(generator: torch.Generator, count: int) -> list[torch.Generator]:
    """Return CPU generators for noise drawn in parts; the next numbers of the given generator determine them.

    Arguments:
        generator: on the CPU; scheme 1 gives parts of scheme 1.
        count: number of parts.

    Example:
        >>> len({torch.rand(1, generator=part).item() for part in parts_of(stream((0,)), 8)})
        8
    """
    if isinstance(generator, _Narrow):
        seeds = torch.randint(2**62, (count,), generator=generator).tolist()
        return [torch.Generator().manual_seed(seed) for seed in seeds]
    name = torch.randint(2**62, (4,), generator=generator).tolist()
    return [stream((*name, part)) for part in range(count)]


@cache
def _template() -> Tensor:
    """Return the state of an unused CPU generator, after a check of its layout."""
    state = torch.Generator().manual_seed(0).get_state()
    words = state.numpy()[_BEGIN : _BEGIN + 8 * _WORDS].view(np.uint64)
    same = np.random.RandomState(0).get_state(legacy=False)["state"]["key"]  # of the same twister, with the same seed
    if not np.array_equal(words, same):
        raise ReinjectError(
            "torch", f"{torch.__version__} has another layout of generator states", "Install another version"
        )
    return state
