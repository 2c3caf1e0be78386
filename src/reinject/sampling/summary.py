"""Summarise an archive from its manifest, for ``reinject sample``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reinject.archive import Archive
from reinject.archive.reading import made_from, seed_of
from reinject.base.outcome import Outcome, command_line
from reinject.walks.verdict import Verdict

BROKEN = 3  # exit status of a run whose walks are broken


def summary(out: Path, seconds: float = 0.0) -> Outcome:
    """Summarise a finished archive: counts, speed and verdict. Fail if the verdict is "broken".

    Arguments:
        out: the archive.
        seconds: duration of the run, s; 0: the archive existed before.
    """
    manifest = Archive.open(out).manifest
    names, preset = manifest["class_names"], manifest["parameters"]["preset"]
    counts = manifest["counts"]
    effective = sum(entry.get("effective_labels") or 0 for entry in manifest["shards"])
    result = {
        "archive": str(out),
        "preset": preset,
        "rows": counts["rows"],
        "per_class": dict(zip(names, counts["per_class"], strict=True)),
        "unlabelled": counts["unlabelled"],
        "effective_labels": round(effective),
        "dropped": counts["dropped"],
        "clipped_values": counts["clipped_values"],
        "stopped_walks": counts["stopped_walks"],
        "strayed_walks": counts["strayed_walks"],
        "seconds": round(seconds, 2),
        "samples_per_second": round(counts["rows"] / seconds) if seconds else None,
        "verdict": manifest.get("verdict"),
        "chosen": manifest.get("chosen"),
    }

    if manifest.get("table") is not None:
        return _of_table(out, result, manifest, seconds)

    def rate_of(number: float) -> str:
        return f", {number / seconds:,.0f} a second" if seconds else ""

    clipped = f"clipped values: {counts['clipped_values'] / max(1, counts['values']):.2%}"
    far = (manifest.get("figures") or {}).get("clipped")
    clipped += "" if far is None else f", {far:.2%} from far outside the range"
    lines = [
        f"{result['rows']:,} {'labelled ' if names else ''}samples in {out}" + rate_of(counts["rows"]),
        f"stopped walks: {result['stopped_walks']} non-finite, {result['strayed_walks']} out of range; " + clipped,
    ]
    if sum(counts["per_class"]):
        total = sum(counts["per_class"])
        shares = sorted((count / total, name) for name, count in result["per_class"].items())
        (least, rarest), (most, commonest) = shares[0], shares[-1]
        lines.append(f"classes: {rarest} has the fewest samples ({least:.1%}), {commonest} the most ({most:.1%})")
    if effective:
        lines.append(f"effective sample size of the class shares: {effective:,.0f}" + rate_of(effective))
    if counts["dropped"]:
        of = counts["rows"] + sum(counts["dropped"].values())
        reasons = ", ".join(f"{count:,} {name}" for name, count in counts["dropped"].items())
        lines.append(f"filters dropped, of {of:,} samples: {reasons}")
    if names:
        split_seed = seed_of(made_from(manifest)) or None
        lines.append("Next: " + command_line("evaluate", out, against="DATASET", split_seed=split_seed))
    return _judged(out, result, lines)


def _judged(out: Path, result: dict[str, Any], lines: list[str]) -> Outcome:
    """Add the line of the verdict; fail if it is "broken"."""
    if result["verdict"] is None:
        return Outcome(result, lines)
    verdict = Verdict(**result["verdict"])
    lines = [*lines, verdict.line]
    broken = f"{out}: {verdict.reason}. The archive is written. Look at it before use; --force accepts it"
    return Outcome(result, lines, broken if verdict.level == "broken" else "", status=BROKEN)


_MOST = 5  # classes in a line


def _of_table(out: Path, result: dict[str, Any], manifest: Mapping[str, Any], seconds: float) -> Outcome:
    """Summarise an archive of table rows: its columns, its target, and what the verdict covers."""
    table = manifest["table"]
    rate = f", {result['rows'] / seconds:,.0f} a second" if seconds else ""
    lines = [
        f"{result['rows']:,} rows of {len(table['columns'])} columns in {out}{rate}",
        f"stopped walks: {result['stopped_walks']} non-finite, {result['strayed_walks']} out of range",
    ]
    given = manifest["parameters"]["settings"].get("given")
    lines += [f"in every row: {given}"] if given else []
    figures = manifest.get("figures") or {}
    shares = list(zip(table["classes"], figures.get("shares", ()), figures.get("training_shares", ()), strict=False))
    shown = ", ".join(f"{name} {share:.1%} ({real:.1%} of the training rows)" for name, share, real in shares[:_MOST])
    lines += [f"{table['target']}: {shown}{', ...' if len(shares) > _MOST else ''}"] if shown else []
    splits = made_from(manifest)
    if splits:
        options = {"against": splits[0].name, "split_seed": seed_of(splits) or None}
        lines.append("Next: " + command_line("evaluate", out, **options))
    if result["verdict"] is not None:
        classes = f"classes of {table['target']}, " if shown else ""
        lines.append(f"checked without data: walks that diverge, {classes}columns with one value; nothing else")
    return _judged(out, result, lines)
