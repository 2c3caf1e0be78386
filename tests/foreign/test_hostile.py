"""Malformed and hostile model files: none runs code, none crashes the process, none takes a gigabyte."""

import json
import multiprocessing
import os
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import AUTOENCODERS, SHAPE, onnx_graph, random_weights
from safetensors.torch import save_file

from reinject.base.errors import ModelError, ReinjectError
from reinject.foreign import probe as probe_module
from reinject.models import bundle, importing
from reinject.models.importing import Wanted, import_model
from reinject.networks import Inputs, MLPAutoencoder

CONTEXT = multiprocessing.get_context("forkserver")  # forks from a process that has the libraries, in milliseconds
CONTEXT.set_forkserver_preload(["reinject.foreign", "onnx", "onnxruntime", "keras", "skops.io", "sklearn"])
MARKER = "ran"


def child(pipe: Any, folder: Path, route: str, source: str) -> None:
    probe_module.limit_memory(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
    pipe.send((probe_module.look(folder, route, source), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def quick_probe(folder: Path, route: str, source: str) -> dict[str, Any]:
    """As the real one, in a process that need not import anything."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=child, args=(theirs, folder, route, source))
    process.start()
    theirs.close()
    try:
        told, most = ours.recv()
    except EOFError as error:
        raise ModelError(source, "crashes the process that reads it", "Export it again") from error
    finally:
        process.join()
    assert most < BASE + (1 << 20)  # kB
    if "error" in told:
        raise ModelError(*told["error"])
    return dict(told)


BASE = 1 << 20  # kB that a process with all these libraries may have


@pytest.fixture(autouse=True)
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(importing, "probe", quick_probe)
    monkeypatch.chdir(tmp_path)


class Evil:
    """A pickle that leaves a mark when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARKER}",)


def cuts(data: bytes, count: int = 7) -> Iterator[tuple[str, bytes]]:
    """The same bytes cut short, in the middle of things, flipped, or with other beginnings."""
    for k in range(count):
        yield f"cut at {k}/{count}", data[: len(data) * k // count]
    rng = np.random.default_rng(0)
    for k in range(count):
        flipped = bytearray(data)
        for at in rng.integers(0, len(data), 1 + 8 * k):
            flipped[at] ^= 1 << int(rng.integers(8))
        yield f"flipped {k}", bytes(flipped)
    yield "another magic", b"\x00" * 8 + data[8:]
    yield "a pickle", pickle.dumps(Evil())
    yield "text", b"<html>not found</html>"
    yield "zeros", bytes(len(data))
    yield "twice", data + data


MAY_WORK = ("another magic", "twice")  # readers of zips begin at the end, and protobuf takes the last value of a field


def rezipped(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """A zip with other members."""
    import io

    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in members.items():
            file.writestr(name, value)
    return out.getvalue()


def refused(source: str, out: Path, **said: Any) -> bool:
    """Whether it is refused, with one sentence; nothing of it may run in any case."""
    was = check_sentence(lambda: import_model(source, out, Wanted(**said)))
    assert not list(out.parent.rglob(MARKER))
    return was


def check_sentence(act: Callable[[], object]) -> bool:
    """Whether it fails; then with one sentence."""
    said = "."
    try:
        act()
    except ReinjectError as error:
        said = str(error)
    assert said.endswith(".")
    assert "\n" not in said
    return said != "."


@pytest.mark.parametrize("name", ["onnx", "pca", "keras"])
def test_damaged_files_get_a_sentence(name: str, tmp_path: Path) -> None:
    made = AUTOENCODERS[name](tmp_path)
    path = Path(made.source)
    for number, (what, data) in enumerate(cuts(path.read_bytes())):
        path.write_bytes(data)
        was = refused(str(path), tmp_path / f"m{number}", **made.said)
        assert was or what in MAY_WORK or what.startswith("flipped"), what


def test_damaged_programs_of_torch_export_get_a_sentence_even_when_trusted(tmp_path: Path) -> None:
    made = AUTOENCODERS["torch_export"](tmp_path)
    path = Path(made.source)
    for number, (what, data) in enumerate(cuts(path.read_bytes(), 3)):
        path.write_bytes(data)
        trusted = what != "a pickle"  # nobody should trust that
        was = refused(str(path), tmp_path / f"m{number}", **{**made.said, "trust": trusted})
        assert was or what in MAY_WORK or what.startswith("flipped"), what


def onnx_with(folder: Path, change: Callable[[Any], None]) -> str:
    import onnx

    model = onnx_graph(random_weights(), folder / "model.onnx")
    change(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    assert onnx is not None
    return str(folder / "model.onnx")


def external(location: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        from onnx import TensorProto

        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def huge(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.dims[:] = [1 << 40, 1 << 20]


def constant_of_shape(model: Any) -> None:
    from onnx import helper, numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 36]), "many"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["many"], ["zeros"]))
    model.graph.node.insert(1, helper.make_node("ReduceSum", ["zeros"], ["none"]))


def own_operator(model: Any) -> None:
    model.graph.node[0].domain = "evil.corp"
    model.opset_import.add(domain="evil.corp", version=1)


HOSTILE_ONNX = {
    "weights in /etc/passwd": external("/etc/passwd"),
    "weights above the folder": external("../secret.bin"),
    "weights nowhere": external("weights.bin"),
    "weights without a name": external(""),
    "huge weights": huge,
    "huge constant": constant_of_shape,
    "an operator of its own": own_operator,
    "no input": lambda model: model.graph.ClearField("input"),
    "no output": lambda model: model.graph.ClearField("output"),
    "a loop": lambda model: model.graph.node[0].input.__setitem__(0, "y"),
    "an opset to come": lambda model: setattr(model.opset_import[0], "version", 999),
    "NaN weights": lambda model: setattr(
        model.graph.initializer[1], "raw_data", np.full(64, np.nan, np.float32).tobytes()
    ),
}


@pytest.mark.parametrize("change", HOSTILE_ONNX.values(), ids=HOSTILE_ONNX.keys())
def test_hostile_onnx_is_refused(change: Callable[[Any], None], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(64 * 64 * 4))  # as large as the weights
    outside = list(HOSTILE_ONNX.values())[:2]  # found before onnxruntime, which refuses them too
    with pytest.raises(ReinjectError, match="outside its folder" if change in outside else ""):
        import_model(onnx_with(tmp_path / "in", change), tmp_path / "m")
    assert not (tmp_path / "m" / "autoencoder").exists()


def layer(name: str, module: str = "keras.layers", **config: Any) -> Callable[[dict[str, bytes]], None]:
    """Another layer in place of the third one."""

    def change(members: dict[str, bytes]) -> None:
        whole = json.loads(members["config.json"])
        whole["config"]["layers"][2] = {
            "module": module,
            "class_name": name,
            "config": {"name": "evil", **config},
            "registered_name": None,
        }
        members["config.json"] = json.dumps(whole).encode()

    return change


def units(count: int) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["config.json"] = members["config.json"].replace(b'"units": 64', f'"units": {count}'.encode())

    return change


HOSTILE_KERAS = {
    "Lambda": layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}),
    "a pickled torch module": layer("TorchModuleWrapper", module={"class_name": "x"}),
    "a saved model": layer("TFSMLayer", filepath="/tmp/evil"),
    "a file of words": layer("StringLookup", vocabulary="/etc/passwd"),
    "any function": layer("system", "os"),
    "any function of builtins": layer("exec", "builtins"),
    "a function of keras": layer("get_file", "keras.utils", origin="http://127.0.0.1/x"),
    "a class of its own": layer("Evil", "evil.package"),
    "huge layers": units(1 << 34),
    "layers larger than the weights": units(1 << 24),
    "a bomb": lambda members: members.__setitem__("config.json", b"[" * (65 << 20)),
    "deep nesting": lambda members: members.__setitem__("config.json", b"[" * 100_000 + b"]" * 100_000),
    "no config": lambda members: members.pop("config.json") and None,
    "no weights": lambda members: members.pop("model.weights.h5") and None,
    "names above the folder": lambda members: members.__setitem__("../../../evil.py", b"x"),
    "a pickle as weights": lambda members: members.__setitem__("model.weights.h5", pickle.dumps(Evil())),
}


CODE = list(HOSTILE_KERAS.values())[:8]  # refused before Keras has seen them


@pytest.mark.parametrize("change", HOSTILE_KERAS.values(), ids=HOSTILE_KERAS.keys())
def test_hostile_keras_is_refused(change: Callable[[dict[str, bytes]], None], tmp_path: Path) -> None:
    made = AUTOENCODERS["keras"](tmp_path)
    path = Path(made.source)
    path.write_bytes(rezipped(path.read_bytes(), change))
    if "../" in str(zipfile.ZipFile(path).namelist()):
        refused(str(path), tmp_path / "m", **made.said)
        assert not (tmp_path.parent / "evil.py").exists()
        return
    said = "runs code" if change in CODE else ""
    with pytest.raises(ReinjectError, match=said):
        import_model(str(path), tmp_path / "m", Wanted(**made.said))
    assert not list(tmp_path.rglob(MARKER))


def schema(change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def changed(members: dict[str, bytes]) -> None:
        whole = json.loads(members["schema.json"])
        change(whole)
        members["schema.json"] = json.dumps(whole).encode()

    return changed


HOSTILE_SKOPS = {
    "any function": schema(
        lambda s: s.update(__class__="system", __module__="posix", __loader__="FunctionNode", content="x")
    ),
    "another class": schema(lambda s: s.update(__class__="Popen", __module__="subprocess")),
    "another loader": schema(lambda s: s.update(__loader__="NoSuchNode")),
    "a method": schema(lambda s: s.update(__loader__="MethodNode", content={"func": "x", "obj": {}})),
    "a file outside": schema(lambda s: s["content"]["content"].update(file="../../etc/passwd")),
    "nothing": lambda members: members.__setitem__("schema.json", b"{}"),
    "no schema": lambda members: members.pop("schema.json") and None,
    "no JSON": lambda members: members.__setitem__("schema.json", b"{"),
    "deep nesting": lambda members: members.__setitem__("schema.json", b"[" * 100_000 + b"]" * 100_000),
    "a pickled array": lambda members: members.update(
        {name: pickle.dumps(Evil()) for name in members if name.endswith(".npy")}
    ),
    "a bomb": lambda members: members.__setitem__("more", bytes(1200 << 20)),
}


@pytest.mark.parametrize("change", HOSTILE_SKOPS.values(), ids=HOSTILE_SKOPS.keys())
def test_hostile_skops_is_refused(change: Callable[[dict[str, bytes]], None], tmp_path: Path) -> None:
    made = AUTOENCODERS["pca"](tmp_path)
    path = Path(made.source)
    path.write_bytes(rezipped(path.read_bytes(), change))
    refused(str(path), tmp_path / "m", **made.said)
    assert not (tmp_path / "m" / "autoencoder").exists() or change is HOSTILE_SKOPS["a file outside"]


def test_pickles_are_refused_by_every_name(tmp_path: Path) -> None:
    for suffix in ("pt", "pth", "ckpt", "bin", "pkl", "pickle", "joblib", "onnx", "skops", "keras", "pt2", "h5"):
        path = tmp_path / f"model.{suffix}"
        path.write_bytes(pickle.dumps(Evil()))
        with pytest.raises(ReinjectError):
            import_model(str(path), tmp_path / "m", Wanted(shape=SHAPE, bounds=(0, 1)))
        nested = tmp_path / f"nested.{suffix}"
        with zipfile.ZipFile(nested, "w") as file:
            file.write(path, "model.pkl")
            file.writestr("archive/data.pkl", pickle.dumps(Evil()))
        with pytest.raises(ReinjectError):
            import_model(str(nested), tmp_path / "m", Wanted(shape=SHAPE, bounds=(0, 1)))
    assert not (tmp_path / MARKER).exists()


def test_a_pythae_folder_with_a_hostile_pickle_is_refused(tmp_path: Path) -> None:
    made = AUTOENCODERS["pythae_ae"](tmp_path)
    (Path(made.source) / "model.pt").write_bytes(pickle.dumps(Evil()))
    for trust in (False, True):  # it is read with weights_only even then
        with pytest.raises(ReinjectError):
            import_model(made.source, tmp_path / "m", Wanted(trust=trust))
    torch.save({"model_state_dict": Evil()}, Path(made.source) / "model.pt")
    with pytest.raises(ReinjectError):
        import_model(made.source, tmp_path / "m", Wanted(trust=True))
    assert not (tmp_path / MARKER).exists()


@pytest.mark.slow
def test_diffusers_folders_that_are_not_what_they_seem(tmp_path: Path) -> None:
    made = AUTOENCODERS["kl"](tmp_path)
    config, weights = (Path(made.source) / name for name in ("config.json", "diffusion_pytorch_model.safetensors"))
    text, data = config.read_text(), weights.read_bytes()
    for change in (
        {"_class_name": "Evil"},
        {"block_out_channels": [1 << 30]},
        {"block_out_channels": "x"},
        {"down_block_types": ["Evil"]},
        {"latent_channels": -1},
    ):
        config.write_text(json.dumps({**json.loads(text), **change}))
        refused(made.source, tmp_path / "m")
        assert not (tmp_path / "m" / "autoencoder").exists()
    config.write_text(text)
    for _, damaged in cuts(data, 3):
        weights.write_bytes(damaged)
        refused(made.source, tmp_path / "m2")
    weights.unlink()
    (Path(made.source) / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ReinjectError, match=r"has no diffusion_pytorch_model\.safetensors"):
        import_model(made.source, tmp_path / "m3")
    assert not list(tmp_path.rglob(MARKER))


def header(entries: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_our_own_bundles_with_hostile_weights_or_configs(tmp_path: Path) -> None:
    folder = tmp_path / "autoencoder"
    MLPAutoencoder(Inputs((1, 4, 4)), hidden=(8,), latent=2).save_pretrained(folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    data, text = weights.read_bytes(), config.read_text()
    huge_header = struct.pack("<Q", 1 << 60) + data[8:]
    wide = header({"a": {"dtype": "F32", "shape": [1 << 30, 1 << 20], "data_offsets": [0, 4]}}, b"1234")
    for damaged in (*(value for _, value in cuts(data)), huge_header, wide, header({"a": 3}), header({})):
        weights.write_bytes(damaged)
        check_sentence(lambda: bundle.load(folder))
    state = {name: torch.full_like(value, torch.nan) for name, value in bundle_state(data, tmp_path).items()}
    save_file(state, weights)
    with pytest.raises(ModelError, match="non-finite"):
        bundle.load(folder)
    weights.write_bytes(data)
    whole = json.loads(text)
    for key in [*whole, "architecture", "more"]:
        for value in (None, -1, 1 << 62, "x" * 100, [], {}, [1 << 40], {"shape": [1 << 30, 1 << 30]}, True, 1e308):
            config.write_text(json.dumps({**whole, key: value}))
            check_sentence(lambda: bundle.load(folder))


def bundle_state(data: bytes, folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    assert folder.is_dir()
    return dict(load(data))


def test_foreign_folders_that_were_tampered_with(tmp_path: Path) -> None:
    made = AUTOENCODERS["onnx"](tmp_path)
    import_model(made.source, tmp_path / "m")
    folder = tmp_path / "m" / "autoencoder"
    whole = json.loads((folder / "config.json").read_text())
    refused = 0
    for key in whole:
        for value in (None, -1, "x", [], {}, "../../model.onnx", "module", "os:system", ["/etc/passwd"], 1 << 62):
            (folder / "config.json").write_text(json.dumps({**whole, key: value}))
            with pytest.raises(ReinjectError) as caught:
                bundle.load(folder)
            assert "\n" not in str(caught.value)
            refused += 1
    assert refused >= 80
    (folder / "config.json").write_text(json.dumps(whole))
    bundle.load(folder)
    (folder / "source" / "more").symlink_to("/etc/passwd")
    with pytest.raises(ModelError):
        bundle.load(folder)


def test_the_real_probe_survives_a_crash_and_a_glutton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    (tmp_path / "crash.py").write_text("import os\nos.abort()\n")
    with pytest.raises(ModelError, match="crashes the process"):
        probe_module.probe(tmp_path, "module", "crash.py:make")
    (tmp_path / "eat.py").write_text("import torch\nfull = [torch.ones(1 << 28) for _ in range(8)]\n")
    with pytest.raises(ModelError, match=r"within a gigabyte|crashes|allocate memory"):
        probe_module.probe(tmp_path, "module", "eat.py:make")
