"""Write the data set card of an archive from its manifest; the hub shows it, and ``datasets`` reads its header."""

import hashlib
import json
from typing import Any

from reinject.archive.table_card import table_card
from reinject.base.files import json_text
from reinject.data.samples import usual_kind

_HEAD = """---
configs:
- config_name: default
  data_files: data/*.parquet
  description: shards {shards}
{tasks}tags:
- synthetic
- reinject
size_categories:
- {size}
---
"""
_CARD = """# A synthetic data set, sampled from an autoencoder

{rows:,} samples {in_classes}, made by [reinject](https://pypi.org/project/reinject/) {version} from {networks}.
{labels}

| column | meaning |
| --- | --- |
{columns}

## How it was made

{stopped} walks became non-finite and {strayed} left the stated range; they were left out. {clipped} of {values} values
were clipped to the stored range. {filters}

| model | folder, as it was | SHA-256 of its weights |
| --- | --- | --- |
{models}

## Diagnostics

{diagnostics}

`reinject diagnose` walks the first block again and adds effective sample sizes, R-hat and what walks remember of their
starts.

## Parameters

```json
{parameters}
```

With these models, `reinject trace` makes any row again from the seed, to the last bit, and `reinject verify` holds
every byte against its hash. Everything else (hashes of shards, versions, counts by shard) is in `manifest.json`.

## What it must not be used for

- As anonymous data: whether rows resemble records of the data that the autoencoder was trained on too closely has not
  been tested here. An autoencoder can memorise. {private}
- As a test set, or as evidence about the population behind the training data: frequencies of classes and of rare cases
  are those of the walk and the filters.
- As ground truth: a label is {truth}.
"""


_LABELS = {
    True: "Labelled by {count} trained classifier(s): the labels are their opinion, not the truth.",
    False: "Nothing labelled them.",
}
_ASKED = "Each has the class that its walk asked of a class-conditional autoencoder; no classifier has checked it."


def data_card(manifest: dict[str, Any]) -> str:
    """Return the card: Markdown with the hub's YAML header."""
    counts = manifest["counts"]
    head = _HEAD.format(
        shards=_known_by(manifest["shards"]), tasks=_tasks(manifest), size=_size_category(counts["rows"])
    )
    if manifest.get("table") is not None:
        return head + table_card(manifest, "\n".join(_diagnostics(manifest)), "\n".join(_models(manifest)))
    storage = manifest["storage"]
    kept = "float32, as the walk visited it"
    if storage["kind"] == "uint8":
        kept = f"levels 0..255 of the range {storage['low']} to {storage['high']}"
    names, models = manifest["class_names"], manifest["models"]
    certain = bool(manifest["parameters"].get("class_conditional"))
    asked = certain or manifest["parameters"].get("selection", {}).get("labels") == "asked"
    meanings = {
        manifest["columns"][0]: f"the sample, {kept}, shape {tuple(manifest['event_shape'])}",
        "label": "the class that was asked for" if asked else "class of the highest probability; -1: none",
        "probabilities": "softmax of the classifier on the sample as kept (soft labels)",
        "walk": "number of the walk that visited it",
        "step": "after how many steps",
        "model": "which autoencoder of `models.autoencoders` in `manifest.json` walked",
    }
    dropped = {name: count for name, count in counts.get("dropped", {}).items() if count}
    private = manifest["parameters"].get("selection", {}).get("apart")
    return head + _CARD.format(
        rows=counts["rows"],
        in_classes=f"in {len(names)} classes" if names else "without labels",
        version=manifest["packages"]["reinject"],
        networks=f"{max(1, len(models.get('autoencoders', [])))} trained autoencoder(s)",
        labels=_ASKED if certain else _LABELS[bool(names)].format(count=max(1, len(models.get("classifiers", [])))),
        columns="\n".join(f"| {name} | {meanings[name]} |" for name in manifest["columns"]),
        stopped=counts["stopped_walks"],
        strayed=counts["strayed_walks"],
        clipped=counts["clipped_values"],
        values=counts["values"],
        diagnostics="\n".join(_diagnostics(manifest)),
        filters=f"Filters dropped: {', '.join(f'{count:,} ({name})' for name, count in dropped.items())}."
        if dropped
        else "No sample was dropped by a filter.",
        models="\n".join(_models(manifest)),
        parameters=json_text(manifest["parameters"], "parameters"),
        private=f"Samples closer than {private:g} (root mean square) to the stated private points were refused."
        if private
        else "",
        truth="what was asked of the walk" if asked else "a classifier's opinion",
    )


def _models(manifest: dict[str, Any]) -> list[str]:
    """Return one row for each network."""
    rows = [
        f"| {what} {number} | {entry['folder']} ({entry['architecture']}) | {entry['sha256']} |"
        for what in ("autoencoders", "classifiers", "students")
        for number, entry in enumerate(manifest["models"].get(what, []))
    ]
    return rows or ["| given from Python | not on disk | |"]


def _known_by(shards: list[dict[str, Any]]) -> str:
    """Return 16 digits of a hash of the shards, which identify the copy that ``datasets`` keeps."""
    return hashlib.sha256(json.dumps(shards, sort_keys=True).encode()).hexdigest()[:16]


def _tasks(manifest: dict[str, Any]) -> str:
    """Return the hub's name of the samples' task, as a field of the header; "" without one."""
    if manifest.get("table") is not None:
        table = manifest["table"]
        kind = "classification" if table["classes"] else "regression"
        return f"task_categories:\n- tabular-{kind}\n" if table["target"] is not None else ""
    kind, labelled = usual_kind(manifest["event_shape"]), bool(manifest["class_names"])
    name = {
        ("uint8", True): "image-classification",
        ("uint8", False): "unconditional-image-generation",
        ("float", True): "tabular-classification",
    }.get((kind, labelled))
    return f"task_categories:\n- {name}\n" if name else ""


def _diagnostics(manifest: dict[str, Any]) -> list[str]:
    """Return the manifest's diagnostics of the walks, one row each."""
    counts, notes = manifest["counts"], manifest["kernel_notes"]
    rows = ["| diagnostic | value |", "| --- | --- |"]
    verdict = manifest.get("verdict")
    if verdict is not None:
        reason = f": {verdict['reason']}" if verdict["reason"] else ""
        rows.append(f"| verdict, from what needs no data | {verdict['level']}{reason} |")
    labelled = sum(counts["per_class"])
    if labelled:
        share = {
            name: count / labelled for name, count in zip(manifest["class_names"], counts["per_class"], strict=True)
        }
        least, most = min(share, key=lambda name: share[name]), max(share, key=lambda name: share[name])
        rows.append(f"| rarest and most frequent class | {least}: {share[least]:.1%}; {most}: {share[most]:.1%} |")
        rows.append(f"| samples without a label | {counts['unlabelled']:,} |")
    if manifest.get("mean_confidence") is not None:
        rows.append(f"| mean probability of the most probable class | {manifest['mean_confidence']:.3f} |")
    for name, what in (
        ("accepted", "proposals accepted"),
        ("asymmetry", "asymmetry of r, norm(J - J^T) / norm(J): 0 where r has an energy"),
    ):
        if notes.get(name) is not None:
            rows.append(f"| {what} | {notes[name]:.3f} |")
    return rows


def _size_category(rows: int) -> str:
    """Return the hub's name for a number of rows.

    Example:
        >>> _size_category(90_000)
        '10K<n<100K'
    """
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    power = next((k for k in range(len(bounds)) if rows < 1000 * 10**k), len(bounds))
    if power == 0:
        return "n<1K"
    return f"{bounds[power - 1]}<n<{bounds[power]}" if power < len(bounds) else "n>1B"
