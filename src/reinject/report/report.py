"""Make one page about an archive, or about several side by side: ``reinject report``."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from reinject import data
from reinject.archive import Archive
from reinject.archive.request import asked_for, contents, made_already, manifest_hash
from reinject.base.errors import ArchiveError, ArgumentError
from reinject.base.files import place_of
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress, Silent
from reinject.evaluation.evaluate import examine
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.judgements import wanted
from reinject.evaluation.learning import check_match, space_of
from reinject.report.pages import write_page
from reinject.report.pictures import Judged, judged_of
from reinject.sampling.provenance import check_split


def report(
    folder: Path | str,
    out: Path,
    *,
    against: str | None = None,
    beside: Sequence[Path | str] = (),
    spec: EvaluateSpec | None = None,
    models: Sequence[Path] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write a page about an archive: samples, walks, a map, judgements.

    Arguments:
        folder: the archive.
        out: HTML file to make.
        against: name of the real data to compare with; default: none, without judgements.
        beside: further archives with the same shape and classes, shown side by side.
        spec: what to judge, as for :func:`reinject.evaluate`; ``judgements=["none"]`` only shows real data. Features,
            student, most, shadows and device must have their defaults: :func:`reinject.evaluate` changes them, and
            makes a page too.
        models: folders of the models that made the samples; default: the manifests'.
        overwrite: replace an earlier page.
        progress: progress reporter.

    Returns:
        The place and the size of the page.

    Raises:
        ReinjectError: no archive, archives or data that do not match, a file at ``out``, or a field of ``spec`` that
            a report does not support.
    """
    spec = _checked(spec or EvaluateSpec())
    hashes = [manifest_hash(place_of(one)) for one in (folder, *beside)]
    how = {name: getattr(spec, name) for name in ("judgements", "seeds", "seed", "split_seed")}
    request = asked_for({"against": against, **how, "hashes": hashes}, data=contents(against, spec.data_dir))
    progress = progress or Silent()
    began = time.monotonic()
    if out.is_dir():
        raise ArgumentError("--out", f"{out} is a folder", "Give a file, such as report.html")
    stamp = f"<!-- asked: {hashlib.sha256(json.dumps(request).encode()).hexdigest()} -->"
    if out.is_file() and not overwrite and out.read_bytes().endswith(stamp.encode()):
        return made_already(out, Outcome({"report": str(out), "bytes": out.stat().st_size, "seconds": 0.0}, []))
    if out.exists() and not overwrite:
        raise ArchiveError(str(out), "already exists", "Give --overwrite, or another --out")
    archives = _named([Archive.open(one) for one in (folder, *beside)])
    _check_alike(list(archives.values()))
    judged = against is not None and bool(wanted(spec.judgements, bool(next(iter(archives.values())).class_names)))
    dataset, found = None, {}
    for name, archive in archives.items():
        if against is not None and judged:
            one = examine(archive.folder, against, spec=spec, models=models, progress=progress)
            dataset, found[name] = one.dataset, judged_of(one)
        else:
            found[name] = Judged(archive, models=models)
    if against is not None and dataset is None:
        dataset = data.load(against, spec.data_dir, spec.split_seed, progress)
        check_match(next(iter(archives.values())), dataset)
        for archive in archives.values():
            check_split(archive, dataset)
    title = " beside ".join(archive.folder.name for archive in archives.values())
    title += f" against {dataset.name}" if dataset is not None else ""
    asked = {"judge": spec.judgements, "models": models, "seeds": spec.seeds, "seed": spec.seed}
    given = (asked if against is not None else {}) | ({"split_seed": spec.split_seed} if spec.split_seed else {})
    command = command_line("report", folder, against=against, beside=beside, out=out, **given)
    write_page(out, title, found, dataset, command, spec.data_dir)
    with out.open("a", encoding="utf-8") as page:
        page.write(stamp)
    seconds = round(time.monotonic() - began, 1)
    size = out.stat().st_size
    lines = [f"{size / 1e6:.1f} MB, {seconds} s. Open {out}"]
    return Outcome({"report": str(out), "bytes": size, "seconds": seconds}, lines)


def _checked(spec: EvaluateSpec) -> EvaluateSpec:
    """Return the spec; raise ArgumentError for fields that a report does not support."""
    for name in ("features", "student", "most", "shadows", "device"):
        if getattr(spec, name) != getattr(EvaluateSpec, name):
            problem = f"{name} = {getattr(spec, name)!r} is not supported"
            raise ArgumentError("report", problem, "Call evaluate(..., out=FOLDER), which makes a page too")
    return spec


def _named(archives: Sequence[Archive]) -> dict[str, Archive]:
    """Name archives by their presets if these differ, else by their folders."""
    presets = [str(archive.manifest["parameters"]["preset"]) for archive in archives]
    folders = [archive.folder.name for archive in archives]
    for names in (presets, folders, [str(archive.folder) for archive in archives]):
        if len(set(names)) == len(archives) and "real" not in names:
            return dict(zip(names, archives, strict=True))
    raise ArgumentError("--beside", f"{folders[-1]} is given twice", "Give another archive")


def _check_alike(archives: Sequence[Archive]) -> None:
    first, *others = (
        {"event shape": one.event_shape, "class names": one.class_names, "space": space_of(one) or "pixels"}
        for one in archives
    )
    for archive, other in zip(archives[1:], others, strict=True):
        for what, here in first.items():
            if here != other[what]:
                raise ArchiveError(
                    str(archive.folder),
                    f"has {what} {other[what]}, {archives[0].folder} has {here}",
                    "Compare archives of one kind of sample",
                )
