"""Networks as they are found: where their weights lie, and their training mode, which a call leaves as it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError


class Evaluating:
    """Hold modules in evaluation mode inside a ``with`` block, and give every submodule its own mode back after it.

    Blocks may nest, and several threads may be inside: the last one that leaves gives the modes back. The submodules
    are listed once. Their flags are read and written directly, which costs less than the call of any layer: a walk's
    caller may train the same network between two steps, so the mode has to change at every call.

    Arguments:
        parts: modules; anything else has no mode.

    Example:
        >>> net = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
        >>> with Evaluating(net):
        ...     [one.training for one in net.modules()]
        [False, False, False]
        >>> [one.training for one in net.modules()]
        [True, True, False]
    """

    def __init__(self, *parts: object) -> None:
        self._parts = tuple(part for part in parts if isinstance(part, nn.Module))
        self._modules = list({id(one): one for part in self._parts for one in part.modules()}.values())
        self._lock, self._depth = Lock(), 0
        self._training: list[nn.Module] = []  # those whose mode is to be given back

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._parts  # a lock is not copied

    def __enter__(self) -> None:
        with self._lock:
            if not self._depth:
                self._training = [one for one in self._modules if one.training]
                if self._training:
                    self._evaluate()
            self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth and self._training:
                self._give_back()

    def _evaluate(self) -> None:
        for one in self._training:
            if _own_way(one):
                one.eval()
            _set(one, False)

    def _give_back(self) -> None:
        own = [one for one in self._training if _own_way(one)]
        for one in own:
            one.train()
        for one in self._modules if own else ():  # train() reached those that were in evaluation mode, too
            _set(one, False)
        for one in self._training:
            _set(one, True)
        self._training = []


def _own_way(module: nn.Module) -> bool:
    """Whether a module does more than to set a flag: as where ``train`` merges weights."""
    return type(module).train is not nn.Module.train and not isinstance(module, torch.jit.ScriptModule)


def _set(module: nn.Module, mode: bool) -> None:
    flags = module.__dict__
    if "training" in flags:
        flags["training"] = mode  # a tenth of the time that nn.Module takes to set an attribute
    else:  # TorchScript keeps it elsewhere
        module.training = mode


@dataclass(frozen=True)
class InEvaluation:
    """A function of modules that calls them in evaluation mode.

    Attributes:
        function: what is called.
        mode: of the modules that it calls.

    Example:
        >>> noisy = nn.Dropout()
        >>> x = InEvaluation(noisy, Evaluating(noisy))(torch.ones(3))
        >>> x, noisy.training
        (tensor([1., 1., 1.]), True)
    """

    function: Callable[..., Tensor]
    mode: Evaluating

    def __call__(self, *args: Tensor) -> Tensor:
        """The function of these."""
        with self.mode:
            return self.function(*args)


def place_of_weights(parts: Sequence[object], owner: str) -> torch.device:
    """Return the device of the modules' weights; the CPU where there are none.

    Arguments:
        parts: modules, or functions, which have no weights.
        owner: name for messages.

    Raises:
        ModelError: the modules lie on several devices.

    Example:
        >>> place_of_weights([nn.Linear(1, 1, device="meta")], "r")
        device(type='meta')
    """
    modules = [part for part in parts if isinstance(part, nn.Module)]
    first = [next((weight.device for weight in (*one.parameters(), *one.buffers())), None) for one in modules]
    places = sorted({str(place) for place in first if place is not None})
    if len(places) > 1:
        raise ModelError(owner, f"has its parts on {' and '.join(places)}", "Give the device to run on")
    return torch.device(places[0] if places else "cpu")
