"""Find the models of an archive by its manifest, and compare their hashes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from reinject.archive import Archive
from reinject.archive.reading import KINDS, read_by
from reinject.base.errors import ArchiveError, ModelError
from reinject.base.files import is_remote
from reinject.data import Dataset
from reinject.data.splits import Split, check_unseen, unknown
from reinject.models.bundle import Bundle, load
from reinject.models.loading import Models, classifier_in
from reinject.models.table_model import table_model


def find_classifiers(archive: Archive, models: Sequence[Path] = (), device: str = "cpu") -> tuple[Bundle, ...]:
    """Find the classifiers that labelled the archive, by the hashes in its manifest.

    Arguments:
        archive: the archive.
        models: folders of models or classifiers to search; default: the manifest's.
        device: device of the loaded models.

    Raises:
        ModelError: a model is missing, or its hash differs.
    """
    noted = archive.manifest["models"].get("classifiers", [])
    if archive.manifest["parameters"].get("class_conditional"):
        return ()
    if not noted and archive.class_names:
        raise ModelError(
            str(archive.folder), "was labelled by a classifier in memory", "Give the classifier to reinject.evaluate"
        )
    places = [classifier_in(folder) for folder in models]
    return tuple(_find("classifier", entry, places or [_noted(archive, entry)], device) for entry in noted)


def find_models(archive: Archive, models: Sequence[Path] = (), device: str = "cpu") -> Models:
    """Find the models that made an archive, by the hashes in its manifest.

    Arguments:
        archive: the archive.
        models: folders to search; default: the manifest's.
        device: device of the loaded models.

    Raises:
        ModelError: a model is missing, or its hash differs.
    """
    noted = archive.manifest["models"].get("autoencoders", [])
    classifiers = find_classifiers(archive, models, device)
    places = [folder / "autoencoder" for folder in models]
    found = (_find("autoencoder", entry, places or [_noted(archive, entry)], device) for entry in noted)
    learners = (
        _find("student", entry, [classifier_in(folder) for folder in models] or [_noted(archive, entry)], "cpu")
        for entry in archive.manifest["models"].get("students", [])
    )
    return Models(tuple(found), classifiers, next(learners, None))


def _noted(archive: Archive, entry: dict[str, str]) -> Path:
    """Return the folder of a model in the manifest."""
    return Path(entry["folder"]) if is_remote(archive.folder) else (archive.folder / entry["folder"]).resolve()


def _find(what: str, entry: dict[str, str], places: Sequence[Path], device: str) -> Bundle:
    """Load the model of a manifest's entry from the first folder with the right hash."""
    there = [folder for folder in places if folder.is_dir()]
    for folder in there:
        bundle = load(folder, device)
        table = table_model(folder)
        if bundle.sha256 == entry["sha256"] and (table.sha256 if table else None) == entry.get("encoder"):
            return bundle
    if there:
        raise ModelError(
            str(there[0]), f"is not the archive's {what} (another hash)", "Give the right folder with --models"
        )
    raise ModelError(str(places[0]), f"the archive's {what} is not there", "Give its folder with --models")


def shares(archive: Archive) -> list[float]:
    """Return the share of each class among the archive's labelled samples, in the order of class names."""
    counts = archive.manifest["counts"]
    return [count / sum(counts["per_class"]) for count in counts["per_class"]]


def check_split(archive: Archive, dataset: Dataset, models: Models | None = None) -> list[str]:
    """Refuse to judge an archive on training rows of its models; return remarks if these rows are unknown.

    Arguments:
        archive: the archive.
        dataset: the real data with the test part for judging.
        models: models of the archive, if available; older archives do not record training rows.

    Raises:
        DataError: the archive was made from another split of the data set.
    """
    remarks, here = [], dataset.split
    for kind, known in _seen(archive, models):
        owner = f"the {kind} of {archive.folder}"
        remarks.append(unknown(owner) if known is None else check_unseen(owner, known, here))
    parameters = archive.manifest["parameters"]
    for name, read in read_by(parameters).items():
        check_unseen(str(archive.folder), read, here)
        if name == parameters["settings"].get("known") and read.rows == here.rows:
            remarks.append(f"{archive.folder} completes held-out rows (--known {name}): its scores are too high")
    return list(dict.fromkeys(filter(None, remarks)))


def _seen(archive: Archive, models: Models | None) -> Iterator[tuple[str, Split | None]]:
    """Yield each model's training split; None if unknown, as for models of other libraries."""
    noted = archive.manifest["models"]
    students = () if models is None or models.student is None else (models.student,)
    found = ((), (), ()) if models is None else (models.autoencoders, models.classifiers, students)
    if not any(noted.get(kind) for kind in KINDS):
        yield "autoencoder", None
    for kind, bundles in zip(KINDS, found, strict=True):
        for k, entry in enumerate(noted.get(kind, ())):
            at_hand = bundles[k].split if k < len(bundles) else None
            known = Split.of(entry["split"], str(archive.folder), ArchiveError) if "split" in entry else at_hand
            if known is not None:
                yield kind.removesuffix("s"), known
            if known is None or entry.get("architecture") == "Foreign":
                yield kind.removesuffix("s"), None
