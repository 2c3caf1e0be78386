"""Real data sets (files, folders, hub names, features), and the one table of samples."""

from reinject.data.datasets import (
    FEATURES,
    FEATURES_CONFIG,
    HUB_NAMES,
    NAMES,
    TEST_SHARE,
    Dataset,
    LabelledImages,
    found_at,
    load,
    read_features,
    read_parts,
    split,
    write_features,
)

__all__ = [
    "FEATURES",
    "FEATURES_CONFIG",
    "HUB_NAMES",
    "NAMES",
    "TEST_SHARE",
    "Dataset",
    "LabelledImages",
    "found_at",
    "load",
    "read_features",
    "read_parts",
    "split",
    "write_features",
]
