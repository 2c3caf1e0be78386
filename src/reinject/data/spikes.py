"""Find the values of a column of numbers that are spikes: much more frequent than the values beside them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reinject.data.table_columns import integers_of, is_date

_LEAST = 5  # rows of a spike
_SHARE = 1e-3  # of the rows
_ABOVE = 5.0  # times the median of the values beside it
_BESIDE = 5  # values on each side
_MOST = 50


def spikes_of(array: pa.Array) -> pa.Array:
    """Return the spikes of a column of numbers or dates, in ascending order; at most 50.

    A value of at least 0.1% of the rows is a spike, if it is five times as frequent as the median of ten values beside
    it. Where values have no usual distance, as amounts of money that a law sets, all such frequent values are spikes.

    Example:
        >>> spikes_of(pa.array([*range(90), *[7] * 10])).to_pylist()
        [7]
    """
    present = pc.drop_null(array)
    if not len(present):
        return present
    table = pa.table({"value": present}).group_by("value").aggregate([([], "count_all")]).sort_by("value")
    values, counts = table.column("value").combine_chunks(), table.column("count_all").to_numpy()
    frequent = np.flatnonzero(counts >= max(_LEAST, _SHARE * counts.sum()))
    if _regular(values):
        frequent = frequent[counts[frequent] >= _ABOVE * _beside(counts, frequent)]
    if len(frequent) > _MOST:
        frequent = np.sort(frequent[np.argsort(-counts[frequent], kind="stable")[:_MOST]])
    return values.take(pa.array(frequent))


def _beside(counts: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median count of the values beside each of some places."""
    padded = np.pad(counts.astype(np.float64), _BESIDE, constant_values=np.nan)
    around = np.delete(np.arange(2 * _BESIDE + 1), _BESIDE)
    medians = [np.nanmedian(padded[place + around]) for place in places] if len(counts) > 1 else [0.0] * len(places)
    return np.array(medians, np.float64)


def _regular(values: pa.Array) -> bool:
    """Return whether half of the distances of neighbours are equal, or the values are many."""
    if len(values) < 2 or len(values) > 40 * _MOST:
        return True
    numbers = integers_of(values) if is_date(values.type) else values.cast(pa.float64(), safe=False)
    gaps = np.diff(numbers.to_numpy(zero_copy_only=False).astype(np.float64))
    _, times = np.unique(np.round(gaps / np.median(gaps), 6), return_counts=True)
    return bool(times.max() >= len(gaps) / 2)
