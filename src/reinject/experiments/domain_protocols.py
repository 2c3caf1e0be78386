"""List protocols of continual learning on tables: the rows arrive in tasks, the target is the same in all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from reinject.experiments.table_sets import load_set
from reinject.training.table_fit import TableSpec

_TEXTURES = (17.5, 20.5)  # thirds of the cells' texture
_HELD_OUT = 4  # every fourth row


@dataclass(frozen=True)
class DomainProtocol:
    """Describe a protocol: a table whose rows arrive in tasks, and what our models may take.

    Attributes:
        table: name of the table.
        target: column that the learner predicts, in every task.
        by: column whose values make the tasks.
        tasks: values of that column in each task, in order.
        spec: our networks after each task.
    """

    table: str
    target: str
    by: str
    tasks: tuple[tuple[str, ...], ...]
    spec: TableSpec

    def load(self, data_dir: str | None) -> tuple[pa.Table, pa.Table]:
        """Read training and test rows; raise DataError for missing files."""
        return _cancer() if self.table == "breast_cancer" else load_set(self.table, data_dir)

    def part(self, table: pa.Table, task: int) -> pa.Table:
        """Return the rows of a task."""
        return table.filter(pc.is_in(table[self.by], pa.array(self.tasks[task])))


def _cancer() -> tuple[pa.Table, pa.Table]:
    """Return the first ten columns of scikit-learn's breast cancer, with the texture as three categories."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    columns = {str(name): pa.array(found.data[:, k]) for k, name in enumerate(found.feature_names[:10])}
    texture = found.data[:, 1]
    low, high = _TEXTURES
    columns["mean texture"] = pa.array(["low" if v < low else "middle" if v < high else "high" for v in texture])
    columns["diagnosis"] = pa.array([str(found.target_names[k]) for k in found.target])
    table = pa.table(columns)
    test = [k % _HELD_OUT == 0 for k in range(len(table))]
    return table.filter(pa.array([not one for one in test])), table.filter(pa.array(test))


DOMAINS: Mapping[str, DomainProtocol] = {
    "cancer-textures": DomainProtocol(
        "breast_cancer",
        "diagnosis",
        "mean texture",
        (("low",), ("middle",), ("high",)),
        TableSpec(width=32, depth=2, steps=300, batch=64),
    ),
    "adult-occupations": DomainProtocol(
        "adult",
        "income",
        "occupation",
        (
            ("Prof-specialty", "Tech-support"),
            ("Handlers-cleaners", "Farming-fishing", "Other-service", "Priv-house-serv", ""),  # "": not stated
            ("Exec-managerial", "Protective-serv", "Armed-Forces"),
            ("Craft-repair", "Machine-op-inspct", "Transport-moving"),
            ("Adm-clerical", "Sales"),
        ),
        TableSpec(width=128, depth=3, steps=3000),
    ),
}
