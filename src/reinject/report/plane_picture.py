"""Draw the plane of the data's first two principal components."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from reinject.report.canvas import Array, new_figure, save

Plane = NDArray[np.float64]
_DRAWN = 5000


def projected(train: Array, *others: Array) -> tuple[Plane, ...]:
    """Project rows, (N, *event), on the first two principal components of the training rows, which come first."""
    fitted = PCA(2, random_state=0).fit(train.reshape(len(train), -1))
    return tuple(fitted.transform(rows.reshape(len(rows), -1)).astype(np.float64) for rows in (train, *others))


def noise_in_plane(
    path: Path, panels: Mapping[str, tuple[Plane, Plane]], y: NDArray[np.int64], class_names: Sequence[str]
) -> Path:
    """Draw data in the colours of its classes and points in black, one pair in each panel.

    Arguments:
        path: PNG to write.
        panels: title -> data and points in the plane, (N, 2) and (M, 2).
        y: classes of the data, (N,).
        class_names: names of the classes.
    """
    figure, axes = new_figure(4.2 * len(panels) + 1, 4, 1, len(panels))
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    for ax, (title, (data, points)) in zip(axes[0], panels.items(), strict=True):
        for k in range(min(10, len(class_names))):
            member = data[:_DRAWN][y[:_DRAWN] == k]
            ax.plot(*member.T, ".", ms=2, color=colours[k], label=class_names[k])
        ax.plot(*points.T, ".", ms=2, color="black")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("first principal component")
    axes[0, 0].set_ylabel("second principal component")
    axes[0, -1].legend(markerscale=5, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return save(figure, path)
