"""Load scikit-learn's estimators from skops files: transformers with an inverse, regressors of x on x, classifiers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reinject.base.errors import ModelError
from reinject.foreign.adapters import Numpy
from reinject.foreign.route import Gives, Loaded, Route, check_zip, copied, ends_with, library, readable

_OPTIMISERS = "sklearn.neural_network._stochastic_optimizers"
_HARMLESS = [f"{_OPTIMISERS}.{name}" for name in ("AdamOptimizer", "SGDOptimizer")]  # parts of fitted MLPs


def _runs_code(folder: Path, source: str) -> bool:
    return bool(_untrusted(folder / source))


def _untrusted(path: Path) -> list[str]:
    check_zip(path)
    skops = library("skops.io", "sklearn")
    try:
        return [name for name in skops.get_untrusted_types(file=path) if name not in _HARMLESS]
    except Exception as error:  # a damaged file may raise any error
        raise readable("skops", str(path), error) from error


def _load(folder: Path, source: str) -> Loaded:
    path = folder / source
    skops = library("skops.io", "sklearn")
    try:
        estimator = skops.load(path, trusted=[*_HARMLESS, *_untrusted(path)])  # the user has trusted this very file
    except Exception as error:  # a damaged file may raise any error
        raise readable("skops", str(path), error) from error
    shape = (int(estimator.n_features_in_),) if hasattr(estimator, "n_features_in_") else None
    name = type(estimator).__name__
    classes: tuple[str, ...] = ()
    gives: Gives = "values"
    if hasattr(estimator, "predict_proba") or library("sklearn.base", "sklearn").is_classifier(estimator):
        classes, gives = _classes(estimator, source), "probabilities"
    function = estimator.predict_proba if gives == "probabilities" else _reconstruct(estimator, source)
    notes = []
    if _positive(estimator):
        notes.append(f"{name} takes no negative values; they are set to 0 before it")
    network = Numpy(_fed(function, _kind(function, shape), bool(notes)), name)
    return Loaded(network, shape, gives=gives, anywhere=False, notes=tuple(notes), classes=classes)


def _classes(estimator: Any, source: str) -> tuple[str, ...]:
    """Return the names of the classes, in the order of predict_proba.

    Raises:
        ModelError: the estimator has no probabilities, or several labels at once.
    """
    name = type(estimator).__name__
    if not hasattr(estimator, "predict_proba"):
        raise ModelError(
            source, f"holds a {name}, which has no predict_proba", "Wrap it in CalibratedClassifierCV and fit again"
        )
    inner = getattr(estimator, "best_estimator_", getattr(estimator, "_final_estimator", estimator))
    binarizer = getattr(inner, "_label_binarizer", None)  # of MLPs, which keep 0..n-1 as classes of several labels too
    several = str(getattr(binarizer, "y_type_", "")).startswith("multilabel") or getattr(inner, "multilabel_", False)
    classes = [one.item() if getattr(one, "ndim", 1) == 0 else one for one in getattr(estimator, "classes_", ())]
    if several or not all(isinstance(one, (str, int, float)) for one in classes):
        raise ModelError(
            source,
            f"holds a {name} of several labels at once (multilabel)",
            "Give a single-label classifier, such as one fitted on one column of the labels",
        )
    return tuple(map(str, classes))


def _kind(function: Callable[[Any], Any], shape: tuple[int, ...] | None) -> str:
    """Return the float type that the estimator takes: some that were fitted on float64 refuse float32."""
    import numpy as np

    try:
        function(np.ones((2, *(shape or (1,))), np.float32))
    except (TypeError, ValueError):
        return "float64"
    return "float32"


def _positive(estimator: Any) -> bool:
    """Return whether the estimator refuses negative values."""
    first = next((step for _, step in getattr(estimator, "steps", ())), estimator)
    if hasattr(first, "__sklearn_tags__"):
        return bool(first.__sklearn_tags__().input_tags.positive_only)
    tags: dict[str, Any] = getattr(first, "_get_tags", dict)()  # before scikit-learn 1.6
    return bool(tags.get("requires_positive_X"))


def _fed(function: Callable[[Any], Any], kind: str, positive: bool) -> Callable[[Any], Any]:
    return lambda x: function((x.clip(min=0) if positive else x).astype(kind))


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
