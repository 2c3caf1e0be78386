"""Shared fixtures: tiny models on disk, made once a session."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

# Shapes in signatures are checked while tests run; the hook has to come before the first import of these modules.
CHECKED = ["reinject.score", "reinject.diagnostics", "reinject.kernels"]
install_import_hook(CHECKED, "beartype.beartype")

from reinject.jobs.train import TrainPlan, train  # noqa: E402
from reinject.models import Inputs, MLPAutoencoder, MLPClassifier  # noqa: E402
from reinject.training import Recipe  # noqa: E402

settings.register_profile("fixed", derandomize=True, deadline=None)  # the same examples in every run
settings.load_profile("fixed")
torch.set_num_threads(1)  # tests run in parallel processes

TINY = TrainPlan(
    "digits",
    autoencoder_recipe=Recipe(epochs=2, batch=64),
    classifier_recipe=Recipe(epochs=5, batch=64),
)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``reinject train`` made, in seconds."""
    out = tmp_path_factory.mktemp("trained") / "models"
    train(TINY, out, device="cpu")
    return out


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of untrained models on images of 4 x 4 and two classes, in milliseconds."""
    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    inputs = Inputs((1, 4, 4), class_names=("a", "b"))
    MLPAutoencoder(inputs, hidden=(16,), latent=3).save_pretrained(folder / "autoencoder")
    MLPClassifier(inputs, hidden=(16,)).save_pretrained(folder / "classifier")
    return folder
