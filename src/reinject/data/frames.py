"""Tables of other libraries: return Arrow tables as the frames that came in."""

from typing import Any, Literal

import pyarrow as pa

Library = Literal["arrow", "pandas", "polars"]


def library_of(source: Any) -> Library:
    """Return the library of a frame; arrow for other sources, such as files.

    Example:
        >>> import pandas as pd
        >>> library_of(pd.DataFrame({"a": [1, 2]})), library_of("people.csv")
        ('pandas', 'arrow')
    """
    name = type(source).__module__.partition(".")[0]
    return "pandas" if name == "pandas" else "polars" if name == "polars" else "arrow"


def from_arrow(table: pa.Table, library: Library) -> Any:
    """Return an Arrow table as a frame of a library, with the types of that frame.

    Example:
        >>> type(from_arrow(pa.table({"a": [1, 2]}), "pandas")).__name__
        'DataFrame'
    """
    if library == "pandas":
        return table.to_pandas()
    if library == "polars":
        import polars

        return polars.from_arrow(table)
    return table
