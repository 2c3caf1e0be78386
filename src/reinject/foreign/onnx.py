"""Load ONNX models, run by onnxruntime."""

import shutil
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.foreign.adapters import Batched, Numpy
from reinject.foreign.names import class_names
from reinject.foreign.route import Given, Loaded, Route, Taken, ends_with, library, never, readable

_OPSETS = (7, 26)  # opsets that onnxruntime runs
_KINDS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


def _take(source: str, folder: Path, given: Given) -> Taken:  # noqa: ARG001
    path = Path(source)
    for name in _external(path, _read(path)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.parent / name, folder / name)
    shutil.copyfile(path, folder / path.name)
    return Taken(path.name)


def _read(path: Path) -> Any:
    """Return the graph, without data outside of the file."""
    onnx = library("onnx", "onnx")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (OSError, ValueError, RuntimeError, library("google.protobuf.message", "onnx").DecodeError) as error:
        raise readable("onnx", str(path), error) from error
    if not model.graph.input or not model.graph.output:
        raise ModelError(str(path), "has no input or no output", "Export it again")
    for opset in model.opset_import:
        if opset.domain not in _DOMAINS:
            raise ModelError(str(path), f"uses operators of {opset.domain!r}", "Export it with standard operators")
        if opset.domain in ("", "ai.onnx") and not _OPSETS[0] <= opset.version <= _OPSETS[1]:
            low, high = _OPSETS
            raise ModelError(str(path), f"has opset {opset.version}", f"Export it with opset {low} to {high}")
    return model


def _external(path: Path, model: Any) -> list[str]:
    """Return the names of files beside the model that hold its weights; all of them must lie in its folder."""
    helper = library("onnx.external_data_helper", "onnx")
    found = set()
    for tensor in helper._get_all_tensors(model):
        if helper.uses_external_data(tensor):
            name = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            place = (path.parent / name).resolve()
            if not name or Path(name).is_absolute() or not place.is_relative_to(path.parent.resolve()):
                raise ModelError(str(path), f"keeps weights in {name!r}, outside its folder", "Export it again")
            if not place.is_file():
                raise ModelError(str(path), f"keeps weights in {name}, which is missing", "Copy it beside the model")
            found.add(name)
    return sorted(found)


def _load(folder: Path, source: str) -> Loaded:
    path = folder / source
    graph = _read(path)
    _external(path, graph)
    runtime = library("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base but this one
        raise readable("onnxruntime", source, error) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _KINDS:
        kinds = ", ".join(f"{one.name} {one.type}" for one in inputs)
        raise ModelError(source, f"takes {kinds}", "Export it with one input of float32")
    if any(one.type.startswith("seq(map") for one in session.get_outputs()):
        raise ModelError(
            source,
            "returns its probabilities as a list of dictionaries (ZipMap)",
            "Export it without, by options={'zipmap': False} of skl2onnx",
        )
    batch, *shape = inputs[0].shape
    whole = all(isinstance(length, int) for length in shape)
    kind, notes = _KINDS[inputs[0].type], []
    if kind != "float32":
        notes.append(f"it takes {kind}; values go in and out as float32")
    network: nn.Module = _Session(session, inputs[0].name, kind)
    if isinstance(batch, int):
        notes.append(f"it takes batches of {batch} only; other batches are split and filled up")
        network = Batched(network, batch)
    names = class_names(graph)
    return Loaded(network, tuple(shape) if whole else None, anywhere=False, notes=tuple(notes), classes=names)


class _Session(nn.Module):
    """Wrap a session of onnxruntime as a module: it returns a tensor, or several outputs by name."""

    what = "ONNX graph"

    def __init__(self, session: Any, name: str, kind: str) -> None:
        super().__init__()
        self.session, self.name, self.kind = session, name, kind
        self.outputs = [one.name for one in session.get_outputs()]

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        run = Numpy(lambda values: self.session.run(self.outputs, {self.name: values.astype(self.kind)}), self.what)
        found = dict(zip(self.outputs, run.several(x), strict=True))
        return found if len(found) > 1 else found[self.outputs[0]]


ROUTE = Route(
    "onnx", "FILE.onnx, run by onnxruntime", ends_with(".onnx"), _take, _load, never, libraries=("onnx", "onnxruntime")
)
