"""Ready-made autoencoders and classifiers.

Every network takes its inputs in data units and returns r(x) or logits. :class:`Inputs` states the meaning of the
inputs, and ``config.json`` stores it. All networks are huggingface_hub models: ``save_pretrained``, ``from_pretrained``
and ``push_to_hub`` work.
"""

from reinject.networks.bottlenecks import ConvAutoencoder, MLPAutoencoder
from reinject.networks.classifiers import ConvClassifier, DeepClassifier, MLPClassifier
from reinject.networks.denoisers import ConvDenoiser, Denoiser, MLPDenoiser
from reinject.networks.network import Inputs, Network
from reinject.networks.residual import ConvResidual, MLPResidual, Residual
from reinject.networks.table_denoiser import TableDenoiser
from reinject.networks.two_experts import StagedDenoiser
from reinject.networks.unet import UNet

AUTOENCODERS: dict[str, type[Network]] = {
    "mlp-denoiser": MLPDenoiser,
    "conv-denoiser": ConvDenoiser,
    "staged-denoiser": StagedDenoiser,
    "unet": UNet,
    "mlp": MLPAutoencoder,
    "conv": ConvAutoencoder,
    "mlp-residual": MLPResidual,
    "conv-residual": ConvResidual,
}
TABLES: dict[str, type[Network]] = {"table-denoiser": TableDenoiser}  # of encoded rows: trained with their encoder
CLASSIFIERS: dict[str, type[Network]] = {"mlp": MLPClassifier, "conv": ConvClassifier, "deep": DeepClassifier}

__all__ = [
    "AUTOENCODERS",
    "CLASSIFIERS",
    "TABLES",
    "ConvAutoencoder",
    "ConvClassifier",
    "ConvDenoiser",
    "ConvResidual",
    "DeepClassifier",
    "Denoiser",
    "Inputs",
    "MLPAutoencoder",
    "MLPClassifier",
    "MLPDenoiser",
    "MLPResidual",
    "Network",
    "Residual",
    "StagedDenoiser",
    "TableDenoiser",
    "UNet",
]
