"""Extract the features in which an experiment or a protocol works, once for a folder of results."""

from pathlib import Path

from reinject.base.progress import Progress
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.foreign.efficientnet import is_efficientnet
from reinject.models.extract import extract
from reinject.training.fabric_spec import FabricSpec
from reinject.training.plans import ClassifierSpec, plan_for
from reinject.training.train import train

EXTRACTOR_EPOCHS = 30


def source_of(
    dataset: str, extractor: str, out: Path, spec: ExperimentSpec, data_dir: str | None, progress: Progress
) -> str:
    """Name the training data of the networks; extract features first, if necessary. Resume from existing results.

    Arguments:
        dataset: name of the data set.
        extractor: data set on which to train the extractor of features, or a name of
            :func:`reinject.foreign.efficientnet.load_efficientnet`; "": no features.
        out: folder of the results, for ``extractor`` and ``features``.
        spec: precision and device of the extractor's training.
        data_dir: folder to search for data sets first.
        progress: progress reporter.

    Returns:
        ``dataset``, or the folder of its features.
    """
    if not extractor:
        return dataset
    trained, features = out / "extractor", out / "features"
    ready = is_efficientnet(extractor)
    if not (ready or trained.is_dir()):
        plan = plan_for(
            extractor, classifier=ClassifierSpec("deep", EXTRACTOR_EPOCHS, augment="mirror"), only="classifier"
        )
        fabric = FabricSpec(spec.precision)
        train(plan, trained, device=spec.device, fabric=fabric, data_dir=data_dir, progress=progress)
    if not features.is_dir():
        extract(dataset, extractor if ready else trained, features, data_dir=data_dir, progress=progress)
    return str(features)
