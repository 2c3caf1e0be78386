"""Fit the learners that judge tables: gradient boosting, which knows categories, and a linear model."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reinject.table_evaluation.table_coding import Coded

Learner = Literal["boosting", "linear"]
_CATEGORIES = 254  # most categories that boosting of scikit-learn splits one by one
_TREES, _RATE = 200, 0.1


def engine() -> str:
    """Name the gradient boosting in use: xgboost where the extra ``tables`` is installed, else scikit-learn's."""
    return "xgboost" if find_spec("xgboost") else "scikit-learn"


def predict_classes(
    learner: Learner, train: Coded, y: NDArray[np.int64], test: Coded, classes: int, seed: int = 0
) -> NDArray[np.float64]:
    """Fit a classifier, and return its probabilities of the test rows, (N, classes).

    A class without training rows gets probability 0.

    Arguments:
        learner: boosting or linear.
        train: training rows, without the target.
        y: class of each training row, 0 <= y < classes, (M,).
        test: test rows, without the target.
        classes: number of classes.
        seed: seed of the learner, >= 0.

    Example:
        >>> rows = Coded(np.arange(100.0)[:, None], np.zeros((100, 0), np.int64))
        >>> y = (np.arange(100) > 49).astype(np.int64)
        >>> predict_classes("linear", rows, y, rows, 2).argmax(1).tolist() == y.tolist()
        True
    """
    there, numbered = np.unique(y, return_inverse=True)
    found = np.zeros((len(test), classes))
    if len(there) == 1:
        found[:, there[0]] = 1.0
        return found
    a, b, model = _prepared(learner, train, test, "classes", seed)
    found[:, there] = model.fit(a, numbered).predict_proba(b)
    return found


def predict_number(
    learner: Learner, train: Coded, y: NDArray[np.float64], test: Coded, seed: int = 0
) -> NDArray[np.float64]:
    """Fit a regression by least squares, and return its predictions of the test rows, (N,).

    Arguments:
        learner: boosting or linear.
        train: training rows, without the target.
        y: target of each training row, finite, (M,).
        test: test rows, without the target.
        seed: seed of the learner, >= 0.

    Example:
        >>> rows = Coded(np.arange(100.0)[:, None], np.zeros((100, 0), np.int64))
        >>> bool(np.abs(predict_number("linear", rows, 2 * rows.numbers[:, 0], rows) - 2 * np.arange(100)).max() < 1)
        True
    """
    a, b, model = _prepared(learner, train, test, "number", seed)
    return np.asarray(model.fit(a, y).predict(b), np.float64)


def _prepared(learner: Learner, train: Coded, test: Coded, task: str, seed: int) -> tuple[Any, Any, Any]:
    """Return features of both sets, and an unfitted model."""
    if learner == "linear":
        return *_one_hot(train, test), _linear(task)
    known = ~np.isnan(train.numbers).all(0)  # nothing is learned from the other columns, and scikit-learn refuses them
    train, test = (Coded(rows.numbers[:, known], rows.codes) for rows in (train, test))
    codes = _frequent(train.codes, test.codes)
    a, b = (np.concatenate([rows.numbers, code], 1) for rows, code in zip((train, test), codes, strict=True))
    return a, b, (_xgboost if engine() == "xgboost" else _histogram)(task, train, seed)


def _histogram(task: str, train: Coded, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    make: Callable[..., Any] = HistGradientBoostingClassifier if task == "classes" else HistGradientBoostingRegressor
    which = np.arange(train.numbers.shape[1] + train.codes.shape[1]) >= train.numbers.shape[1]
    return make(
        max_iter=_TREES, learning_rate=_RATE, early_stopping=False, categorical_features=which, random_state=seed
    )


def _xgboost(task: str, train: Coded, seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    kinds = ["q"] * train.numbers.shape[1] + ["c"] * train.codes.shape[1]
    make: Callable[..., Any] = XGBClassifier if task == "classes" else XGBRegressor
    return make(
        n_estimators=_TREES,
        learning_rate=_RATE,
        max_depth=6,
        tree_method="hist",
        enable_categorical=True,
        feature_types=kinds,
        random_state=seed,
    )


def _linear(task: str) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return LogisticRegression(max_iter=300) if task == "classes" else Ridge(1.0)


def _frequent(train: NDArray[np.int64], test: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Join the rarest categories of a column with too many, and those that training rows lack."""
    both = [train.copy(), test.copy()]
    for k in range(train.shape[1]):
        counts = np.bincount(train[:, k], minlength=int(max(train[:, k].max(), test[:, k].max(initial=0))) + 1)
        if len(counts) > _CATEGORIES:
            rank = np.empty(len(counts), np.int64)
            rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
            for codes in both:
                codes[:, k] = np.minimum(rank[codes[:, k]], _CATEGORIES - 1)
    return both


def _one_hot(train: Coded, test: Coded) -> tuple[Any, Any]:
    """Return standardised numbers, indicators of missing ones, and one-hot categories; a missing number is the mean."""
    from scipy import sparse
    from sklearn.preprocessing import OneHotEncoder

    hot = OneHotEncoder(handle_unknown="ignore").fit(train.codes) if train.codes.shape[1] else None
    mean, deviation = _moments(train.numbers)

    def features(rows: Coded) -> Any:
        missing = np.isnan(rows.numbers)
        parts: Sequence[Any] = (np.where(missing, 0.0, (rows.numbers - mean) / deviation), missing.astype(float))
        return sparse.hstack([*map(sparse.csr_array, parts), *([hot.transform(rows.codes)] if hot else [])]).tocsr()

    return features(train), features(test)


def _moments(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute mean and standard deviation of known values, (p,) each; 0 and 1 for a column without variance."""
    known = ~np.isnan(numbers)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, numbers, 0.0).sum(0) / count
    deviation = np.sqrt(np.where(known, (numbers - mean) ** 2, 0.0).sum(0) / count)
    return mean, np.where(deviation > 0, deviation, 1.0)
