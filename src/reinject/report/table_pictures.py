"""Draw a table beside the real one: the marginals of its columns, and the likeness of its pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from numpy.typing import NDArray

from reinject.data.table_columns import is_date, is_number
from reinject.report.canvas import COLOURS, bare, new_figure, save
from reinject.table_evaluation.table_shapes import Likeness

_ACROSS = 4  # columns of the sheet
_MOST = 40  # marginals on a page
_BINS, _BARS = 30, 10
_REAL, _SYNTHETIC = COLOURS["real"], COLOURS["default"]


def draw_marginals(path: Path, real: pa.Table, synthetic: pa.Table) -> Path:
    """Draw the distribution of each column in both tables, at most 40 columns, as SVG."""
    names = [name for name in real.column_names if name in synthetic.column_names][:_MOST]
    rows = -(-len(names) // _ACROSS)
    figure, axes = new_figure(3 * _ACROSS, 2.1 * rows, rows, _ACROSS)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names, strict=False):
        kind = real.schema.field(name).type
        numeric = (is_number(kind) or is_date(kind)) and real.column(name).null_count < len(real)
        (_histogram if numeric else _bars)(ax, real.column(name), synthetic.column(name))
        ax.set_title(name[:30], fontsize=8)
        ax.tick_params(labelsize=6)
        ax.set_yticks([])
    return save(figure, path)


def draw_pairs(path: Path, alike: Likeness) -> Path:
    """Draw the likeness of each pair of columns as a heat map, as SVG."""
    names = [name[:20] for name in alike.shapes]
    side = max(3.0, 0.28 * len(names) + 2)
    figure, axes = new_figure(side + 1, side)
    ax = axes[0, 0]
    picture = ax.imshow(alike.pairs, vmin=0.5, vmax=1, cmap="viridis")
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    ax.set_yticks(range(len(names)), names, fontsize=6)
    figure.colorbar(picture, ax=ax, shrink=0.6)
    return save(figure, path)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    values = column.drop_null()
    if is_date(values.type):
        values = values.cast(pa.int32() if values.type.bit_width == 32 else pa.int64())
    return np.asarray(values.cast(pa.float64()).to_numpy())


def _histogram(ax: Axes, real: pa.ChunkedArray, synthetic: pa.ChunkedArray) -> None:
    both = [_numbers(one) for one in (real, synthetic)]
    low, high = float(both[0].min()), float(both[0].max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for values, colour in zip(both, (_REAL, _SYNTHETIC), strict=True):
        counts = np.histogram(values, edges)[0] / max(1, len(values))
        ax.stairs(counts, edges, color=colour, fill=colour == _REAL, alpha=0.35 if colour == _REAL else 1.0)
    if is_date(real.type):
        bare(ax)


def _bars(ax: Axes, real: pa.ChunkedArray, synthetic: pa.ChunkedArray) -> None:
    shares: list[dict[Any, float]] = []
    for column in (real, synthetic):
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        counted = pc.value_counts(plain).to_pylist()
        shares.append({str(one["values"]): one["counts"] / len(column) for one in counted})
    names = sorted(shares[0], key=lambda name: -shares[0][name])[:_BARS]
    at = np.arange(len(names))
    ax.bar(at - 0.2, [shares[0][name] for name in names], 0.4, color=_REAL, alpha=0.35)
    ax.bar(at + 0.2, [shares[1].get(name, 0.0) for name in names], 0.4, color=_SYNTHETIC)
    ax.set_xticks(at, [name[:9] for name in names], rotation=45, ha="right")
