"""The data set card of an archive, written from its manifest; the hub shows it, and ``datasets`` reads its header."""

import json
from typing import Any

_CARD = """---
configs:
- config_name: default
  data_files: data/*.parquet
task_categories:
- image-classification
tags:
- synthetic
- reinject
size_categories:
- {size}
---
# A synthetic data set, sampled from an autoencoder

{rows:,} samples in {classes} classes, made by [reinject](https://pypi.org/project/reinject/) {version} from a trained
autoencoder and labelled by a trained classifier. Whether rows resemble records of the data that these were trained
on too closely has not been tested. The labels are the classifier's opinion, not the truth.

| column | meaning |
| --- | --- |
| {column} | the sample, {kept} |
| label | class of the highest probability |
| probabilities | softmax of the classifier on the sample as kept |
| walk, step | which walk visited it, and after how many steps |
| model | which autoencoder of `models.autoencoders` in `manifest.json` walked |

{stopped} walks became non-finite and were left out; {clipped} of {values} values were clipped to the stored range.

Parameters:

```json
{parameters}
```

Everything else (hashes of models and shards, versions, class counts) is in `manifest.json`.
"""


def data_card(manifest: dict[str, Any]) -> str:
    """The card, Markdown with the hub's YAML header."""
    counts = manifest["counts"]
    storage = manifest["storage"]
    kept = (
        f"levels 0..255 of the range {storage['low']} to {storage['high']}"
        if storage["kind"] == "uint8"
        else "float32, as the walk visited it"
    )
    return _CARD.format(
        size=_size_category(counts["rows"]),
        rows=counts["rows"],
        classes=len(manifest["class_names"]),
        version=manifest["packages"]["reinject"],
        column=manifest["columns"][0],
        kept=f"{kept}, shape {tuple(manifest['event_shape'])}",
        stopped=counts["stopped_walks"],
        clipped=counts["clipped_values"],
        values=counts["values"],
        parameters=json.dumps(manifest["parameters"], indent=1),
    )


def _size_category(rows: int) -> str:
    """The hub's name for a number of rows.

    Example:
        >>> _size_category(90_000)
        '10K<n<100K'
    """
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    power = next((k for k in range(len(bounds)) if rows < 1000 * 10**k), len(bounds))
    if power == 0:
        return "n<1K"
    return f"{bounds[power - 1]}<n<{bounds[power]}" if power < len(bounds) else "n>1B"
