"""Number the walks of a run: those of a new archive, or further ones for an existing archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reinject import archive
from reinject.base.errors import ArchiveError
from reinject.base.files import place_of
from reinject.base.random_streams import SCHEME
from reinject.base.staging import before_publishing, differences


def reach_of(out: Path | str, walks: int, block_size: int, append: bool) -> int:
    """Return one more than the number of the last walk of a run, which may append to ``out``."""
    return int(ranges_with(place_of(out), walks, block_size)[1][-1]["walks"][1]) if append else walks


def new_range(first: int, last: int) -> dict[str, Any]:
    """Describe the walks first, ..., last - 1 of one run, with versions of packages."""
    return {"walks": [first, last], "packages": archive.packages()}


def ranges_with(out: Path, walks: int, block_size: int) -> tuple[Path, list[dict[str, Any]]]:
    """Find the archive to append to, and the ranges of all walks; new walks begin a new block."""
    base = before_publishing(out)
    known = archive.read_manifest(base)["parameters"]["ranges"]
    if archive.was_cut_short(base) and known == _more(known[:-1], walks, block_size):
        return base, known
    return base, _more(known, walks, block_size)


def _more(known: list[dict[str, Any]], walks: int, block_size: int) -> list[dict[str, Any]]:
    """Add a range that begins a new block."""
    end = known[-1]["walks"][1] if known else 0
    first = -(-end // block_size) * block_size
    return [*known, new_range(first, first + walks)]


def scheme_for(out: Path, base: Path | None, *, resume: archive.Resume, overwrite: bool) -> int:
    """Choose the scheme of a run's noise: that of the run to resume or the archive to append to, else the newest.

    Arguments:
        out: the archive to make.
        base: the archive to append to.
        resume, overwrite: see :func:`reinject.archive.write`.

    Raises:
        ArchiveError: the existing archive is damaged.
    """
    begun = None if resume == "never" else archive.unfinished_plan(out)
    if begun is not None:
        return archive.scheme_of(begun.get("parameters", {}))
    there = base if base is not None or overwrite else out
    if there is not None and (there / archive.MANIFEST).is_file():
        return archive.scheme_of(archive.read_manifest(there)["parameters"])
    return SCHEME


_MUST_AGREE = ("models", "storage", "class_names", "images")
_MAY_DIFFER = ("walks", "ranges", "start")  # the start's hash covers its points, and more walks need more points


def _made_by(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Select the parts of a manifest that two ranges must share."""
    parameters = {name: value for name, value in manifest["parameters"].items() if name not in _MAY_DIFFER}
    return {"parameters": parameters, **{name: manifest[name] for name in _MUST_AGREE}}


def check_same(base: Path, plan: archive.Plan) -> None:
    """Raise ArchiveError if this plan differs from that of the existing walks."""
    there, here = (_made_by(side) for side in (archive.read_manifest(base), plan.as_json()))
    unlike = list(differences(there, here))
    if unlike:
        raise ArchiveError(str(base), f"differs in {', '.join(unlike)}", "Append with the same models and settings")
