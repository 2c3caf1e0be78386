"""Labelled samples on disk: Parquet shards, a manifest and a data set card."""

from reinject.archive.read import Archive
from reinject.archive.schema import Plan
from reinject.archive.write import Run, write, write_shard

__all__ = ["Archive", "Plan", "Run", "write", "write_shard"]
