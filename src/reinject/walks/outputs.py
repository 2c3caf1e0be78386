"""Choose the reconstruction or the scores among a network's outputs: tuples, dicts, dataclasses, library outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError

Place = tuple[str | int, ...]  # keys, names and indices that lead to a tensor; (): the value itself

RECONSTRUCTIONS = (
    *("recon", "reconstruction", "recon_x", "x_recon", "recon_batch", "reconstructed", "reconstructions"),
    *("x_hat", "xhat", "x_rec", "rec", "sample", "output", "out", "logits", "decoded"),
)
SCORES = ("logits", "output", "out", "probabilities", "probs", "scores")
_DEPTH = 4


def tensors_in(value: Any, _depth: int = 0) -> list[tuple[Place, Tensor]]:
    """List every tensor in a network's output, with its place.

    Arguments:
        value: a tensor, or tuples, lists, mappings, dataclasses, named tuples and objects that hold some.

    Example:
        >>> value = {"z": torch.zeros(2, 3), "more": (torch.zeros(2, 1), None)}
        >>> [(place, tuple(tensor.shape)) for place, tensor in tensors_in(value)]
        [(('z',), (2, 3)), (('more', 0), (2, 1))]
    """
    if isinstance(value, Tensor):
        return [((), value)]
    if value is None or isinstance(value, (str, bytes, int, float)) or _depth == _DEPTH:
        return []
    inner: list[tuple[str | int, Any]]
    if isinstance(value, Mapping):
        inner = [(key, part) for key, part in value.items() if isinstance(key, (str, int))]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        inner = [(name, getattr(value, name)) for name in value._fields]
    elif isinstance(value, (tuple, list)):
        inner = list(enumerate(value))
    elif is_dataclass(value):
        inner = [(field.name, getattr(value, field.name, None)) for field in fields(value)]
    else:
        inner = [(name, part) for name, part in getattr(value, "__dict__", {}).items() if not name.startswith("_")]
    return [((key, *place), tensor) for key, part in inner for place, tensor in tensors_in(part, _depth + 1)]


def tensor_at(value: Any, place: Sequence[str | int]) -> Tensor:
    """Return the tensor at a place of :func:`tensors_in`.

    Raises:
        ModelError: there is no tensor at the place.

    Example:
        >>> tensor_at({"z": (None, torch.ones(1))}, ("z", 1))
        tensor([1.])
    """
    found = value
    for key in place:
        try:
            found = found[key] if isinstance(found, (Mapping, list)) or isinstance(key, int) else getattr(found, key)
        except (LookupError, AttributeError, TypeError) as error:
            raise ModelError("model", f"returns no {name_of(place)} this time", "Import or wrap it again") from error
    if not isinstance(found, Tensor):
        raise ModelError("model", f"returns no tensor as {name_of(place)} this time", "Import or wrap it again")
    return found


def name_of(place: Sequence[str | int]) -> str:
    """Write a place as a Python expression.

    Example:
        >>> name_of(("more", 0)), name_of(())
        ('more[0]', 'its output')
    """
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    return text.removeprefix(".") or "its output"


def choose(value: Any, x: Tensor, role: Literal["autoencoder", "classifier"], owner: str = "model") -> Place:
    """Choose the place of the reconstruction, or of the scores of the classes, in a network's output.

    Of an autoencoder's tensors: the first of the usual names with the input's shape, then the first tensor of that
    shape, then the first with as many values. Tensors equal to the input come last. Of a classifier's tensors: the
    usual names ("logits" first), then the first of two dimensions, then the first with one number a row.

    Arguments:
        value: the network's output for ``x``.
        x: the input, (B, *shape) with B of at least 2.
        role: kind of the network: an autoencoder or a classifier.
        owner: name for messages.

    Raises:
        ModelError: no tensor fits; the message lists the names and shapes of all tensors.

    Example:
        >>> x = torch.zeros(2, 4)
        >>> choose((torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 4)), x, "autoencoder")
        (2,)
        >>> choose({"z": torch.zeros(2, 10), "logits": torch.zeros(2, 3)}, x, "classifier")
        ('logits',)
    """
    found = [
        (place, tensor)
        for place, tensor in tensors_in(value)
        if tensor.is_floating_point() and tensor.ndim and len(tensor) == len(x)
    ]
    if role == "classifier":
        fitting = _scores(found)
    else:
        exact = [(place, tensor) for place, tensor in found if tensor.shape == x.shape]
        fitting = exact or [(place, tensor) for place, tensor in found if tensor.numel() == x.numel()]
        changed = [
            (place, tensor) for place, tensor in fitting if not torch.equal(tensor.reshape(x.shape), x.to(tensor))
        ]
        fitting = changed or fitting
    if not fitting:
        raise _nothing(value, x, role, owner)
    names = RECONSTRUCTIONS if role == "autoencoder" else SCORES
    by_name = [(names.index(str(place[-1]).lower()), place) for place, _ in fitting if place and _known(place, names)]
    return min(by_name, key=lambda one: one[0])[1] if by_name else fitting[0][0]


def _scores(found: list[tuple[Place, Tensor]]) -> list[tuple[Place, Tensor]]:
    """Choose scores (B, classes) before one number for two classes, unless the one number has the better name."""
    each = [(place, tensor) for place, tensor in found if tensor.ndim == 2 and tensor.shape[1] > 1]
    one = [(place, tensor) for place, tensor in found if tensor.ndim <= 2 and tensor.numel() == len(tensor)]
    return [*each, *one]


def _known(place: Place, names: Sequence[str]) -> bool:
    return str(place[-1]).lower() in names


def _nothing(value: Any, x: Tensor, role: str, owner: str) -> ModelError:
    shapes = [f"{name_of(place)} {tuple(tensor.shape)}" for place, tensor in tensors_in(value)]
    what = ", ".join(shapes[:6]) + (f" and {len(shapes) - 6} more" if len(shapes) > 6 else "")
    if isinstance(value, Tensor):
        problem = f"maps {tuple(x.shape)} to {tuple(value.shape)}"
    else:
        problem = f"returns a {type(value).__name__} for {tuple(x.shape)}, with {what or 'no tensor in it'}"
    if role == "classifier":
        labels = [tensor for _, tensor in tensors_in(value) if not tensor.is_floating_point() and tensor.ndim]
        problem += f": {_kind(labels[0])} labels, no scores" if labels else ""
        return ModelError(owner, problem, "Give a classifier's logits, of shape (batch, classes)")
    cure = "Give a model that returns an output of the shape of its input"
    only_codes = bool(shapes) and all(tensor.numel() < x.numel() for _, tensor in tensors_in(value))
    return ModelError(owner, problem, f"{cure}; an encoder needs its decoder" if only_codes else cure)


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


class Chosen(nn.Module):
    """Return one tensor of a function's outputs.

    Arguments:
        function: a module, or any callable on tensors.
        place: of the tensor, see :func:`choose`.
    """

    def __init__(self, function: Callable[..., Any], place: Sequence[str | int]) -> None:
        super().__init__()
        self.function, self.place = function, tuple(place)

    def forward(self, *args: Tensor) -> Tensor:
        """Return the tensor at the place in the function's output."""
        return tensor_at(self.function(*args), self.place)


def one_tensor(
    function: Callable[..., Any], x: Tensor, levels: Sequence[float] = (), owner: str = "model"
) -> Callable[..., Tensor]:
    """Return the function if it returns a tensor; else wrap it to return its reconstruction.

    Arguments:
        function: a module, or any callable on tensors.
        x: the points, (B, *shape).
        levels: noise levels, for a function of (x, sigma).
        owner: name for messages.

    Raises:
        ModelError: the function returns several tensors, and none of them fits.

    Example:
        >>> r = one_tensor(lambda x: {"z": x[:, :1], "recon": 2 * x}, torch.ones(2, 3))
        >>> r(torch.ones(1, 3))
        tensor([[2., 2., 2.]])
    """
    try:
        with torch.no_grad():
            value = function(x, *(torch.full((len(x),), level, dtype=x.dtype, device=x.device) for level in levels))
    except Exception:  # noqa: BLE001  # the caller's own check of the function says why
        return function
    if isinstance(value, Tensor):
        return function
    return Chosen(function, choose(value, x, "autoencoder", owner)).eval()


def halves_of(model: Any) -> tuple[Any, Any] | None:
    """Find a model's encoder and decoder: methods ``encode`` and ``decode``, or parts ``encoder`` and ``decoder``.

    The caller checks whether r(x) = decoder(encoder(x)).

    Example:
        >>> halves_of(object()) is None
        True
    """
    for first, second in (("encode", "decode"), ("encoder", "decoder")):
        halves = getattr(model, first, None), getattr(model, second, None)
        if all(callable(half) for half in halves):
            return halves
    return None
