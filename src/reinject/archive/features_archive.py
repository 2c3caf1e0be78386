"""Read an archive of features as a training data set; archives of images are read like any folder of images."""

from pathlib import Path

from reinject import data
from reinject.archive import Archive, read_manifest
from reinject.base.errors import DataError


def walked_features(name: str, data_dir: str | None = None, split_seed: int = 0) -> data.Dataset | None:
    """Read the samples of an archive in a feature space, and split them like a data set without test rows.

    Arguments:
        name: of the data set, or its folder.
        data_dir: where to look for it first.
        split_seed: of the split.

    Returns:
        The data set, in the archive's space; None if the name is not such an archive.

    Raises:
        DataError: samples without labels, or too few of a class.
        ArchiveError: a damaged archive.
    """
    folder = data.found_at(name, data_dir)
    if folder is None or not (folder / "manifest.json").is_file():
        return None
    space = read_manifest(folder)["parameters"].get("space", "")
    if not space:
        return None
    archive = Archive.open(folder)
    x, y = archive.read()
    if int(y.min()) < 0:
        raise DataError(str(folder), "has rows without a label (-1)", "Sample without --abstain and --labels none")
    whole = data.LabelledImages(x.float(), y)
    parts = data.split(name, whole, split_seed)
    return data.Dataset(Path(name).name, *parts, archive.class_names, space, split_seed)
