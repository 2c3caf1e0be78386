"""``reinject try``: describe what a source holds, without running or writing anything, and how to import it."""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from reinject.base.errors import ModelError, ReinjectError
from reinject.base.outcome import Outcome, command_line
from reinject.foreign import Role, route_for
from reinject.foreign.arguments import as_text
from reinject.foreign.checkpoint import PICKLES, Candidate, candidates, is_torchscript, objects_in, read_checkpoint
from reinject.foreign.normalise import OUTPUTS
from reinject.foreign.torch_module import fitting
from reinject.models.wanted import Wanted

_WEIGHTS = (*PICKLES, ".safetensors")
_CURE = re.compile(r"--(range|units|mean|std) (-?[\d.]*\d(?:,-?[\d.]*\d)*)")
_WORDS = re.compile(r"--(outputs|layout) (\w[\w-]*)")
_MODULES = ("Module", "Sequential", "LightningModule", "ModelMixin", "PreTrainedModel")


@dataclass(frozen=True)
class Named:
    """A class or function of a Python file, read without running it.

    Attributes:
        name: of the class or function.
        network: whether it is a class that looks like an ``nn.Module``.
        codes: whether it has a method ``encode`` or ``decode``, or a name that ends like an autoencoder's.
        required: arguments without a default.
    """

    name: str
    network: bool
    codes: bool
    required: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """Contents of a source.

    Attributes:
        lines: about the source, for the user.
        source: name of the source in the command.
        told: the lines as JSON values.
        weights: the file of weights; None: unknown, where ``makes`` says that a class needs some.
        makes: whether the source is a class in Python.
        needs: unknown arguments of its constructor.
        state: its weights, by name.
        trust: whether reading it runs code.
    """

    lines: list[str]
    source: str
    told: Mapping[str, object]
    weights: Path | None = None
    makes: bool = False
    needs: Sequence[str] = ()
    state: Mapping[str, Tensor] = field(default_factory=dict)
    trust: bool = False


def look(
    source: str, wanted: Wanted | None = None, out: Path | None = None, error: ReinjectError | None = None
) -> Outcome:
    """Describe what a source holds, and the command that would import it, as far as it is known.

    Arguments:
        source: a file, a folder, or ``FILE.py:NAME``.
        wanted: what the user states; with ``trust``, the classes of a file are compared with a checkpoint.
        out: folder of models, for the command.
        error: why the import failed; the command takes a range or units from its cure.

    Returns:
        ``command``: the next one to run; ``classes``, ``weights``: what was found.

    Raises:
        ModelError: the file does not exist.
    """
    wanted = wanted or Wanted()
    return look_at([source], wanted, [] if wanted.weights is None else [wanted.weights], out=out, error=error)


def look_at(
    sources: Sequence[str],
    wanted: Wanted,
    weights: Sequence[Path] = (),
    roles: Sequence[Role] = (),
    out: Path | None = None,
    error: ReinjectError | None = None,
) -> Outcome:
    """Describe several models that one command imports, as :func:`look` does for one.

    Files of weights belong to the Python classes, in order.
    """
    wanted = _cured(wanted, error.cure if error else "")
    rest = iter(weights)
    each = [replace(wanted, weights=next(rest, None) if ".py" in source else None) for source in sources]
    found = [_look(source, one) for source, one in zip(sources, each, strict=True)]
    return _outcome(found, wanted, roles or ([wanted.role] if wanted.role == "classifier" else []), out)


def _cured(wanted: Wanted, cure: str) -> Wanted:
    """Return what the user states, with the options that a cure names.

    A range that the user states gives way to the cure's range, unless the cure gives its range as an example ("such
    as").
    """
    found: dict[str, Any] = {
        option: tuple(float(value) for value in text.split(",")) for option, text in _CURE.findall(cure)
    }
    words: dict[str, Any] = dict(_WORDS.findall(cure))
    bounds = found.get("range")
    if bounds and (wanted.bounds is None or "such as" not in cure):
        wanted = replace(wanted, bounds=bounds, mean=found.get("mean", ()), std=found.get("std", ()))
    if "units" in found:
        wanted = replace(wanted, units=found["units"])
    if "outputs" in words:
        wanted = replace(wanted, out="sigmoid" if words["outputs"] == "logits" else words["outputs"])
    return replace(wanted, layout=words.get("layout", wanted.layout))


def _look(source: str, wanted: Wanted) -> _Found:
    file, colon, name = source.rpartition(":")
    file, name = (file, name) if colon and file.endswith(".py") else (source, "")
    if not Path(file).exists() and (name or ("." in Path(file).name and not colon)):
        raise ModelError(file, "no such file or folder", "Give an existing one")
    if file.endswith(".py"):
        return _look_at_code(Path(file), name, wanted)
    if file.endswith(_WEIGHTS):
        return _look_at_weights(Path(file))
    route = route_for(source, wanted.route)
    return _Found([f"{source}: {route.what} (route {route.name})"], source, {"route": route.name}, trust=route.pickled)


def _look_at_code(path: Path, name: str, wanted: Wanted) -> _Found:
    found = names_in(path)
    networks = [one for one in found if one.network]
    lines = [f"{path}: Python, with {_listed(found) or 'no class or function'}"]
    beside = sorted(one for one in path.parent.iterdir() if one.suffix in _WEIGHTS)
    weights = wanted.weights or (beside[0] if len(beside) == 1 else None)
    lines += [f"{path.parent or '.'}: weights in {', '.join(one.name for one in beside[:6])}"] if beside else []
    state: Mapping[str, Tensor] = {}
    if weights is not None:
        more, held = _weights_in(weights)
        lines += more
        state = held[0].state if held else {}
        if wanted.trust and held and not name:
            fits = [one.name for one in networks if fitting(path, one.name, wanted.arguments, held)]
            lines.append(f"{weights.name} fits {', '.join(fits) or 'none of these classes'}")
            name = fits[0] if fits else name
    likely = [one for one in networks if one.codes == (wanted.role == "autoencoder")] or networks or found
    name = name or (likely[-1].name if likely else "NAME")
    chosen = next((one for one in found if one.name == name), None)
    told = {"classes": [one.name for one in networks], "weights": None if weights is None else str(weights)}
    needs = [one for one in (chosen.required if chosen else ()) if one not in wanted.arguments]
    makes = chosen is not None and chosen.network
    return _Found(lines, f"{path}:{name}", told, weights, makes, needs, state)


def _look_at_weights(path: Path) -> _Found:
    if is_torchscript(path):
        lines = [f"{path}: a TorchScript program, which runs code when it is read"]
        return _Found(lines, str(path), {"route": "torchscript"}, trust=True)
    lines, held = _weights_in(path)
    if not held:
        lines.append("a whole network is read by its pickle with --trust; better give its class and its state dict")
        return _Found(lines, str(path), {"route": "pickle"}, trust=True)
    state = held[0].state
    return _Found(lines, "FILE.py:CLASS", {"weights": str(path)}, path, True, (), state)


def _weights_in(path: Path) -> tuple[list[str], list[Candidate]]:
    """Return lines about a file of weights, and its state dicts, without running anything."""
    try:
        held = list(candidates(read_checkpoint(path)))
    except ReinjectError as error:
        found = objects_in(path)
        return [f"{path}: {error.problem}", *([f"  it holds {', '.join(found[:6])}"] if found else [])], []
    lines = []
    for one in held[:4]:
        where = f" under {one.where!r}" if one.where else ""
        shapes = ", ".join(f"{key} {tuple(weight.shape)}" for key, weight in list(one.state.items())[:4])
        lines.append(f"{path}: {len(one.state)} tensors{where}: {shapes}" + (", ..." if len(one.state) > 4 else ""))
    return lines or [f"{path}: no tensors"], held


def names_in(path: Path) -> list[Named]:
    """List the public classes and functions of a Python file, without running it.

    Raises:
        ModelError: the file is not Python.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ModelError(str(path), f"is not a Python file ({error})", "Give FILE.py:NAME") from error
    networks: set[str] = set()
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
            network = bool(bases & {*_MODULES, *networks})
            networks |= {node.name} if network else set()
            init = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
            methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
            codes = bool(methods & {"encode", "decode"}) or node.name.lower().endswith(("ae", "autoencoder"))
            found.append(Named(node.name, network, codes, _required(init)[1:] if init else ()))
        elif isinstance(node, ast.FunctionDef):
            found.append(Named(node.name, False, False, _required(node)))
    return [one for one in found if not one.name.startswith("_")]


def _required(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    names = [one.arg for one in positional[: len(positional) - len(arguments.defaults)]]
    keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return (*names, *(one.arg for one, default in keyword if default is None))


def _listed(found: list[Named]) -> str:
    texts = [
        f"{'network' if one.network else 'name'} {one.name}({', '.join(one.required)})"
        for one in sorted(found, key=lambda one: not one.network)
    ]
    return ", ".join(texts[:8]) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")


def _outcome(found: Sequence[_Found], wanted: Wanted, roles: Sequence[Role], out: Path | None) -> Outcome:
    """Return the lines and the next command, with words in capitals for what is unknown."""
    code = any(".py:" in one.source for one in found)
    trust = code or any(one.trust for one in found)
    arguments = [f"{name}={value}" for name, value in as_text(wanted.arguments).items()]
    arguments += [f"{name}=VALUE" for name in dict.fromkeys(name for one in found for name in one.needs)]
    state = next((one.state for one in found if one.state), {})
    shape = ",".join(map(str, wanted.shape)) if wanted.shape else shape_guess(state)
    numbers = {
        name: ",".join(f"{one:g}" for one in value)
        for name, value in (
            ("range", wanted.bounds),
            ("units", wanted.units),
            ("mean", wanted.mean),
            ("std", wanted.std),
        )
        if value
    }
    if "classifier" in roles and len(found) == 1 and not wanted.data:
        numbers.setdefault("range", "0,1")
    line = command_line(
        "import",
        *(one.source for one in found),
        **{
            "as": list(roles),
            "weights": [one.weights or "FILE" for one in found if one.weights or one.makes],
            "args": ",".join(arguments) or None,
            "data": wanted.data,
            "split_seed": wanted.split_seed or None,
            "shape": shape if wanted.shape or (not wanted.data and trust) else None,
            **numbers,
            "outputs": None if wanted.out is None else OUTPUTS[wanted.out],
            "layout": wanted.layout,
            "out": out,
        },
    )
    line += " --trust" if trust or wanted.trust else ""
    told = {name: value for one in found for name, value in one.told.items()}
    return Outcome({**told, "command": line}, [*(line for one in found for line in one.lines), "next:", f"  {line}"])


def shape_guess(state: Mapping[str, Tensor]) -> str:
    """Guess the shape of an image from the first layer of a network, with words in capitals for what is unknown.

    Example:
        >>> import torch
        >>> shape_guess({"0.weight": torch.zeros(32, 784)}), shape_guess({"0.weight": torch.zeros(8, 3, 3, 3)})
        ('1,28,28', '3,HEIGHT,WIDTH')
    """
    first = next((weight for weight in state.values() if weight.ndim in (2, 4)), None)
    if first is None:
        return "CHANNELS,HEIGHT,WIDTH"
    n = first.shape[1]
    if first.ndim == 4:
        return f"{n},HEIGHT,WIDTH"
    for channels in (1, 3):
        side = math.isqrt(n // channels)
        if channels * side * side == n:
            return f"{channels},{side},{side}"
    return str(n)
