"""Models of every library that comes in, tiny, and what the library itself makes of some inputs."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_model
from sklearn.datasets import load_digits
from torch import nn

os.environ.setdefault("KERAS_BACKEND", "torch")
SHAPE = (1, 8, 8)
DIGITS = (load_digits().data / 16).astype(np.float32)
LABELS = load_digits().target

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up, self.drop = nn.Linear(64, 8), nn.Linear(8, 64), nn.Dropout(0.5)

    def encode(self, x):
        return torch.tanh(self.down(x.flatten(1)))

    def decode(self, h):
        return torch.sigmoid(self.up(self.drop(h))).reshape(-1, 1, 8, 8)

    def forward(self, x):
        return self.decode(self.encode(x))

class Judge(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))

def make():
    torch.manual_seed(0)
    return Net()

up = nn.Sequential(nn.Linear(8, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
pair = (nn.Sequential(nn.Flatten(), nn.Linear(64, 8)), up)
identity = nn.Identity()
rooted = lambda: 3
"""


def namespace() -> dict:
    found: dict = {}
    exec(compile(NETWORK, "network", "exec"), found)  # our own text
    return found


@dataclass(frozen=True)
class Made:
    """A model on disk: where, what the library itself computes from inputs of ours, and what has to be said of it."""

    source: str
    output: Callable[[torch.Tensor], torch.Tensor]
    said: dict


def numpy_of(x: torch.Tensor) -> np.ndarray:
    return x.numpy().reshape(len(x), -1)


def images(y: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(y, np.float32)).reshape(-1, *SHAPE)


def module(folder: Path) -> Made:
    (folder / "network.py").write_text(NETWORK)
    made = namespace()["make"]().eval()
    return Made(f"{folder / 'network.py'}:make", made, {"shape": SHAPE, "bounds": (0, 1), "trust": True})


def pair(folder: Path) -> Made:
    (folder / "network.py").write_text("import torch\ntorch.manual_seed(0)\n" + NETWORK)
    torch.manual_seed(0)
    encoder, decoder = namespace()["pair"]
    said = {"shape": SHAPE, "bounds": (0, 1), "trust": True}
    return Made(f"{folder / 'network.py'}:pair", lambda x: decoder(encoder(x)), said)


def safetensors(folder: Path) -> Made:
    (folder / "network.py").write_text(NETWORK)
    torch.manual_seed(7)
    made = namespace()["Net"]().eval()
    save_model(made, str(folder / "w.safetensors"))
    said = {"shape": SHAPE, "bounds": (0, 1), "trust": True, "weights": folder / "w.safetensors"}
    return Made(f"{folder / 'network.py'}:Net", made, said)


def torch_export(folder: Path) -> Made:
    made = namespace()["make"]().eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(made, (torch.zeros(2, *SHAPE),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "model.pt2")
    return Made(str(folder / "model.pt2"), made, {"bounds": (0, 1), "trust": True})


def onnx_graph(
    weights: list[np.ndarray], path: Path, batch: str | int = "batch", opset: int = 17, last: str = "Sigmoid"
):
    """x (batch, 1, 8, 8) -> last(flat x @ W + b), reshaped where it is as wide as x."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    w, b = weights
    names = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["y0"]),
        helper.make_node(last, ["y0"], ["y1"]),
    ]
    shape: list = [batch, w.shape[1]]
    if w.shape[1] == 64:
        names.append(numpy_helper.from_array(np.array([-1, *SHAPE]), "shape"))
        nodes.append(helper.make_node("Reshape", ["y1", "shape"], ["y"]))
        shape = [batch, *SHAPE]
    else:
        nodes.append(helper.make_node("Identity", ["y1"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        names,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, str(path))
    return model


def random_weights(width: int = 64) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, (64, width)).astype(np.float32), rng.normal(0, 0.1, width).astype(np.float32)]


def onnx(folder: Path) -> Made:
    import onnx as library
    from onnx.reference import ReferenceEvaluator

    onnx_graph(random_weights(), folder / "model.onnx")
    reference = ReferenceEvaluator(library.load(str(folder / "model.onnx")))
    return Made(str(folder / "model.onnx"), lambda x: torch.from_numpy(reference.run(None, {"x": x.numpy()})[0]), {})


def onnx_external(folder: Path) -> Made:
    import onnx as library

    made = onnx(folder)
    whole = library.load(made.source)
    library.external_data_helper.set_external_data(whole.graph.initializer[0], "weights.bin")
    library.save(whole, made.source)
    assert (folder / "weights.bin").is_file()
    return made


def kl(folder: Path) -> Made:
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    made = AutoencoderKL(
        in_channels=1,
        out_channels=1,
        block_out_channels=(8,),
        norm_num_groups=4,
        latent_channels=2,
        sample_size=8,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
    ).eval()
    made.save_pretrained(folder / "kl")
    return Made(str(folder / "kl"), lambda x: made(x).sample, {})


def tiny(folder: Path) -> Made:
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    made = AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).eval()
    made.save_pretrained(folder / "tiny")
    return Made(str(folder / "tiny"), lambda x: made(x).sample, {"shape": (3, 8, 8)})


def pythae_ae(folder: Path) -> Made:
    from pythae.models import AE, AEConfig

    torch.manual_seed(0)
    made = AE(AEConfig(input_dim=SHAPE, latent_dim=4)).eval()
    made.save(str(folder / "ae"))
    return Made(str(folder / "ae"), lambda x: made({"data": x}).recon_x.reshape(x.shape), {"trust": True})


def pythae_vae(folder: Path) -> Made:
    from pythae.models import VAE, VAEConfig

    torch.manual_seed(0)
    made = VAE(VAEConfig(input_dim=SHAPE, latent_dim=4)).eval()
    made.save(str(folder / "vae"))
    return Made(
        str(folder / "vae"),
        lambda x: made.decoder(made.encoder(x).embedding).reconstruction.reshape(x.shape),
        {"trust": True},
    )


def pca(folder: Path) -> Made:
    import skops.io
    from sklearn.decomposition import PCA

    made = PCA(6, random_state=0).fit(DIGITS)
    skops.io.dump(made, folder / "pca.skops")
    return Made(
        str(folder / "pca.skops"),
        lambda x: images(made.inverse_transform(made.transform(numpy_of(x)))),
        {"shape": SHAPE, "bounds": (0, 1)},
    )


def regressor(folder: Path) -> Made:
    import skops.io
    from sklearn.neural_network import MLPRegressor

    made = MLPRegressor(hidden_layer_sizes=(8,), max_iter=3, random_state=0).fit(DIGITS[:200], DIGITS[:200])
    skops.io.dump(made, folder / "mlp.skops")
    return Made(
        str(folder / "mlp.skops"), lambda x: images(made.predict(numpy_of(x))), {"shape": SHAPE, "bounds": (0, 1)}
    )


def keras(folder: Path) -> Made:
    import keras as library

    library.utils.set_random_seed(0)
    layers = library.layers
    made = library.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(2, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(8, activation="tanh"),
            layers.Dense(64, activation="sigmoid"),
            layers.Reshape((8, 8, 1)),
        ]
    )
    made.save(folder / "model.keras")
    return Made(
        str(folder / "model.keras"),
        lambda x: torch.from_numpy(made.predict(x.movedim(1, -1).numpy(), verbose=0)).movedim(-1, 1),
        {"bounds": (0, 1)},
    )


def keras_colour(folder: Path) -> Made:
    import keras as library

    library.utils.set_random_seed(0)
    layers = library.layers
    made = library.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(2, 3, padding="same"),
            layers.Conv2D(3, 3, activation="sigmoid", padding="same"),
        ]
    )
    made.save(folder / "model.keras")
    return Made(
        str(folder / "model.keras"),
        lambda x: torch.from_numpy(made.predict(x.movedim(1, -1).numpy(), verbose=0)).movedim(-1, 1),
        {"bounds": (0, 1)},
    )


def keras_functional(folder: Path) -> Made:
    import keras as library

    library.utils.set_random_seed(0)
    layers = library.layers
    x = layers.Input((64,))
    h = layers.Dense(8, activation="relu")(x)
    made = library.Model(x, layers.Dense(64, activation="sigmoid")(h))
    made.save(folder / "model.keras")
    return Made(
        str(folder / "model.keras"),
        lambda x: images(made.predict(numpy_of(x), verbose=0)),
        {"shape": SHAPE, "bounds": (0, 1)},
    )


AUTOENCODERS = {
    made.__name__: made
    for made in (
        *(module, pair, safetensors, torch_export, onnx, onnx_external, kl, tiny),
        *(pythae_ae, pythae_vae, pca, regressor, keras, keras_colour, keras_functional),
    )
}


def onnx_classifier(folder: Path) -> Made:
    from onnx.reference import ReferenceEvaluator

    model = onnx_graph(random_weights(10), folder / "c.onnx", last="Softmax")
    reference = ReferenceEvaluator(model)
    return Made(
        str(folder / "c.onnx"),
        lambda x: torch.from_numpy(reference.run(None, {"x": x.numpy()})[0]),
        {"bounds": (0, 1)},
    )


def sklearn_classifier(folder: Path) -> Made:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression(max_iter=200).fit(DIGITS, LABELS)
    skops.io.dump(made, folder / "c.skops")
    return Made(
        str(folder / "c.skops"),
        lambda x: torch.from_numpy(made.predict_proba(numpy_of(x)).astype(np.float32)),
        {"shape": SHAPE, "bounds": (0, 1)},
    )


def module_classifier(folder: Path) -> Made:
    (folder / "network.py").write_text("import torch\ntorch.manual_seed(0)\n" + NETWORK)
    torch.manual_seed(0)
    namespace()  # draws what the file draws
    made: nn.Module = namespace()["Judge"]()
    save_model(made, str(folder / "w.safetensors"))
    said = {"shape": SHAPE, "bounds": (0, 1), "trust": True, "weights": folder / "w.safetensors"}
    return Made(f"{folder / 'network.py'}:Judge", lambda x: made(x).softmax(1), said)


CLASSIFIERS = {made.__name__: made for made in (onnx_classifier, sklearn_classifier, module_classifier)}
