"""Write an archive: a stream of blocks comes in, a folder that is complete or absent comes out.

A shard is a block of walks. Shards are written under a temporary name and renamed, into ``OUT.partial``. After the last
shard come the manifest and the card, and the folder is renamed to ``OUT``. So a folder with a manifest is complete. The
same call resumes an interrupted run.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reinject.archive.card import data_card
from reinject.archive.existing import Existing
from reinject.archive.mending import repair
from reinject.archive.read import Archive
from reinject.archive.remote import Finish, is_begun, write_remote
from reinject.archive.schema import MANIFEST, SCHEMA_VERSION, Plan, schema_of
from reinject.archive.shards import Listener, MakeBlock, Run, finished, forget_entries, made, take_shards
from reinject.base.errors import ArchiveError
from reinject.base.files import is_remote, write_json
from reinject.base.staging import begin, check_free, discard, partial_of, publish

Remarks = Callable[[Archive], dict[str, Any]]


def write(
    out: Path,
    plan: Plan,
    make_block: MakeBlock,
    *,
    existing: Existing | None = None,
    listener: Listener | None = None,
    run: Run | None = None,
    remarks: Remarks | None = None,
) -> Path:
    """Write the archive of a plan, or resume an interrupted run of the same plan.

    Arguments:
        out: the folder to make, or a place of :func:`reinject.base.files.place_of`; must not hold anything yet.
        plan: what determines the rows.
        make_block: number of a block -> its rows; called for the missing blocks only.
        existing: what to do with an existing archive or an unfinished run; default: resume ``OUT.partial`` if there is
            one, and refuse an archive.
        listener: callbacks while shards are made; default: none.
        run: makes the missing shards, in any order, in place of ``make_block``: in other processes.
        remarks: further values for the manifest, from the finished archive; JSON values by name.

    Raises:
        ArchiveError: ``out`` holds something; ``OUT.partial`` belongs to another plan; there is no run to resume, and
            ``existing`` requires one; no walk produced a sample.
        OSError: the disk is full or read-only; finished shards stay in ``OUT.partial``.
    """
    existing, listener = existing or Existing(), listener or Listener()
    base = existing.base
    if existing.resume == "always" and not is_begun(out):
        return repair(out, plan, make_block, listener=listener, run=run)
    finish = functools.partial(_finish, remarks=remarks)
    if is_remote(out):
        return write_remote(out, plan, make_block, finish, existing=existing, listener=listener, run=run)
    partial = partial_of(out)
    if existing.resume == "never":
        discard(partial)
    check_free(out, MANIFEST, existing.overwrite or base is not None)
    begin(partial, plan.as_json())
    if not (partial / MANIFEST).is_file():  # else a run was killed during its clean-up
        (partial / "data").mkdir(exist_ok=True)
        if base is not None:
            take_shards(base, partial)
        _make(out, plan, make_block, finish, listener, run)
    forget_entries(partial)
    publish(partial, out)
    return out


def _make(
    out: Path,
    plan: Plan,
    make_block: MakeBlock,
    finish: Finish,
    listener: Listener,
    run: Run | None,
) -> None:
    """Write all missing shards, the card, and the manifest, which marks the archive as complete."""
    partial = partial_of(out)
    known = {number: finished(partial, number) for number in range(plan.blocks)}
    listener.on_rows(sum(entry["rows"] for entry in known.values() if entry is not None))
    missing = [number for number, entry in known.items() if entry is None]
    for entry in made(partial, plan, missing, make_block, listener.on_rows, run):
        known[entry["block"]] = entry
        listener.on_shard(entry)
    finish(out, plan, [entry for _, entry in sorted(known.items()) if entry is not None], partial)


def _finish(
    out: Path,
    plan: Plan,
    entries: list[dict[str, Any]],
    partial: Path,
    *,
    remarks: Remarks | None,
) -> None:
    """Write card and manifest of an archive whose shards all exist."""
    manifest = _manifest(plan, entries)
    if manifest["counts"]["rows"] == 0:
        raise ArchiveError(
            str(out),
            f"no sample to write: of all walks {manifest['counts']['stopped_walks']} became non-finite and "
            f"{manifest['counts']['strayed_walks']} left the range; filters dropped {manifest['counts']['dropped']}",
            f"Lower lam or the noise, or filter less, remove {partial}, and run again",
        )
    if remarks is not None:
        manifest |= remarks(Archive(out if is_remote(out) else partial, manifest))
    (partial / "README.md").write_text(data_card(manifest), encoding="utf-8")
    write_json(partial / MANIFEST, manifest)


def _manifest(plan: Plan, entries: list[dict[str, Any]]) -> dict[str, Any]:
    def total(name: str) -> int:
        return sum(int(entry[name]) for entry in entries)

    rows = total("rows")
    names = list(dict.fromkeys(name for entry in entries for name in entry["dropped"]))  # in the filters' order
    dropped = {name: sum(entry["dropped"].get(name, 0) for entry in entries) for name in names}
    confidence = sum(entry["confidence_sum"] for entry in entries)
    per_class = np.sum([entry["per_class"] for entry in entries], axis=0)
    return {
        "schema_version": SCHEMA_VERSION,
        **plan.as_json(),
        "columns": list(schema_of(plan).names),
        "counts": {
            "rows": rows,
            "values": total("values"),
            "clipped_values": total("clipped_values"),
            "stopped_walks": total("stopped_walks"),
            "strayed_walks": total("strayed_walks"),
            "unlabelled": total("unlabelled"),
            "dropped": dropped,
            "per_class": per_class.tolist(),
        },
        "mean_confidence": confidence / rows if rows and plan.class_names else None,
        "kernel_notes": {name: _mean(entries, name) for name in ("accepted", "asymmetry")},
        "shards": entries,
    }


def _mean(entries: list[dict[str, Any]], name: str) -> float | None:
    """Return the mean of a kernel's notes over the shards; None without notes of that name."""
    values = [entry[name] for entry in entries if entry[name] is not None]
    return sum(values) / len(values) if values else None
