"""Protocols of continual learning on tables: tasks, what a method keeps, resuming, the page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv as arrow_csv

from reinject.base.errors import ArgumentError, DataError
from reinject.base.progress import Silent
from reinject.experiments import domain_methods, domain_replay
from reinject.experiments.domain_methods import DomainSetting, buffer, everything, gaussians, independent
from reinject.experiments.domain_protocols import DOMAINS
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.reproduce import reproduce
from reinject.table_evaluation.table_coding import Coding
from reinject.tables import TableSpec

CANCER = DOMAINS["cancer-textures"]
SMALL = TableSpec(width=8, depth=1, steps=5)
TINY = replace(CANCER, tasks=CANCER.tasks[:2], spec=SMALL)


def setting(folder: Path) -> DomainSetting:
    train, test = CANCER.load(None)
    return DomainSetting(TINY, train, test, Coding.of([train, test]), folder, 0, Silent())


def test_tasks_share_no_row_and_have_both_classes() -> None:
    train, test = CANCER.load(None)
    assert len(train) + len(test) == 569
    for table in (train, test):
        parts = [CANCER.part(table, task) for task in range(3)]
        assert sum(map(len, parts)) == len(table)
        assert all(pc.count_distinct(part["diagnosis"]).as_py() == 2 for part in parts)


def test_the_occupations_of_adult_are_all_there_once(tmp_path: Path) -> None:
    adult = DOMAINS["adult-occupations"]
    names = [name for task in adult.tasks for name in task]
    assert len(names) == len(set(names)) == 15
    (tmp_path / "adult").mkdir()
    rows = pa.table({"occupation": ["Sales", ""], "income": ["<=50K", ">50K"]})
    for part in ("train", "test"):
        arrow_csv.write_csv(rows, tmp_path / "adult" / f"{part}.csv")
    train, _ = adult.load(str(tmp_path))
    assert [len(adult.part(train, task)) for task in range(5)] == [0, 1, 0, 0, 1]  # a missing one is a value
    with pytest.raises(DataError, match=r"have no train\.csv"):
        adult.load(str(tmp_path / "adult"))


def test_what_a_method_keeps(tmp_path: Path) -> None:
    one = setting(tmp_path)
    first, second = (len(one.rows(task)) for task in (0, 1))
    assert one.row_bytes == 9 * 4 + 2
    assert everything(one, 1).bytes == (first + second) * one.row_bytes
    folder = tmp_path / "task-0/autoencoder"
    folder.mkdir(parents=True)
    for name, size in (("model.safetensors", 20 * 38), ("encoder.json", 37), ("encoder.safetensors", 0)):
        (folder / name).write_bytes(bytes(size))
    kept = buffer(one, 1)
    assert (len(kept.rows) - second, kept.bytes) == (20, 20 * 38)
    at = list(one.coding.categories).index("diagnosis")
    shares = [np.bincount(one.rows(0).codes[:, at])]
    drawn = [method(one, 1).rows.take(slice(second, None)) for method in (independent, gaussians)]
    shares += [np.bincount(rows.codes[:, at]) for rows in drawn]
    assert shares[0].tolist() == shares[1].tolist()
    assert abs(shares[2] - shares[0]).max() < 4 * (first * 0.25) ** 0.5  # 4 standard errors of a drawn count, or more
    assert gaussians(one, 1).bytes == 4 * (14 + 14 * 15 // 2) * 2  # nine numbers, and 3 + 2 categories


def test_a_protocol_has_all_methods_resumes_and_writes_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(domain_replay.DOMAINS, "cancer-textures", TINY)  # type: ignore[arg-type]
    spec = ExperimentSpec(seeds=1)
    done = reproduce(["replay"], tmp_path, only=["cancer-textures"], spec=spec)
    found = done.result["cancer-textures"]
    methods = found["methods"]
    assert set(methods) == set(domain_methods.DOMAIN_METHODS)
    assert len({one["after"][0] for one in methods.values()}) == 1  # after the first task all have its rows
    assert methods["no replay"]["bytes"] == 0 < methods["buffer of equal bytes"]["bytes"] <= methods["ours"]["bytes"]
    assert not list(tmp_path.rglob("*.rehearsal"))
    page = (tmp_path / "results.md").read_text()
    assert "2 tasks, one seed. A fresh learner (gradient boosting of" in page
    assert "`reinject reproduce replay --only cancer-textures --seeds 1`" in page
    monkeypatch.setattr(domain_replay, "predictions", None)  # nothing is trained again
    assert reproduce(["replay"], tmp_path, only=["cancer-textures"], spec=spec).result == done.result


def test_a_name_of_another_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"'adult' is not known. Use some of split-digits, .*adult-occupations"):
        reproduce(["replay"], tmp_path, only=["adult"])
