"""Draw models of two numbers: the score as arrows, and the walks as dots."""

import io
from collections.abc import Sequence

import torch
from torch import Tensor

from reinject.explorer.session import World
from reinject.report.canvas import new_figure
from reinject.score import score

_SIDE = 480  # pixels
_ARROWS = 21
_REACH = 3.5  # standard deviations of the data


class Plane:
    """Hold a square around the data, with the score drawn once.

    Arguments:
        world: networks, with inputs of shape (2,).
        lam: lambda of an unconditional denoiser, squared data units; scales all arrows equally.
    """

    def __init__(self, world: World, lam: float = 0.1) -> None:
        inputs = world.inputs
        self.low, self.high = inputs.mean - _REACH * inputs.std, inputs.mean + _REACH * inputs.std
        axis = torch.linspace(self.low, self.high, _ARROWS)
        x = torch.cartesian_prod(axis, axis)
        with torch.no_grad():
            arrows = score(world.r, x, lam).cpu()
        figure, axes = new_figure(4.8, 4.8)
        figure.set_layout_engine("none")
        ax = axes[0, 0]
        ax.set_position((0, 0, 1, 1))
        ax.quiver(*x.T.numpy(), *arrows.T.numpy(), color="#0072b2", angles="xy")
        ax.set_xlim(self.low, self.high)
        ax.set_ylim(self.low, self.high)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_SIDE / 4.8)
        self.field = file.getvalue()

    def points(self, x: Tensor, chosen: int, colours: Sequence[str] = ()) -> str:
        """Draw the walks as SVG over the field; walks beyond the field lie on its border.

        Arguments:
            x: states of the walks, (walks, 2), data units.
            chosen: number of the walk with a larger dot.
            colours: colours of the walks; empty: black, and orange for the chosen walk.
        """
        at = ((x - self.low) / (self.high - self.low)).nan_to_num(0).clamp(0, 1) * _SIDE
        fills = colours or ["#d55e00" if k == chosen else "#222" for k in range(len(x))]
        dots = (
            f'<circle cx="{float(a):.1f}" cy="{_SIDE - float(b):.1f}" r="{6 if k == chosen else 3}" fill="{fill}"/>'
            for k, ((a, b), fill) in enumerate(zip(at, fills, strict=True))
        )
        return "".join(dots)
