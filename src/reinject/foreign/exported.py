"""Programs of ``torch.export``."""

from pathlib import Path

import torch

from reinject.errors import ModelError
from reinject.foreign.base import Loaded, Route, always, check_zip, copied, ends_with, readable


def _load(folder: Path, source: str) -> Loaded:
    path = folder / source
    check_zip(path)
    try:
        program = torch.export.load(path)
    except (RuntimeError, ValueError, KeyError, OSError, TypeError, AttributeError) as error:
        raise readable("torch.export", source, error) from error
    (x,) = (node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    if not isinstance(x.shape[0], torch.SymInt):
        raise ModelError(
            source,
            f"takes batches of {x.shape[0]} only",
            "Export it with dynamic_shapes=({0: torch.export.Dim('batch')},)",
        )
    return Loaded(_Called(program.module()), tuple(int(length) for length in x.shape[1:]))


class _Called(torch.nn.Module):
    """A program, which has no evaluation mode."""

    def __init__(self, program: torch.nn.Module) -> None:
        super().__init__()
        self.program = program

    def train(self, mode: bool = True) -> "_Called":  # noqa: ARG002
        """The mode is that of the export."""
        return self

    def forward(self, x: torch.Tensor) -> object:
        return self.program(x)


ROUTE = Route("torch-export", "FILE.pt2 of torch.export.save", ends_with(".pt2"), copied, _load, always)
