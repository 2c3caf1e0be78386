"""Check an archive against its manifest: ``reinject verify``."""

from collections.abc import Sequence
from pathlib import Path

from reinject.archive import Archive, read_manifest
from reinject.archive import repair as again
from reinject.archive import verify as faults_of
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.sampling.remake import remake


def verify(
    folder: Path,
    *,
    repair: bool = False,
    models: Sequence[Path] = (),
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Check every byte and row of an archive; fail if one is wrong.

    Arguments:
        folder: the archive.
        repair: first remake missing or damaged shards from the models.
        models: folders of the models that made the archive; default: the manifest's.
        data_dir: folder to search for data sets of starts.
        progress: progress reporter.

    Returns:
        ``faults``, a list of sentences, and ``rows``, the manifest's number of rows.

    Raises:
        ArchiveError: no archive, or an unreadable manifest; with ``repair``: see
            :func:`reinject.sampling.remake.remake`, or remade shards that differ.
    """
    if repair:
        archive = Archive(folder, read_manifest(folder))
        again(folder, archive.plan(), remake(archive, models, data_dir, progress))
    rows = read_manifest(folder)["counts"]["rows"]
    with (progress or Silent()).task("verifying", rows, "rows") as advance:
        faults = faults_of(folder, advance)
    result = {"archive": str(folder), "rows": rows, "faults": faults}
    if not faults:
        return Outcome(result, [f"{rows:,} rows in {folder}: every byte and row is as in the manifest"])
    cure = "Remake damaged shards with --repair" if not repair else "Sample again"
    return Outcome(result, faults, f"{folder}: faults: {len(faults)}. {cure}.")
