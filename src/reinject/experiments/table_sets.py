"""List the tables of the experiments: target, categories, and published results beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from reinject.base.errors import DataError

SOURCE = "arXiv 2603.23016"


@dataclass(frozen=True)
class Published:
    """Hold published results of one method: AUC (or RMSE of the log target), C2ST, seconds of training."""

    score: float
    c2st: float | None = None
    seconds: int | None = None


@dataclass(frozen=True)
class TableSet:
    """Describe a table of the experiments.

    Attributes:
        target: column that learners predict.
        categorical: numeric columns that the field judges as categories.
        log: whether the logarithm of the target is judged.
        published: method -> results of an independent rerun, means of five models, judged by XGBoost.
    """

    target: str
    categorical: tuple[str, ...] = ()
    log: bool = False
    published: Mapping[str, Published] = field(default_factory=dict)


_PAYMENTS = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")

TABLE_SETS: Mapping[str, TableSet] = {
    "adult": TableSet(
        "income",
        published={
            "CTGAN": Published(0.862, 0.00, 3798),
            "TVAE": Published(0.871, 0.00, 1310),
            "STaSy": Published(0.906, 0.34, 6526),
            "TabSyn": Published(0.910, 0.79, 3082),
            "TabDiff": Published(0.913, 0.84, 11_605),
            "TabPC": Published(0.916, 0.86, 272),
        },
    ),
    "default": TableSet(
        "default",
        ("SEX", "EDUCATION", "MARRIAGE", *_PAYMENTS),
        published={
            "CTGAN": Published(0.727, 0.00),
            "TVAE": Published(0.747, 0.00),
            "STaSy": Published(0.753, 0.36),
            "TabSyn": Published(0.759, 0.40),
            "TabDiff": Published(0.763, 0.59),
            "TabPC": Published(0.744, 0.26),
        },
    ),
    "magic": TableSet(
        "class",
        published={
            "CTGAN": Published(0.882, 0.10),
            "TVAE": Published(0.918, 0.30),
            "STaSy": Published(0.932, 0.52),
            "TabSyn": Published(0.937, 0.76),
            "TabDiff": Published(0.936, 0.77),
            "TabPC": Published(0.932, 0.86),
        },
    ),
    "beijing": TableSet(
        "pm2.5",
        ("year", "month", "day", "hour"),
        log=True,
        published={"TabSyn": Published(0.626), "TabDiff": Published(0.564)},
    ),
}


def load_set(name: str, data_dir: str | None) -> tuple[pa.Table, pa.Table]:
    """Read ``train.csv`` and ``test.csv`` of a set, from NAME or tables/NAME below a folder.

    Arguments:
        name: a key of :data:`TABLE_SETS`.
        data_dir: folder to search; None: the working folder.

    Raises:
        DataError: the files are missing or cannot be read.
    """
    root = Path(data_dir or ".")
    found = [place for place in (root / name, root / "tables" / name) if (place / "train.csv").is_file()]
    if not found:
        where = f"{root / name} and {root / 'tables' / name} have no train.csv"
        raise DataError(name, where, "Give --data-dir a folder with NAME/train.csv and NAME/test.csv")
    try:
        train, test = (csv.read_csv(found[0] / f"{part}.csv") for part in ("train", "test"))
        return train, test.select(train.column_names).cast(train.schema)
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise DataError(str(found[0]), f"cannot be read ({error})", "Give whole CSV files of equal columns") from error
