"""Make one page about an archive, or about several side by side: ``reinject report``."""

from collections.abc import Sequence
from pathlib import Path

from reinject import data
from reinject.archive import Archive
from reinject.archive.request import asked_for, contents, manifest_hash
from reinject.base.errors import ArchiveError, ArgumentError
from reinject.base.files import place_of
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress, Silent
from reinject.evaluation.evaluate import examine
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.judgements import wanted
from reinject.evaluation.learning import check_match, space_of
from reinject.report.evaluated import table_place, table_spec_of
from reinject.report.page_file import make_page
from reinject.report.pages import write_page
from reinject.report.pictures import Judged, judged_of
from reinject.report.table_report import holds_table, report_table
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

    For table rows this is :func:`reinject.report.table_report.report_table`, which can show the nearest training rows
    too.

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
    if any(holds_table(place_of(one)) for one in (folder, *beside)):
        if beside:
            raise ArgumentError("--beside", "is for images and vectors, not for table rows", "Make a page for each")
        real = None if against is None else table_place(against, spec.data_dir)
        return report_table(folder, out, real, table_spec_of(spec, models), overwrite=overwrite, progress=progress)
    hashes = [manifest_hash(place_of(one)) for one in (folder, *beside)]
    how = {name: getattr(spec, name) for name in ("judgements", "seeds", "seed", "split_seed")}
    request = asked_for({"against": against, **how, "hashes": hashes}, data=contents(against, spec.data_dir))

    def write() -> None:
        _write(out, (folder, *beside), against, spec, models, progress or Silent())

    return make_page(out, request, write, overwrite)


def _write(
    out: Path,
    folders: Sequence[Path | str],
    against: str | None,
    spec: EvaluateSpec,
    models: Sequence[Path],
    progress: Progress,
) -> None:
    """Write the page of images or vectors."""
    archives = _named([Archive.open(one) for one in folders])
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
    command = command_line("report", folders[0], against=against, beside=folders[1:], out=out, **given)
    write_page(out, title, found, dataset, command, spec.data_dir)


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
