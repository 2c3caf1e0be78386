"""Labelled samples on disk: Parquet shards, a manifest and a data set card."""

from reinject.archive.existing import Existing, Resume
from reinject.archive.integrity import verify
from reinject.archive.manifest import read_manifest
from reinject.archive.mending import repair
from reinject.archive.read import Archive
from reinject.archive.remote import kind_begun, unfinished_plan, was_cut_short
from reinject.archive.schema import MANIFEST, Plan, blocks_of, packages, scheme_of
from reinject.archive.shards import Listener, MakeBlock, Run, adopt_shard, write_shard
from reinject.archive.write import Remarks, write

__all__ = [
    "MANIFEST",
    "Archive",
    "Existing",
    "Listener",
    "MakeBlock",
    "Plan",
    "Remarks",
    "Resume",
    "Run",
    "adopt_shard",
    "blocks_of",
    "kind_begun",
    "packages",
    "read_manifest",
    "repair",
    "scheme_of",
    "unfinished_plan",
    "verify",
    "was_cut_short",
    "write",
    "write_shard",
]
