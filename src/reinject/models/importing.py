"""``reinject import``: another library's models become a folder that every other command takes."""

import contextlib
import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reinject import data
from reinject.archive.request import OUTCOME, asked_for, contents, earlier, note
from reinject.base.errors import ArgumentError, ModelError, ReinjectError
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress
from reinject.base.staging import begin, check_free, discard, partial_of, publish
from reinject.foreign import SOURCE, Foreign, Given, Loaded, Role, Route, route_for, trust
from reinject.foreign.arguments import as_text
from reinject.foreign.checkpoint import read_checkpoint
from reinject.foreign.folder import CONFIG, describe, digest_of, load_taken
from reinject.foreign.normalise import words_for
from reinject.foreign.pickled import refuse
from reinject.foreign.probe import probe
from reinject.models.bundle import load
from reinject.models.codes import keep_moments
from reinject.models.inspect import inspect_bundle
from reinject.models.pairing import roles_of, with_arguments, with_weights
from reinject.models.soundness import inputs_beside
from reinject.models.understanding import Wanted, image_shape, understand
from reinject.networks import Inputs

__all__ = ["Wanted", "import_model", "import_models"]


@dataclass(frozen=True)
class _Taken:
    """A model that has been copied into an unfinished folder, and read."""

    source: str
    route: Route
    wanted: Wanted
    partial: Path
    loaded: Loaded
    name: str
    notes: tuple[str, ...]


def import_model(
    source: str,
    out: Path,
    wanted: Wanted | None = None,
    *,
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Take a model of another library into OUT/autoencoder or OUT/classifier, after a look at whether it can be used.

    Arguments:
        source: a file, a folder or an import path, see :data:`reinject.foreign.ROUTES`.
        out: folder of models; the other half of it stays.
        wanted: what is known of it.
        data_dir: where to look for data sets first.
        overwrite: replace a model that is there.
        progress: who is told.

    Returns:
        What ``reinject inspect`` says of the model.

    Raises:
        ArgumentError: the shape or the range cannot be found out and is not given; nothing that is known.
        ModelError: it cannot be read, runs code and is not trusted, changes the shape of its input, gives values that
            are not finite, or loses nothing.
    """
    wanted = wanted or Wanted()
    as_text(wanted.arguments)
    asked = _asked([source], wanted, data_dir, weights=[wanted.weights])
    made = None if overwrite else earlier(out / wanted.role, asked)
    if made is not None:
        return made
    route = route_for(source, wanted.route)
    _check(route, source, wanted)
    with _filling([source], [wanted.role], out, overwrite) as partials:
        taken = _take(route, source, partials[wanted.role], wanted)
        dataset = _dataset(wanted, data_dir, progress)
        _, page = _described(taken, dataset, inputs_beside(out, wanted.role))
        folder = out / wanted.role
        lines = [f"{folder}: {route.name} model {source}", *page.lines, *_next(out, partials)]
        outcome = Outcome({**page.result, "folder": str(folder)}, lines)
        note(partials[wanted.role], asked, outcome)
    return outcome


def import_models(
    sources: Sequence[str],
    out: Path,
    wanted: Wanted | None = None,
    *,
    weights: Sequence[Path] = (),
    roles: Sequence[Role] = (),
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Take an autoencoder and a classifier into one folder, or one model as :func:`import_model` does.

    Which of two is the autoencoder is read off the shapes of what they give. The classifier takes shape and units from
    the autoencoder, and its range too where neither the user nor the data says it. If one is refused, none is taken.

    Arguments:
        sources: one or two of them.
        out: folder of models.
        wanted: what is known of them all; an argument of a constructor goes to the classes that take it.
        weights: of the Python classes, in their order; a class with weights of its own needs none.
        roles: of the sources, in their order; default: of one "autoencoder", of two what their outputs look like.
        data_dir, overwrite, progress: as for one.

    Returns:
        Of two ``autoencoder`` and ``classifier``: what ``reinject inspect`` says of them.

    Raises:
        ArgumentError, ModelError: as for one; which is which cannot be told; too few or too many files of weights.
    """
    wanted = wanted or Wanted()
    _check_counts(sources, weights, roles, wanted)
    if len(sources) == 1:
        one = replace(wanted, role=[*roles, wanted.role][0], weights=[*weights, wanted.weights][0])
        return import_model(sources[0], out, one, data_dir=data_dir, overwrite=overwrite, progress=progress)
    asked = _asked(sources, wanted, data_dir, weights=weights, roles=roles)
    made = None if overwrite else earlier(out / "autoencoder", asked)
    if made is not None and (out / "classifier" / OUTCOME).is_file():
        return made
    routes = [route_for(source) for source in sources]
    each = with_weights(sources, routes, wanted, weights)
    for route, source, one in zip(routes, sources, each, strict=True):
        _check(route, source, one if route.name == "module" else replace(one, arguments={}))
    each = with_arguments(sources, routes, each)
    with _filling(sources, roles or ("autoencoder", "classifier"), out, overwrite) as partials:
        both = [
            _take(route, source, partial, one)
            for route, source, partial, one in zip(routes, sources, partials.values(), each, strict=True)
        ]
        dataset = _dataset(wanted, data_dir, progress)
        shape = wanted.shape or (None if dataset is None else dataset.shape)
        found = roles or roles_of([one.loaded for one in both], sources, shape)
        pages, lines = _described_both(dict(zip(found, both, strict=True)), partials, dataset, out)
        outcome = Outcome({role: page.result for role, page in pages.items()}, [*lines, *_next(out, partials)])
        for partial in partials.values():
            note(partial, asked, outcome)
    return outcome


def _asked(sources: Sequence[str], wanted: Wanted, data_dir: str | None, **more: Any) -> dict[str, Any]:
    """What is asked for: the models, by what their files hold, and what is said of them."""
    named = [*sources, *(source.rpartition(":")[0] for source in sources), *more["weights"]]
    files = [contents(name) for name in named]
    return asked_for(
        {}, sources=list(sources), wanted=wanted, files=files, data=contents(wanted.data, data_dir), **more
    )


def _described_both(
    both: dict[Role, _Taken], partials: dict[Role, Path], dataset: data.Dataset | None, out: Path
) -> tuple[dict[Role, Outcome], list[str]]:
    """The pages of an autoencoder and of the classifier beside it, and their lines."""
    if both["autoencoder"].partial != partials["autoencoder"]:
        _exchange(*(partial / SOURCE for partial in partials.values()))
    pages: dict[Role, Outcome] = {}
    lines: list[str] = []
    first: Foreign | None = None
    for role in ("autoencoder", "classifier"):
        one = both[role]
        wanted = replace(one.wanted, role=role)
        if dataset is None and wanted.shape is None:
            wanted = replace(wanted, shape=image_shape([both[which].loaded.shape for which in both]))
        one = replace(one, partial=partials[role], wanted=wanted)
        if first is not None:
            one = _beside(one, first)
        network, page = _described(one, dataset, None if first is None else first.inputs)
        first = first or network
        pages[role] = Outcome({**page.result, "folder": str(out / role)}, page.lines)
        lines += [f"{out / role}: {one.route.name} model {one.source}", *page.lines]
    return pages, lines


def _beside(one: _Taken, first: Foreign) -> _Taken:
    """The classifier, with shape and units of the autoencoder, and its range where nothing else says one."""
    units = first.inputs.low, first.inputs.high
    wanted = replace(one.wanted, shape=first.inputs.shape, units=one.wanted.units or units)
    if wanted.data or wanted.bounds or wanted.std or one.loaded.bounds:
        return replace(one, wanted=wanted)
    native = first.native
    wanted = replace(wanted, bounds=(native.low, native.high), mean=native.mean, std=native.std)
    said = f"it is taken to want what the autoencoder does, {words_for(replace(native, out='same'))}; --data would tell"
    return replace(one, wanted=wanted, notes=(*one.notes, said))


def _exchange(first: Path, second: Path) -> None:
    """Let two folders change places."""
    between = first.with_name(first.name + ".other")
    first.rename(between)
    second.rename(first)
    between.rename(second)


@contextlib.contextmanager
def _filling(sources: Sequence[str], roles: Sequence[Role], out: Path, overwrite: bool) -> Iterator[dict[Role, Path]]:
    """Unfinished folders by their roles, in the order of the sources: all put in their places at the end, or none."""
    folders = {role: out / role for role in roles}
    for folder in folders.values():
        check_free(folder, CONFIG, overwrite)
    partials = {role: partial_of(folder) for role, folder in folders.items()}
    for partial in partials.values():
        discard(partial)
        begin(partial, {"source": list(sources)})
    try:
        yield partials
    except (ReinjectError, OSError):
        for partial in partials.values():
            discard(partial)
        raise
    for role, partial in partials.items():
        publish(partial, folders[role])


def _next(out: Path, roles: Container[str]) -> list[str]:
    """The command that samples from a folder of models, where those of some roles are put now."""
    if "autoencoder" not in roles and not (out / "autoencoder").is_dir():
        return []
    labels = {} if "classifier" in roles or (out / "classifier").is_dir() else {"labels": "none"}
    return [f"Next: {command_line('sample', out, out='SYNTHETIC', **labels)}"]


def _check_counts(sources: Sequence[str], weights: Sequence[Path], roles: Sequence[Role], wanted: Wanted) -> None:
    if len(sources) not in (1, 2):
        raise ArgumentError("import", f"{len(sources)} models", "Give an autoencoder, a classifier, or one of each")
    if len(sources) == 1 and len(weights) > 1:
        raise ArgumentError("--weights", f"{len(weights)} files for {sources[0]}", "Give one")
    if roles and (len(roles) != len(sources) or len(set(roles)) != len(roles)):
        said = f"{' and '.join(roles)} for {len(sources)} of them"
        raise ArgumentError("--as", said, "Give autoencoder and classifier once each, in the order of the models")
    if len(sources) == 2 and wanted.route is not None:
        raise ArgumentError("--route", f"{wanted.route} for two models", "Leave it out, or import one at a time")


def _check(route: Route, source: str, wanted: Wanted) -> None:
    as_text(wanted.arguments)
    _check_there(route, source, wanted)
    _check_trusted(route, source, wanted)


def _check_trusted(route: Route, source: str, wanted: Wanted) -> None:
    """Raise ModelError where taking a model would read a pickle or run code, and the user has not said so."""
    if wanted.trust or not route.pickled:
        return
    if route.name in ("pickle", "torchscript"):
        raise refuse(source)
    if route.name == "module" and wanted.weights is not None:
        read_checkpoint(wanted.weights)  # what is refused of it, to say both at once
    problem = "runs code that is in it when it is read" if route.name == "module" else "keeps its weights in a pickle"
    raise ModelError(source, problem, "Look at where it comes from, then say so with --trust")


def _check_there(route: Route, source: str, wanted: Wanted) -> None:
    if route.name != "module" and (wanted.weights or wanted.arguments):
        option = "--weights" if wanted.weights else "--args"
        raise ArgumentError(
            option, f"is for a class in Python, which {source} is not", "Give FILE.py:CLASS, or leave it out"
        )
    file = source.rpartition(":")[0] if route.name == "module" else source
    imported = route.name == "module" and not file.endswith(".py")  # by its name, from wherever Python finds it
    for path in (None if imported else Path(file), wanted.weights):
        if path is not None and not path.exists():
            raise ModelError(str(path), "no such file or folder", "Give one that is there")


def _dataset(wanted: Wanted, data_dir: str | None, progress: Progress | None) -> data.Dataset | None:
    dataset = None if wanted.data is None else data.load(wanted.data, data_dir, wanted.split_seed, progress)
    if dataset is not None and dataset.space:
        raise ArgumentError("--data", f"{dataset.name} holds features, not images", "Import models of images")
    if dataset is not None and len(dataset.shape) != 3:
        low, high = math.floor(dataset.train.x.min()), math.ceil(dataset.train.x.max())
        cure = f"Leave it out, and give --shape {dataset.shape[0]} --range {low},{high}"
        raise ArgumentError("--data", f"{dataset.name} holds vectors, not images", cure)
    return dataset


def _take(route: Route, source: str, partial: Path, wanted: Wanted) -> _Taken:
    """Copy a model into an unfinished folder, and read it there."""
    (partial / SOURCE).mkdir()
    name, notes = route.take(source, partial / SOURCE, Given(wanted.weights, wanted.arguments, wanted.trust))
    return _Taken(source, route, wanted, partial, _read(route, partial / SOURCE, name, source, wanted), name, notes)


def _described(taken: _Taken, dataset: data.Dataset | None, beside: Inputs | None) -> tuple[Foreign, Outcome]:
    """Finish a folder; the network, and the page about it."""
    partial, wanted, route = taken.partial, taken.wanted, taken.route
    network, more = understand(taken.loaded, wanted, dataset, taken.source, beside)
    describe(partial, route.name, taken.name, network, wanted.arguments)
    if dataset is not None:
        dataset.split.save(partial)  # what its moments and its scale are of; its own rows are not known
    digest = digest_of(partial)
    if route.runs_code(partial / SOURCE, taken.name):
        trust(digest)
    else:
        with contextlib.suppress(ModelError):  # where nothing can be noted, it is looked at again
            trust(f"read:{digest}")
    page = inspect_bundle(load(partial), dataset)
    wants = wanted.moments and wanted.role == "autoencoder"
    kept = keep_moments(partial, dataset) if wants and dataset is not None else []
    said = [*taken.notes, *more, *kept]
    return network, Outcome({**page.result, "notes": said}, [*(f"  {note}" for note in said), *page.lines])


def _read(route: Route, folder: Path, name: str, source: str, wanted: Wanted) -> Loaded:
    if not route.runs_code(folder, name):
        probe(folder, route.name, name)
    elif not wanted.trust:
        raise ModelError(
            source, "runs code that is in it when it is read", "Look at where it comes from, then say so with --trust"
        )
    loaded = load_taken(route, folder, name, wanted.arguments)
    return loaded._replace(module=loaded.module.eval())
