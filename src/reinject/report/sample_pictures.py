"""Draw pictures of a synthetic data set; every function writes one PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reinject.report.canvas import COLOURS, Array, bare, new_figure, save, show
from reinject.report.plane_picture import noise_in_plane, projected
from reinject.training.learning_curves import Curve


def samples_by_class(
    path: Path,
    sets: Mapping[str, tuple[Array, NDArray[np.int64]]],
    class_names: Sequence[str],
    low: float,
    high: float,
    each: int = 5,
) -> Path:
    """Draw real beside synthetic samples: one row for each of at most ten classes.

    Arguments:
        path: PNG to write.
        sets: name -> (images (N, C, H, W) in data units, labels (N,)).
        class_names: names of the labels.
        low, high: values of black and white, data units.
        each: images of one class and set, the first ones.
    """
    rows = min(10, len(class_names))
    columns = len(sets) * each
    figure, axes = new_figure(0.55 * columns + 1.2, 0.58 * rows + 0.5, rows, columns)
    for s, (name, (x, y)) in enumerate(sets.items()):
        axes[0, s * each + each // 2].set_title(name, fontsize=9)
        for k in range(rows):
            members = np.flatnonzero(y == k)[:each]
            for j in range(each):
                ax = axes[k, s * each + j]
                if j < len(members):
                    show(ax, x[members[j]], low, high)
                else:
                    bare(ax)
    for k in range(rows):
        axes[k, 0].set_ylabel(class_names[k], rotation=0, ha="right", va="center", fontsize=8)
    return save(figure, path)


def film_strip(
    path: Path,
    states: Array,
    reconstructions: Array,
    captions: Sequence[str],
    low: float,
    high: float,
) -> Path:
    """Draw the first steps of one walk from noise: states above, reconstructions below.

    Arguments:
        path: PNG to write.
        states: x_0, x_1, ..., (frames, C, H, W), data units.
        reconstructions: r(x_0), r(x_1), ..., same shape.
        captions: one caption for each step, under the reconstructions.
        low, high: values of black and white, data units.
    """
    figure, axes = new_figure(0.8 * len(states) + 0.6, 2.2, 2, len(states))
    for i in range(len(states)):
        show(axes[0, i], states[i], low, high)
        show(axes[1, i], reconstructions[i], low, high)
        axes[0, i].set_title(f"$x_{{{i}}}$", fontsize=8)
        axes[1, i].set_xlabel(captions[i], fontsize=7)
    axes[0, 0].set_ylabel("state", fontsize=8)
    axes[1, 0].set_ylabel("r(state)", fontsize=8)
    return save(figure, path)


def pca_plane(
    path: Path,
    x: Array,
    y: NDArray[np.int64],
    class_names: Sequence[str],
    noise: Array,
    ends: Mapping[str, Array],
) -> Path:
    """Draw the plane of the paper's Figures 1-3: a panel with N(0, I) points, and one for each set of end points.

    Arguments:
        path: PNG to write.
        x, y: training data, (N, *event), data units, and its classes; its first two principal components span the
            plane.
        class_names: names of the classes.
        noise: points of N(0, I), (M, *event), drawn black.
        ends: name -> end points of walks, (K, *event), drawn black.
    """
    names = list(ends)
    data, black, *others = projected(x, noise, *(ends[name] for name in names))
    panels = {"points of N(0, I) (black)": (data, black)}
    panels |= {f"end points, {name} (black)": (data, some) for name, some in zip(names, others, strict=True)}
    return noise_in_plane(path, panels, y, class_names)


def class_histogram(path: Path, shares: Mapping[str, Sequence[float]], class_names: Sequence[str]) -> Path:
    """Draw the share of each class in each set; ``shares`` maps a set's name to shares that sum to 1."""
    figure, axes = new_figure(7, 3)
    ax = axes[0, 0]
    at = np.arange(len(class_names))
    width = 0.8 / len(shares)
    for s, (name, values) in enumerate(shares.items()):
        offset = (s - (len(shares) - 1) / 2) * width
        ax.bar(at + offset, np.asarray(values) * 100, width, label=name, color=COLOURS.get(name))
    ax.axhline(100 / len(class_names), color="black", lw=0.8, ls=":")
    if len(class_names) <= 20:
        ax.set_xticks(at, class_names, fontsize=8, rotation=30 if max(map(len, class_names)) > 3 else 0)
    ax.set_ylabel("share of samples, %")
    ax.legend(fontsize=8)
    return save(figure, path)


def learning_curves(path: Path, curves: Mapping[str, Curve]) -> Path:
    """Draw accuracy against n on a log axis: mean over seeds, and a band from the worst to the best seed."""
    figure, axes = new_figure(6, 4)
    ax = axes[0, 0]
    for name, curve in curves.items():
        values = np.asarray(curve.accuracy) * 100
        (line,) = ax.plot(curve.sizes, values.mean(0), "o-", ms=4, label=name, color=COLOURS.get(name))
        ax.fill_between(curve.sizes, values.min(0), values.max(0), alpha=0.2, color=line.get_color(), lw=0)
    ax.set_xscale("log")
    ax.set_xlabel("n, training samples of the student")
    ax.set_ylabel("accuracy on real test data, %")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=9)
    return save(figure, path)


def nearest_rows(path: Path, samples: Array, training: Array) -> Path:
    """Draw the samples nearest to training rows above, and these rows below.

    Arguments:
        path: PNG to write.
        samples, training: (N, C, H, W), in [0, 1].
    """
    figure, axes = new_figure(0.7 * len(samples) + 1, 1.9, 2, len(samples))
    for k, pair in enumerate(zip(samples, training, strict=True)):
        for row, x in enumerate(pair):
            show(axes[row, k], x, 0, 1)
    axes[0, 0].set_ylabel("sample", fontsize=8)
    axes[1, 0].set_ylabel("training", fontsize=8)
    return save(figure, path)
