"""Untrained models of MNIST's shape, for timings: time does not depend on what the weights are."""

from pathlib import Path

from reinject.models.loading import Models, load_models
from reinject.networks import Inputs, MLPClassifier, MLPDenoiser

INPUTS = Inputs((1, 28, 28), mean=0.13, std=0.26, class_names=tuple("0123456789"))


def models_in(folder: Path) -> Models:
    """Write them to the folder and read them as a user's."""
    MLPDenoiser(INPUTS).save_pretrained(folder / "autoencoder")
    MLPClassifier(INPUTS).save_pretrained(folder / "classifier")
    return load_models([folder])
