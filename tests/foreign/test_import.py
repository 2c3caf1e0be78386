"""Every library's models come in, give what the library gives, and walk; what cannot be used gets a sentence."""

from pathlib import Path

import pytest
import torch
from making import AUTOENCODERS, CLASSIFIERS, NETWORK, SHAPE, Made, onnx_graph, random_weights

from reinject import Archive
from reinject.base.errors import ArgumentError, ModelError, ReinjectError
from reinject.foreign import folder as kept
from reinject.foreign import probe
from reinject.models import bundle, importing
from reinject.models.importing import Wanted, import_model
from reinject.models.inspect import inspect
from reinject.models.loading import load_models
from reinject.models.votes import classify
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Parallel, SampleSpec
from reinject.sampling.trace import trace


@pytest.fixture(autouse=True)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that other tests have trusted is trusted here; models are looked at in this process, but for some."""
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    if "own_process" not in request.keywords:  # another process takes seconds to load the libraries
        for module in (importing, kept):
            monkeypatch.setattr(module, "probe", probe.look)


def taken(made: Made, out: Path, role: str = "autoencoder", **said) -> bundle.Bundle:
    import_model(made.source, out, Wanted(role=role, **{**made.said, **said}))  # type: ignore[arg-type]
    return bundle.load(out / role)


@pytest.mark.parametrize("make", AUTOENCODERS.values(), ids=AUTOENCODERS.keys())
def test_r_is_what_the_library_gives(make, tmp_path: Path) -> None:
    made = make(tmp_path)
    loaded = taken(made, tmp_path / "models")
    inputs = loaded.network.inputs
    g = torch.Generator().manual_seed(0)
    x = inputs.low + (inputs.high - inputs.low) * torch.rand((9, *inputs.shape), generator=g)
    r = bundle.as_reconstruction(loaded, 0.1)
    with torch.no_grad():
        torch.testing.assert_close(r(x), made.output(x), rtol=1e-5, atol=1e-5)
    if r.has_code:
        with torch.no_grad():
            torch.testing.assert_close(r.decode(r.encode(x)), r(x), rtol=1e-5, atol=1e-5)


def test_the_halves_are_known_where_there_are_halves(tmp_path: Path) -> None:
    for name in ("module", "pair", "kl", "pythae_ae"):
        (tmp_path / name).mkdir()
        made = AUTOENCODERS[name](tmp_path / name)
        assert bundle.as_reconstruction(taken(made, tmp_path / name / "m"), 0.1).has_code, name


@pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_probabilities_are_those_that_the_library_gives(make, tmp_path: Path) -> None:
    made = make(tmp_path)
    loaded = taken(made, tmp_path / "models", "classifier")
    x = torch.rand((9, *SHAPE), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(classify(loaded.network, x), made.output(x), rtol=1e-5, atol=1e-5)
    assert loaded.network.inputs.class_names == tuple("0123456789")


def test_a_set_is_sampled_from_foreign_models_and_traced(tmp_path: Path) -> None:
    taken(AUTOENCODERS["onnx"](tmp_path), tmp_path / "m")
    taken(CLASSIFIERS["sklearn_classifier"](tmp_path), tmp_path / "m", "classifier")
    settings = Settings("langevin", {"lam": "0.1"}, steps=3, burn_in=1)
    for name, workers in (("a", None), ("b", 2)):
        sample_models(
            load_models([tmp_path / "m"]),
            tmp_path / name,
            SampleSpec(preset="x", settings=settings, block_size=8),
            walks=20,
            parallel=Parallel(workers=workers),
        )
    a = Archive.open(tmp_path / "a")
    assert a.manifest == Archive.open(tmp_path / "b").manifest
    assert trace(a.folder, random=a.rows).result["same"] == 60
    with pytest.raises(ModelError, match="is not differentiable"):
        sample_models(
            load_models([tmp_path / "m"]),
            tmp_path / "c",
            SampleSpec(preset="x", settings=Settings("langevin", classes=(1,))),
            walks=4,
        )


def test_units_are_converted_there_and_back(tmp_path: Path) -> None:
    made = AUTOENCODERS["module"](tmp_path)
    plain, signed = taken(made, tmp_path / "a").network, taken(made, tmp_path / "b", units=(-1.0, 1.0)).network
    x = torch.rand((5, *SHAPE))
    torch.testing.assert_close(signed(2 * x - 1), 2 * plain(x) - 1)
    assert (signed.inputs.low, signed.inputs.high) == (-1, 1)


def test_the_range_is_found_by_the_last_layer_or_by_data_or_asked_for(tmp_path: Path) -> None:
    made = AUTOENCODERS["onnx"](tmp_path)
    inputs = taken(made, tmp_path / "a").network.inputs
    assert (inputs.low, inputs.high) == (0, 1)
    linear = AUTOENCODERS["pca"](tmp_path)
    with pytest.raises(ArgumentError, match=r"--range: .*pca\.skops does not state the range of its inputs"):
        taken(linear, tmp_path / "b", bounds=None)
    inputs = taken(linear, tmp_path / "b", bounds=None, data="digits").network.inputs
    assert (inputs.low, inputs.high) == (0, 1)
    judge = CLASSIFIERS["onnx_classifier"](tmp_path)
    with pytest.raises(ArgumentError, match=r"the autoencoder beside it has 0\.0,1\.0"):
        taken(judge, tmp_path / "a", "classifier", bounds=None)


def test_models_of_other_ranges_are_not_mixed(tmp_path: Path) -> None:
    taken(AUTOENCODERS["onnx"](tmp_path), tmp_path / "m")
    with pytest.raises(ModelError, match=r"in -1\.\.1, the model beside it in 0\.\.1\. .*--units 0,1"):
        taken(CLASSIFIERS["onnx_classifier"](tmp_path), tmp_path / "m", "classifier", bounds=(-1.0, 1.0))
    taken(CLASSIFIERS["onnx_classifier"](tmp_path), tmp_path / "other", "classifier", bounds=(-1.0, 1.0))
    (tmp_path / "other" / "classifier").rename(tmp_path / "m" / "classifier")
    with pytest.raises(ModelError, match=r"takes inputs .* in 0\.0\.\.1\.0, .* in -1\.0\.\.1\.0\. .*--units 0,1"):
        load_models([tmp_path / "m"])
    import_model(
        CLASSIFIERS["onnx_classifier"](tmp_path).source,
        tmp_path / "m",
        Wanted("classifier", bounds=(-1, 1), units=(0, 1)),
        overwrite=True,
    )
    assert load_models([tmp_path / "m"]).inputs.high == 1


def test_code_is_not_run_without_a_flag_and_only_the_same_code_with_one(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "network.py").write_text(f"open({str(marker)!r}, 'a').write('x')\n" + NETWORK)
    source = f"{tmp_path / 'network.py'}:make"
    wanted = Wanted(shape=SHAPE, bounds=(0, 1))
    with pytest.raises(ModelError, match=r"runs code .* --trust"):
        import_model(source, tmp_path / "m", wanted)
    assert not marker.exists()
    assert not (tmp_path / "m" / "autoencoder").exists()
    import_model(source, tmp_path / "m", Wanted(shape=SHAPE, bounds=(0, 1), trust=True))
    assert marker.exists()
    bundle.load(tmp_path / "m" / "autoencoder")  # trusted from then on
    copy = tmp_path / "m" / "autoencoder" / "source" / "network.py"
    copy.write_text(copy.read_text() + "\n# more")
    with pytest.raises(ModelError, match="is not the imported file"):
        bundle.load(tmp_path / "m" / "autoencoder")


def test_a_folder_from_elsewhere_is_not_trusted_until_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(AUTOENCODERS["module"](tmp_path), tmp_path / "m")
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "another user"))
    with pytest.raises(ModelError, match="is not trusted on this machine"):
        bundle.load(tmp_path / "m" / "autoencoder")
    assert "lost" in "\n".join(inspect(tmp_path / "m", trusted=True).lines)
    bundle.load(tmp_path / "m" / "autoencoder")


@pytest.mark.own_process
def test_a_safe_folder_from_elsewhere_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(AUTOENCODERS["onnx"](tmp_path), tmp_path / "m")
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "another user"))
    looked = []
    real = kept.probe
    monkeypatch.setattr(kept, "probe", lambda *args: looked.append(args) or real(*args))
    for _ in range(2):
        bundle.load(tmp_path / "m" / "autoencoder")
    assert len(looked) == 1


def test_a_linear_layer_of_small_weights_does_not_say_its_range(tmp_path: Path) -> None:
    small = [0.05 * weights for weights in random_weights()]
    onnx_graph(small, tmp_path / "a.onnx", last="Identity")
    with pytest.raises(ArgumentError, match="does not state the range of its inputs"):
        import_model(str(tmp_path / "a.onnx"), tmp_path / "m")


@pytest.mark.own_process
def test_modules_of_the_present_folder_are_not_taken_for_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = AUTOENCODERS["onnx"](tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("onnxruntime", "torch", "json"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')\n")
    import_model(made.source, tmp_path / "m")
    assert not (tmp_path / "ran").exists()


def test_a_model_is_read_where_nothing_can_be_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = AUTOENCODERS["onnx"](tmp_path)
    taken(made, tmp_path / "m")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "file"))
    x = torch.rand((2, *SHAPE), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(bundle.load(tmp_path / "m" / "autoencoder").network(x), made.output(x))
    assert (tmp_path / "file").read_text() == "no folder"


def test_an_identity_is_refused(tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text(NETWORK)
    with pytest.raises(ModelError, match="loses nothing"):
        import_model(
            f"{tmp_path / 'network.py'}:identity", tmp_path / "m", Wanted(shape=SHAPE, bounds=(0, 1), trust=True)
        )
    assert not (tmp_path / "m").exists()


def test_inspect_says_what_is_lost_and_lambda(tmp_path: Path) -> None:
    made = AUTOENCODERS["pca"](tmp_path)
    taken(made, tmp_path / "m")
    taken(CLASSIFIERS["sklearn_classifier"](tmp_path), tmp_path / "m", "classifier")
    page = inspect(tmp_path / "m", against="digits")
    told = page.result["autoencoder"]
    assert told["noise_kept"] == pytest.approx((6 / 64) ** 0.5, rel=0.05)  # a projection on 6 of 64 directions
    assert 0.3 < told["relative_error"] < 0.8
    assert "10 classes" in "\n".join(page.lines)


WRONG = {
    "nothing there": (lambda f: (str(f / "no.onnx"), Wanted()), "no such file or folder"),
    "nothing known": (lambda f: (str(f), Wanted()), "is of an unknown kind"),
    "a pickle": (lambda f: (str(f / "model.pth"), Wanted()), "is not a model that torch.load reads"),
    "no such route": (lambda f: (str(f / "a.onnx"), Wanted(route="tf")), "'tf' is not known"),
    "no such name": (
        lambda f: (f"{f / 'network.py'}:nothing", Wanted(trust=True, shape=SHAPE)),
        "returns no model",
    ),
    "no such file of code": (lambda f: (f"{f / 'no.py'}:make", Wanted(trust=True)), r"no\.py: no such file"),
    "no such weights": (
        lambda f: (f"{f / 'network.py'}:Net", Wanted(trust=True, shape=SHAPE, weights=f / "no.safetensors")),
        r"no\.safetensors: no such file",
    ),
    "an autoencoder as a classifier": (
        lambda f: (f"{f / 'network.py'}:make", Wanted("classifier", trust=True, data="digits")),
        "Give a classifier's logits",
    ),
    "a classifier as an autoencoder, with data": (
        lambda f: (f"{f / 'network.py'}:Judge", Wanted(trust=True, data="digits")),
        "has no weights: Judge makes random parameters. Give --weights FILE",
    ),
    "data of another shape": (
        lambda f: (f"{f / 'network.py'}:make", Wanted(trust=True, shape=(64,), data="digits")),
        "fails on a batch of shape|--shape",
    ),
    "no such package": (lambda _: ("no.such.package:make", Wanted(trust=True)), "returns no model"),
    "no module": (lambda f: (f"{f / 'network.py'}:rooted", Wanted(trust=True, shape=SHAPE)), "is a int"),
    "no shape": (
        lambda f: (f"{f / 'network.py'}:make", Wanted(trust=True)),
        "--shape: .* does not state the shape of its inputs",
    ),
    "another shape": (
        lambda f: (f"{f / 'network.py'}:make", Wanted(trust=True, shape=(1, 5, 5), bounds=(0, 1))),
        "fails on a batch of shape",
    ),
    "a shape that is not its own": (
        lambda f: (str(f / "a.onnx"), Wanted(shape=(3, 8, 8))),
        r"takes \(1, 8, 8\), which is not \(3, 8, 8\)",
    ),
    "other weights": (
        lambda f: (f"{f / 'network.py'}:Judge", Wanted(trust=True, shape=SHAPE, weights=f / "w.safetensors")),
        "does not fit",
    ),
    "weights of another kind": (
        lambda f: (f"{f / 'network.py'}:Judge", Wanted(trust=True, shape=SHAPE, weights=f / "model.pth")),
        "is not a model that torch.load reads",
    ),
    "a classifier as an autoencoder": (
        lambda f: (f"{f / 'network.py'}:Judge", Wanted(trust=True, shape=SHAPE, bounds=(0, 1))),
        "has no weights",
    ),
    "an old opset": (lambda f: (str(f / "old.onnx"), Wanted()), "has opset 5"),
    "names": (
        lambda f: (str(f / "c.onnx"), Wanted("classifier", bounds=(0, 1), class_names=("a", "b"))),
        "2 class names for 10 outputs",
    ),
}


@pytest.mark.parametrize(("ask", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_used_gets_a_sentence(ask, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "model.pth").write_bytes(b"\x80\x04")
    AUTOENCODERS["safetensors"](tmp_path)
    onnx_graph(random_weights(), tmp_path / "a.onnx")
    onnx_graph(random_weights(10), tmp_path / "c.onnx", last="Softmax")
    onnx_graph(random_weights(), tmp_path / "old.onnx", opset=5)
    source, wanted = ask(tmp_path)
    with pytest.raises(ReinjectError, match=sentence):
        import_model(source, tmp_path / "m", wanted)
    assert not list((tmp_path / "m").glob("*"))
