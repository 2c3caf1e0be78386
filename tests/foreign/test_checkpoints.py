"""From a checkpoint to a model folder: weights, arguments, outputs, ranges, and a sentence where something is wrong."""

import json
import os
import random
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from making import DIGITS, LABELS, SHAPE, onnx_graph, random_weights
from safetensors.torch import load_file, save_file
from torch import nn

from reinject.base.errors import ArgumentError, ModelError, ReinjectError
from reinject.cli import app
from reinject.foreign.adapters import Batched
from reinject.foreign.arguments import arguments_of, as_text, from_text
from reinject.foreign.checkpoint import PREFIXES, Candidate, fit
from reinject.models import bundle
from reinject.models.importing import Wanted, import_model
from reinject.models.trying import look

TEXT = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, latent=4, hidden=0):
        super().__init__()
        self.down, self.up = nn.Linear(64, latent), nn.Linear(latent, 64)

    def encode(self, x):
        return torch.tanh(self.down(x.flatten(1)))

    def decode(self, h):
        return torch.sigmoid(self.up(h)).reshape(-1, 1, 8, 8)

    def forward(self, x):
        return self.decode(self.encode(x))

class Strict(Net):
    def __init__(self, latent, *, act, hidden=3):
        super().__init__(latent)
        self.act = act

class Flat(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(64, 4), nn.Tanh(), nn.Linear(4, 64), nn.Sigmoid())

class Logits(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64))

class Judge(nn.Sequential):
    def __init__(self, classes=10):
        super().__init__(nn.Flatten(), nn.Linear(64, classes))

class Variational(Net):
    def __init__(self):
        super().__init__()
        self.logvar = nn.Linear(64, 4)

    def encode(self, x):
        return self.down(x.flatten(1)), self.logvar(x.flatten(1))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)
        return mu, logvar, self.decode(z)

class Drawn(Variational):
    def forward(self, x):
        mu, logvar = self.down(x.flatten(1)), self.logvar(x.flatten(1))
        z = torch.distributions.Normal(mu, logvar.exp()).rsample()
        return {"mu": mu, "logvar": logvar, "x_hat": self.decode(z)}

class Random(Net):
    def forward(self, x):
        return super().forward(x) + 0.1 * torch.randn_like(x)

class Constant(Net):
    def forward(self, x):
        return super().forward(torch.zeros_like(x))

class Breaks(Net):
    def forward(self, x):
        return super().forward(x) * (2 - x).flatten(1).amin(1).clamp(max=1).sqrt().reshape(-1, 1, 1, 1)

class Encoder(Net):
    def forward(self, x):
        return self.encode(x)

class Tuple(Net):
    def forward(self, x):
        return self.encode(x), super().forward(x)

class Double(Net):
    def __init__(self):
        super().__init__()
        self.double()

made = Net()

def fixed():
    torch.manual_seed(3)
    return Net()

def fresh():
    return Net()
"""
SPACE: dict[str, Any] = {}
exec(compile(TEXT, "mine", "exec"), SPACE)
X = torch.rand((5, *SHAPE), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    (tmp_path / "mine.py").write_text(TEXT)
    return tmp_path


def network(name: str, *args: Any, seed: int = 5, **kwargs: Any) -> nn.Module:
    torch.manual_seed(seed)
    made: nn.Module = SPACE[name](*args, **kwargs).eval()
    return made


def taken(folder: Path, name: str, weights: Any = None, **said: Any) -> tuple[bundle.Bundle, str]:
    """What comes out of mine.py:NAME with weights, and the lines that are printed."""
    if weights is not None and not isinstance(weights, Path):
        torch.save(weights, folder / "w.pt")
        weights = folder / "w.pt"
    said = {"shape": SHAPE, "bounds": (0, 1), "trust": True, **said}
    out = folder / f"m{random.random()}"
    outcome = import_model(f"{folder / 'mine.py'}:{name}", out, Wanted(weights=weights, **said))
    return bundle.load(out / said.get("role", "autoencoder")), "\n".join(outcome.lines)


def same(loaded: bundle.Bundle, made: nn.Module) -> None:
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(X), made(X).reshape(X.shape))


WAYS = {
    "plain": lambda s: s,
    "state_dict": lambda s: {"epoch": 3, "state_dict": s, "optimizer": {"state": {0: torch.ones(3)}}},
    "model_state_dict": lambda s: {"model_state_dict": s, "loss": torch.ones(())},
    "nested": lambda s: {"model": {"net": s}},
    "ema only": lambda s: {"ema": s, "step": 1},
    "another name": lambda s: {"my_weights": s},
    "module.": lambda s: {"module." + k: v for k, v in s.items()},
    "module._orig_mod.": lambda s: {"state_dict": {"module._orig_mod." + k: v for k, v in s.items()}},
    "_orig_mod inside": lambda s: {k.replace(".", "._orig_mod."): v for k, v in s.items()},
    "lightning": lambda s: {"state_dict": {**{"model." + k: v for k, v in s.items()}, "loss.weight": torch.ones(2)}},
    "ordered": OrderedDict,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_weights_are_found_in_a_checkpoint(way: Any, mine: Path) -> None:
    made = network("Net")
    same(taken(mine, "Net", way(made.state_dict()))[0], made)


def test_halves_are_known_in_other_units_too(mine: Path) -> None:
    for name in ("Net", "Variational"):
        loaded, _ = taken(mine, name, network(name).state_dict(), units=(-1, 1))
        r = bundle.as_reconstruction(loaded, 0.1)
        assert r.has_code, name
        with torch.no_grad():
            torch.testing.assert_close(r.decode(r.encode(X)), r(X))


def test_tensors_of_something_else_are_left_out_and_said(mine: Path) -> None:
    _, lines = taken(mine, "Net", WAYS["lightning"](network("Net").state_dict()))
    assert "other tensors are ignored: loss.weight" in lines


def test_what_was_chosen_is_said_and_kept_as_safetensors(mine: Path) -> None:
    made, other = network("Net"), network("Net", seed=6)
    state = {"module." + k: v.double() for k, v in made.state_dict().items()}
    loaded, lines = taken(mine, "Net", {"model": state, "ema": other.state_dict(), "epoch": 1})
    same(loaded, made)
    assert "the weights under 'model'" in lines
    assert "those under 'ema' fit too" in lines
    assert "prefix 'module.'" in lines
    assert "from float64 to float32" in lines
    kept = load_file(loaded.folder / "source" / "weights.safetensors")
    assert {w.dtype for w in kept.values()} == {torch.float32}
    assert set(kept) == set(made.state_dict())
    assert not list(loaded.folder.rglob("*.pt"))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".safetensors"])
@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_files_and_kinds_of_floats(suffix: str, kind: torch.dtype, mine: Path) -> None:
    made = network("Net")
    state = {k: v.to(kind) for k, v in made.state_dict().items()}
    path = mine / f"w{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    loaded, lines = taken(mine, "Net", path)
    same(loaded, network("Net").to(kind).float())
    assert f"from {str(kind)[6:]} to float32" in lines


def test_a_class_of_doubles_is_cast(mine: Path) -> None:
    made = network("Double").float()
    loaded, lines = taken(mine, "Double", made.state_dict())
    same(loaded, made)
    assert "its weights are cast from float64 to float32" in lines


@given(st.lists(st.sampled_from(PREFIXES), max_size=3), st.sampled_from(["", "state_dict", "a.b"]))
def test_any_stack_of_prefixes_is_stripped(stack: list[str], where: str) -> None:
    made = network("Net").state_dict()
    prefix = "".join(stack)
    found = fit(made, [Candidate(where, {prefix + k: v for k, v in made.items()})], "w.pt", "Net")
    assert found.state.keys() == made.keys()
    assert bool(prefix) == any("removed from their names" in note for note in found.notes)


def test_a_network_whose_own_names_have_a_prefix_keeps_it() -> None:
    made = {"model.w": torch.ones(2)}
    assert fit(made, [Candidate("", made)], "w.pt", "Net") == (made, ())


def test_weights_that_are_one_tensor_may_be_kept_once() -> None:
    w = torch.ones(3)
    assert fit({"a": w, "b": w}, [Candidate("", {"a": w})], "w", "Net").notes == ()


class Config:
    latent = 4


def test_a_pickle_of_more_than_tensors_needs_trust(mine: Path, tmp_path: Path) -> None:
    made = network("Net")
    torch.save({"config": Config(), "state_dict": made.state_dict()}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"w\.pt: is a pickle that holds .*Config, which can run code .*--trust"):
        taken(mine, "Net", tmp_path / "w.pt", trust=False)
    same(taken(mine, "Net", tmp_path / "w.pt")[0], made)
    torch.save(made.state_dict(), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"mine\.py:Net: runs code .*--trust"):
        taken(mine, "Net", tmp_path / "w.pt", trust=False)


class Marks:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("what", ["weights", "source"])
def test_a_pickle_runs_nothing_without_trust(what: str, mine: Path) -> None:
    torch.save({"state_dict": network("Net").state_dict(), "more": Marks(mine / "ran")}, mine / "evil.pt")
    source = str(mine / "evil.pt") if what == "source" else f"{mine / 'mine.py'}:Net"
    with pytest.raises(ModelError, match="trust"):
        import_model(source, mine / "m", Wanted(weights=mine / "evil.pt" if what == "weights" else None))
    assert not (mine / "ran").exists()
    assert not list((mine / "m").glob("*"))


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"text", b"PK\x03\x04" + bytes(99), bytes(999)])
def test_damaged_checkpoints_get_a_sentence(content: bytes, mine: Path) -> None:
    (mine / "w.pt").write_bytes(content)
    for source, weights in ((f"{mine / 'mine.py'}:Net", mine / "w.pt"), (str(mine / "w.pt"), None)):
        for trust in (True, False):
            with pytest.raises(ReinjectError) as caught:
                import_model(source, mine / "m", Wanted(weights=weights, shape=SHAPE, trust=trust))
            assert "\n" not in str(caught.value)
            assert ":." not in str(caught.value)


def test_keys_that_do_not_fit_are_named_and_counted(mine: Path) -> None:
    state = network("Net").state_dict()
    with pytest.raises(ModelError, match=r"2 weights are missing \(up\.weight, up\.bias\)\. Give the weights"):
        taken(mine, "Net", {k: v for k, v in state.items() if "down" in k})
    with pytest.raises(ModelError, match=r"5 are not expected \(a0, a1, a2 and 2 more\)"):
        taken(mine, "Net", {**state, **{f"a{k}": torch.ones(1) for k in range(5)}})
    with pytest.raises(ModelError, match=r"down\.weight is \(4, 64\), not \(9, 64\).*Give --args"):
        taken(mine, "Net", state, arguments={"latent": 9})
    with pytest.raises(ModelError, match="holds no weights"):
        taken(mine, "Net", {"epoch": 3})


def test_a_whole_module_needs_trust_and_a_state_dict_a_class(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Linear(4, 64), nn.Sigmoid(), nn.Unflatten(1, SHAPE))
    torch.save(made, mine / "whole.pt")
    with pytest.raises(ModelError, match=r"pickle of torch\.nn.*FILE\.py:CLASS --weights .*whole\.pt, or .*--trust"):
        import_model(str(mine / "whole.pt"), mine / "m", Wanted(shape=SHAPE))
    import_model(str(mine / "whole.pt"), mine / "m", Wanted(shape=SHAPE, trust=True))
    same(bundle.load(mine / "m" / "autoencoder"), made)
    monkeypatch.setenv("REINJECT_HOME", str(mine / "another"))
    with pytest.raises(ModelError, match="is not trusted"):
        bundle.load(mine / "m" / "autoencoder")
    torch.save(made.state_dict(), mine / "state.pt")
    for trust in (False, True):
        with pytest.raises(ModelError, match=r"holds weights \(1\.weight, .*Give FILE\.py:CLASS --weights .*state\.pt"):
            import_model(str(mine / "state.pt"), mine / "n", Wanted(shape=SHAPE, trust=trust))


def test_torchscript_comes_in_with_trust(mine: Path) -> None:
    made = network("Net")
    torch.jit.save(torch.jit.trace(made, X), str(mine / "script.pt"))
    with pytest.raises(ModelError, match="is a TorchScript program, which runs code"):
        import_model(str(mine / "script.pt"), mine / "m", Wanted(shape=SHAPE))
    import_model(str(mine / "script.pt"), mine / "m", Wanted(shape=SHAPE, trust=True))
    same(bundle.load(mine / "m" / "autoencoder"), made)


def test_arguments_are_kept_and_asked_for(mine: Path) -> None:
    made = network("Strict", 7, act="relu")
    loaded, _ = taken(mine, "Strict", made.state_dict(), arguments={"latent": 7, "act": "relu"})
    same(loaded, made)
    assert json.loads((loaded.folder / "config.json").read_text())["arguments"] == {"latent": "7", "act": "'relu'"}
    with pytest.raises(ModelError, match=r"not given: latent, act\. Give --args latent=VALUE,act=VALUE"):
        taken(mine, "Strict", made.state_dict())
    with pytest.raises(ModelError, match=r"takes no argument 'size'.*latent, hidden"):
        taken(mine, "Net", made.state_dict(), arguments={"size": 1})
    with pytest.raises(ModelError, match="is an instance"):
        taken(mine, "made", made.state_dict(), arguments={"latent": 1})
    with pytest.raises(ModelError, match=r"returns no model with latent='x' \(TypeError"):
        taken(mine, "Net", made.state_dict(), arguments={"latent": "x"})
    with pytest.raises(ArgumentError, match="is not a literal"):
        taken(mine, "Net", made.state_dict(), arguments={"latent": nn.ReLU()})


texts = st.text("abc,=()[]'\" \\", max_size=5)
numbers = st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    numbers | st.none() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text("ab"), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["latent", "sizes", "act"]), values))
def test_arguments_are_read_as_they_are_written(arguments: dict[str, Any]) -> None:
    kept = as_text(arguments)
    assert arguments_of([",".join(f"{name}={value}" for name, value in kept.items())]) == arguments
    assert from_text(kept) == arguments


def test_options_of_classes_are_refused_for_other_sources(mine: Path) -> None:
    onnx_graph(random_weights(), mine / "a.onnx")
    (mine / "w.pt").write_bytes(b"")
    with pytest.raises(ArgumentError, match="--weights: is for a class in Python"):
        import_model(str(mine / "a.onnx"), mine / "m", Wanted(weights=mine / "w.pt"))
    with pytest.raises(ArgumentError, match="--args: is for a class in Python"):
        import_model(str(mine / "a.onnx"), mine / "m", Wanted(arguments={"latent": 3}))


def test_arguments_that_are_none() -> None:
    assert arguments_of(["act=relu", "n=1e-3,path=a/b"]) == {"act": "relu", "n": 1e-3, "path": "a/b"}
    for text in ("latent", "=3", "a b=3", "1a=3"):
        with pytest.raises(ArgumentError, match="is not NAME=VALUE"):
            arguments_of([text])
    with pytest.raises(ArgumentError, match="given twice"):
        arguments_of(["a=1", "a=2"])


@pytest.mark.parametrize("name", ["Net", "fresh", "made"])
def test_no_weights_is_an_error(name: str, mine: Path) -> None:
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
    with pytest.raises(ModelError, match=rf"has no weights: {name} makes random parameters\. Give --weights FILE\."):
        import_model(f"{mine / 'mine.py'}:{name}", mine / "m", Wanted(shape=SHAPE, bounds=(0, 1), trust=True))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == random.getstate()
    assert (before[2] == np.random.get_state()[1]).all()


def test_a_function_that_has_weights_of_its_own_comes_in(mine: Path) -> None:
    torch.manual_seed(3)
    same(taken(mine, "fixed")[0], SPACE["Net"]())


def test_sibling_files_come_along_and_leave_no_trace(mine: Path) -> None:
    (mine / "part.py").write_text("from pieces.more import N\nfrom torch import nn\nLayer = nn.Linear\n")
    (mine / "pieces").mkdir()
    (mine / "pieces" / "__init__.py").write_text("")
    (mine / "pieces" / "more.py").write_text("N = 4\n")
    (mine / "unused.py").write_text("raise SystemExit\n")
    (mine / "mine.py").write_text(TEXT.replace("class Net", "from part import Layer\nfrom .part import N\n\nclass Net"))
    sys.modules["part"] = elsewhere = type(sys)("part")
    path, modules = list(sys.path), dict(sys.modules)
    try:
        made = network("Net")
        loaded, lines = taken(mine, "Net", made.state_dict())
        same(loaded, made)
        assert sys.path == path
        assert sys.modules["part"] is elsewhere
        assert {name for name in sys.modules.keys() - modules.keys() if "pieces" in name or "mine" in name} == set()
    finally:
        del sys.modules["part"]
    assert "copied with it: part.py, pieces/__init__.py, pieces/more.py" in lines
    config = json.loads((loaded.folder / "config.json").read_text())
    assert {"source/part.py", "source/pieces/more.py"} <= set(config["files"])
    assert not list(loaded.folder.rglob("unused.py"))
    assert not list(loaded.folder.rglob("*.pyc"))
    (loaded.folder / "source" / "part.py").write_text("changed = 1\n")
    with pytest.raises(ModelError, match="is not the imported file"):
        bundle.load(loaded.folder)


def test_the_output_is_chosen_and_said(mine: Path) -> None:
    made = network("Tuple")
    loaded, lines = taken(mine, "Tuple", made.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(X), made(X)[1])
    assert "of its outputs, [1] is used" in lines
    with pytest.raises(ModelError, match=r"maps \(3, 1, 8, 8\) to \(3, 4\)\. .*an encoder needs its decoder"):
        taken(mine, "Encoder", made.state_dict())


def test_flat_networks_are_found_by_trying(mine: Path) -> None:
    made = network("Flat")
    loaded, lines = taken(mine, "Flat", made.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(X), made(X.flatten(1)).reshape(X.shape))
    assert "its inputs are (64,), ours (1, 8, 8)" in lines


@pytest.mark.parametrize("name", ["Variational", "Drawn"])
def test_a_variational_autoencoder_gives_its_mean_code(name: str, mine: Path) -> None:
    made: Any = network(name)
    loaded, lines = taken(mine, name, made.state_dict())
    before = torch.random.get_rng_state()
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(X), made.decode(made.down(X.flatten(1))))
    assert "noise set to zero" in lines
    assert torch.equal(before, torch.random.get_rng_state())


BAD = {
    "random": ("Random", "returns different values for the same input at every call"),
    "constant": ("Constant", "returns the same output for all noise"),
    "not a number on noise": ("Breaks", "non-finite values on noise"),
}


@pytest.mark.parametrize(("name", "sentence"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_walked_with_gets_a_sentence(name: str, sentence: str, mine: Path) -> None:
    with pytest.raises(ModelError, match=sentence):
        taken(mine, name, network(name).state_dict())


def test_static_batches_are_filled_up(mine: Path) -> None:
    onnx_graph(random_weights(), mine / "fixed.onnx", batch=3)
    onnx_graph(random_weights(), mine / "free.onnx")
    found = []
    for name in ("fixed", "free"):
        outcome = import_model(str(mine / f"{name}.onnx"), mine / name)
        found.append(bundle.load(mine / name / "autoencoder").network(torch.cat([X, X])))
        assert ("it takes batches of 3 only" in "\n".join(outcome.lines)) == (name == "fixed")
    torch.testing.assert_close(*found)
    made = network("Net").double()
    torch.export.save(torch.export.export(made, (torch.zeros(2, *SHAPE).double(),)), mine / "net.pt2")
    outcome = import_model(str(mine / "net.pt2"), mine / "export", Wanted(bounds=(0, 1), trust=True))
    with torch.no_grad():
        got = bundle.load(mine / "export" / "autoencoder").network(X)
        torch.testing.assert_close(got, made(X.double()).float())
    assert "batches of 2 only" in "\n".join(outcome.lines)
    assert "it takes float64" in "\n".join(outcome.lines)


@given(st.integers(1, 7), st.integers(1, 9))
def test_parts_of_a_batch_are_put_together(size: int, rows: int) -> None:
    x = torch.arange(float(rows))[:, None]
    y = Batched(_Two(size), size)(x)
    assert torch.equal(y["a"][0], x + 1)
    assert y["b"] == 3


class _Two(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> Any:
        assert len(x) == self.size
        return {"a": (x + 1,), "b": 3}


def trained(name: str, change: Any, loss: Any, steps: int = 150) -> nn.Module:
    made = network(name)
    x, y = torch.from_numpy(DIGITS), torch.from_numpy(LABELS)
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    for step in range(steps):
        rows = torch.arange(step * 128, step * 128 + 128) % len(x)
        value = loss(made(change(x[rows])), x[rows], y[rows])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return made


MEAN, STD = float(DIGITS.mean()), float(DIGITS.std())


def normal(x: torch.Tensor) -> torch.Tensor:
    return (x - MEAN) / STD


def signed(x: torch.Tensor) -> torch.Tensor:
    return 2 * x - 1


def squares(target: Any = None) -> Any:
    return lambda y, x, _: (y - (target(x) if target else x)).square().mean()


def bits(y: torch.Tensor, x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(y, x)


READ = {
    "0..1": (lambda x: x, squares(), "range 0,1"),
    "-1..1": (signed, squares(signed), "range -1,1"),
    "normalised": (normal, squares(normal), "mean 0.30"),
    "normalised in, plain out": (normal, squares(), "outputs without them"),
    "logits": (lambda x: x, bits, "range 0,1, outputs logits"),
}


@pytest.mark.parametrize(("change", "loss", "words"), READ.values(), ids=READ.keys())
def test_range_and_outputs_are_found_on_data(change: Any, loss: Any, words: str, mine: Path) -> None:
    made = trained("Logits", change, loss)
    loaded, lines = taken(mine, "Logits", made.state_dict(), bounds=None, shape=None, data="digits")
    chosen = next(line for line in lines.splitlines() if "taken: " in line)
    assert words in chosen, lines
    assert "relative error on digits: range" in lines
    inputs = loaded.network.inputs
    x = inputs.low + (inputs.high - inputs.low) * torch.from_numpy(DIGITS).reshape(-1, *SHAPE)
    with torch.no_grad():
        error = (loaded.network(x) - x).square().mean() / (x - x.mean(0)).square().mean()
    assert error.sqrt() < 0.9


def test_a_classifier_is_read_by_its_accuracy(mine: Path) -> None:
    made = trained("Judge", normal, lambda y, _, labels: nn.functional.cross_entropy(y, labels))
    _, lines = taken(mine, "Judge", made.state_dict(), role="classifier", bounds=None, shape=None, data="digits")
    assert "accuracy on digits: range 0,1 with mean 0.3" in lines
    with pytest.raises(ArgumentError, match=r"near chance on digits \(accuracy on digits: range .*%; range"):
        taken(
            mine,
            "Judge",
            {k: -v for k, v in made.state_dict().items()},
            role="classifier",
            bounds=None,
            shape=None,
            data="digits",
        )


def test_an_untrained_autoencoder_is_refused_with_figures(mine: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no better than the mean .*relative error on digits: range .*; range"):
        taken(mine, "Logits", network("Logits").state_dict(), bounds=None, shape=None, data="digits")
    with pytest.raises(ArgumentError, match=r"--range: .* does not state the range of its inputs"):
        taken(mine, "Logits", network("Logits").state_dict(), bounds=None)


def test_mean_and_std_are_applied_both_ways(mine: Path) -> None:
    made = network("Logits")
    loaded, lines = taken(mine, "Logits", made.state_dict(), bounds=None, mean=(0.5,), std=(0.25,))
    with torch.no_grad():
        wanted = made((X.flatten(1) - 0.5) / 0.25) * 0.25 + 0.5
        torch.testing.assert_close(loaded.network(X).flatten(1), wanted)
    assert "is assumed to return the same" in lines
    for said, sentence in (
        ({"mean": (0.5,)}, "1 means and 0 of --std"),
        ({"mean": (0.5, 0.5), "std": (1.0, 1.0)}, "2 values for 1 channels"),
        ({"mean": (0.5,), "std": (0.0,)}, "is not above 0"),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            taken(mine, "Logits", made.state_dict(), **said)


def test_models_that_do_not_go_together_are_refused(mine: Path) -> None:
    torch.save(network("Net").state_dict(), mine / "a.pt")
    torch.save(network("Judge", 3).state_dict(), mine / "c.pt")
    said = {"shape": SHAPE, "bounds": (0, 1), "trust": True}
    import_model(f"{mine / 'mine.py'}:Net", mine / "m", Wanted(weights=mine / "a.pt", **said))
    judge = {"weights": mine / "c.pt", "arguments": {"classes": 3}}
    with pytest.raises(ModelError, match=r"in -1\.\.1, the model beside it in 0\.\.1\. .*--units 0,1"):
        import_model(
            f"{mine / 'mine.py'}:Judge", mine / "m", Wanted("classifier", **{**said, **judge, "bounds": (-1, 1)})
        )
    with pytest.raises(ArgumentError, match="10 class names for 3 outputs"):
        import_model(
            f"{mine / 'mine.py'}:Judge", mine / "m", Wanted("classifier", **{**said, **judge, "data": "digits"})
        )
    config = mine / "m" / "autoencoder" / "config.json"
    there = json.loads(config.read_text())
    there["inputs"]["class_names"] = ["a", "b"]
    config.write_text(json.dumps(there))
    with pytest.raises(ModelError, match="has 3 classes, the model beside it 2"):
        import_model(f"{mine / 'mine.py'}:Judge", mine / "m", Wanted("classifier", **said, **judge))
    assert not (mine / "m" / "classifier").exists()


def command(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """A command of ours in a folder: status, output, errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as caught:
            app([*words], prog_name="reinject")
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


def test_what_is_missing_is_told_with_the_command_that_works(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": network("Net").state_dict()}, mine / "w.pt")
    status, out, err = command(mine, capsys, "import", "w.pt")
    assert status == 1
    assert "w.pt: 4 tensors under 'state_dict': down.weight (4, 64)" in out
    assert "reinject import FILE.py:CLASS --weights w.pt --shape 1,8,8 --out models --trust" in out
    assert "holds weights" in err
    status, out, _ = command(mine, capsys, "import", "mine.py:Net", "--weights", "w.pt")
    assert status == 1
    line = next(line.strip() for line in out.splitlines() if line.startswith("  reinject import"))
    assert line == "reinject import mine.py:Net --weights w.pt --shape 1,8,8 --out models --trust"
    status, out, err = command(mine, capsys, *line.split()[1:])
    assert status == 0, err
    assert "models/autoencoder: module model mine.py:Net" in out
    torch.save(network("Logits").state_dict(), mine / "l.pt")
    words = ["import", "mine.py:Logits", "--weights", "l.pt", "--shape", "1,8,8", "--trust", "--out", "more"]
    status, out, err = command(mine, capsys, *words)
    assert status == 1
    assert "does not state the range of its inputs" in err
    assert "--shape 1,8,8 --range 0,1 --out more --trust" in out
    status, out, err = command(mine, capsys, *words, "--mean", "0.1,x", "--std", "1")
    assert (status, "--mean: '0.1,x' are not numbers" in err) == (1, True)
    status, out, err = command(mine, capsys, *words, "--mean", "0.1", "--std", "0.3")
    assert status == 0, err


def test_try_says_what_there_is_and_runs_nothing(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mine / "mine.py").write_text(f"open({str(mine / 'ran')!r}, 'a').write('x')\n{TEXT}")
    before = sorted(mine.iterdir())
    status, out, _ = command(mine, capsys, "try", "mine.py")
    assert status == 0
    assert "network Net(), network Strict(latent, act)" in out
    assert "next:\n  reinject import mine.py:" in out
    assert sorted(mine.iterdir()) == before
    torch.save(network("Strict", 7, act=1).state_dict(), mine / "w.pt")
    before = sorted(mine.iterdir())
    told = look(str(mine / "mine.py"), Wanted(weights=mine / "w.pt", arguments={"latent": 7, "act": 1}))
    assert "w.pt fits" not in "\n".join(told.lines)
    assert sorted(mine.iterdir()) == before
    arguments = {"latent": 7, "act": 1}
    told = look(str(mine / "mine.py"), Wanted(weights=mine / "w.pt", arguments=arguments, trust=True))
    assert "w.pt fits Strict" in told.lines
    assert "mine.py:Strict --weights" in told.result["command"]
    torch.save(nn.Sequential(nn.Linear(1, 1)), mine / "whole.pt")
    assert "torch.nn.modules.linear.Linear" in "\n".join(look(str(mine / "whole.pt")).lines)
    torch.jit.save(torch.jit.trace(network("Net"), X), str(mine / "script.pt"))
    assert "a TorchScript program" in "\n".join(look(str(mine / "script.pt")).lines)
    assert look("model.x.onnx:y", Wanted(route="onnx")).result["route"] == "onnx"
    with pytest.raises(ModelError, match="no such file"):
        look("no.pt")
    status, _, err = command(mine, capsys, "try", "no.py:Net")
    assert (status, "no such file" in err) == (1, True)
