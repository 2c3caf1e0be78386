"""Draw a table beside the real one: the marginals of its columns, and the likeness of its pairs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from numpy.typing import NDArray

from reinject.data.table_columns import is_date, is_number
from reinject.report.canvas import COLOURS, bare, new_figure, save
from reinject.table_evaluation.table_shapes import Likeness

_ACROSS = 4  # columns of the sheet
MOST = 40  # marginals on a page
_BINS, _BARS = 30, 10
RARE = 5  # real rows that a category needs for a bar of its own
_REAL, _SYNTHETIC = COLOURS["real"], COLOURS["default"]


def draw_marginals(path: Path, synthetic: pa.Table, real: pa.Table | None = None) -> Path:
    """Draw the distribution of each column, at most 40 columns, as SVG; beside the real one, if it is given.

    Values outside of the real range are in the outer bins. Categories of fewer than five real rows are joined.
    """
    known = synthetic if real is None else real
    names = [name for name in known.column_names if name in synthetic.column_names][:MOST]
    rows = -(-len(names) // _ACROSS)
    figure, axes = new_figure(3 * _ACROSS, 2.1 * rows, rows, _ACROSS)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names, strict=False):
        kind = known.schema.field(name).type
        numeric = (is_number(kind) or is_date(kind)) and len(_numbers(known.column(name))) > 0
        beside = None if real is None else real.column(name)
        (_histogram if numeric else _bars)(ax, synthetic.column(name), beside)
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
    """Return the known values as numbers."""
    values = column.drop_null()
    if is_date(values.type):
        values = values.cast(pa.int32() if values.type.bit_width == 32 else pa.int64())
    found: NDArray[np.float64] = values.cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(found[np.isfinite(found)])


def _histogram(ax: Axes, synthetic: pa.ChunkedArray, real: pa.ChunkedArray | None) -> None:
    drawn = _numbers(synthetic)
    known = drawn if real is None else _numbers(real)
    low, high = float(known.min()), float(known.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for values, colour in ((known, _REAL), (drawn, _SYNTHETIC))[real is None :]:
        counts = np.histogram(values.clip(low, edges[-1]), edges)[0] / max(1, len(values))
        ax.stairs(counts, edges, color=colour, fill=colour == _REAL, alpha=0.35 if colour == _REAL else 1.0)
    if is_date(synthetic.type):
        bare(ax)


def _bars(ax: Axes, synthetic: pa.ChunkedArray, real: pa.ChunkedArray | None) -> None:
    drawn, known = _counts(synthetic), _counts(synthetic if real is None else real)
    common = sorted((name for name in known if real is None or known[name] >= RARE), key=lambda name: -known[name])
    names = common[:_BARS]
    ticks = [*(name[:9] for name in names), *(["others"] if (known.keys() | drawn.keys()) - {*names} else [])]
    at = np.arange(len(ticks))
    for counts, colour, side in ((known, _REAL, -0.2), (drawn, _SYNTHETIC, 0.2))[real is None :]:
        total = max(1, sum(counts.values()))
        shares = [counts.get(name, 0) / total for name in names]
        ax.bar(
            at + side, [*shares, 1 - sum(shares)][: len(at)], 0.4, color=colour, alpha=0.35 if colour == _REAL else 1.0
        )
    ax.set_xticks(at, ticks, rotation=45, ha="right")


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Count the rows of each category, by its text; a missing value is one."""
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    found: dict[str, int] = {}
    for one in pc.value_counts(plain).to_pylist():
        name = "missing" if one["values"] is None else str(one["values"])
        found[name] = found.get(name, 0) + one["counts"]
    return found
