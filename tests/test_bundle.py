"""Models on disk: what is saved is loaded; nothing that could run code, and nothing damaged, is."""

import contextlib
import json
import pickle
import resource
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from reinject import wrap
from reinject.base.errors import ModelError
from reinject.models import bundle
from reinject.models.inspect import losses
from reinject.networks import AUTOENCODERS, CLASSIFIERS, Inputs, MLPAutoencoder, MLPDenoiser, Network

INPUTS = Inputs((1, 8, 8), -1.0, 1.0, -0.4, 0.6, ("a", "b", "c"))
NETWORKS = [*AUTOENCODERS.values(), *CLASSIFIERS.values()]


def make(cls: type[Network]) -> Network:
    return cls(INPUTS).eval()  # type: ignore[call-arg]


def output(network: Network) -> torch.Tensor:
    x = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    with torch.no_grad():
        return network(x, torch.tensor([0.1, 2.0])) if network.noise_conditioned else network(x)


@pytest.mark.parametrize("cls", NETWORKS, ids=lambda cls: cls.__name__)
def test_saved_networks_load_and_give_the_same(cls: type[Network], tmp_path: Path) -> None:
    network = make(cls)
    network.save_pretrained(tmp_path / "m")
    loaded = bundle.load(tmp_path / "m")
    assert type(loaded.network) is cls
    assert loaded.network.inputs == INPUTS
    assert torch.equal(output(loaded.network), output(network))
    assert torch.equal(output(cls.from_pretrained(str(tmp_path / "m")).eval()), output(network))
    assert output(network).shape == ((2, 3) if cls in CLASSIFIERS.values() else (2, 1, 8, 8))


@pytest.mark.parametrize("cls", AUTOENCODERS.values(), ids=lambda cls: cls.__name__)
def test_autoencoders_become_reconstructions(cls: type[Network], tmp_path: Path) -> None:
    make(cls).save_pretrained(tmp_path / "m")
    r = bundle.as_reconstruction(bundle.load(tmp_path / "m"), lam=0.5)
    assert r.noise_conditioned == cls.noise_conditioned
    assert r.sigma == (0.5 if cls.noise_conditioned else None)  # sqrt(lam / 2)
    assert r(torch.zeros(3, 1, 8, 8)).shape == (3, 1, 8, 8)


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    make(MLPAutoencoder).save_pretrained(tmp_path / "m")
    before = torch.random.get_rng_state()
    bundle.load(tmp_path / "m")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_classifier_is_no_autoencoder(tmp_path: Path) -> None:
    make(CLASSIFIERS["mlp"]).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match="not an autoencoder"):
        bundle.as_reconstruction(bundle.load(tmp_path / "m"), 0.1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    make(MLPDenoiser).save_pretrained(tmp_path / "m")
    return tmp_path / "m"


class Bomb:
    def __reduce__(self) -> tuple:
        return (pytest.fail, ("code of a model file was run",))


def test_pickles_are_never_read(saved: Path) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="pickle under another name"):
        bundle.load(saved)
    torch.save({"a": torch.zeros(1)}, weights)
    with pytest.raises(ModelError, match="pickle under another name"):
        bundle.load(saved)
    weights.rename(saved / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, a pickle"):
        bundle.load(saved)


def test_missing_and_damaged_files_are_named(saved: Path) -> None:
    weights = saved / "model.safetensors"
    data = weights.read_bytes()
    for part in (data[:-10], data[:100], data[:4], b"", b"x" * 64):
        weights.write_bytes(part)
        with pytest.raises(ModelError, match="truncated"):
            bundle.load(saved)
    weights.unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        bundle.load(saved)
    (saved / "config.json").unlink()
    weights.write_bytes(data)
    with pytest.raises(ModelError, match=r"has no config\.json"):
        bundle.load(saved)


def test_non_finite_weights_are_refused(saved: Path) -> None:
    weights = saved / "model.safetensors"
    tensors = load_file(weights)
    tensors["last.bias"][3] = float("nan")
    save_file(tensors, weights)
    with pytest.raises(ModelError, match=r"last\.bias has non-finite"):
        bundle.load(saved)


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "width": 33}))
    with pytest.raises(ModelError, match="do not fit"):
        bundle.load(saved)


@pytest.mark.parametrize(
    "hostile",
    [{"width": 10**9}, {"depth": 10**9}, {"inputs": {"shape": [10**9]}}, {"inputs": {"shape": [1, 30_000, 30_000]}}],
    ids=str,
)
def test_a_config_that_asks_for_endless_memory_gets_none(saved: Path, hostile: dict) -> None:
    """Found by the test below: building such a network before looking at its weights exhausted the machine."""
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, **hostile}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError):
        bundle.load(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["architecture", "inputs", "width", "depth"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from(KEYS), value=JSON)
def test_any_config_loads_or_is_refused_with_a_sentence(saved: Path, key: str, value: object) -> None:
    path = saved / "config.json"
    original = path.read_text()
    try:
        path.write_text(json.dumps({**json.loads(original), key: value}))
        with contextlib.suppress(ModelError):  # any other exception fails the test
            assert bundle.load(saved).network is not None
    finally:
        path.write_text(original)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200))
def test_any_weights_file_is_refused_with_a_sentence(saved: Path, data: bytes) -> None:
    (saved / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError):
        bundle.load(saved)


def test_inputs_must_make_sense() -> None:
    for bad in ({"shape": ()}, {"shape": (0,)}, {"shape": (2,), "std": 0.0}, {"shape": (2,), "low": 1.0}):
        with pytest.raises(ModelError):
            Inputs(**bad)
    with pytest.raises(ModelError, match="divisible by 4"):
        AUTOENCODERS["conv"](Inputs((1, 7, 8)))  # type: ignore[call-arg]
    with pytest.raises(ModelError, match="two classes"):
        CLASSIFIERS["mlp"](Inputs((1, 8, 8)))  # type: ignore[call-arg]


def test_what_leads_away_is_told_from_what_stretches_noise_once() -> None:
    """1.5 x is 1.5^10 = 58 times as far after ten calls; an oblique projection stays where its first call ends."""
    x = torch.randn((200, 2), generator=torch.Generator().manual_seed(0))
    away = losses(wrap(lambda x: 1.5 * x, (2,), name="away"), x, 1.0)
    assert away["led_away"] == pytest.approx(1.5**10, rel=0.1)
    oblique = torch.tensor([[1.0, 5.0], [0.0, 0.0]])
    once = losses(wrap(lambda x: x @ oblique.T, (2,), name="oblique"), x * torch.tensor([1.0, 0.0]), 1.0)
    assert once["noise_kept"] == pytest.approx((26 / 2) ** 0.5, rel=0.1)
    assert once["led_away"] < 2
