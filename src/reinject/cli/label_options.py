"""Options that say where labels come from and which samples are kept."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def _kept(text: str, **rest: Any) -> Any:
    return typer.Option(rich_help_panel="Labels and filters", help=text, **rest)


LabelSource = Annotated[
    Literal["classifier", "asked", "none"],
    _kept("Where labels come from: classifier, the class asked for with --classes, or none."),
]
Voters = Annotated[
    list[Path] | None,
    _kept("Folder of a classifier, again and again: they vote.", show_default="MODELS/classifier"),
]
Abstain = Annotated[float, _kept("No label below this probability of the most probable class.")]
Confidence = Annotated[float, _kept("Drop samples below this probability.")]
Unlearned = Annotated[float, _kept("Keep this share of each class, rather what a first small set does not teach yet.")]
ClassWeights = Annotated[str | None, _kept("W0,W1,...: keep samples of class k with probability W_k over the largest.")]
Quota = Annotated[str | None, _kept("Most samples of a class a block, or even.")]
Distinct = Annotated[
    float | None,
    _kept(
        "Within a block of walks (1,024), drop samples closer to an earlier one than this root mean square difference."
    ),
]
Private = Annotated[str | None, _kept("Points to keep away from: a DATASET's training images, or a .npy file.")]
Apart = Annotated[float | None, _kept("Drop samples closer to them than this root mean square difference.")]
