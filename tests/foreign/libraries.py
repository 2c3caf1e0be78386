"""More models of other libraries: other ends, names of classes, own inference, and some that have to be refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from making import DIGITS, LABELS, SHAPE, Made, images, namespace, numpy_of, random_weights
from torch import Tensor, nn

SAID = {"shape": SHAPE, "bounds": (0, 1)}
TRUSTED = {**SAID, "trust": True}
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

ENDS = """
import torch
from torch import nn

class Judge(nn.Module):
    def __init__(self, width, end):
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.end = nn.Linear(64, width), end

    def forward(self, x):
        return self.end(self.layer(x.flatten(1)))

class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.down, self.up = nn.Linear(64, 8), nn.Linear(8, 64)

    def encode(self, x):
        return self.down(x.flatten(1))

    def decode(self, h):
        return self.up(h).sigmoid().reshape(-1, 1, 8, 8)

    def reparameterize(self, h):
        return h + torch.randn_like(h)

    def forward(self, x):
        return self.decode(self.reparameterize(self.encode(x)))

class Random(Noisy):
    def forward(self, x):
        return self.decode(self.encode(x)) + torch.rand(1)

class Away(Noisy):
    def forward(self, x):
        return 1.5 * x

sigmoid = lambda: Judge(1, torch.sigmoid)
logit = lambda: Judge(1, lambda y: y.squeeze(1))
softmax = lambda: Judge(3, lambda y: y.softmax(1))
log_softmax = lambda: Judge(3, lambda y: y.log_softmax(1))
held = lambda: Judge(3, lambda y: {"hidden": y.repeat(1, 9), "logits": y})
several = lambda: Judge(3, torch.sigmoid)
tanh = lambda: Judge(1, torch.tanh)
labels = lambda: Judge(3, lambda y: y.argmax(1))
noisy, drawn, away = Noisy, Random, Away
"""


def ends() -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(compile(ENDS, "ends", "exec"), found)  # our own text
    return found


def of_class(probabilities: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Both probabilities, of the second one."""
    return lambda x: torch.stack([1 - probabilities(x).flatten(), probabilities(x).flatten()], 1)


def torch_end(name: str, wanted: Callable[[Tensor], Tensor] = lambda y: y, **said: Any) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        (folder / "ends.py").write_text(ENDS)
        made = ends()[name]().eval()
        return Made(f"{folder / 'ends.py'}:{name}", lambda x: wanted(made(x)), {**TRUSTED, **said})

    return make


def variational(folder: Path) -> Made:
    (folder / "ends.py").write_text(ENDS)
    made = ends()["noisy"]().eval()
    return Made(f"{folder / 'ends.py'}:noisy", lambda x: made.decode(made.encode(x)), TRUSTED)


def fabric(folder: Path) -> Made:
    from lightning_fabric import Fabric

    (folder / "network.py").write_text(namespace_text())
    torch.manual_seed(3)
    made = namespace()["Net"]().eval()
    Fabric(accelerator="cpu").save(folder / "fabric.ckpt", {"model": made, "step": 3})
    return Made(f"{folder / 'network.py'}:Net", made, {**TRUSTED, "weights": folder / "fabric.ckpt"})


def namespace_text() -> str:
    from making import NETWORK

    return NETWORK


def data_parallel(folder: Path) -> Made:
    (folder / "network.py").write_text(namespace_text())
    torch.manual_seed(4)
    made = namespace()["Net"]().eval()
    torch.save({"state_dict": nn.DataParallel(made).state_dict()}, folder / "w.pth")
    return Made(f"{folder / 'network.py'}:Net", made, {**TRUSTED, "weights": folder / "w.pth"})


def torchscript(folder: Path) -> Made:
    made = namespace()["make"]().eval()
    torch.jit.save(torch.jit.trace(made, torch.zeros(2, *SHAPE)), str(folder / "script.pt"))
    return Made(str(folder / "script.pt"), made, TRUSTED)


def vit(folder: Path) -> Made:
    text = f"""
import torch
from transformers import ViTConfig, ViTForImageClassification

def make():
    torch.manual_seed(0)
    names = {dict(enumerate(NAMES[:4]))}
    config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                       image_size=8, patch_size=4, num_channels=1, id2label=names)
    return ViTForImageClassification(config)
"""
    (folder / "vit.py").write_text(text)
    found: dict[str, Any] = {}
    exec(compile(text, "vit", "exec"), found)  # our own text
    made = found["make"]().eval()
    return Made(f"{folder / 'vit.py'}:make", lambda x: made(x).logits.softmax(1), TRUSTED)


def sklearn(fitted: Callable[[], Any], probabilities: bool = True, trust: bool = False) -> Callable[[Path], Made]:
    """An estimator in the skops format, called as its users call it: on float64."""

    def make(folder: Path) -> Made:
        import skops.io

        made = fitted()
        skops.io.dump(made, folder / "model.skops")

        def output(x: Tensor) -> Tensor:
            values = numpy_of(x).astype(np.float64)
            if probabilities:
                return torch.from_numpy(np.asarray(made.predict_proba(values), np.float32))
            return images(made.inverse_transform(made.transform(values)))

        return Made(str(folder / "model.skops"), output, {**SAID, "trust": trust})

    return make


def logistic(labels: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=50).fit(DIGITS[: len(labels)], labels)


def some_digits(*wanted: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    rows = np.isin(LABELS, wanted)
    return GaussianNB().fit(DIGITS[rows], LABELS[rows])


def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(3, random_state=0).fit(DIGITS[:300], np.array(NAMES)[LABELS[:300]])


def scaled_pca() -> Any:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), PCA(20, random_state=0)).fit(DIGITS.astype(np.float64))


def nmf() -> Any:
    from sklearn.decomposition import NMF

    return NMF(6, max_iter=400, tol=1e-6, random_state=0).fit(DIGITS[:200].astype(np.float64))


def fast_ica() -> Any:
    from sklearn.decomposition import FastICA

    return FastICA(5, max_iter=500, tol=1e-2, random_state=0).fit(DIGITS[:300].astype(np.float64))


def scaler() -> Any:
    from sklearn.preprocessing import MinMaxScaler

    return MinMaxScaler().fit(DIGITS)


def several_mlp() -> Any:
    from sklearn.neural_network import MLPClassifier

    many = np.stack([LABELS % 2, LABELS > 4, LABELS % 3 == 0], 1)[:100]
    return MLPClassifier((4,), max_iter=2, random_state=0).fit(DIGITS[:100], many)


def several_forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(2, random_state=0).fit(DIGITS[:99], np.stack([LABELS % 2, LABELS > 4], 1)[:99])


def margin() -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(max_iter=50, tol=1).fit(DIGITS[:99], LABELS[:99])


def diffusers(kind: str, shape: tuple[int, ...] = SHAPE) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        import diffusers as library

        torch.manual_seed(0)
        blocks = {"block_out_channels": (8,), "norm_num_groups": 4, "latent_channels": 2, "sample_size": 8}
        ways = {"down_block_types": ("DownEncoderBlock2D",), "up_block_types": ("UpDecoderBlock2D",)}
        more = {"num_vq_embeddings": 5} if kind == "VQModel" else {}
        made = getattr(library, kind)(in_channels=1, out_channels=1, **blocks, **ways, **more).eval()
        made.save_pretrained(folder / "model")
        return Made(str(folder / "model"), lambda x: made(x).sample, {"shape": shape})

    return make


def pythae(
    name: str, config: str, inference: Callable[[Any, Tensor], Tensor], **options: Any
) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        import pythae.models as library

        torch.manual_seed(0)
        made = getattr(library, name)(getattr(library, config)(input_dim=SHAPE, latent_dim=4, **options)).eval()
        made.save(str(folder / "model"))
        output = lambda x: inference(made, x).reshape(x.shape)  # noqa: E731
        return Made(str(folder / "model"), output, {"trust": True})

    return make


def own(made: Any, x: Tensor) -> Tensor:
    """Its own forward pass."""
    return made({"data": x}).recon_x  # type: ignore[no-any-return]


def mean_code(made: Any, x: Tensor) -> Tensor:
    return made.decoder(made.encoder(x).embedding).reconstruction  # type: ignore[no-any-return]


def mean_flow(made: Any, x: Tensor) -> Tensor:
    return made.decoder(made.iaf_flow.inverse(made.encoder(x).embedding).out).reconstruction  # type: ignore[no-any-return]


def keras(
    layers: Callable[[Any], list[Any]],
    output: Callable[[np.ndarray], np.ndarray] = lambda y: y,
    loss: str = "",
    **said: Any,
) -> Callable[[Path], Made]:
    """A Sequential of some layers, compiled and fitted for a step where it has a loss."""

    def make(folder: Path) -> Made:
        import keras as library

        library.utils.set_random_seed(0)
        made = library.Sequential(layers(library.layers))
        if loss:
            made.compile("adam", loss, metrics=["mae"])
            x = np.random.default_rng(0).random((4, *made.input_shape[1:]), np.float32)
            made.fit(x, np.asarray(made.predict(x, verbose=0)), verbose=0)
        made.save(folder / "model.keras")

        def predicted(x: Tensor) -> Tensor:
            flat = made.input_shape[1:] == (64,)
            given = x.reshape(len(x), -1) if flat else x.movedim(1, -1)
            y = torch.from_numpy(output(np.asarray(made.predict(given.numpy(), verbose=0))))
            return y.movedim(-1, 1) if y.ndim == 4 else y

        return Made(str(folder / "model.keras"), predicted, {**SAID, **said})

    return make


def dense(L: Any, width: int, end: str, *more: Any) -> list[Any]:
    return [L.Input((8, 8, 1)), L.Flatten(), *more, L.Dense(width, activation=end)]


def as_image(L: Any, *more: Any) -> list[Any]:
    return [*dense(L, 64, "sigmoid", *more), L.Reshape((8, 8, 1))]


def nested(L: Any) -> list[Any]:
    import keras as library

    inner = library.Sequential([L.Input((64,)), L.Dense(6, activation="tanh")])
    inner.compile("sgd", "mse")
    return as_image(L, inner)


def any_size(L: Any) -> list[Any]:
    return [
        L.Input((None, None, 1)),
        L.Conv2D(2, 3, padding="same"),
        L.Conv2D(1, 3, padding="same", activation="sigmoid"),
    ]


def both(y: np.ndarray) -> np.ndarray:
    return np.concatenate([1 - y, y], 1)


def onnx_labels(kind: str, *, zipmap: bool = False, metadata: str = "") -> Callable[[Path], Made]:
    """What skl2onnx makes of a linear classifier: the label first, then the probabilities."""

    def make(folder: Path) -> Made:
        import onnx as library
        from onnx import TensorProto, helper

        w, b = random_weights(3)
        names = {"classlabels_strings": ["cat", "dog", "owl"]} if kind == "strings" else {"classlabels_ints": [3, 5, 8]}
        label = TensorProto.STRING if kind == "strings" else TensorProto.INT64
        nodes = [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node(
                *("LinearClassifier", ["flat"], ["label", "scores"]),
                domain="ai.onnx.ml",
                coefficients=w.T.flatten().tolist(),
                intercepts=b.tolist(),
                post_transform="SOFTMAX",
                **names,
            ),
        ]
        outputs = [
            helper.make_tensor_value_info("label", label, ["batch"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3]),
        ]
        if zipmap:
            zipped = {name.replace("ints", "int64s"): value for name, value in names.items()}
            nodes.append(helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", **zipped))
            each = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
            outputs[1] = helper.make_value_info("maps", helper.make_sequence_type_proto(each))
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE])], outputs
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        if metadata:
            helper.set_model_props(model, {"names": metadata})
        library.save(model, str(folder / "model.onnx"))

        def output(x: Tensor) -> Tensor:
            import onnxruntime

            session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
            return torch.from_numpy(session.run(["scores"], {"x": x.numpy()})[0])

        return Made(str(folder / "model.onnx"), output, {"bounds": (0, 1)})

    return make
