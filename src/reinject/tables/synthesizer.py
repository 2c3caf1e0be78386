"""The synthesiser of a table: its encoder, its autoencoder, and the usual walk."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import torch

from reinject.archive.push import upload
from reinject.base.devices import make_fabric
from reinject.base.errors import ArgumentError, ModelError, check_count
from reinject.base.files import read_json, write_json
from reinject.base.progress import Progress, Silent
from reinject.base.random_streams import stream
from reinject.data.constrained_conditions import Given
from reinject.data.frames import Library, from_arrow, library_of, with_types
from reinject.data.table_columns import columns_of
from reinject.data.table_conditions import conditions_of, filled, observed, present
from reinject.data.table_constraints import Constraints
from reinject.data.table_encoder import TableEncoder
from reinject.data.table_files import read_table
from reinject.models.bundle import load
from reinject.models.table_model import TableModel, table_model
from reinject.networks import TableDenoiser
from reinject.sampling.given_rows import given_rows
from reinject.sampling.presets import Constraint
from reinject.sampling.table_sampling import TABLE_BLOCK
from reinject.sampling.table_walks import table_settings
from reinject.training.table_fit import TableSpec, fit_table
from reinject.walks.loop import walk
from reinject.walks.reconstruction import ensemble_of, wrap
from reinject.walks.specs import RunSpec, block_count

_GIVEN = 2**32  # of the stream of known values
_ABOUT = "synthesizer.json"


@dataclass(frozen=True)
class Synthesizer:
    """A fitted table: sample rows, and save or load it.

    Attributes:
        encoder: rows to vectors and back.
        network: the noise-conditioned autoencoder of the vectors.
        library: of the frames that it returns: pandas, polars or arrow.
        target: name of the column that a classifier or a regression predicts; None: none.
    """

    encoder: TableEncoder
    network: TableDenoiser
    library: Library = "arrow"
    target: str | None = None

    def sample(self, rows: int, seed: int = 0, given: Given | None = None) -> Any:
        """Sample rows: a frame of the library that the training rows came in.

        Arguments:
            rows: number of rows, >= 1.
            seed: of all randomness, >= 0. A row depends on its number and the seed alone.
            given: conditions that every row meets, by the name of a column: a value, a (low, high) range with both
                ends, or a list of values. None is a missing value.

        Raises:
            ArgumentError: a number out of range, or a condition that cannot hold.
            ModelError: a walk became non-finite.

        Example:
            >>> import pandas as pd
            >>> frame = pd.DataFrame({"age": range(20, 60), "sex": ["f", "m"] * 20})
            >>> synthesizer = fit(frame, spec=TableSpec(width=8, steps=2))
            >>> drawn = synthesizer.sample(5, given={"sex": "f", "age": (30, 40)})
            >>> set(drawn["sex"]), bool(drawn["age"].between(30, 40).all())
            ({'f'}, True)
        """
        check_count("sample", "rows", rows)
        check_count("sample", "seed", seed, 0)
        run = RunSpec(rows, seed, TABLE_BLOCK)
        if not given:
            return from_arrow(pa.concat_tables(self._walked(run)), self.library)
        conditions = conditions_of(self.encoder, given)
        drawn = conditions.rows(self.encoder, min(rows, run.block_size), stream((seed, _GIVEN)))
        constraint = given_rows(self.network, *drawn, conditions.allowed)
        met = (conditions.met(part) for part in self._walked(run, constraint))
        return from_arrow(pa.concat_tables(met), self.library)

    def complete(self, frame: Any, draws: int = 1, seed: int = 0) -> Any:
        """Fill in the missing values of rows, each from its law given the row's other values.

        Arguments:
            frame: rows with gaps, with the columns of the training rows; other columns stay as they are.
            draws: number of complete frames, >= 1.
            seed: of all randomness, >= 0.

        Returns:
            One frame, or a list of ``draws`` frames where there are several. Present values are unchanged.

        Raises:
            ArgumentError: a number out of range.
            DataError: a column is missing or has another type, or a value belongs to no category.
        """
        check_count("complete", "draws", draws)
        check_count("complete", "seed", seed, 0)
        table = read_table(frame).train
        library = self.library if library_of(frame) == "arrow" else library_of(frame)
        found = [from_arrow(self._completed(table, seed, number), library) for number in range(draws)]
        return found[0] if draws == 1 else found

    def _completed(self, table: pa.Table, seed: int, number: int) -> pa.Table:
        typed = with_types(table, self.encoder.decoded)
        x, known = observed(self.encoder, typed, stream((seed, _GIVEN, number)))
        first = number * block_count(len(table), TABLE_BLOCK)  # every draw has blocks of its own
        parts: list[pa.Table] = []
        for at, rows in enumerate(torch.split(torch.arange(len(table)), TABLE_BLOCK)):
            constraint = given_rows(self.network, x[rows], known[rows], present(self.encoder))
            run = RunSpec((first + at) * TABLE_BLOCK + len(rows), seed, TABLE_BLOCK, (first + at,))
            parts += self._walked(run, constraint)
        drawn = pa.concat_tables(parts)
        for name in drawn.column_names:
            old, new = table.column(name), drawn.column(name)
            if old.is_null(nan_is_null=True).to_numpy().any():
                table = table.set_column(table.column_names.index(name), name, filled(old, new))
        return table

    def _walked(self, run: RunSpec, constraint: Constraint | None = None) -> Iterator[pa.Table]:
        settings = table_settings()
        inputs = self.network.inputs
        r = wrap(self.network, inputs.shape, noise_conditioned=True, sigma=1.0)
        kernel, start, shape, _ = settings.build(ensemble_of(r), inputs.radius, constraint=constraint)
        for part in walk(kernel, start, shape, settings.walk, run):
            if part.stopped:
                raise ModelError("table", f"{part.stopped:,} walks became non-finite", "Fit again with a lower rate")
            yield self.encoder.decode(part.x, first=int(part.walk[0]))

    def save(self, folder: str | Path) -> None:
        """Write FOLDER/autoencoder: config.json, model.safetensors and the encoder's files; no pickle."""
        place = Path(folder) / "autoencoder"
        place.mkdir(parents=True, exist_ok=True)
        self.network.save_pretrained(place)
        TableModel(self.encoder, self.target).save(place)
        write_json(Path(folder) / _ABOUT, {"library": self.library})

    def push_to_hub(self, repository: str, *, public: bool = False, token: str | None = None) -> None:
        """Upload what :meth:`save` writes to a model repository of the Hugging Face hub.

        Arguments:
            repository: OWNER/NAME; created if missing.
            public: whether everyone can see a new repository; otherwise it is private.
            token: of the hub; default: the one of ``hf auth login``.

        Raises:
            ArgumentError: the repository is not OWNER/NAME.
            ReinjectError: the hub refuses, or is unreachable.
        """
        with TemporaryDirectory() as folder:
            self.save(folder)
            upload(Path(folder), repository, kind="model", public=public, token=token)

    @classmethod
    def load(cls, folder: str | Path) -> "Synthesizer":
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: a file is missing or damaged, or the folder holds another autoencoder.
        """
        place = Path(folder) / "autoencoder"
        network = load(place).network
        if not isinstance(network, TableDenoiser):
            raise ModelError(str(place), f"{type(network).__name__} is no table's autoencoder", "Fit a table")
        table = table_model(place)
        if table is None:
            raise ModelError(str(place), "has no encoder of a table", "Fit a table, or copy the folder again")
        about = read_json(Path(folder) / _ABOUT, ModelError) if (Path(folder) / _ABOUT).is_file() else {}
        return cls(table.encoder, network, about.get("library", "pandas"), table.target)


def fit(
    frame: Any,
    target: str | None = None,
    *,
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
    constraints: Constraints | None = None,
    spec: TableSpec = TableSpec(),
    seed: int = 0,
    progress: Progress | None = None,
) -> Synthesizer:
    """Fit a synthesiser to the rows of a table.

    Arguments:
        frame: a pandas or polars DataFrame, an Arrow table, or the path of a file or folder, as
            :func:`reinject.data.table_files.read_table` takes them. Rows of a test file are not used.
        target: name of the column that a classifier or a regression predicts; None: none. It is synthesised with the
            row, and checked.
        categorical: names of columns that are categories whatever they hold.
        drop: names of columns to leave out.
        constraints: what holds between the columns of every row; every sampled row meets it.
        spec: size of the network, length of the training.
        seed: of all randomness, >= 0.
        progress: progress reporter.

    Raises:
        DataError: no table; a column that cannot be synthesised; a target that is missing, constant or incomplete;
            rows that contradict a constraint.
        ArgumentError: no column varies; a text in place of a list of names; a seed below 0.
    """
    check_count("fit", "seed", seed, 0)
    for name, names in (("categorical", categorical), ("drop", drop)):
        if isinstance(names, str):
            raise ArgumentError(name, f"{names!r} is a text", f"Give [{names!r}]")
    table = read_table(frame, drop=tuple(drop), categorical=tuple(categorical)).train
    kept = [name for name in categorical if name not in drop]
    columns = columns_of(table, target=target, categorical=kept)
    encoder = TableEncoder.fit(table, columns, constraints)
    steps = spec.recipe(table.num_rows).steps(table.num_rows)
    with (progress or Silent()).task("training the autoencoder", steps, "steps") as advance:
        done = 0

        def on_steps(step: int, _: float) -> None:
            nonlocal done
            advance(step - done)
            done = step

        fabric = make_fabric("cpu")
        network, _ = fit_table(encoder, table, spec, seed=seed, fabric=fabric, on_steps=on_steps)
    library = "pandas" if isinstance(frame, (str, Path)) else library_of(frame)
    return Synthesizer(encoder, network, library, target)
