"""Declare options for the source of labels and for filters of samples."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from reinject.cli.options import ADVANCED, advanced


def _kept(text: str, **rest: Any) -> Any:
    return advanced(text, panel=f"{ADVANCED}: labels and filters", **rest)


LabelSource = Annotated[
    Literal["classifier", "asked", "none"],
    _kept("classifier, asked (the class of --classes), or none.", metavar="SOURCE"),
]
Voters = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of a classifier. Repeatable: several vote.", show_default="MODELS/classifier"),
]
Abstain = Annotated[float, _kept("Leave samples below this probability of the class unlabelled.")]
Confidence = Annotated[float, _kept("Drop samples below this probability of the class.")]
Unlearned = Annotated[float, _kept("Keep a share of each class; prefer what a small set does not teach.")]
ClassWeights = Annotated[str | None, _kept("W0,W1,...: keep class k with probability W_k / max W.")]
Quota = Annotated[str | None, _kept("Most samples of a class in a block, or even.")]
Distinct = Annotated[float | None, _kept("In a block of 1,024 walks, drop samples closer than this (RMS) to another.")]
Private = Annotated[str | None, _kept("Points to avoid: a DATASET's training rows, or a .npy file.")]
Apart = Annotated[float | None, _kept("Drop samples closer to --private than this (RMS).")]
