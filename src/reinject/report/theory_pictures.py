"""Draw the propositions: scores, errors against lambda, eigenvalues, r in one dimension."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from reinject.report.canvas import new_figure, save

Values = NDArray[np.float64]
_EXACT, _LEARNED, _AWAY, _GUIDE = "#222222", "#0072b2", "#d55e00", "#888888"


def score_fields(path: Path, x: Values, fields: Mapping[str, Values], samples: Values) -> Path:
    """Draw vector fields in the plane side by side, on one scale, over samples of the density.

    Arguments:
        path: PNG to write.
        x: starts of the arrows, (N, 2), data units.
        fields: title -> arrows (N, 2), inverse data units.
        samples: points of the density, (M, 2), drawn as a shade.
    """
    figure, axes = new_figure(4.2 * len(fields), 4.6, 1, len(fields))
    longest = max(float(np.quantile(np.linalg.norm(field, axis=1), 0.95)) for field in fields.values())
    for ax, (title, field) in zip(axes[0], fields.items(), strict=True):
        ax.plot(*samples.T, ".", ms=2, color="#c8d8e8", zorder=0)
        ax.quiver(*x.T, *field.T, color=_EXACT, scale=longest * 18, width=0.004)
        ax.set_title(title, fontsize=10)
        ax.set_aspect("equal")
        ax.set_xlim(x[:, 0].min(), x[:, 0].max())
        ax.set_ylim(x[:, 1].min(), x[:, 1].max())
    return save(figure, path)


def convergence(
    path: Path,
    exact: tuple[Sequence[float], Sequence[float], float],
    trained: tuple[Sequence[float], Sequence[float]],
    floor: float,
) -> Path:
    """Draw the error of the score against lambda on log axes, with a line of slope 1.

    Arguments:
        path: PNG to write.
        exact: lambda, L2(p) error of the boundary-value solution, and the slope of their logarithms.
        trained: lambda and L2(p) error of trained networks.
        floor: error of training that does not depend on lambda, drawn as a line.
    """
    figure, axes = new_figure(5.2, 4)
    ax = axes[0, 0]
    lams, errors, slope = exact
    ax.loglog(lams, errors, "o-", ms=4, color=_EXACT, label=f"boundary-value solution, slope {slope:.3f}")
    ax.loglog(*trained, "s", ms=5, color=_LEARNED, label="trained network")
    ends = np.array([min(lams), max(trained[0])])
    ax.loglog(ends, errors[0] * ends / lams[0], ":", color=_GUIDE, label="slope 1")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())
    ax.axhline(floor, color=_AWAY, lw=1, label="noise floor of training")
    ax.set_xlabel("$\\lambda$, squared data units")
    ax.set_ylabel("$L_2(p)$ error of $2(r - x)/\\lambda$")
    ax.legend(fontsize=8)
    return save(figure, path)


def eigenvalues(path: Path, measured: Mapping[str, tuple[Values, Values]], collapsing: Values) -> Path:
    """Draw eigenvalues of trained linear r against v/lambda, on the closed form, with the threshold v = 2 lambda.

    Arguments:
        path: PNG to write.
        measured: label -> v/lambda and eigenvalues of the trained r, above the threshold.
        collapsing: v/lambda of refused directions, drawn as crosses on the axis.
    """
    figure, axes = new_figure(5.6, 4)
    ax = axes[0, 0]
    ratio = 2 * np.geomspace(1, 200, 400)
    root = np.sqrt(1 - 2 / ratio)
    ax.semilogx(ratio, (1 + root) / 2, color=_EXACT, lw=1, label="$a = (1 + \\sqrt{1 - 2\\lambda/v})/2$, minimum")
    ax.semilogx(ratio, (1 - root) / 2, "--", color=_GUIDE, lw=1, label="$(1 - \\sqrt{1 - 2\\lambda/v})/2$, barrier")
    for (label, (at, values)), marker in zip(measured.items(), "os^Dv<>", strict=False):
        ax.semilogx(at, values, marker, ms=4, mfc="none", label=f"trained, {label}")
    if len(collapsing):
        ax.plot(collapsing, np.zeros_like(collapsing), "x", color=_AWAY, label="refused: would collapse")
    ax.axvspan(0.4, 2, color=_AWAY, alpha=0.08)
    ax.text(2, 1.03, "$v = 2\\lambda$", color=_AWAY, ha="center", fontsize=8)
    ax.set_xlim(0.4, ratio[-1])
    ax.set_ylim(-0.05, 1.1)
    ax.set_xlabel("$v/\\lambda$, variance of the direction over $\\lambda$")
    ax.set_ylabel("eigenvalue of $r$")
    ax.legend(fontsize=8, loc="center right")
    return save(figure, path)


def reconstructions(path: Path, x: Values, curves: Mapping[float, Mapping[str, Values]], density: Values) -> Path:
    """Draw r(x) - x in one dimension, one panel for each lambda: trained, boundary-value solution, lambda s/2.

    Arguments:
        path: PNG to write.
        x: abscissa, (N,), data units.
        curves: lambda -> label -> r(x) - x, (N,); drawn in order: black, blue, dotted grey.
        density: p(x), (N,), drawn as a shade.
    """
    figure, axes = new_figure(4.2 * len(curves), 3.6, 1, len(curves))
    styles: list[dict[str, Any]] = [
        {"color": _EXACT, "lw": 2},
        {"color": _LEARNED, "lw": 1.2},
        {"color": _GUIDE, "lw": 1, "ls": ":"},
    ]
    for ax, (lam, lines) in zip(axes[0], curves.items(), strict=True):
        for (label, values), style in zip(lines.items(), styles, strict=True):
            ax.plot(x, values, label=label, **style)
        shade = ax.twinx()
        shade.fill_between(x, density, color="#c8d8e8", alpha=0.6, lw=0)
        shade.set_yticks([])
        shade.set_ylim(0, 2.5 * float(density.max()))
        ax.set_zorder(shade.get_zorder() + 1)
        ax.patch.set_visible(False)
        ax.set_title(f"$\\lambda$ = {lam:g}", fontsize=10)
        ax.set_xlabel("x, data units (shade: p)")
    axes[0, 0].set_ylabel("r(x) - x, data units")
    axes[0, -1].legend(fontsize=8)
    return save(figure, path)


def walks(path: Path, paths: Mapping[str, Values], samples: Values, ends: int = 400) -> Path:
    """Draw walks in the plane, one panel for each kernel: a line for one walk, points for the ends of many.

    Arguments:
        path: PNG to write.
        paths: title -> states of one walk, then the last states of ``ends`` walks, (N, 2), data units.
        samples: points of the density, (M, 2), drawn as a shade.
        ends: number of rows that are last states.
    """
    columns = 4
    figure, axes = new_figure(2.6 * columns, 2.7 * -(-len(paths) // columns), -(-len(paths) // columns), columns)
    for ax in axes.flat[len(paths) :]:
        ax.set_visible(False)
    for ax, (title, x) in zip(axes.flat, paths.items(), strict=False):
        ax.plot(*samples.T, ".", ms=2, color="#c8d8e8", zorder=0)
        ax.plot(*x[-ends:].T, ".", ms=2, color=_LEARNED)
        ax.plot(*x[:-ends].T, "-", lw=0.7, color=_AWAY)
        ax.plot(*x[:1].T, "o", ms=4, mfc="none", color=_AWAY)
        ax.set_title(title, fontsize=9)
        ax.set_aspect("equal")
        ax.set_xlim(-3.2, 3.2)
        ax.set_ylim(-3.2, 3.2)
        ax.set_xticks([])
        ax.set_yticks([])
    return save(figure, path)
