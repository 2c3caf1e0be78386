"""Describe a sampling run as values: what to sample, how to store and write it, how to run networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from reinject.archive import Resume, Run
from reinject.base.errors import ArgumentError, check_count
from reinject.base.progress import Progress, Silent
from reinject.data.splits import Split
from reinject.models.table_model import TableModel
from reinject.models.votes import Classifier
from reinject.sampling.auto import Choice
from reinject.sampling.presets import PRESETS, Constraint, Settings
from reinject.sampling.ray_workers import Cluster
from reinject.sampling.recipe import Recipe
from reinject.sampling.selection import Selection
from reinject.walks.execution import Execution
from reinject.walks.specs import BLOCK
from reinject.walks.starts import Start


@dataclass(frozen=True)
class Format:
    """Describe how an archive stores samples.

    Attributes:
        kind: "uint8" (levels of the value range) or "float" (unchanged values). None: as in the run to resume or to
            append to; else uint8 for images and float for vectors.
        value_range: values of levels 0 and 255, data units.
        images: "png" or "array", for images of uint8 levels.
        compression: of the columns: "zstd", "snappy", "gzip", "brotli", "lz4" or "none".
        space: name of the samples' space; "": pixels, or an unnamed space.
    """

    kind: str | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    images: str = "png"
    compression: str = "zstd"
    space: str = ""


@dataclass(frozen=True)
class SampleSpec:
    """Describe what to sample, besides r, C, the number of walks and the seed.

    Attributes:
        preset: name of the settings. "auto": pilot walks choose (:func:`reinject.sampling.auto.choose_settings`);
            "paper": Algorithm 1 as printed.
        kernel: name of the kernel, as on the command line; replaces the preset.
        options: ``passes``, ``steps``, ``burn_in``, ``thin``, ``emit``, and options of the kernel, such as
            ``{"sigma": 0.5}``; replace those of the preset or the kernel. ``passes`` is the number of calls of r for a
            sample (:mod:`reinject.sampling.passes`).
        settings: kernel, start, length and emission; replace the preset, the kernel and the options.
        choice: reason for the settings, if pilot walks chose them.
        start: start of the walks; replaces the settings' start.
        constraint: wrapper of the kernel that restores known values:
            ``functools.partial(Clamped, known=..., mask=...)``.
        selection: source of labels, and filters.
        private: points that samples must avoid, by the selection's distance, (N, *event), data units.
        splits: name -> split of the data sets read for ``start``, ``constraint`` and ``private``.
        class_names: names of the classifier's outputs; default: "0", "1", ...
        rows: number of samples before filters; replaces the number of walks.
        block_size: walks in a block, >= 1; a block is a shard.
        radius: distance of a typical training input from the mean, data units; scales the ancestral kernel.
        format: how the archive stores samples.

    Raises:
        ArgumentError: settings together with a kernel or options.

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
        """Make a spec from a spec, from settings, or from the name of a preset or kernel.

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
    """Describe how to write an archive: how to treat an earlier one, and whether to judge the new one.

    Attributes:
        overwrite: replace an existing archive.
        append: add the walks to an existing archive, as a new range of walks; existing rows stay.
        resume: whether to resume an interrupted run, see :func:`reinject.archive.write.write`.
        judged: whether the archive gets a verdict, which takes 128 further walks.
        asked: the request, JSON values; default: the arguments of the call. An existing archive of the same
            request is kept.
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
        """Whether an existing archive may be the result."""
        return not (self.overwrite or self.append or self.resume == "always")


@dataclass(frozen=True)
class MadeBy:
    """Describe who makes the blocks.

    Attributes:
        described: the manifest's description of the models, JSON values; a resumed run must have the same.
        student: classifier for the selection's ``unlearned`` (:func:`.taught.taught`); x -> logits as C.
        table: encoder of a table, whose rows the archive stores; None: samples are images or vectors.
        run: function that makes the shards in other processes (see :mod:`reinject.sampling.workers`).
        place: device of those processes; None: that of r. Each kind of device draws its own noise.
    """

    described: Mapping[str, Any] = field(default_factory=dict)
    student: Classifier | None = None
    table: TableModel | None = None
    run: Callable[[Recipe], Run] | None = None
    place: str | None = None


@dataclass(frozen=True)
class Parallel:
    """Describe how to run networks. The archive is the same for any number of workers.

    Attributes:
        execution: how to run the autoencoders; a resumed run must have the same.
        workers: processes of one thread each; None: this process, with torch's threads.
        cluster: a Ray cluster; replaces processes.
    """

    execution: Execution = field(default_factory=Execution)
    workers: int | None = None
    cluster: Cluster | None = None
