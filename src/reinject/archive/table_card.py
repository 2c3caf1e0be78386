"""Write the part of a data set card that is about the rows of a table."""

from collections.abc import Mapping
from typing import Any

from reinject.base.files import json_text

_CARD = """# A synthetic table, sampled from an autoencoder

{rows:,} rows of {columns} columns, made by [reinject](https://pypi.org/project/reinject/) {version}. {target}

| column | kind | type | range in the training rows |
| --- | --- | --- | --- |
{meanings}

Every row is one walk from noise. The footer of each Parquet file has the walks of its rows.

## How it was made

{stopped} walks became non-finite and {strayed} left the stated range; they were left out.

| model | folder, as it was | SHA-256 of its weights |
| --- | --- | --- |
{models}

## Diagnostics

{diagnostics}

The verdict needs no data. It knows walks that diverge, missing classes, and columns with one value. It says nothing of
dependence between columns, or of copies. `reinject evaluate` compares the rows with held-out real rows.

## Parameters

```json
{parameters}
```

With these models, `reinject trace` makes any row again from the seed, to the last bit, and `reinject verify` holds
every byte against its hash. Everything else (hashes of shards, versions, counts by shard) is in `manifest.json`.

## What it must not be used for

- As anonymous data: whether rows resemble records of the training data too closely has not been tested here. The
  ranges above are those of the training rows.
- As a test set, or as evidence about the population behind the training data.
"""


def table_card(manifest: Mapping[str, Any], diagnostics: str, models: str) -> str:
    """Return the card of an archive of table rows, without its header.

    Arguments:
        manifest: of the archive.
        diagnostics, models: rows of Markdown tables.
    """
    table, counts = manifest["table"], manifest["counts"]
    target = f"The column to predict is `{table['target']}`." if table["target"] is not None else ""
    return _CARD.format(
        rows=counts["rows"],
        columns=len(table["columns"]),
        version=manifest["packages"]["reinject"],
        target=target,
        meanings="\n".join(map(_meaning, table["columns"])),
        stopped=counts["stopped_walks"],
        strayed=counts["strayed_walks"],
        models=models,
        diagnostics=diagnostics,
        parameters=json_text(manifest["parameters"], "parameters"),
    )


def _meaning(column: Mapping[str, Any]) -> str:
    """Return the row of a column: name, kind, type and range."""
    low, high = (column.get(name) or "" for name in ("low", "high"))
    distinct = column.get("distinct", 0)
    shown = f"{low} to {high}" if low or high else f"{distinct:,} value{'' if distinct == 1 else 's'}"
    missing = column.get("missing") or 0
    name, kind = (str(column[key]).replace("|", "\\|") for key in ("name", "kind"))
    return f"| {name} | {kind} | {column.get('type', '')} | {shown}{', or missing' if missing else ''} |"
