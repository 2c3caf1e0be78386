"""An autoencoder and a classifier in one command: which is which, whose weights and arguments, all or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from making import AUTOENCODERS, CLASSIFIERS, NETWORK, SHAPE, namespace, onnx_graph, random_weights

from reinject.base.errors import ArgumentError, ModelError
from reinject.cli import app
from reinject.foreign import probe as probe_module
from reinject.models import bundle, importing
from reinject.models.importing import Wanted, import_models
from reinject.models.loading import load_models

MORE = """
class Sized(Net):
    def __init__(self, width):
        nn.Module.__init__(self)
        self.down, self.up, self.drop = nn.Linear(64, width), nn.Linear(width, 64), nn.Dropout(0.5)

class Named(nn.Sequential):
    def __init__(self, classes=10):
        super().__init__(nn.Flatten(), nn.Linear(64, classes))

def settled():
    torch.manual_seed(1)
    return Judge()
"""
SAID: dict[str, Any] = {"shape": SHAPE, "bounds": (0, 1), "trust": True}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(importing, "probe", probe_module.look)  # in this process, for time
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK + MORE)
    space = namespace()
    exec(compile(MORE, "more", "exec"), space)
    torch.manual_seed(3)
    for name, made in (("net", space["Net"]()), ("judge", space["Judge"]()), ("sized", space["Sized"](5))):
        torch.save(made.state_dict(), f"{name}.pt")


def roles(out: Path = Path("models")) -> dict[str, str]:
    return {path.name: json.loads((path / "config.json").read_text())["source"] for path in sorted(out.glob("*r"))}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        app([*words], prog_name="reinject")
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


def test_two_commands_from_checkpoints_to_a_judged_set(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "net.py:Net",
        "net.py:Judge",
        "--weights",
        "net.pt",
        "--weights",
        "judge.pt",
        "--shape",
        "1,8,8",
        "--trust",
    ]
    status, out, err = run(capsys, "import", *words)
    assert status == 0, err
    assert "models/autoencoder: module model net.py:Net\n" in out
    assert "models/classifier: module model net.py:Judge\n" in out
    assert "assumed to take the autoencoder's inputs, range 0,1; --data would show" in out
    following = out.splitlines()[-1]
    assert following == "Next: reinject sample models --out SYNTHETIC"
    status, out, err = run(capsys, *following.split()[2:], "--walks", "20", "--force")
    assert status == 0, err
    assert "verdict: " in out


def test_which_is_which_is_read_off_their_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    onnx_graph(random_weights(), Path("a.onnx"))
    onnx_graph(random_weights(10), Path("c.onnx"), last="Softmax")
    status, out, err = run(capsys, "import", "c.onnx", "a.onnx", "--json")
    assert status == 0, err
    assert json.loads(out).keys() == {"autoencoder", "classifier"}
    assert roles() == {"autoencoder": "a.onnx", "classifier": "c.onnx"}
    both = load_models([Path("models")])
    assert both.autoencoders[0].network.inputs.shape == SHAPE
    assert len(both.inputs.class_names) == 10
    import_models(["a.onnx", "c.onnx"], Path("more"))
    for role in ("autoencoder", "classifier"):
        x = torch.rand(3, *SHAPE)
        first, second = (bundle.load(Path(out) / role).network for out in ("models", "more"))
        torch.testing.assert_close(first(x), second(x))


def test_the_shape_and_the_range_of_the_second_are_those_of_the_first(tmp_path: Path) -> None:
    linear, judge = AUTOENCODERS["pca"](tmp_path), CLASSIFIERS["onnx_classifier"](tmp_path)
    import_models(
        [linear.source, judge.source], Path("m"), Wanted(bounds=(-1, 1))
    )  # which says (64,); the other (1, 8, 8)
    both = load_models([Path("m")])
    assert (both.inputs.shape, both.inputs.low) == (SHAPE, -1)
    assert both.classifiers[0].network.native.low == -1  # type: ignore[union-attr]


def test_weights_and_arguments_go_to_the_classes_that_take_them() -> None:
    arguments = {"width": 5}
    weights = [Path("judge.pt"), Path("sized.pt")]
    import_models(["net.py:Judge", "net.py:Sized"], Path("m"), Wanted(arguments=arguments, **SAID), weights=weights)
    assert json.loads(Path("m/autoencoder/config.json").read_text())["arguments"] == {"width": "5"}
    assert "arguments" not in json.loads(Path("m/classifier/config.json").read_text())
    import_models(["net.py:Net", "net.py:settled"], Path("n"), Wanted(**SAID), weights=[Path("net.pt")])
    assert Path("n/classifier/source").is_dir()
    with pytest.raises(ArgumentError, match=r"--args: .* take no argument 'size'"):
        import_models(["net.py:Net", "net.py:settled"], Path("x"), Wanted(arguments={"size": 1}, **SAID))
    with pytest.raises(ArgumentError, match=r"--weights: 1 files for net\.py:Net, net\.py:Judge\. Give one for each"):
        import_models(["net.py:Net", "net.py:Judge"], Path("x"), Wanted(**SAID), weights=[Path("net.pt")])
    with pytest.raises(ModelError, match=r"Judge makes random parameters"):
        import_models(["net.py:make", "net.py:Judge"], Path("x"), Wanted(**SAID))
    with pytest.raises(ModelError, match=r"net\.py:Net: runs code .*--trust"):
        import_models(["net.py:Net", "net.py:Judge"], Path("x"), Wanted(shape=SHAPE), weights=weights)
    assert not list(Path("x").glob("*"))


def test_if_one_is_refused_none_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["net.py:Net", "net.py:Judge", "--weights", "net.pt", "--weights", "net.pt", "--shape", "1,8,8", "--trust"]
    status, _, err = run(capsys, "import", *words)
    assert status == 1
    assert "net.pt: does not fit net.py:Judge" in err
    assert not Path("models").exists()
    onnx_graph(random_weights(), Path("a.onnx"))
    onnx_graph(random_weights(10), Path("c.onnx"), last="Softmax")
    import_models(["a.onnx"], Path("m"))
    with pytest.raises(Exception, match="already holds something"):
        import_models(["a.onnx", "c.onnx"], Path("m"))
    assert roles(Path("m")) == {"autoencoder": "a.onnx"}
    import_models(
        ["c.onnx", "a.onnx"], Path("m"), Wanted(units=(0, 2)), overwrite=True
    )  # not compared with the old one
    assert load_models([Path("m")]).inputs.high == 2


def test_what_cannot_be_told_is_asked_for() -> None:
    onnx_graph(random_weights(), Path("a.onnx"))
    onnx_graph(random_weights(), Path("b.onnx"))
    onnx_graph(random_weights(10), Path("c.onnx"), last="Softmax")
    with pytest.raises(
        ArgumentError, match=r"--as: a\.onnx and b\.onnx both give an output shaped as its input\. Give one"
    ):
        import_models(["a.onnx", "b.onnx"], Path("m"))
    with pytest.raises(ArgumentError, match="both give a vector for an input"):
        import_models(["c.onnx", "c.onnx"], Path("m"))
    with pytest.raises(ArgumentError, match="import: 3 models"):
        import_models(["a.onnx", "b.onnx", "c.onnx"], Path("m"))
    with pytest.raises(ArgumentError, match="--as: autoencoder for 2 of them"):
        import_models(["a.onnx", "b.onnx"], Path("m"), roles=["autoencoder"])
    with pytest.raises(ArgumentError, match="--weights: 1 files for none of these models"):
        import_models(["a.onnx", "c.onnx"], Path("m"), weights=[Path("net.pt")])
    with pytest.raises(ArgumentError, match="--route"):
        import_models(["a.onnx", "c.onnx"], Path("m"), Wanted(route="onnx"))
    import_models(["b.onnx", "c.onnx"], Path("m"), roles=["autoencoder", "classifier"])
    assert not list(Path("m").glob("*.partial"))


def test_the_command_that_works_is_told_for_both(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["import", "net.py:Net", "net.py:Judge", "--weights", "net.pt", "--weights", "judge.pt"]
    status, out, err = run(capsys, *words)
    assert (status, "runs code" in err) == (1, True)
    line = next(line.strip() for line in out.splitlines() if line.startswith("  reinject import"))
    assert line == "reinject " + " ".join(words) + " --shape 1,8,8 --out models --trust"
    status, out, err = run(capsys, *line.split()[1:])
    assert status == 0, err
