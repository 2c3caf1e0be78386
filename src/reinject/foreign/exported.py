"""Load programs of ``torch.export``."""

from pathlib import Path

import torch
from torch.utils._pytree import tree_map_only

from reinject.base.errors import ModelError
from reinject.foreign.adapters import Batched
from reinject.foreign.route import Loaded, Route, always, check_zip, copied, ends_with, readable


def _load(folder: Path, source: str) -> Loaded:
    path = folder / source
    check_zip(path)
    try:
        program = torch.export.load(path)
    except (RuntimeError, ValueError, KeyError, OSError, TypeError, AttributeError) as error:
        raise readable("torch.export", source, error) from error
    taken = [node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    if len(taken) != 1:
        raise ModelError(source, f"takes {len(taken)} inputs", "Export it with one input, a batch")
    (x,) = taken
    notes = []
    if x.dtype != torch.float32:
        notes.append(f"it takes {str(x.dtype).removeprefix('torch.')}; values go in and out as float32")
    network: torch.nn.Module = _Called(program.module(), x.dtype)
    if not isinstance(x.shape[0], torch.SymInt):
        notes.append(f"it takes batches of {x.shape[0]} only; other batches are split and filled up")
        network = Batched(network, int(x.shape[0]))
    return Loaded(network, tuple(int(length) for length in x.shape[1:]), notes=tuple(notes))


class _Called(torch.nn.Module):
    """A program, which has no evaluation mode."""

    def __init__(self, program: torch.nn.Module, kind: torch.dtype) -> None:
        super().__init__()
        self.program, self.kind = program, kind

    def train(self, mode: bool = True) -> "_Called":  # noqa: ARG002
        """Do nothing: the mode is that of the export."""
        return self

    def forward(self, x: torch.Tensor) -> object:
        return tree_map_only(torch.Tensor, lambda y: y.to(x.dtype), self.program(x.to(self.kind)))


ROUTE = Route("torch-export", "FILE.pt2 of torch.export.save", ends_with(".pt2"), copied, _load, always)
