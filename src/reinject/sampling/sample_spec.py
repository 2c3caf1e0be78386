"""How an archive is sampled, as values: what is asked for, how it is kept, how it is written, who makes it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from reinject.archive import Resume, Run
from reinject.base.errors import ArgumentError, check_count
from reinject.base.progress import Progress, Silent
from reinject.data.splits import Split
from reinject.models.voting import Classifier
from reinject.sampling.auto import Choice
from reinject.sampling.presets import PRESETS, Constraint, Settings
from reinject.sampling.ray_cluster import Cluster
from reinject.sampling.recipe import Recipe
from reinject.sampling.selection import Selection
from reinject.walks.execution import Execution
from reinject.walks.specs import BLOCK
from reinject.walks.starts import Start


@dataclass(frozen=True)
class Format:
    """How an archive keeps samples.

    Attributes:
        kind: "uint8" (levels of the value range) or "float" (as they are); None: that of the run that is resumed or
            added to, else levels for images and floats for vectors.
        value_range: values of levels 0 and 255, data units.
        images: "png" or "array", for images of uint8 levels.
        compression: of the columns: "zstd", "snappy", "gzip", "brotli", "lz4" or "none".
        space: that the samples live in; "": pixels, or nothing that has a name.
    """

    kind: str | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    images: str = "png"
    compression: str = "zstd"
    space: str = ""


@dataclass(frozen=True)
class SampleSpec:
    """What is sampled, besides r, C, the number of walks and the seed.

    Attributes:
        preset: name of the settings, for the manifest; and the settings, where none are given. "auto": chosen by
            pilot walks (:func:`reinject.sampling.auto.choose_settings`); "paper": Algorithm 1 as printed.
        kernel: name of the kernel, as on the command line, in place of a preset.
        options: ``steps``, ``burn_in``, ``thin``, ``emit``, and options of the kernel, such as ``{"sigma": 0.5}``, in
            place of those of the preset or the kernel.
        settings: kernel, start and what is kept, in place of all of these.
        choice: why these settings were chosen, where pilot walks chose them.
        start: where walks begin, in place of the settings' start.
        constraint: wraps the kernel, to put back what is known: ``functools.partial(Clamped, known=..., mask=...)``.
        selection: where labels come from, and which samples are kept.
        private: points that samples must keep away from, by the selection's distance, (N, *event), data units.
        splits: of the data sets that were read for ``start``, ``constraint`` and ``private``, by their names.
        class_names: of the classifier's outputs; default: "0", "1", ...
        rows: number of samples before filters, in place of a number of walks.
        block_size: walks a block, >= 1; a block is a shard.
        radius: distance of a typical training input from their mean, data units; scales the ancestral kernel.
        format: how the archive keeps samples.

    Raises:
        ArgumentError: settings and a kernel or options too.

    Example:
        >>> SampleSpec(kernel="half-denoising", options={"sigma": 0.5, "steps": 20}).kernel
        'half-denoising'
        >>> SampleSpec(settings=PRESETS["paper"], kernel="langevin")
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: sample: settings, and langevin. Give one of the two.
    """

    preset: str = "auto"
    kernel: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings | None = None
    choice: Choice | None = None
    start: Start | None = None
    constraint: Constraint | None = None
    selection: Selection = field(default_factory=Selection)
    private: Tensor | None = None
    splits: Mapping[str, Split] = field(default_factory=dict)
    class_names: Sequence[str] = ()
    rows: int | None = None
    block_size: int = BLOCK
    radius: float = 1.0
    format: Format = field(default_factory=Format)

    def __post_init__(self) -> None:
        if self.settings is not None and (self.kernel or self.options):
            raise ArgumentError(
                "sample", f"settings, and {self.kernel or ', '.join(self.options)}", "Give one of the two"
            )
        check_count("sample", "block_size", self.block_size)

    @classmethod
    def of(cls, asked: "SampleSpec | Settings | str") -> "SampleSpec":
        """From what a caller gives: all of it, settings alone, or the name of a preset or of a kernel.

        Example:
            >>> SampleSpec.of("paper").preset, SampleSpec.of("half-denoising").kernel
            ('paper', 'half-denoising')
        """
        if isinstance(asked, SampleSpec):
            return asked
        if isinstance(asked, Settings):
            return cls(preset=asked.kernel, settings=asked)
        return cls(preset=asked) if asked in ("auto", *PRESETS) else cls(kernel=asked)


@dataclass(frozen=True)
class Writing:
    """How an archive is written: what becomes of an earlier one, and whether it is judged.

    Attributes:
        overwrite: replace an archive that is there.
        append: add the walks to the archive that is there, as a new range of walks; its rows stay as they are.
        resume: whether a run that was cut is resumed, see :func:`reinject.archive.write.write`.
        judged: whether the set gets a verdict, for which 128 more walks are made.
        asked: what is asked for, JSON values; default: the arguments of the call. Where the archive that is there was
            made for the same, nothing is done.
        progress: progress reporter.
    """

    overwrite: bool = False
    append: bool = False
    resume: Resume = "if-possible"
    judged: bool = True
    asked: Mapping[str, Any] | None = None
    progress: Progress = field(default_factory=Silent)

    @property
    def looks(self) -> bool:
        """Whether an archive that is there may be the answer already."""
        return not (self.overwrite or self.append or self.resume == "always")


@dataclass(frozen=True)
class MadeBy:
    """Who makes the blocks.

    Attributes:
        described: what the manifest says of the models, JSON values; a run that is resumed must agree in it.
        student: the classifier that the selection's ``unlearned`` asks (:func:`.taught.taught`); x -> logits as C.
        run: makes the shards in other processes (see :mod:`reinject.sampling.workers`).
        place: the device of those processes; None: that of r. Another kind of device draws other noise.
    """

    described: Mapping[str, Any] = field(default_factory=dict)
    student: Classifier | None = None
    run: Callable[[Recipe], Run] | None = None
    place: str | None = None


@dataclass(frozen=True)
class Parallel:
    """How networks are run. The archive is the same for any number of workers.

    Attributes:
        execution: how the autoencoders are run; part of what a run that is resumed must agree in.
        workers: processes of one thread each; None: this process, with torch's threads.
        cluster: a Ray cluster, in place of processes.
    """

    execution: Execution = field(default_factory=Execution)
    workers: int | None = None
    cluster: Cluster | None = None
