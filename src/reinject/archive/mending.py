"""Repair the damaged shards of a finished archive."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from reinject.archive.manifest import read_manifest
from reinject.archive.remote import deliver, scratch_of
from reinject.archive.schema import MANIFEST, Plan
from reinject.archive.shards import Listener, MakeBlock, Run, is_whole, made
from reinject.base.errors import ArchiveError
from reinject.base.files import is_remote
from reinject.base.staging import begin, differences, discard
from reinject.data.samples import LabelledSamples


def repair(
    out: Path,
    plan: Plan,
    make_block: MakeBlock,
    *,
    listener: Listener | None = None,
    run: Run | None = None,
) -> Path:
    """Make the missing and the damaged shards of a finished archive again; arguments as for :func:`write`.

    The shards are made in ``OUT.repair``, or in a temporary folder for a place elsewhere. A new shard replaces the old
    one only if its hash is that of the manifest, so a failed repair loses nothing.

    Raises:
        ArchiveError: no archive, another plan, or a new shard with another hash.
    """
    listener = listener or Listener()
    if not (out / MANIFEST).is_file():
        raise ArchiveError(str(out), "there is no run to resume", "Leave out --resume always to start one")
    manifest, wanted = read_manifest(out), plan.as_json()
    compared = {key: value for key, value in wanted.items() if key != "packages"}  # the hash of a shard decides
    unlike = list(differences({key: manifest.get(key) for key in compared}, compared))
    if unlike:
        raise ArchiveError(
            str(out), f"is of a run that differs in {', '.join(unlike)}", "Repeat that run, or choose another --out"
        )
    beside = out.with_name(out.name + ".repair")
    scratch = scratch_of(beside) if is_remote(out) else beside
    discard(scratch)
    begin(scratch, wanted)
    try:
        (scratch / "data").mkdir()
        known = {entry["block"]: entry for entry in manifest["shards"]}
        good = {number for number, entry in known.items() if is_whole(out, entry)}
        listener.on_rows(sum(known[number]["rows"] for number in good))
        gone = {number: entry["repeats"] for number, entry in known.items() if entry.get("repeats")}
        if gone:  # this process drops the rows
            make_block, run = without_noted(make_block, gone), None
        for entry in made(scratch, plan, sorted(known.keys() - good), make_block, listener.on_rows, run):
            listener.on_shard(entry)
            if entry["sha256"] != known[entry["block"]]["sha256"]:
                raise ArchiveError(
                    str(out / entry["file"]),
                    "differs after the repair: another device, processor, number of threads or version of torch",
                    "Sample again with --overwrite",
                )
            deliver(scratch / entry["file"], out / entry["file"])
    finally:
        discard(scratch)
    return out


def without_noted(make_block: MakeBlock, gone: Mapping[int, Sequence[int]]) -> MakeBlock:
    """Drop the rows of blocks that the entries of their shards list.

    Until version 0.1, ``--distinct`` compared the samples of all blocks at the end. It listed the dropped rows of a
    shard as ``repeats``. This function lets such archives be made again.

    Arguments:
        make_block: number of a block -> its rows.
        gone: number of a block -> the rows to drop, counted from the first row of the block.
    """

    def parts(number: int) -> Iterator[LabelledSamples]:
        first = 0
        for part in make_block(number):
            row = torch.arange(first, first + len(part.walk))
            first += len(row)
            yield part.rows(~torch.isin(row, torch.tensor(gone.get(number, ()), dtype=torch.int64)))

    return parts
