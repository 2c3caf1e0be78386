"""``reinject verify``: whether an archive is what its manifest says."""

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
    """Look at every byte and every row of an archive; a failure where something is wrong.

    Arguments:
        folder: the archive.
        repair: make shards that are missing or damaged again first, from the models.
        models: folders of the models that made it; default: where the manifest says they were.
        data_dir: where to look for data sets that walks began at.
        progress: who is told.

    Returns:
        ``faults``, a list of sentences, and ``rows``, the number of rows that the manifest counts.

    Raises:
        ArchiveError: no archive, or a manifest that cannot be read; with ``repair``: see
            :func:`reinject.sampling.remake.remake`, or shards that come out otherwise than they were.
    """
    if repair:
        archive = Archive(folder, read_manifest(folder))
        again(folder, archive.plan(), remake(archive, models, data_dir, progress))
    rows = read_manifest(folder)["counts"]["rows"]
    with (progress or Silent()).task("verifying", rows, "rows") as advance:
        faults = faults_of(folder, advance)
    result = {"archive": str(folder), "rows": rows, "faults": faults}
    if not faults:
        return Outcome(result, [f"{rows:,} rows in {folder}, every byte and every row as the manifest says"])
    cure = "Make damaged shards again with --repair" if not repair else "Sample again"
    return Outcome(result, faults, f"{folder}: faults: {len(faults)}. {cure}.")
