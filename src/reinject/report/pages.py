"""Gather images, walks, a map, charts and diagnostics of archives on one page."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject import data
from reinject.archive import Archive
from reinject.archive.reading import read_by, seed_of
from reinject.base.errors import ReinjectError
from reinject.base.outcome import command_line
from reinject.data.samples import Storage
from reinject.evaluation.diagnose import diagnose
from reinject.evaluation.findings import figure_rows, worst_first
from reinject.evaluation.standing import chosen_of, next_command, verdict_of
from reinject.report.film import film, starts_of, walker_of
from reinject.report.page import Map, Page, Side, write
from reinject.report.pictures import Judged, draw_classes, draw_curves
from reinject.report.plane_picture import projected
from reinject.report.sprites import Sprites, drawable
from reinject.sampling.presets import PRESETS, Settings, words_of
from reinject.sampling.provenance import find_models
from reinject.sampling.selection import Selection

_CLASSES = 10  # shown classes
_EACH = 8  # images of a class
_ON_MAP = 1200  # points of a set on the map
_STARTS = 300
_SHEET = 1_500_000  # bytes of the map's images
_FITTED = 5000  # rows for the fit of the plane
_USUAL = Selection().as_json()


def write_page(
    path: Path,
    title: str,
    found: Mapping[str, Judged],
    dataset: data.Dataset | None,
    command: str,
    data_dir: str | None = None,
) -> Path:
    """Gather the contents of a report, and write it.

    Arguments:
        path: the HTML file.
        title: title of the page.
        found: name -> results of an archive; the headline is about the first one.
        dataset: real data for comparison, if any.
        command: command that remakes the page.
        data_dir: folder to search for data sets of starts.
    """
    names = next(iter(found.values())).archive.class_names
    sides, starts = {}, {}
    for name, one in found.items():
        sides[name], x0 = _side(one, data_dir)
        if x0 is not None:
            starts[name] = x0
    real = None if dataset is None or not drawable(dataset.shape) else _strips(*_units(dataset), len(names))
    page = Page(
        title,
        sides,
        command,
        names,
        real or (),
        *_charts(found, dataset),
        _map({name: one.archive for name, one in found.items()}, dataset, starts),
    )
    return write(path, page)


def _side(one: Judged, data_dir: str | None) -> tuple[Side, Tensor | None]:
    """Gather one archive and the starts of its walks; None if the starts are not available."""
    archive, shown, x0 = one.archive, None, None
    try:
        models = find_models(archive, one.models)
        x0 = starts_of(archive, *walker_of(archive, models, data_dir), _STARTS)
        if drawable(archive.event_shape):
            shown = film(archive, models, data_dir)
        lines = diagnose(archive.folder, models=one.models).lines
    except ReinjectError as error:  # models or starts that are not on disk
        lines = [f"not followed: {error}"]
    x, y = archive.read(5000, seed=0)
    worst = worst_first(verdict_of(archive), one.findings)
    side = Side(
        about=_about(archive),
        command=command_of(archive),
        provenance=archive.manifest["parameters"],
        walks=lines,
        judged=one.utility,
        judgements=one.judgements,
        samples=_strips(_unit(x, archive.storage), y.numpy(), len(archive.class_names))
        if drawable(archive.event_shape)
        else (),
        film=shown,
        nearest=None if one.nearest is None else Sprites.of(np.concatenate(one.nearest), len(one.nearest[0])),
        notes=one.notes,
        worst=worst,
        figures=figure_rows(archive.manifest.get("figures") or {}, archive.class_names),
        chosen=chosen_of(archive),
        next=next_command(archive, worst, one.models),
    )
    return side, x0


def _about(archive: Archive) -> str:
    parameters = archive.manifest["parameters"]
    classes = f" in {len(archive.class_names)} classes" if archive.class_names else ""
    walked = f", by walks with the {parameters['settings']['kernel']} kernel" if "settings" in parameters else ""
    shape = " x ".join(map(str, archive.event_shape))
    return f"{archive.rows:,} samples of shape {shape}{classes}, {parameters['preset']} preset{walked}."


def command_of(archive: Archive) -> str:
    """Write the commands that remake an archive, one for each range of walks; paths are relative to its folder."""
    manifest = archive.manifest
    parameters, models = manifest["parameters"], manifest["models"]
    if "settings" not in parameters or not models.get("autoencoders"):
        return "# made from Python: the networks or the settings are not on disk"
    if "borders" in parameters["selection"]:
        return "# made with --borders, a former option; verify --repair remakes damaged shards"
    folders = [str(Path(entry["folder"]).parent) for entry in models["autoencoders"]]
    judges = [entry["folder"] for entry in models.get("classifiers", [])]
    selection = {name: value for name, value in parameters["selection"].items() if value != _USUAL.get(name)}
    options = {
        "preset": parameters["preset"] if parameters["preset"] in PRESETS else None,
        **selection,
        "class_weights": ",".join(map(str, selection.get("class_weights", ()))) or None,
        "labels": selection.get("labels") if judges else "none",
        "classifier": None if judges == [f"{folders[0]}/classifier"] else judges,
        "store": archive.storage.kind,
        "images": manifest["images"],
        "compression": manifest["compression"],
        "seed": parameters["seed"],
        "block_size": parameters["block_size"],
        "split_seed": seed_of(read_by(parameters).values()) or None,
        **{name: value for name, value in parameters["execution"].items() if name != "compiled"},
    }
    words = [*folders, *words_of(Settings.from_json(parameters["settings"]), archive.class_names)]
    ranges = [one["walks"] for one in parameters["ranges"]]
    lines = [
        command_line("sample", *words, out="AGAIN", walks=last - first, **options) + (" --append" if k else "")
        for k, (first, last) in enumerate(ranges)
    ]
    return "\n".join(f"{line} --compile" if parameters["execution"]["compiled"] else line for line in lines)


def _units(dataset: data.Dataset) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Choose some training rows, in [0, 1], and their classes."""
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:_FITTED]
    some = dataset.train.take(order)
    return _unit(some.x, dataset.levels()), some.y.numpy()


def _unit(x: Tensor, storage: Storage) -> NDArray[np.float32]:
    """Convert stored images to [0, 1]; keep features unchanged."""
    return _in_unit(storage.load(x), storage)


def _in_unit(values: Tensor, storage: Storage) -> NDArray[np.float32]:
    unit = (values - storage.low) / (storage.high - storage.low) if values.ndim == 4 else values
    found: NDArray[np.float32] = unit.numpy()
    return found


def _strips(x: NDArray[np.float32], y: NDArray[np.int64], classes: int) -> list[Sprites | None]:
    """Make a strip of images for each class, drawn at random; one strip without classes."""
    order = np.random.default_rng(0).permutation(len(x))  # neighbours share a walk
    members = [order[y[order] == k][:_EACH] for k in range(min(classes, _CLASSES))] or [order[: 2 * _EACH]]
    return [Sprites.of(x[rows], len(rows)) if len(rows) else None for rows in members]


def _charts(found: Mapping[str, Judged], dataset: data.Dataset | None) -> tuple[str, str]:
    """Draw learning curves and class shares as SVG; "" for missing ones."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = (
            path and path.read_text()
            for path in (
                draw_curves(Path(folder) / "curves.svg", found),
                draw_classes(Path(folder) / "classes.svg", found, dataset),
            )
        )
        curves, classes = (text or "" for text in drawn)
    return curves, classes


def _map(archives: Mapping[str, Archive], dataset: data.Dataset | None, starts: Mapping[str, Tensor]) -> Map | None:
    """Project real, synthetic and start points on the plane of the first group."""
    rows: dict[str, NDArray[np.float32]] = {}
    texts: dict[str, list[str]] = {}
    classes: dict[str, list[int]] = {}
    names = next(iter(archives.values())).class_names
    fitted = None
    if dataset is not None:
        x, y = _units(dataset)
        fitted = x
        rows["real"], classes["real"] = x[:_ON_MAP], y[:_ON_MAP].tolist()
        texts["real"] = [_class(names, k) for k in classes["real"]]
    for name, archive in archives.items():
        x, y, said = _on_map(archive)
        rows[name], classes[name], texts[name] = x, y.tolist(), said
        fitted = x if fitted is None else fitted
    for name, x0 in starts.items():
        label = "starts" if len(starts) == 1 else f"starts of {name}"
        rows[label], classes[label] = _in_unit(x0, archives[name].storage), [-1] * len(x0)
        texts[label] = [f"start of walk {k}" for k in range(len(x0))]
    if fitted is None or len(fitted) < 2 or fitted[0].size < 2:
        return None
    points = dict(zip(rows, projected(fitted, *rows.values())[1:], strict=True))
    shape = next(iter(archives.values())).event_shape
    sheet = Sprites.of(np.concatenate(list(rows.values())), most=_SHEET) if drawable(shape) else None
    return Map(points, texts, classes, names, sheet)


def _on_map(archive: Archive) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """Choose some samples in [0, 1], with labels and descriptions."""
    x, y = archive.read(_ON_MAP, seed=1)
    walk, step = (archive.numbers(name, _ON_MAP, 1) for name in ("walk", "step"))
    said = [
        f"{_class(archive.class_names, k)}, walk {n}, step {i}"
        for k, n, i in zip(y.tolist(), walk.tolist(), step.tolist(), strict=True)
    ]
    return _unit(x, archive.storage), y.numpy(), said


def _class(names: Sequence[str], k: int) -> str:
    return names[k] if 0 <= k < len(names) else "no label"
