"""The models behind an archive, found by its manifest and held against its hashes."""

from collections.abc import Sequence
from pathlib import Path

from reinject.archive import Archive
from reinject.bundle import Bundle, load
from reinject.errors import ModelError
from reinject.jobs.recipe import Models


def find_classifier(archive: Archive, models: Path | None) -> Bundle:
    """The classifier that labelled the archive; its hash must be the one in the manifest.

    Raises:
        ModelError: not there, or another one.
    """
    noted = archive.manifest["models"].get("classifier")
    if noted is None:
        raise ModelError(
            str(archive.folder), "was labelled by a classifier that is not on disk", "Give it to reinject.evaluate"
        )
    folder = models / "classifier" if models is not None else (archive.folder / noted["folder"]).resolve()
    if not folder.is_dir():
        raise ModelError(
            str(folder),
            "the classifier that labelled the archive is not there; the noise control needs it",
            "Say where its models are with --models",
        )
    bundle = load(folder)
    if bundle.sha256 != noted["sha256"]:
        raise ModelError(
            str(folder), "is not the classifier that labelled the archive (another hash)", "Give the right --models"
        )
    return bundle


def find_models(archive: Archive, models: Sequence[Path]) -> Models:
    """The models that made an archive; their hashes must be those in the manifest.

    Arguments:
        archive: the archive.
        models: folders, one for each autoencoder, in their order; default: where the manifest says they were.

    Raises:
        ModelError: not there, or others.
    """
    noted = archive.manifest["models"].get("autoencoders", [])
    classifier = find_classifier(archive, models[0] if models else None)
    if models and len(models) != len(noted):
        raise ModelError("--models", f"{len(models)} folders for {len(noted)} autoencoders", "Give one for each")
    bundles: list[Bundle] = []
    for number, entry in enumerate(noted):
        folder = models[number] / "autoencoder" if models else (archive.folder / entry["folder"]).resolve()
        bundle = load(folder)
        if bundle.sha256 != entry["sha256"]:
            raise ModelError(
                str(folder), "is not the autoencoder that walked (another hash)", "Give the right --models"
            )
        bundles.append(bundle)
    return Models(tuple(bundles), classifier)


def shares(archive: Archive) -> list[float]:
    """Share of each class in the archive, in the order of its class names."""
    counts = archive.manifest["counts"]
    return [count / counts["rows"] for count in counts["per_class"]]
