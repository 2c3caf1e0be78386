"""Pair two models of one command with their weights, arguments and roles."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reinject.base.errors import ArgumentError, ModelError
from reinject.foreign import Loaded, Role, Route
from reinject.foreign.torch_module import has_weights_of_its_own, parameters_of
from reinject.models.soundness import returned, uniform
from reinject.models.understanding import shapes_to_try
from reinject.models.wanted import Wanted
from reinject.walks.outputs import choose


def with_weights(
    sources: Sequence[str], routes: Sequence[Route], wanted: Wanted, weights: Sequence[Path]
) -> list[Wanted]:
    """Assign each Python class its file of weights, in their order; a class that loads its own weights needs none.

    Raises:
        ArgumentError: the number of files differs from the number of classes that need one.
    """
    classes = [place for place, route in enumerate(routes) if route.name == "module"]
    if len(weights) < len(classes) and weights and wanted.trust:
        classes = [place for place in classes if not has_weights_of_its_own(sources[place], wanted.arguments)]
    if weights and len(weights) != len(classes) and (wanted.trust or len(weights) > len(classes)):
        named = ", ".join(sources[place] for place in classes) or "none of these models"
        raise ArgumentError("--weights", f"{len(weights)} files for {named}", "Give one for each class, in their order")
    each = dict(zip(classes, weights, strict=False))
    return [replace(wanted, weights=each.get(place)) for place in range(len(sources))]


def with_arguments(sources: Sequence[str], routes: Sequence[Route], each: Sequence[Wanted]) -> list[Wanted]:
    """Assign each Python class the arguments that its constructor takes; this runs its file.

    Raises:
        ArgumentError: no class takes an argument.
    """
    arguments = each[0].arguments
    if not arguments:
        return list(each)
    found, taken = [], set[str]()
    for source, route, wanted in zip(sources, routes, each, strict=True):
        names = parameters_of(source) if route.name == "module" else set()
        mine = {name: value for name, value in arguments.items() if names is None or name in names}
        taken |= mine.keys()
        found.append(replace(wanted, arguments=mine))
    unknown = [name for name in arguments if name not in taken]
    if unknown:
        raise ArgumentError("--args", f"{', '.join(sources)} take no argument {unknown[0]!r}", "Look at their classes")
    return found


def roles_of(loaded: Sequence[Loaded], sources: Sequence[str], shape: tuple[int, ...] | None) -> list[Role]:
    """Find out which of two models is the autoencoder and which the classifier, from the shapes of their outputs.

    Arguments:
        loaded: the models.
        sources: their names, for messages.
        shape: of one input; default: the shape that one of the models states.

    Raises:
        ArgumentError: both models look alike, or no shape is known.
        ModelError: neither model runs.
    """
    known = shape or next((one.shape for one in loaded if one.shape is not None), None)
    if known is None:
        names = " nor ".join(sources)
        raise ArgumentError(
            "--shape", f"neither {names} states the shape of its inputs", "Give it, such as --shape 1,28,28"
        )
    looks = [_looks_like(one, source, one.shape or known) for one, source in zip(loaded, sources, strict=True)]
    if looks[0] != looks[1]:
        first: Role = "autoencoder" if looks[0] == "autoencoder" or looks[1] == "classifier" else "classifier"
        return [first, "classifier" if first == "autoencoder" else "autoencoder"]
    if looks[0] is None:
        returned(loaded[0].module, uniform(known, 3), sources[0])  # raises with the reason
    what = "an output shaped as its input" if looks[0] == "autoencoder" else "a vector for an input"
    raise ArgumentError(
        "--as",
        f"{sources[0]} and {sources[1]} both give {what if looks[0] else 'nothing recognisable'}",
        "Give one autoencoder and one classifier, and say which is which, such as --as autoencoder --as classifier",
    )


def _looks_like(loaded: Loaded, source: str, shape: tuple[int, ...]) -> Role | None:
    """Return what a model's outputs for noise look like; None if it fails, or they look like nothing known."""
    if loaded.levels is not None:
        return "autoencoder"
    for one in [shape] if loaded.shape is not None else shapes_to_try(shape):
        x = uniform(one, 3)
        roles: tuple[Role, ...] = ("autoencoder", "classifier") if math.prod(one) > 1 else ("classifier",)
        for role in roles:
            try:
                choose(returned(loaded.module, x, source), x, role, source)
            except ModelError:
                continue
            return role
    return None
