"""reinject: sample from any autoencoder.

    model + start --> kernel --> walk --> label --> archive --> evaluation --> report

The public names below are loaded when they are first used, so that ``import reinject`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see
    from reinject import continual as continual
    from reinject import densities as densities
    from reinject import score as score
    from reinject import tables as tables
    from reinject.archive.read import Archive as Archive
    from reinject.archive.schema import Plan as Plan
    from reinject.base.errors import ReinjectError as ReinjectError
    from reinject.base.outcome import Outcome as Outcome
    from reinject.base.progress import Progress as Progress
    from reinject.data.samples import LabelledSamples as LabelledSamples
    from reinject.data.samples import Storage as Storage
    from reinject.data.splits import Split as Split
    from reinject.evaluation.evaluate_spec import EvaluateSpec as EvaluateSpec
    from reinject.report.evaluated import evaluate as evaluate
    from reinject.sampling.algorithm1 import Labels as Labels
    from reinject.sampling.algorithm1 import StoreSpec as StoreSpec
    from reinject.sampling.algorithm1 import algorithm1 as algorithm1
    from reinject.sampling.algorithm1 import synthesise as synthesise
    from reinject.sampling.auto import Choice as Choice
    from reinject.sampling.auto import Trial as Trial
    from reinject.sampling.filters import Filter as Filter
    from reinject.sampling.presets import Settings as Settings
    from reinject.sampling.presets import Walker as Walker
    from reinject.sampling.sample import sample as sample
    from reinject.sampling.sample_spec import Format as Format
    from reinject.sampling.sample_spec import SampleSpec as SampleSpec
    from reinject.sampling.sample_spec import Writing as Writing
    from reinject.sampling.selection import Selection as Selection
    from reinject.sampling.stream import Stream as Stream
    from reinject.training import objectives as objectives
    from reinject.training.fabric_spec import FabricSpec as FabricSpec
    from reinject.training.fit import Recipe as Recipe
    from reinject.training.objective_options import Numbers as Numbers
    from reinject.training.plans import AutoencoderSpec as AutoencoderSpec
    from reinject.training.plans import ClassifierSpec as ClassifierSpec
    from reinject.training.plans import TrainPlan as TrainPlan
    from reinject.training.plans import plan_for as plan_for
    from reinject.training.train import train as train
    from reinject.walks import kernels as kernels
    from reinject.walks import schedules as schedules
    from reinject.walks import starts as starts
    from reinject.walks.code_space import latent as latent
    from reinject.walks.conditioning import Conditioning as Conditioning
    from reinject.walks.execution import Execution as Execution
    from reinject.walks.loop import Visited as Visited
    from reinject.walks.loop import walk as walk
    from reinject.walks.reconstruction import Ensemble as Ensemble
    from reinject.walks.reconstruction import Reconstruction as Reconstruction
    from reinject.walks.reconstruction import wrap as wrap
    from reinject.walks.specs import RunSpec as RunSpec
    from reinject.walks.specs import WalkSpec as WalkSpec
    from reinject.walks.verdict import Figures as Figures
    from reinject.walks.verdict import Verdict as Verdict

__version__ = "0.2.0"  # the one place: pyproject.toml reads it here

_PUBLIC = {
    "Archive": "reinject.archive.read",
    "AutoencoderSpec": "reinject.training.plans",
    "Choice": "reinject.sampling.auto",
    "ClassifierSpec": "reinject.training.plans",
    "Conditioning": "reinject.walks.conditioning",
    "Ensemble": "reinject.walks.reconstruction",
    "EvaluateSpec": "reinject.evaluation.evaluate_spec",
    "Execution": "reinject.walks.execution",
    "FabricSpec": "reinject.training.fabric_spec",
    "Figures": "reinject.walks.verdict",
    "Filter": "reinject.sampling.filters",
    "Format": "reinject.sampling.sample_spec",
    "LabelledSamples": "reinject.data.samples",
    "Labels": "reinject.sampling.algorithm1",
    "Numbers": "reinject.training.objective_options",
    "Outcome": "reinject.base.outcome",
    "Plan": "reinject.archive.schema",
    "Progress": "reinject.base.progress",
    "Recipe": "reinject.training.fit",
    "Reconstruction": "reinject.walks.reconstruction",
    "ReinjectError": "reinject.base.errors",
    "RunSpec": "reinject.walks.specs",
    "SampleSpec": "reinject.sampling.sample_spec",
    "Selection": "reinject.sampling.selection",
    "Settings": "reinject.sampling.presets",
    "Split": "reinject.data.splits",
    "Storage": "reinject.data.samples",
    "StoreSpec": "reinject.sampling.algorithm1",
    "Stream": "reinject.sampling.stream",
    "TrainPlan": "reinject.training.plans",
    "Trial": "reinject.sampling.auto",
    "Verdict": "reinject.walks.verdict",
    "Visited": "reinject.walks.loop",
    "WalkSpec": "reinject.walks.specs",
    "Walker": "reinject.sampling.presets",
    "Writing": "reinject.sampling.sample_spec",
    "algorithm1": "reinject.sampling.algorithm1",
    "evaluate": "reinject.report.evaluated",
    "latent": "reinject.walks.code_space",
    "plan_for": "reinject.training.plans",
    "sample": "reinject.sampling.sample",
    "synthesise": "reinject.sampling.algorithm1",
    "train": "reinject.training.train",
    "walk": "reinject.walks.loop",
    "wrap": "reinject.walks.reconstruction",
}
_MODULES = {
    "continual": "reinject.continual",
    "densities": "reinject.densities",
    "kernels": "reinject.walks.kernels",
    "objectives": "reinject.training.objectives",
    "schedules": "reinject.walks.schedules",
    "score": "reinject.score",
    "starts": "reinject.walks.starts",
    "tables": "reinject.tables",
}

__all__ = [
    "Archive",
    "AutoencoderSpec",
    "Choice",
    "ClassifierSpec",
    "Conditioning",
    "Ensemble",
    "EvaluateSpec",
    "Execution",
    "FabricSpec",
    "Figures",
    "Filter",
    "Format",
    "LabelledSamples",
    "Labels",
    "Numbers",
    "Outcome",
    "Plan",
    "Progress",
    "Recipe",
    "Reconstruction",
    "ReinjectError",
    "RunSpec",
    "SampleSpec",
    "Selection",
    "Settings",
    "Split",
    "Storage",
    "StoreSpec",
    "Stream",
    "TrainPlan",
    "Trial",
    "Verdict",
    "Visited",
    "WalkSpec",
    "Walker",
    "Writing",
    "algorithm1",
    "continual",
    "densities",
    "evaluate",
    "kernels",
    "latent",
    "objectives",
    "plan_for",
    "sample",
    "schedules",
    "score",
    "starts",
    "synthesise",
    "tables",
    "train",
    "walk",
    "wrap",
]

if not TYPE_CHECKING:  # or else a checker takes any name for a public one

    def __getattr__(name: str) -> Any:
        if name in _PUBLIC:
            return getattr(import_module(_PUBLIC[name]), name)
        if name in _MODULES:
            return import_module(_MODULES[name])
        raise AttributeError(f"module 'reinject' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING", "import_module"})
