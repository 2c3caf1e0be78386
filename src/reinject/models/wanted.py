"""What a user states about a model of another library, at its import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reinject.foreign import Role
from reinject.foreign.route import Layout, Out


@dataclass(frozen=True)
class Wanted:
    """What the user states about a model; the rest is found out, or asked for.

    Attributes:
        role: "autoencoder" or "classifier".
        route: name of the library; None: recognised from the source.
        shape: of one input here, (channels, height, width) for images.
        bounds: values of the darkest and the brightest pixel, as the network takes them, before normalisation.
        units: range of the same pixels in archives; default: the network's own.
        class_names: of a classifier's outputs.
        weights: a checkpoint or safetensors, for a Python class.
        data: name of a data set that gives shape, classes and spread.
        trust: whether the model may run code when it is read.
        arguments: of the constructor of a Python class: numbers, text, lists of them.
        mean, std: of the normalisation that the network expects, one value or one a channel.
        moments: whether to keep moments of the codes of ``data`` beside an autoencoder.
        split_seed: of the split of ``data``, if it has no test part.
        out: kind of an autoencoder's output, see :class:`reinject.foreign.Native`.
        layout: of images of several channels, see :class:`reinject.foreign.Native`.
        noise_conditioned: whether the model is called as (x, sigma) and returns E[x_0 given x].
        levels: smallest and largest sigma of such a model, as it takes them.
    """

    role: Role = "autoencoder"
    route: str | None = None
    shape: tuple[int, ...] | None = None
    bounds: tuple[float, float] | None = None
    units: tuple[float, float] | None = None
    class_names: tuple[str, ...] = ()
    weights: Path | None = None
    data: str | None = None
    trust: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    moments: bool = True
    split_seed: int = 0
    out: Out | None = None
    layout: Layout | None = None
    noise_conditioned: bool = False
    levels: tuple[float, float] | None = None
