"""Labelled samples on disk: Parquet shards, a manifest and a data set card."""

from reinject.archive.manifest import read_manifest
from reinject.archive.read import Archive
from reinject.archive.remote import kind_begun, was_cut_short
from reinject.archive.repair import repair
from reinject.archive.repeats import Repeats
from reinject.archive.schema import Plan, blocks_of, packages
from reinject.archive.shards import MakeBlock, Run, adopt_shard, write_shard
from reinject.archive.verify import verify
from reinject.archive.write import Remarks, Resume, write

__all__ = [
    "Archive",
    "MakeBlock",
    "Plan",
    "Remarks",
    "Repeats",
    "Resume",
    "Run",
    "adopt_shard",
    "blocks_of",
    "kind_begun",
    "packages",
    "read_manifest",
    "repair",
    "verify",
    "was_cut_short",
    "write",
    "write_shard",
]
