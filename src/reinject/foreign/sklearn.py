"""scikit-learn's estimators, in the skops format: transformers with an inverse, regressors of x on x, classifiers."""

from pathlib import Path
from typing import Any

from reinject.errors import ModelError
from reinject.foreign.adapters import Numpy
from reinject.foreign.base import Loaded, Route, check_zip, copied, ends_with, library, readable

_OPTIMISERS = "sklearn.neural_network._stochastic_optimizers"
_HARMLESS = [f"{_OPTIMISERS}.{name}" for name in ("AdamOptimizer", "SGDOptimizer")]  # parts of fitted MLPs


def _runs_code(folder: Path, source: str) -> bool:
    return bool(_untrusted(folder / source))


def _untrusted(path: Path) -> list[str]:
    check_zip(path)
    skops = library("skops.io", "sklearn")
    try:
        return [name for name in skops.get_untrusted_types(file=path) if name not in _HARMLESS]
    except Exception as error:  # of a damaged file it raises anything
        raise readable("skops", str(path), error) from error


def _load(folder: Path, source: str) -> Loaded:
    path = folder / source
    skops = library("skops.io", "sklearn")
    try:
        estimator = skops.load(path, trusted=[*_HARMLESS, *_untrusted(path)])  # the user has trusted this very file
    except Exception as error:  # of a damaged file it raises anything
        raise readable("skops", str(path), error) from error
    shape = (int(estimator.n_features_in_),) if hasattr(estimator, "n_features_in_") else None
    if hasattr(estimator, "predict_proba"):
        return Loaded(
            Numpy(estimator.predict_proba, type(estimator).__name__), shape, gives="probabilities", anywhere=False
        )
    return Loaded(
        Numpy(_reconstruct(estimator, source), type(estimator).__name__), shape, gives="values", anywhere=False
    )


def _reconstruct(estimator: Any, source: str) -> Any:
    if hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform"):
        return lambda x: estimator.inverse_transform(estimator.transform(x))
    if hasattr(estimator, "predict"):
        return estimator.predict
    raise ModelError(
        source,
        f"holds a {type(estimator).__name__}",
        "Give a transformer with inverse_transform, a regressor of x on x, or a classifier with predict_proba",
    )


ROUTE = Route(
    "sklearn",
    "FILE.skops of skops.io.dump",
    ends_with(".skops"),
    copied,
    _load,
    _runs_code,
    libraries=("skops.io", "sklearn"),
)
