"""Judge the utility of a table: train on synthetic rows, test on real rows, beside a twin trained on real rows."""

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.table_evaluation.table_learners import Learner, engine, predict_classes, predict_number
from reinject.training.learning_curves import LEVEL

_RESAMPLES = 100
_LEAST, _MOST = 1.0, 20_000.0  # range of a target before its logarithm, as published results have it


class Target(NamedTuple):
    """Name what a learner predicts.

    Attributes:
        coding: kinds of all columns.
        name: name of the target.
        log: predict log(target), the target clipped to 1..20,000.
    """

    coding: Coding
    name: str
    log: bool = False

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a numeric target."""
        return 0 if self.name in self.coding.numeric else len(self.coding.categories[self.name])

    def split(self, rows: Coded) -> tuple[Coded, NDArray[Any]]:
        """Return the other columns and the target of the rows that have one."""
        if self.classes:
            k = list(self.coding.categories).index(self.name)
            y: NDArray[Any] = rows.codes[:, k]
            known = np.array([value.is_valid for value in self.coding.categories[self.name]])[y]
            rest = Coded(rows.numbers, np.delete(rows.codes, k, 1))
        else:
            k = self.coding.numeric.index(self.name)
            y = rows.numbers[:, k]
            known = ~np.isnan(y)
            y = np.log(np.clip(y, _LEAST, _MOST)) if self.log else y
            rest = Coded(np.delete(rows.numbers, k, 1), rows.codes)
        if not known.any():
            raise DataError(f"column {self.name}", "has no value in one of the tables", "Name another target")
        return rest.take(np.flatnonzero(known)), y[known]


def predictions(target: Target, learner: Learner, train: Coded, test: Coded, seed: int = 0) -> NDArray[np.float64]:
    """Train on some rows, and predict the test rows: probabilities (N, classes), or values (N,)."""
    x, y = target.split(train)
    if target.classes:
        return predict_classes(learner, x, y, target.split(test)[0], target.classes, seed)
    return predict_number(learner, x, y, target.split(test)[0], seed)


def auc(y: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Compute the area under the ROC curve: P(score of a member > score of another row), ties count half.

    For more than two classes it is the mean over the classes, each against the rest. NaN for fewer than two classes.

    Arguments:
        y: true classes, (N,).
        probabilities: (N, classes).

    Example:
        >>> auc(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]))
        0.75
    """
    there = np.unique(y)
    if len(there) < 2:
        return float("nan")
    return float(np.mean([_area(y == k, probabilities[:, k]) for k in (there[-1:] if len(there) == 2 else there)]))


def _area(member: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    m = int(member.sum())
    return float((stats.rankdata(score)[member].sum() - m * (m + 1) / 2) / (m * (len(member) - m)))


def scores(target: Target, y: NDArray[Any], predicted: NDArray[np.float64]) -> dict[str, float]:
    """Compute AUC and F1 (mean over classes) of a class, or RMSE of a number.

    Example:
        >>> import pyarrow as pa
        >>> number = Target(Coding.of([pa.table({"x": [1.0]})]), "x")
        >>> scores(number, np.array([1.0, 2.0]), np.array([1.0, 4.0]))
        {'RMSE': 1.4142135623730951}
    """
    if not target.classes:
        return {"RMSE": float(np.sqrt(np.mean((y - predicted) ** 2)))}
    said, f1 = predicted.argmax(1), []
    for k in np.unique(y):
        hits = int(((said == k) & (y == k)).sum())
        f1.append(2 * hits / (int((said == k).sum()) + int((y == k).sum())))
    return {"AUC": auc(y, predicted), "F1": float(np.mean(f1))}


def measure_utility(target: Target, train: Coded, test: Coded, seed: int = 0) -> dict[str, float]:
    """Train both learners on some rows, and test them on others: "AUC, boosting", "F1, boosting", "AUC, linear", ...

    Raises:
        DataError: the target has no value in one of the tables, or one value in the test rows.
    """
    y = target.split(test)[1]
    if len(np.unique(y)) < 2:
        raise DataError(f"column {target.name}", "has one value in the real test rows", "Name another target")
    return {
        f"{name}, {learner}": value
        for learner in get_args(Learner)
        for name, value in scores(target, y, predictions(target, learner, train, test, seed)).items()
    }


def table_utility(
    target: Target, twin: Mapping[str, float], test: Coded, synthetic: Coded, seed: int = 0
) -> list[Judgement]:
    """Judge learners of synthetic rows by real test rows; the null is the twin, trained on real rows.

    The interval is of the test rows: 100 resamples of them, with the same learner. ``share`` is the part of the twin's
    gain over a constant prediction that the synthetic rows teach; None where the twin gains nothing. The gain is
    AUC - 1/2, F1, or the reduction of RMSE.

    Arguments:
        target: what is predicted.
        twin: what :func:`measure_utility` finds for the real training rows.
        test: real test rows.
        synthetic: synthetic rows.
        seed: seed of learners and resamples.
    """
    y = target.split(test)[1]
    constant = 0.0 if target.classes else float(np.std(y))
    found = []
    for learner in get_args(Learner):
        predicted = predictions(target, learner, synthetic, test, seed)
        resamples = _resampled(target, y, predicted, seed)
        for name, value in scores(target, y, predicted).items():
            real = twin[f"{name}, {learner}"]
            zero = {"AUC": 0.5, "F1": 0.0}.get(name, constant)
            gain = zero - real if name == "RMSE" else real - zero
            ends = np.nanquantile([one[name] for one in resamples], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found.append(
                Judgement(
                    f"{name}, {learner}",
                    f"How well does a learner ({learner}) of synthetic rows predict {target.name} of real test rows?",
                    value,
                    real,
                    (float(ends[0]), float(ends[1])),
                    len(synthetic),
                    detail={"share": (value - zero) / (real - zero) if gain > 0 else None, "engine": engine()},
                )
            )
    return found


def _resampled(target: Target, y: NDArray[Any], predicted: NDArray[np.float64], seed: int) -> list[dict[str, float]]:
    rng = np.random.default_rng([seed, 2])
    draws = (rng.integers(len(y), size=len(y)) for _ in range(_RESAMPLES))
    return [scores(target, y[rows], predicted[rows]) for rows in draws]
