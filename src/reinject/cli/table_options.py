"""Declare options for tables, and tell a table from a data set of images."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from reinject.base.errors import ArgumentError
from reinject.cli.options import ADVANCED, advanced


def of_tables(text: str, **rest: Any) -> Any:
    """Declare an option that only tables have."""
    return advanced(text, panel=f"{ADVANCED}: tables", show_default=rest.pop("default", False), **rest)


Target = Annotated[
    str | None, typer.Option(help="Of a table: the column to predict, drawn with each row.", show_default="none")
]
HeldOut = Annotated[str | None, of_tables("File of held-out rows.", default="a part of the rows")]
Categorical = Annotated[str | None, of_tables("A,B,...: columns that are categories, such as zip codes.")]
Drop = Annotated[str | None, of_tables("A,B,...: columns to leave out, such as names.")]
Columns = Annotated[Path | None, of_tables("Edited columns.json of a model folder: kinds of columns.")]
GradientSteps = Annotated[int | None, of_tables("Gradient steps.", default="by the number of rows", min=1)]

OF_TABLES = ("target", "test", "categorical", "drop", "columns", "steps")
_TRAINED = ("batch", "lr", "remember", "remember_rows", "buffer")
OF_BOTH = ("dataset", "out", "device", "data_dir", "seed", "split_seed", "overwrite", "as_json", *_TRAINED)


def names_of(text: str | None) -> tuple[str, ...]:
    """Read A,B,... as names of columns; () for no text.

    Example:
        >>> names_of("zip, code")
        ('zip', 'code')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def given_in(context: typer.Context) -> set[str]:
    """Return the names of the parameters that a command line or its file of options sets."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}


def place_in(name: str, data_dir: str | None) -> Path:
    """Return the place of a file: in the folder to search first, or as it is named."""
    places = [Path(data_dir) / name] if data_dir else []
    return next((one for one in (*places, Path(name)) if one.exists()), Path(name))


def place_of_table(dataset: str, data_dir: str | None, given: Collection[str]) -> Path | None:
    """Return the place of a table; None for another data set.

    Arguments:
        dataset: text of the command line.
        data_dir: folder to search first.
        given: names of the parameters that are set.

    Raises:
        ArgumentError: an option that tables do not have.
        DataError: an unreadable Parquet file.
    """
    from reinject.data.table_files import is_table

    place = place_in(dataset, data_dir)
    if not (set(OF_TABLES) & set(given) or is_table(place)):
        return None
    for name in sorted(set(given) - {*OF_TABLES, *OF_BOTH}):
        flag = name.replace("_", "-")
        raise ArgumentError(f"--{flag}", f"is for images and vectors, and {dataset} is a table", "Leave it out")
    return place
