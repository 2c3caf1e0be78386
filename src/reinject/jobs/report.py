"""``reinject report``: one page to look at an archive, or at several side by side."""

import time
from collections.abc import Sequence
from pathlib import Path

from reinject import data
from reinject.archive import Archive
from reinject.errors import ArchiveError, ArgumentError
from reinject.jobs import Outcome
from reinject.jobs.evaluate import examine
from reinject.jobs.pages import write_page
from reinject.jobs.pictures import Judged
from reinject.jobs.utility import check_match
from reinject.progress import Progress, Silent


def report(
    folder: Path | str,
    out: Path,
    *,
    against: str | None = None,
    beside: Sequence[Path | str] = (),
    judgements: Sequence[str] = (),
    judged: bool = True,
    models: Sequence[Path] = (),
    seeds: int = 3,
    seed: int = 0,
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write a page that shows an archive: samples, walks, where they lie, and how good they are.

    Arguments:
        folder: the archive.
        out: the HTML file to make.
        against: name of the real data to compare with; default: none, and nothing is judged.
        beside: other archives of the same shape and classes, shown side by side with it.
        judgements: what is judged, as for :func:`reinject.evaluate`; default: all that can be.
        judged: whether anything is; without, real data is only shown.
        models: folders with the models that made the samples; default: as the manifests say.
        seeds: students a size.
        seed: of the first student.
        data_dir: where to look for the data set first.
        overwrite: replace an earlier page.

    Returns:
        Where the page is, and its size.

    Raises:
        ReinjectError: no archive; archives or data that do not match; a file at ``out``.
    """
    progress = progress or Silent()
    began = time.monotonic()
    if out.is_dir():
        raise ArgumentError("--out", f"{out} is a folder", "Give the name of a file, such as report.html")
    if out.exists() and not overwrite:
        raise ArchiveError(str(out), "exists already", "Give --overwrite, or another --out")
    archives = _named([Archive.open(one) for one in (folder, *beside)])
    _check_alike(list(archives.values()))
    dataset, found = None, {}
    if against is not None:
        dataset = data.load(against, data_dir, seed, progress)
        check_match(next(iter(archives.values())), dataset)
    for name, archive in archives.items():
        if against is None or not judged:
            found[name] = Judged(archive, models=models)
            continue
        one = examine(
            archive.folder,
            against,
            judgements=judgements,
            models=models,
            data_dir=data_dir,
            seeds=seeds,
            seed=seed,
            progress=progress,
        )
        found[name] = one.judged(models)
    title = " beside ".join(archive.folder.name for archive in archives.values())
    title += f" against {dataset.name}" if dataset is not None else ""
    options = [f"--against {against}"] if against else []
    options += [f"--beside {other}" for other in beside]
    command = " ".join([f"reinject report {folder}", *options, f"--out {out.name}"])
    write_page(out, title, found, dataset, command, data_dir)
    seconds = round(time.monotonic() - began, 1)
    size = out.stat().st_size
    lines = [f"{size / 1e6:.1f} MB, {seconds} s. Open {out}"]
    return Outcome({"report": str(out), "bytes": size, "seconds": seconds}, lines)


def _named(archives: Sequence[Archive]) -> dict[str, Archive]:
    """By the names of their presets where these differ, or of their folders."""
    presets = [str(archive.manifest["parameters"]["preset"]) for archive in archives]
    folders = [archive.folder.name for archive in archives]
    for names in (presets, folders, [str(archive.folder) for archive in archives]):
        if len(set(names)) == len(archives) and "real" not in names:
            return dict(zip(names, archives, strict=True))
    raise ArgumentError("--beside", f"{folders[-1]} is given twice", "Give another archive")


def _check_alike(archives: Sequence[Archive]) -> None:
    first, *others = archives
    for other in others:
        for what in ("event_shape", "class_names"):
            here, there = getattr(first, what), getattr(other, what)
            if here != there:
                raise ArchiveError(
                    str(other.folder),
                    f"has {what.replace('_', ' ')} {there}, {first.folder} has {here}",
                    "Compare archives of one kind of sample",
                )
