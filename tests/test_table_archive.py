"""Archives of table rows: the columns of the input, the same bytes however they are made, all ways to read them."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from making_tables import mixed, table_models
from reinject import Archive
from reinject.archive.export import export
from reinject.base.errors import ArchiveError, ArgumentError, ModelError, ReinjectError
from reinject.data.samples import Storage
from reinject.data.table_files import read_table
from reinject.models.loading import load_models
from reinject.sampling import sample as sampling
from reinject.sampling.presets import Settings
from reinject.sampling.recipe import Recipe, prepare
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Format, Parallel, SampleSpec, Writing
from reinject.sampling.selection import Selection
from reinject.sampling.trace import trace
from reinject.sampling.verify import verify
from reinject.walks.execution import Execution
from test_cli import run, sentence

SETTINGS = Settings("ancestral", {"sigma": "geometric:20:0.05"}, steps=6, burn_in=6, emit="reconstruction")
SPEC = SampleSpec(settings=SETTINGS, block_size=32)
SHARD = "data/shard-000001.parquet"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return mixed()


@pytest.fixture(scope="module")
def models(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_models(tmp_path_factory.mktemp("tables") / "models", table)


def made(models: Path, out: Path, walks: int = 90, spec: SampleSpec = SPEC, **more) -> Path:  # type: ignore[no-untyped-def]
    sample_models(load_models([models]), out, spec, walks=walks, seed=1, **more)
    return out


@pytest.fixture(scope="module")
def whole(models: Path) -> Path:
    return made(models, models.parent / "whole")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_columns_are_those_of_the_input(table: pa.Table, whole: Path) -> None:
    rows = Archive.open(whole).to_arrow()
    assert rows.schema.equals(table.schema)
    assert rows.num_rows == 90
    for name in ("model", "level", "ok", "one", "income"):
        assert set(rows[name].to_pylist()) <= set(table[name].to_pylist()), name
    for name in ("label", "pay", "day", "stamp", "clock", "price", "gap"):
        real = [value for value in table[name].to_pylist() if value is not None]
        assert all(min(real) <= value <= max(real) for value in rows[name].to_pylist() if value is not None), name
    assert all(round(value, 2) == value for value in rows["pay"].to_pylist())
    assert rows["none"].null_count == 90
    assert 0 < rows["gap"].null_count < 60
    assert rows["walk"].to_pylist() == list(range(90))  # a counter has no value twice


def test_pandas_polars_duckdb_and_datasets_read_it(table: pa.Table, whole: Path, tmp_path: Path) -> None:
    archive = Archive.open(whole)
    rows, place = archive.to_arrow(), str(whole / "data" / "*.parquet")
    frame = archive.to_pandas()
    assert list(frame.columns) == table.column_names
    assert str(frame["level"].dtype) == "category"
    assert frame["level"].cat.ordered
    assert str(frame["stamp"].dtype) == "datetime64[s, Europe/Berlin]"
    assert len(archive.to_dataset()) == 90
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    assert polars.read_parquet(place)["income"].to_list() == rows["income"].to_pylist()
    assert duckdb.sql(f"select count(*), min(pay) from '{place}'").fetchall() == [(90, min(rows["pay"].to_pylist()))]
    import datasets

    found = datasets.load_dataset("parquet", data_files=place, split="train", cache_dir=str(tmp_path))
    assert found.column_names == table.column_names
    assert found["price"][:9] == rows["price"].to_pylist()[:9]


def test_what_needs_tensors_is_refused_in_a_sentence(whole: Path) -> None:
    archive = Archive.open(whole)
    assert repr(archive).endswith("90 rows of 14 columns)")
    for call in (archive.read, archive.to_torch, lambda: archive[0], lambda: next(iter(archive))):
        with pytest.raises(ArchiveError, match=r"holds rows of a table, not tensors\. Read it with Archive\.to_pandas"):
            call()


class Killed(BaseException):
    """Ends a run as a kill does: no finally of ours hides it."""


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_killed_run_is_resumed_to_the_same_bytes(
    models: Path, whole: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sampling.block_sampler

    def dying(*some: object):  # type: ignore[no-untyped-def]
        make, walker = real(*some)

        def block(number: int):  # type: ignore[no-untyped-def]
            yield from make(number)
            if number == at:
                raise Killed

        return block, walker

    with monkeypatch.context() as patch:
        patch.setattr(sampling, "block_sampler", dying)
        with pytest.raises(Killed):
            made(models, tmp_path / "whole")
    assert not (tmp_path / "whole").exists()
    assert len(list((tmp_path / "whole.partial" / "data").glob("*.parquet"))) == at
    made(models, tmp_path / "whole")
    assert rows_of(tmp_path / "whole") == rows_of(whole)


def rows_of(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(folder).items() if name.startswith("data/")}


def test_what_a_worker_makes_of_the_folders_alone_is_the_archive(models: Path, whole: Path) -> None:
    recipe = Recipe(SPEC.settings, ((0, 90),), 1, 32, Storage("table"))
    make = prepare([models / "autoencoder"], [], "cpu", Execution(), recipe)
    (part,) = make(1)
    assert part.table.equals(Archive.open(whole).shard(1))


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(models: Path, whole: Path) -> None:
    made(models, models.parent / "two", parallel=Parallel(workers=2))
    assert files(models.parent / "two") == files(whole)


@pytest.mark.slow
def test_ray_writes_the_same_bytes(models: Path, whole: Path) -> None:
    pytest.importorskip("ray")
    from reinject.sampling.ray_workers import Cluster

    made(models, models.parent / "ray", parallel=Parallel(cluster=Cluster(workers=2)))
    assert files(models.parent / "ray") == files(whole)


def test_trace_verify_repair_and_append(models: Path, whole: Path) -> None:
    assert verify(whole).failure == ""
    done = trace(whole, [0, 31, 32, 89])
    assert done.result["same"] == 4
    assert done.result["rows"][2]["walk"] == 32
    copy = models.parent / "copy"
    made(models, copy)
    (copy / SHARD).write_bytes(b"nothing")
    assert "bytes, not" in verify(copy).failure + " ".join(verify(copy).lines)
    assert verify(copy, repair=True).failure == ""
    assert rows_of(copy) == rows_of(whole)
    made(models, copy, walks=10, writing=Writing(append=True))
    assert rows_of(copy).items() > rows_of(whole).items()
    assert Archive.open(copy).numbers("walk").tolist() == [*range(90), *range(96, 106)]
    assert verify(copy).failure == ""
    assert trace(copy, [95]).result["same"] == 1


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table], origin: bytes | None = None) -> None:
    """Another table in place of the second shard's, with a manifest that agrees in its hash and size."""
    path = folder / SHARD
    footer = pq.read_metadata(path).metadata[b"reinject"]
    table = change(pq.read_table(path))
    schema = table.schema.with_metadata({b"reinject": footer if origin is None else origin})
    pq.write_table(table.cast(schema), path)
    manifest = json.loads((folder / "manifest.json").read_text())
    told = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    manifest["shards"][1].update(told)
    (folder / "manifest.json").write_text(json.dumps(manifest))


FAULTS: dict[str, tuple[Callable[[pa.Table], pa.Table], bytes | None, str]] = {
    "a column less": (lambda t: t.drop_columns(["pay"]), None, "has columns walk (int64), label"),
    "another type": (lambda t: t.set_column(0, "walk", t["walk"].cast("int32")), None, "not walk (int64)"),
    "fewer rows": (lambda t: t[:9], None, "has 9 rows, not 32"),
    "no walks": (lambda t: t, b"[]", "names the walks of 0 rows, not of 32"),
    "walks of another block": (
        lambda t: t,
        b'[{"step": 6, "walks": [[0, 32]], "models": [[0, 32]]}]',
        "has walks outside 32..63, which its block holds",
    ),
    "a damaged footer": (lambda t: t, b"{", "does not say which walks made its rows"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_shard_are_found(whole: Path, tmp_path: Path, fault: str) -> None:
    change, origin, said = FAULTS[fault]
    shutil.copytree(whole, tmp_path / "a")
    rewrite(tmp_path / "a", change, origin)
    found = verify(tmp_path / "a")
    assert found.failure
    assert any(said in line for line in found.lines), found.lines


def test_trace_finds_a_changed_value(whole: Path, tmp_path: Path, models: Path) -> None:
    shutil.copytree(whole, tmp_path / "a")
    rewrite(tmp_path / "a", lambda t: t.set_column(3, "pay", pa.array([0.5] * 32)))
    assert "2 rows differ" in trace(tmp_path / "a", [31, 32, 40], models=[models]).failure


def test_another_encoder_with_the_same_network_is_refused(models: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(models, tmp_path / "models")
    text = (tmp_path / "models/autoencoder/encoder.json").read_text()
    (tmp_path / "models/autoencoder/encoder.json").write_text(text.replace('"x"', '"y"'))
    with pytest.raises(ModelError, match="is not the archive's autoencoder"):
        trace(whole, [0], models=[tmp_path / "models"])
    with pytest.raises(ModelError, match="have different encoders of tables"):
        sample_models(load_models([models, tmp_path / "models"]), tmp_path / "s", SPEC, walks=9)


def test_a_csv_file_has_the_rows(whole: Path, tmp_path: Path) -> None:
    export(whole, tmp_path / "csv", "csv")
    rows, read = Archive.open(whole).to_arrow(), read_table(tmp_path / "csv" / "rows.csv").train
    assert read.column_names == rows.column_names
    for name in ("walk", "label", "model", "pay", "level", "day", "clock", "ok", "none", "one", "income"):
        assert read[name].to_pylist() == rows[name].to_pylist(), name
    assert read["gap"].null_count == rows["gap"].null_count
    assert [str(value) for value in rows["price"].to_pylist()][:3] == [
        f"{value:.2f}" for value in read["price"].to_pylist()
    ][:3]
    with pytest.raises(ArgumentError, match="holds rows of a table, which zarr does not have"):
        export(whole, tmp_path / "z", "zarr")


def test_options_of_images_are_refused(models: Path, tmp_path: Path) -> None:
    for selection in (Selection(distinct=0.1), Selection(quota="even"), Selection(labels="asked")):
        with pytest.raises(ArgumentError, match="these models sample rows of a table"):
            made(models, tmp_path / "a", spec=replace(SPEC, selection=selection))
    for change in ({"classes": (0,)}, {"latent": True}, {"known": "digits", "mask": "m.npy"}):
        with pytest.raises(ReinjectError, match="these models sample rows of a table"):
            made(models, tmp_path / "a", spec=replace(SPEC, settings=replace(SPEC.settings, **change)))
    with pytest.raises(ArgumentError, match="--store: is for images"):
        made(models, tmp_path / "a", spec=replace(SPEC, format=Format("uint8")))
    assert "--classifier: the rows of a table" in sentence(
        "sample", models, "--classifier", models, "--out", tmp_path / "a"
    )


def test_the_command_says_what_it_wrote_and_what_it_did_not_check(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    status, said, _ = run(
        "sample", models, "--out", out, "--rows", 60, "--block-size", 64, "--steps", 4, "--burn-in", 4
    )
    assert status == 0
    assert f"60 rows of 14 columns in {out}" in said
    assert f"Next: reinject evaluate {out} --against people.csv --split-seed 3" in said
    assert "checked without data: walks that diverge, classes of income, columns with one value; nothing else" in said
    card = (out / "README.md").read_text()
    assert "tabular-classification" in card
    assert "| pay | number | double | 0.0" in card
    assert "| none | empty | null | 0 values, or missing |" in card
    status, again, _ = run(
        "sample", models, "--out", out, "--rows", 60, "--block-size", 64, "--steps", 4, "--burn-in", 4
    )
    assert "is complete already" in again


def judged(folder: Path, out: Path) -> dict[str, str]:
    """The verdict on 90 rows of these models."""
    sample_models(load_models([folder]), out, SPEC, walks=90)
    return dict(Archive.open(out).manifest["verdict"])


def shifted(folder: Path, first: int, last: int) -> None:
    """Make all but one category of a one-hot block impossible, as a network that has collapsed does."""
    path = folder / "autoencoder" / "model.safetensors"
    weights = load_file(path)
    weights["prior"][first:last] = -1e4
    save_file(weights, path)


def test_a_missing_class_and_a_still_column_are_no_good_verdict(tmp_path: Path) -> None:
    table = mixed(200)
    folder = table_models(tmp_path / "models", table)
    assert judged(folder, tmp_path / "fine")["level"] == "good"
    blocks = {block.column: block for block in load_models([folder]).table.encoder.hot}
    numbers = load_models([folder]).autoencoders[0].network.numbers
    income, level = (blocks[name].start - numbers for name in ("income", "level"))
    shifted(folder, level + 1, level + 3)
    found = judged(folder, tmp_path / "still")
    assert found == {"level": "doubtful", "reason": "columns with one value in all rows: level"}
    shifted(folder, income, income + 1)
    found = judged(folder, tmp_path / "missing")
    assert found == {"level": "doubtful", "reason": "1 of 2 classes of income are missing"}


GIVEN = {
    "income=>50K": lambda row: row["income"] == ">50K",
    "label=30:40,income=>50K": lambda row: 30 <= row["label"] <= 40 and row["income"] == ">50K",
    "level=low|high": lambda row: row["level"] in ("low", "high"),
    "model=a, b,ok=true": lambda row: row["model"] == "a, b" and row["ok"] is True,
    "day=2020-02-01..2020-03-01": lambda row: "2020-02-01" <= str(row["day"]) <= "2020-03-01",
    "gap=": lambda row: row["gap"] is None,
    "pay=1.5": lambda row: row["pay"] == 1.5,
}


@pytest.mark.parametrize("text", GIVEN)
def test_conditions_are_met_in_every_row_and_can_be_traced(models: Path, tmp_path: Path, text: str) -> None:
    spec = replace(SPEC, settings=replace(SETTINGS, given=text))
    made(models, tmp_path / "a", walks=40, spec=spec)
    archive = Archive.open(tmp_path / "a")
    assert archive.rows == 40
    assert all(map(GIVEN[text], archive.to_arrow().to_pylist()))
    assert archive.manifest["verdict"]["level"] == "good"
    assert trace(tmp_path / "a", [0, 39]).result["same"] == 2


def test_a_worker_meets_the_conditions_too(models: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, given="label=30:40,income=>50K")
    made(models, tmp_path / "a", walks=40, spec=replace(SPEC, settings=settings))
    recipe = Recipe(settings, ((0, 40),), 1, 32, Storage("table"))
    (part,) = prepare([models / "autoencoder"], [], "cpu", Execution(), recipe)(0)
    assert part.table.equals(Archive.open(tmp_path / "a").shard(0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("income", "--given: 'income' is no condition. Give COLUMN=VALUE or COLUMN=LOW:HIGH."),
        ("incom=1", "--given: 'incom' is no column. Its columns are walk, label"),
        ("income=>50K,income=<=50K", "--given: two conditions on income."),
        ("income=rich", "--given: income: 'rich' is none of its values."),
        ("label=200:300", "--given: label: "),
        ("label=40:30", "--given: label: 40 is above 30."),
        ("label=old", "--given: label: 'old' is no int8."),
    ],
)
def test_a_condition_that_cannot_hold_is_one_sentence(models: Path, tmp_path: Path, text: str, said: str) -> None:
    assert said in sentence("sample", models, "--given", text, "--rows", 5, "--out", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_conditions_are_for_tables(small_models: Path, tmp_path: Path) -> None:
    said = sentence("sample", small_models, "--given", "a=1", "--walks", 5, "--out", tmp_path / "a")
    assert "--given: is for rows of a table" in said
