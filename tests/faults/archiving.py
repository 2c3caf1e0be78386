"""A small archive, written in a process that dies on the way."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from reinject.archive import Existing, Plan, write
from reinject.base.staging import before_publishing
from reinject.data.samples import LabelledSamples, Storage

BLOCKS = 3
_TOUCHES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


def plan(blocks: int = BLOCKS) -> Plan:
    return Plan((1, 4, 4), ("a", "b"), Storage(), blocks, {"seed": 0}, {})


def block(number: int) -> Iterator[LabelledSamples]:
    for step in range(2):
        x = torch.full((5, 1, 4, 4), 10 * number + step, dtype=torch.uint8)
        label = torch.arange(5) % 2
        walk = torch.arange(5 * number, 5 * number + 5)
        yield LabelledSamples(
            x, label, torch.eye(2)[label], walk, step, torch.zeros(5, dtype=torch.int64), number, 0, 0
        )


def archive(out: Path, overwrite: bool = False) -> None:
    """Write the archive, or go on."""
    write(out, plan(), block, existing=Existing(overwrite))


def append(out: Path) -> None:
    """Add two blocks to the archive, or go on with that."""
    write(out, plan(BLOCKS + 2), block, existing=Existing(base=before_publishing(out)))


def die(act: Callable[[Path], None], out: Path, at: int) -> None:
    """Do it, but end without a word before the ``at``-th touch of a file below ``out``'s folder."""
    seen = 0

    def on_event(event: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        if event in _TOUCHES and str(args[0]).startswith(str(out)):
            seen += 1
            if seen == at:
                os._exit(9)

    sys.addaudithook(on_event)
    act(out)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
