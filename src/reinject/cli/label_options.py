"""Options that say where labels come from and which samples are kept."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from reinject.cli.options import ADVANCED, advanced


def _kept(text: str, **rest: Any) -> Any:
    return advanced(text, panel=f"{ADVANCED}: labels and filters", **rest)


LabelSource = Annotated[
    Literal["classifier", "asked", "none"],
    _kept("classifier; asked: the class of --classes; or none.", metavar="SOURCE"),
]
Voters = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of a classifier, again and again: they vote.", show_default="MODELS/classifier"),
]
Abstain = Annotated[float, _kept("No label below this probability of the class.")]
Confidence = Annotated[float, _kept("Drop samples below this probability of the class.")]
Unlearned = Annotated[float, _kept("Keep a share of each class; prefer what a small set does not teach.")]
ClassWeights = Annotated[str | None, _kept("W0,W1,...: keep samples of class k with probability W_k over the largest.")]
Quota = Annotated[str | None, _kept("Most samples of a class a block, or even.")]
Distinct = Annotated[
    float | None, _kept("Within a block of 1,024 walks, drop samples closer than this (RMS) to another.")
]
Private = Annotated[str | None, _kept("Points to keep away from: a DATASET's training rows, or a .npy file.")]
Apart = Annotated[float | None, _kept("Drop samples closer to --private than this (RMS).")]
