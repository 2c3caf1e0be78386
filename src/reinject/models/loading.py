"""Load the models of a command (autoencoders, classifiers, a student) and data that fits their inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from reinject.base.devices import device_of
from reinject.base.errors import DataError, ModelError
from reinject.data import Dataset
from reinject.data.samples import Storage, usual_kind
from reinject.data.splits import Split, apart, check_unseen
from reinject.data.table_encoder import ENCODER
from reinject.foreign import Foreign
from reinject.models.bundle import Bundle, as_reconstruction, load
from reinject.models.moments import Moments, load_moments
from reinject.models.table_model import TableModel, table_model
from reinject.models.votes import Classifier, Voting
from reinject.networks import Inputs, TableDenoiser
from reinject.walks.execution import Execution
from reinject.walks.reconstruction import Ensemble


def levels_of(inputs: Inputs) -> Storage:
    """Return the storage of data with the meaning of a model's inputs: levels of pixels, or vectors in data units."""
    if usual_kind(inputs.shape) == "float":
        return Storage("float")
    return Storage("uint8", inputs.low, inputs.high)


def range_of(inputs: Inputs) -> Storage:
    """Return the storage of samples and the unit of noise: the value range of images, or four std of vectors."""
    if levels_of(inputs).kind == "float":
        return Storage("float", inputs.mean - 2 * inputs.std, inputs.mean + 2 * inputs.std)
    return levels_of(inputs)


def check_space(dataset: Dataset, inputs: Inputs, owner: str) -> None:
    """Raise DataError where a data set lives in another space than a model."""
    if dataset.space != inputs.space:
        there, here = (f"{one.shape} in {one.space or 'pixels'}" for one in (dataset, inputs))
        raise DataError(dataset.name, f"has {there}, {owner} takes {here}", "Give data of the models' own space")


def values_for(dataset: Dataset, inputs: Inputs, owner: str, part: str = "train", most: int | None = None) -> Tensor:
    """Return the first ``most`` inputs of a part of a data set, in a model's data units.

    Raises:
        DataError: the data has another shape, or another space.
    """
    check_space(dataset, inputs, owner)
    if dataset.shape != inputs.shape:
        raise DataError(dataset.name, f"has {dataset.shape}, {owner} takes {inputs.shape}", "Give data of its shape")
    x: Tensor = getattr(dataset, part).x
    return levels_of(inputs).load(x[:most])


def some_of(dataset: Dataset, most: int = 512) -> Dataset:
    """Return the data set with at most ``most`` test rows.

    The rows are drawn over all test rows, because files may be sorted by class.
    """
    order = torch.randperm(len(dataset.test), generator=torch.Generator().manual_seed(0))[:most]
    return replace(dataset, test=dataset.test.take(order))


@dataclass(frozen=True)
class Models:
    """The models of a command: autoencoders of one kind of input, and optionally classifiers and a student."""

    autoencoders: tuple[Bundle, ...]
    classifiers: tuple[Bundle, ...]
    student: Bundle | None = None

    def ensemble(self, execution: Execution | None = None) -> Ensemble:
        """Return the autoencoders as one r; noise-conditioned ones have the level of lambda = 0.1 by default."""
        return Ensemble(tuple(as_reconstruction(bundle, 0.1, execution) for bundle in self.autoencoders))

    @property
    def device(self) -> torch.device:
        """Return the device of the autoencoders."""
        return self.ensemble().device

    @cached_property
    def table(self) -> TableModel | None:
        """Return the encoder of the autoencoders of a table; None for autoencoders of images or vectors.

        Raises:
            ModelError: several autoencoders with different encoders.
        """
        found = [table_model(bundle.folder) for bundle in self.autoencoders]
        if len({one and one.sha256 for one in found}) > 1:
            folders = ", ".join(str(bundle.folder) for bundle in self.autoencoders)
            raise ModelError(folders, "have different encoders of tables", "Give models that one table trained")
        networks = [one.network for one in self.autoencoders if isinstance(one.network, TableDenoiser)]
        return None if found[0] is None else replace(found[0], networks=tuple(networks))

    def moments(self) -> Moments | None:
        """Return the moments of the codes of a single autoencoder; None without moments, or for several of them."""
        return load_moments(self.autoencoders[0].folder) if len(self.autoencoders) == 1 else None

    @property
    def splits(self) -> tuple[Split, ...]:
        """Return the training splits of the models that state one."""
        bundles = (*self.autoencoders, *self.classifiers, *([self.student] if self.student else []))
        return tuple(bundle.split for bundle in bundles if bundle.split is not None)

    def check_unseen(self, dataset: Dataset) -> None:
        """Raise DataError where a model was trained on held-out rows of a data set."""
        for one in self.splits:
            check_unseen("the model", one, dataset.split)

    @property
    def inputs(self) -> Inputs:
        """Return the meaning of the inputs: mean and std of the autoencoder, classes of whatever gives the labels."""
        names: tuple[str, ...] = ()
        if self.classifiers or _label_themselves(self.autoencoders):
            names = (*self.classifiers, *self.autoencoders)[0].network.inputs.class_names
        return replace(self.autoencoders[0].network.inputs, class_names=names)

    @property
    def C(self) -> Classifier | None:  # noqa: N802
        """Return the classifier, or the vote of all classifiers; None without any."""
        networks = [bundle.network for bundle in self.classifiers]
        return Voting(networks) if len(networks) > 1 else networks[0] if networks else None

    def labelling(self) -> Classifier:
        """Return the classifier; raise ModelError without one."""
        C = self.C
        if C is None:
            raise ModelError(str(self.autoencoders[0].folder), "has no classifier beside it", "Give --classifier")
        return C


def load_models(
    folders: Sequence[Path],
    device: str = "cpu",
    *,
    classifiers: Sequence[Path] = (),
    labelled: bool = True,
) -> Models:
    """Load FOLDER/autoencoder of every folder, and the classifier of the first folder or the given ones.

    Arguments:
        folders: folders made by ``reinject train`` or ``reinject import``.
        device: where to run.
        classifiers: folders of classifiers, in place of the first folder's; several vote.
        labelled: whether to load a classifier at all; models of a table have none, because a row holds its target,
            and a class-conditional autoencoder needs none.

    Raises:
        ModelError: a folder has no such models, or the models have different inputs or classes.
    """
    place = device_of(device)
    for folder in folders:
        if not folder.is_dir():
            raise ModelError(str(folder), "no such folder of models", "Make one with reinject train")
    autoencoders = tuple(load(folder / "autoencoder", place) for folder in folders)
    wanted = [classifier_in(folder) for folder in classifiers] or [folders[0] / "classifier"]
    if (folders[0] / "autoencoder" / ENCODER).is_file():
        if classifiers:
            problem = "the rows of a table have their target"
            raise ModelError("--classifier", problem, "Leave it out, or train without the target by --drop")
        labelled = False
    labelled = labelled and not (_label_themselves(autoencoders) and not classifiers and not wanted[0].is_dir())
    judges = tuple(load(folder, place) for folder in wanted) if labelled else ()
    _check_alike((*judges, *autoencoders))
    _check_classes("--classifier", judges)
    return Models(autoencoders, judges)


def _label_themselves(autoencoders: Sequence[Bundle]) -> bool:
    """Return whether walks of these autoencoders ask for classes, which are then their labels."""
    return any(isinstance(one.network, Foreign) and one.network.takes_classes for one in autoencoders)


def with_student(models: Models, folder: Path) -> Models:
    """Return the models with a folder's classifier as the student; raise ModelError if its inputs or classes differ.

    The student stays on the CPU, where :class:`reinject.sampling.filters.Unlearned` calls it.
    """
    student = load(classifier_in(folder))
    _check_alike((*models.classifiers, *models.autoencoders, student))
    _check_classes(str(folder), (*models.classifiers, student))
    return replace(models, student=student)


def _check_classes(owner: str, classifiers: Sequence[Bundle]) -> None:
    names = {bundle.network.inputs.class_names for bundle in classifiers}
    if len(names) > 1:
        raise ModelError(owner, f"classifiers of different classes, {names}", "Give those of one data set")


def classifier_in(folder: Path) -> Path:
    """Return FOLDER/classifier if it exists, else the folder itself."""
    return folder / "classifier" if (folder / "classifier").is_dir() else folder


def _check_alike(bundles: Sequence[Bundle]) -> None:
    first, *rest = bundles
    wanted = first.network.inputs
    for bundle in rest:
        inputs = bundle.network.inputs
        _check_split(bundle, first)
        if inputs.space != wanted.space:
            raise ModelError(
                str(bundle.folder),
                f"lives in the space {inputs.space or 'pixels'}, {first.folder} in {wanted.space or 'pixels'}",
                "Give models that were trained on the same data",
            )
        ranges = {(one.low, one.high) for one in (inputs, wanted) if levels_of(one).kind == "uint8"}
        if inputs.shape != wanted.shape or len(ranges) > 1:
            raise ModelError(
                str(bundle.folder),
                f"takes inputs {inputs.shape} in {inputs.low}..{inputs.high}, {first.folder} {wanted.shape} in "
                f"{wanted.low}..{wanted.high}",
                f"Import one of them with --units {inputs.low:g},{inputs.high:g}"
                if inputs.shape == wanted.shape
                else "Give models that were trained on the same data",
            )


def _check_split(one: Bundle, first: Bundle) -> None:
    """Raise ModelError where two models were trained on all rows of a data set together, so that none is held out."""
    pair = apart(one.split, first.split) if one.split and first.split else None
    if pair is not None:
        here, there = pair
        raise ModelError(
            str(one.folder),
            f"was trained on another split of {here.name} than {first.folder} (seeds {here.seed} and {there.seed})",
            f"Train it with --split-seed {there.seed}, or give models of one split",
        )
