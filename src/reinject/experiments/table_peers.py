"""Run peers on tables: other ways to synthetic rows, from the same training rows; some need a library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reinject.table_evaluation.table_coding import Coded, Coding, is_class
from reinject.table_evaluation.table_controls import gaussian_a_class, independent_columns

_PARTS = 10  # classes of a numeric target, for SMOTE
_TREES = 50


@dataclass(frozen=True)
class TableTask:
    """Hold the task of every method.

    Attributes:
        train: real training rows.
        target: column that learners predict.
        categorical: numeric columns that are judged as categories; peers may use them, our defaults do not.
        rows: number of rows to make, >= 1.
        seed: seed of all randomness.
    """

    train: pa.Table
    target: str
    categorical: tuple[str, ...]
    rows: int
    seed: int

    @property
    def coding(self) -> Coding:
        """Kinds of the columns, the target a category if it is a class."""
        classes = [self.target] if is_class(self.train[self.target]) else []
        return Coding.of([self.train], [*self.categorical, *classes])


def ours(task: TableTask) -> pa.Table:
    """Fit and sample our synthesiser with its defaults."""
    from reinject import tables

    return tables.fit(task.train, target=task.target, seed=task.seed).sample(task.rows, seed=task.seed)


def independent(task: TableTask) -> pa.Table:
    """Draw every column by itself."""
    coding = task.coding
    return coding.table(independent_columns(coding.code(task.train), task.rows, task.seed))


def class_gaussians_of_rows(task: TableTask) -> pa.Table:
    """Draw from a Gaussian for each class, over numbers and one-hot categories."""
    coding = task.coding
    return coding.table(gaussian_a_class(coding, coding.code(task.train), task.target, task.rows, task.seed))


def smote(task: TableTask) -> pa.Table:
    """Interpolate between neighbours of one class by SMOTENC of imbalanced-learn; only new rows are kept."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    coding = task.coding
    coded = coding.code(task.train)
    coded = Coded(np.where(np.isnan(coded.numbers), np.nanmean(coded.numbers, 0), coded.numbers), coded.codes)
    group = _groups(coding, coded, task.target)
    x: NDArray[np.float64] = np.concatenate([coded.numbers, coded.codes], 1)
    p = coded.numbers.shape[1]
    names, counts = np.unique(group, return_counts=True)
    wanted = {
        int(name): int(count + np.ceil(task.rows * count / len(group)))
        for name, count in zip(names, counts, strict=True)
    }
    which = list(range(p, x.shape[1]))
    settings: dict[str, Any] = {"sampling_strategy": wanted, "random_state": task.seed}
    sampler = SMOTENC(which, **settings) if which else SMOTE(**settings)
    made = np.asarray(sampler.fit_resample(x, group)[0])[len(x) :]
    made = made[np.random.default_rng(task.seed).permutation(len(made))[: task.rows]]
    return coding.table(Coded(made[:, :p].astype(np.float64), made[:, p:].astype(np.int64)))


def _groups(coding: Coding, coded: Coded, target: str) -> NDArray[np.int64]:
    if target in coding.categories:
        return coded.codes[:, list(coding.categories).index(target)]
    y = coded.numbers[:, coding.numeric.index(target)]
    return np.searchsorted(np.quantile(y, np.linspace(0, 1, _PARTS + 1)[1:-1]), y).astype(np.int64)


def random_forests(task: TableTask) -> pa.Table:
    """Sample adversarial random forests of arfpy."""
    from arfpy import arf

    with _global_seed(task.seed):
        model = arf.arf(_frame(task), num_trees=_TREES, random_state=task.seed, verbose=False)
        model.forde()
        return _table(task, model.forge(task.rows))


def forest_diffusion(task: TableTask) -> pa.Table:
    """Sample ForestDiffusion with its defaults: gradient boosting at every noise level."""
    from ForestDiffusion import ForestDiffusionModel

    coding = task.coding
    coded = coding.code(task.train)
    p = coded.numbers.shape[1]
    x = np.concatenate([coded.numbers, coded.codes], 1)
    kinds = {"bin_indexes": [p + k for k, size in enumerate(coding.sizes) if size == 2]}
    kinds["cat_indexes"] = [p + k for k, size in enumerate(coding.sizes) if size > 2]
    with _global_seed(task.seed):
        model = ForestDiffusionModel(x, **kinds, seed=task.seed)
        made = np.asarray(model.generate(batch_size=task.rows), np.float64)
    return coding.table(Coded(made[:, :p], np.rint(made[:, p:]).astype(np.int64)))


def mostly_engine(task: TableTask) -> pa.Table:
    """Train and sample mostlyai-engine with its defaults."""
    import pandas as pd
    from mostlyai import engine

    with TemporaryDirectory() as folder:
        place = Path(folder)
        engine.set_random_state(task.seed)
        engine.split(workspace_dir=place, tgt_data=task.train.to_pandas(), model_type="TABULAR")
        engine.analyze(workspace_dir=place)
        engine.encode(workspace_dir=place)
        engine.train(workspace_dir=place)
        engine.generate(workspace_dir=place, sample_size=task.rows)
        return _table(task, pd.read_parquet(place / "SyntheticData"))


def _frame(task: TableTask) -> Any:
    """Return the training rows as a pandas frame, categories as such."""
    coding = task.coding
    frame = task.train.to_pandas()
    return frame.astype(dict.fromkeys(coding.categories, str)).astype(dict.fromkeys(coding.categories, "category"))


def _table(task: TableTask, frame: Any) -> pa.Table:
    """Return rows of a frame with the training rows' columns and types; numbers of whole columns are rounded."""
    schema = task.train.schema
    columns = {}
    for one in schema:
        if one.name in task.coding.categories:
            values = pa.array(frame[one.name].astype(str).tolist())
        else:
            numbers = frame[one.name].to_numpy(np.float64)
            values = pa.array(np.rint(numbers) if pa.types.is_integer(one.type) else numbers, from_pandas=True)
        columns[one.name] = values.cast(one.type)
    return pa.table(columns, schema=schema)


class _global_seed:  # noqa: N801
    """Seed NumPy's global generator for a library that uses it, and restore it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __enter__(self) -> None:
        self.state = np.random.get_state()
        np.random.seed(self.seed)

    def __exit__(self, *_: object) -> None:
        np.random.set_state(self.state)


@dataclass(frozen=True)
class Method:
    """Describe a way to synthetic rows.

    Attributes:
        make: task -> rows.
        library: module that it needs; "": none.
    """

    make: Callable[[TableTask], pa.Table]
    library: str = ""

    @property
    def installed(self) -> bool:
        """Whether its library is installed."""
        return not self.library or find_spec(self.library) is not None


METHODS: Mapping[str, Method] = {
    "ours": Method(ours),
    "independent columns": Method(independent),
    "Gaussian a class": Method(class_gaussians_of_rows),
    "SMOTE": Method(smote, "imblearn"),
    "arfpy": Method(random_forests, "arfpy"),
    "mostlyai-engine": Method(mostly_engine, "mostlyai"),
    "ForestDiffusion": Method(forest_diffusion, "ForestDiffusion"),
}
