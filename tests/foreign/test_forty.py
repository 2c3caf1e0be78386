"""Forty models of other libraries: each gives what its library gives, under its own names of classes, or is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import libraries as lib
import pytest
import torch
from making import AUTOENCODERS, CLASSIFIERS, SHAPE, Made

from reinject import Archive, Stream
from reinject.base.errors import ReinjectError
from reinject.foreign import folder as kept
from reinject.foreign import probe
from reinject.models import bundle, importing
from reinject.models.importing import Wanted, import_model
from reinject.models.loading import load_models
from reinject.models.votes import classify
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing

DIGIT_NAMES = tuple("0123456789")
NAMES = lib.NAMES

SAME: dict[str, Callable[[Path], Made]] = {
    "torch, a function": AUTOENCODERS["module"],
    "torch, two halves": AUTOENCODERS["pair"],
    "torch, safetensors": AUTOENCODERS["safetensors"],
    "torch, a checkpoint of DataParallel": lib.data_parallel,
    "torch, variational": lib.variational,
    "torch.export": AUTOENCODERS["torch_export"],
    "torch.jit": lib.torchscript,
    "lightning fabric": lib.fabric,
    "onnx": AUTOENCODERS["onnx"],
    "onnx, weights beside it": AUTOENCODERS["onnx_external"],
    "diffusers, AutoencoderKL of another size": lib.diffusers("AutoencoderKL", (1, 12, 16)),
    "diffusers, AutoencoderTiny": AUTOENCODERS["tiny"],
    "diffusers, VQModel": lib.diffusers("VQModel"),
    "pythae, AE": AUTOENCODERS["pythae_ae"],
    "pythae, VAE": AUTOENCODERS["pythae_vae"],
    "pythae, VQVAE": lib.pythae("VQVAE", "VQVAEConfig", lib.own),
    "pythae, RAE_L2": lib.pythae("RAE_L2", "RAE_L2_Config", lib.own),
    "pythae, WAE_MMD": lib.pythae("WAE_MMD", "WAE_MMD_Config", lib.own),
    "pythae, VAE_IAF": lib.pythae("VAE_IAF", "VAE_IAF_Config", lib.mean_flow),
    "pythae, FactorVAE": lib.pythae("FactorVAE", "FactorVAEConfig", lib.mean_code),
    "sklearn, PCA": AUTOENCODERS["pca"],
    "sklearn, MLPRegressor": AUTOENCODERS["regressor"],
    "sklearn, NMF of float64": lib.sklearn(lib.nmf, probabilities=False),
    "sklearn, StandardScaler and PCA": lib.sklearn(lib.scaled_pca, probabilities=False),
    "sklearn, FastICA": lib.sklearn(lib.fast_ica, probabilities=False),
    "keras, channels last": AUTOENCODERS["keras"],
    "keras, functional": AUTOENCODERS["keras_functional"],
    "keras, compiled, with dropout": lib.keras(lambda L: lib.as_image(L, L.Dense(6), L.Dropout(0.5)), loss="mse"),
    "keras, a compiled model inside": lib.keras(lib.nested),
    "keras, of any size": lib.keras(lib.any_size),
}

LABELS: dict[str, tuple[Callable[[Path], Made], tuple[str, ...]]] = {
    "torch, one sigmoid": (lib.torch_end("sigmoid", lib.of_class(lambda y: y)), ("0", "1")),
    "torch, one logit": (
        lib.torch_end("logit", lib.of_class(torch.sigmoid), class_names=("cat", "dog")),
        ("cat", "dog"),
    ),
    "torch, a softmax": (lib.torch_end("softmax"), ("0", "1", "2")),
    "torch, a log of softmax": (lib.torch_end("log_softmax", torch.exp), ("0", "1", "2")),
    "torch, logits beside others": (lib.torch_end("held", lambda y: y["logits"].softmax(1)), ("0", "1", "2")),
    "torch, logits": (CLASSIFIERS["module_classifier"], DIGIT_NAMES),
    "transformers": (lib.vit, NAMES[:4]),
    "onnx, a softmax": (CLASSIFIERS["onnx_classifier"], DIGIT_NAMES),
    "onnx, labels first": (lib.onnx_labels("ints"), ("3", "5", "8")),
    "onnx, words first": (lib.onnx_labels("strings"), ("cat", "dog", "owl")),
    "onnx, names in its metadata": (lib.onnx_labels("ints", metadata="{0: 'a', 1: 'b', 2: 'c'}"), ("a", "b", "c")),
    "sklearn, numbers": (CLASSIFIERS["sklearn_classifier"], DIGIT_NAMES),
    "sklearn, words": (lib.sklearn(lambda: lib.logistic([NAMES[k] for k in lib.LABELS[:200]])), tuple(sorted(NAMES))),
    "sklearn, two words": (lib.sklearn(lambda: lib.logistic(["no", "yes"] * 50)), ("no", "yes")),
    "sklearn, some numbers": (lib.sklearn(lambda: lib.some_digits(3, 5, 8)), ("3", "5", "8")),
    "sklearn, a forest": (lib.sklearn(lib.forest, trust=True), tuple(sorted(NAMES))),
    "keras, one sigmoid": (
        lib.keras(lambda L: lib.dense(L, 1, "sigmoid"), lib.both, "binary_crossentropy"),
        ("0", "1"),
    ),
    "keras, a softmax": (lib.keras(lambda L: lib.dense(L, 10, "softmax", L.Dropout(0.5))), DIGIT_NAMES),
}

REFUSED: dict[str, tuple[Callable[[Path], Made], str, str]] = {
    "torch, several labels": (lib.torch_end("several"), "classifier", r"3 numbers in 0\.\.1 .*several labels at once"),
    "torch, one tanh": (lib.torch_end("tanh"), "classifier", r"one number, in -1\.\.1, which may be a probability"),
    "torch, labels": (lib.torch_end("labels"), "classifier", r"int64 labels, no scores"),
    "torch, random": (lib.torch_end("drawn"), "autoencoder", r"different values for the same input.* eval"),
    "torch, leads away": (lib.torch_end("away"), "autoencoder", r"leaves its range 0,1 after repeated calls"),
    "onnx, zipmap": (lib.onnx_labels("ints", zipmap=True), "classifier", r"list of dictionaries .*'zipmap': False"),
    "onnx, an autoencoder": (AUTOENCODERS["onnx"], "classifier", r"maps \(3, 1, 8, 8\) to \(3, 1, 8, 8\)"),
    "sklearn, several labels": (lib.sklearn(lib.several_mlp), "classifier", r"MLPClassifier of several labels at once"),
    "sklearn, several trees": (lib.sklearn(lib.several_forest, trust=True), "classifier", r"Forest.* several labels"),
    "sklearn, margins": (lib.sklearn(lib.margin), "classifier", r"LinearSVC, which has no predict_proba. .*Calibrated"),
    "sklearn, a regressor": (AUTOENCODERS["regressor"], "classifier", r"is not a classifier: it returns values"),
    "sklearn, a classifier": (lib.sklearn(lib.forest, trust=True), "autoencoder", r"is a classifier. Give --as"),
    "sklearn, a scaler": (lib.sklearn(lib.scaler, probabilities=False), "autoencoder", r"loses nothing"),
    "keras, a Lambda": (
        lib.keras(lambda L: lib.as_image(L, L.Lambda(lambda x: 2 * x))), "autoencoder", r"runs code .*--trust"
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trusted, and models are first looked at in this process: another one each would take minutes."""
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    for module in (importing, kept):
        monkeypatch.setattr(module, "probe", probe.look)


def taken(made: Made, out: Path, role: Any) -> bundle.Bundle:
    import_model(made.source, out, Wanted(role=role, **made.said))
    return bundle.load(out / role)


def test_there_are_forty_of_eight_libraries() -> None:
    every = [*SAME, *LABELS, *REFUSED]
    assert len(every) >= 40
    assert len({name.partition(",")[0] for name in every}) >= 8


@pytest.mark.parametrize("make", SAME.values(), ids=SAME.keys())
def test_an_autoencoder_gives_what_its_library_gives(make: Callable[[Path], Made], tmp_path: Path) -> None:
    made = make(tmp_path)
    loaded = taken(made, tmp_path / "m", "autoencoder")
    inputs = loaded.network.inputs
    u = torch.rand((5, *inputs.shape), generator=torch.Generator().manual_seed(0))
    x = inputs.low + (inputs.high - inputs.low) * u
    r = bundle.as_reconstruction(loaded, 0.1)
    with torch.no_grad():
        wanted = made.output(x).reshape(x.shape)
        torch.testing.assert_close(r(x), wanted, rtol=1e-5, atol=1e-5)
        if r.has_code:
            torch.testing.assert_close(r.decode(r.encode(x)), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("make", "names"), LABELS.values(), ids=LABELS.keys())
def test_a_classifier_gives_what_its_library_gives_under_its_own_names(
    make: Callable[[Path], Made], names: tuple[str, ...], tmp_path: Path
) -> None:
    made = make(tmp_path)
    loaded = taken(made, tmp_path / "m", "classifier")
    assert loaded.network.inputs.class_names == names
    x = torch.rand((5, *SHAPE), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(classify(loaded.network, x), made.output(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("make", "role", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_says_why(make: Callable[[Path], Made], role: str, reason: str, tmp_path: Path) -> None:
    made = make(tmp_path)
    with pytest.raises(ReinjectError, match=reason):
        taken(made, tmp_path / "m", role)
    assert not (tmp_path / "m" / role).exists()


def test_one_sigmoid_labels_two_classes_by_their_names_in_archives_and_streams(tmp_path: Path) -> None:
    taken(AUTOENCODERS["onnx"](tmp_path), tmp_path / "m", "autoencoder")
    judge = lib.torch_end("sigmoid", class_names=("cat", "dog"))(tmp_path)
    taken(judge, tmp_path / "m", "classifier")
    settings = Settings("langevin", {"lam": "0.5"}, steps=4, burn_in=1)
    sample_models(
        load_models([tmp_path / "m"]),
        tmp_path / "a",
        SampleSpec(preset="x", settings=settings),
        walks=40,
        writing=Writing(judged=False),
    )
    archive = Archive.open(tmp_path / "a")
    assert archive.class_names == ("cat", "dog")
    x, y = archive.read(200, 0)
    with torch.no_grad():
        wanted = judge.output(archive.storage.load(x)).flatten() > 0.5
    assert torch.equal(y, wanted.long())
    pairs = list(Stream([tmp_path / "m"], settings, walks=40))
    assert [label for _, label in pairs] == [int(judge.output(x[None]).item() > 0.5) for x, _ in pairs]


def test_data_is_matched_by_the_names_of_the_classes(tmp_path: Path) -> None:
    made = lib.sklearn(lambda: lib.some_digits(3, 5, 8))(tmp_path)
    outcome = import_model(made.source, tmp_path / "m", Wanted("classifier", data="digits"))
    assert "its classes are 3, 5, 8" in "\n".join(outcome.lines)
    assert _accuracy(outcome.lines) > 85
    assert bundle.load(tmp_path / "m" / "classifier").network.inputs.class_names == ("3", "5", "8")
    words = lib.sklearn(lambda: lib.logistic([NAMES[k] for k in lib.LABELS[:500]]))(tmp_path)
    with pytest.raises(ReinjectError, match=r"of 9\d\.\d% if its outputs are 8,5,4,9,1,7,6,3,2,0 in this order"):
        import_model(words.source, tmp_path / "n", Wanted("classifier", data="digits", bounds=(0, 1)))
    said = ("8", "5", "4", "9", "1", "7", "6", "3", "2", "0")
    outcome = import_model(words.source, tmp_path / "n", Wanted("classifier", data="digits", class_names=said))
    assert _accuracy(outcome.lines) > 80


def _accuracy(lines: list[str]) -> float:
    """Of the range 0,1 on the data, per cent."""
    line = next(line for line in lines if "accuracy on digits" in line)
    return float(line.partition("range 0,1: ")[2].partition("%")[0])
