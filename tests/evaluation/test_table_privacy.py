"""Privacy of tables: laws of the closest record and of attacks under the null, and copiers that are found."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement
from reinject.table_evaluation.attribute_inference import attribute_inference, guesses, right
from reinject.table_evaluation.judge_table import EvaluateTableSpec, judge_table
from reinject.table_evaluation.singling_out import (
    Condition,
    matching,
    several_columns,
    single_column,
    singled,
    singling_out,
)
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.table_evaluation.table_distance import closest, closest_record, table_copies
from reinject.table_evaluation.table_findings import table_findings


def normal(n: int, seed: int, columns: int = 3) -> torch.Tensor:
    return torch.randn((n, columns), generator=torch.Generator().manual_seed(seed))


def rows(n: int, seed: int) -> Coded:
    rng = np.random.default_rng(seed)
    x = np.round(rng.standard_normal((n, 3)), 2)
    x[rng.random((n, 3)) < 0.05] = np.nan
    return Coded(x, rng.integers(0, 6, (n, 2)))


def test_fresh_rows_are_nearer_to_training_rows_half_of_the_time() -> None:
    """Sizes 2:1: the mean within 4 standard errors of 1/2, and intervals hold it as often as they say."""
    found = [closest_record(normal(120, 3 * k), normal(60, 3 * k + 1), normal(300, 3 * k + 2), k) for k in range(80)]
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(0.5, abs=4 * values.std() / math.sqrt(80))
    assert np.mean([one.interval[0] <= 0.5 <= one.interval[1] for one in found]) >= 0.9
    assert found[0].detail == {"parts": 2, "of a copy": 0.75}


def test_the_share_of_copies_is_exact() -> None:
    """Of copies of training rows, those in the compared part are nearer, and half of the others."""
    train, test = normal(400, 0), normal(400, 1)
    assert closest_record(train, test, train).value == 1
    assert closest_record(train, test, test).value == 0
    few = closest_record(train, test[:300], train)  # 300 of 400 rows are compared
    assert few.detail == {"parts": 1, "of a copy": 0.875}
    assert few.value == pytest.approx(0.875, abs=0.1)
    mixed = torch.cat([train[:100], normal(100, 2)])
    assert closest_record(train, test, mixed).value == pytest.approx(0.75, abs=0.15)
    copied = table_copies(train, test, mixed)
    assert 0.25 < copied.value < 0.6  # at the level with the smallest p
    assert copied.p < 1e-6  # type: ignore[operator]
    assert table_copies(train, test, normal(300, 3)).p > 0.01  # type: ignore[operator]
    equal = closest(train, train, normal(50, 4))
    assert equal.nearer.tolist() == [0.5] * 50
    by_hand = closest(torch.tensor([[0.0], [4.0]]), torch.tensor([[9.0], [1.0]]), torch.tensor([[0.2], [8.0], [3.5]]))
    assert by_hand.nearer.tolist() == [1, 0, 1]
    assert by_hand.row.tolist() == [0, 2, 1]
    with pytest.raises(DataError, match="400 training and 399 held-out"):
        closest(train, test[:399], mixed)


@pytest.mark.parametrize("repeated", [False, True])
def test_p_of_copies_has_its_law_and_the_interval_agrees(repeated: bool) -> None:
    """Over 400 sets of tables, the share of p < .05 is within 3.3 standard errors of .05, also where rows repeat."""
    found = []
    for k in range(400):
        rng = np.random.default_rng(k)
        drawn = (rng.geometric(0.35, (n, 3)) if repeated else rng.standard_normal((n, 3)) for n in (300, 150, 400))
        found.append(table_copies(*(torch.from_numpy(x.astype(np.float32)) for x in drawn), k))
    small = np.mean([one.p < 0.05 for one in found])  # type: ignore[operator]
    assert abs(small - 0.05) < 3.3 * math.sqrt(0.05 * 0.95 / 400)
    for one in found:
        assert one.interval[0] <= one.value <= one.interval[1]
        assert (one.interval[0] > 0) == (one.p < 0.025)  # type: ignore[operator]
    low, high = np.mean([[one.interval[0] > 0, one.interval[1] < 0] for one in found], 0)
    assert max(low, high) < 0.025 + 3.3 * math.sqrt(0.025 * 0.975 / 400)


def test_guesses_that_single_out_are_found_by_hand() -> None:
    table = Coded(np.array([[1.0], [2.0], [2.0], [np.nan]]), np.array([[0], [1], [1], [1]]))
    made = {one[0] for one in single_column(table, np.random.default_rng(0))}
    assert made == {
        Condition(0, "<=", 1.0),
        Condition(0, ">=", 2.0),
        Condition(0, "missing", 0.0),
        Condition(0, "=", 1.0),
        Condition(1, "=", 0.0),
    }
    assert matching(table, (Condition(1, "=", 1.0), Condition(0, ">=", 2.0))).tolist() == [1, 2]
    assert singled(table, [(Condition(0, ">=", 2.0),), (Condition(0, "missing", 0.0),)]) == [3]


def test_attacks_find_nothing_in_fresh_rows() -> None:
    """P(p < .05) over 40 sets of tables: at most .15, 1 in 60 above."""
    coding = Coding.of([pa.table({**{k: [0.0] * 6 for k in "abc"}, **{k: list("uvwxyz") for k in "de"}})])
    small: dict[str, list[float]] = {}
    for k in range(40):
        parts = rows(160, 3 * k), rows(80, 3 * k + 1), rows(160, 3 * k + 2)
        guessed = attribute_inference(coding, *parts, seed=k, attacks=60)
        for one in [*singling_out(*parts, attacks=40, seed=k), guessed]:
            small.setdefault(one.name, []).append(one.p)  # type: ignore[arg-type]
    assert len(small) == 3
    for name, p in small.items():
        assert np.mean(np.array(p) < 0.05) <= 0.15, name


def test_attacks_find_copies() -> None:
    coding = Coding.of([pa.table({**{k: [0.0] * 6 for k in "abc"}, **{k: list("uvwxyz") for k in "de"}})])
    train, test = rows(300, 0), rows(300, 1)
    one, three = singling_out(train, test, train, attacks=100)
    assert one.value == three.value == 1
    assert one.p < 1e-4  # type: ignore[operator]
    assert three.detail["baseline"] < 0.3  # type: ignore[operator]
    assert three.detail["risk"] == pytest.approx(1)
    guessed = attribute_inference(coding, train, test, train, attacks=100)
    assert guessed.value == 1
    assert guessed.p < 1e-9  # type: ignore[operator]
    assert guessed.null < 0.4
    with pytest.raises(DataError, match="attribute inference: 300 training, 5 held-out"):
        attribute_inference(coding, train, test.take(slice(5)), train)
    with pytest.raises(DataError, match="singling out: 5 real"):
        singling_out(train, test.take(slice(5)), train)
    with pytest.raises(DataError, match="no guess holds for exactly one"):
        singling_out(train, test, train.take(np.zeros(40, np.int64)))


def test_what_holds_for_everybody_is_no_leak() -> None:
    """A column that follows from another is guessed among held-out rows too."""
    rng = np.random.default_rng(0)
    train, test, fake = (
        Coded(np.repeat(rng.integers(1, 9, (200, 1)) * 1.0, 2, 1), np.zeros((200, 0), int)) for _ in "abc"
    )
    coding = Coding.of([pa.table({"a": [1.0], "b": [1.0]})])
    found = attribute_inference(coding, train, test, fake)
    assert (found.value, found.null, found.p) == (1, 1, 1)
    assert found.detail["baseline"] < 0.3  # type: ignore[operator]


def test_distances_of_an_attack_by_hand() -> None:
    """Gower: .5 + 0 + 1 for the first row, .25 + 1 + 0 for the second, without the secret column."""
    fake = Coded(np.array([[0.0, np.nan], [3.0, 1.0]]), np.array([[0], [1]]))
    known = Coded(np.array([[2.0, np.nan]]), np.array([[1]]))
    scale = np.array([4.0, 1.0])
    assert guesses(known, fake, [0, 1, 2], scale).tolist() == [[0, 1, 0]]


def test_a_memorised_table_is_called_so() -> None:
    rng = np.random.default_rng(0)
    train, test = (pa.table({k: rng.standard_normal(200) for k in "abc"}) for _ in "ab")
    judged = judge_table(train, test, train, spec=EvaluateTableSpec(["privacy", "attacks", "recall"]))
    said = "\n".join(judged.lines())
    assert "copies of training rows: 100.0% of the rows" in said
    assert "100.0% of the rows are nearer to training rows than to held-out rows, by chance 50%" in said
    assert "training rows can be attacked by attribute inference" in said
    assert "no measure of privacy by itself" in said
    assert judged.controls["independent columns"]["beta-recall"] < 0.6 < judged.judgements["recall"][1].value


def test_attacks_by_hand() -> None:
    """Training rows have two rare values, held-out rows have none: both rows are singled out, p = 1/4."""
    train, test = numbers_of([-5.0, 7.0, *[0.0] * 18]), numbers_of([0.0] * 20)
    one = singling_out(train, test, train)[0]
    assert (one.value, one.null, one.n, one.p) == (1, 0, 4, 0.25)
    table = Coded(np.array([[1.0], [2.0], [9.0]]), np.zeros((3, 0), np.int64))
    made = itertools.islice(several_columns(table, np.random.default_rng(0)), 30)
    assert set(made) == {(Condition(0, "<=", 1.0),), (Condition(0, "<=", 2.0),), (Condition(0, ">=", 9.0),)}


def numbers_of(x: list[float]) -> Coded:
    return Coded(np.array(x)[:, None], np.zeros((len(x), 0), np.int64))


def test_a_guessed_number_is_right_within_five_percent_of_the_guess() -> None:
    truth, guess = numbers_of([1.0, 1.0, np.nan, np.nan]), numbers_of([1.052, 0.951, 1.0, np.nan])
    assert right(truth, guess, [0], np.arange(4)[:, None])[:, 0].tolist() == [True, False, False, True]


def test_attribute_inference_is_one_sided_and_always_attacks_the_target() -> None:
    names = [f"c{k}" for k in range(14)]
    coding = Coding.of([pa.table({name: [0.0] for name in names})])
    train, test = (
        Coded(np.random.default_rng(k).standard_normal((80, 14)), np.zeros((80, 0), np.int64)) for k in range(2)
    )
    for k in (0, 7, 13):
        found = attribute_inference(coding, train, test, train, target=names[k])
        excess = found.detail["excess"]
        assert isinstance(excess, dict)
        assert len(excess) == 10
        assert names[k] in excess
    other = attribute_inference(coding, train, test, test)  # it leaks held-out rows only
    assert other.p > 0.999  # type: ignore[operator]
    part = Coded(np.concatenate([train.numbers[:40], test.numbers[:20]]), np.zeros((60, 0), np.int64))
    some = attribute_inference(coding, train, test, part)
    assert some.detail["risk"] == pytest.approx((some.value - some.null) / (1 - some.null))
    assert 0.2 < some.null < some.value < 0.7


@pytest.mark.parametrize(("p", "alarms"), [(0.005, 0), (0.003, 1)])
def test_an_attack_of_three_alarms_by_bonferroni(p: float, alarms: int) -> None:
    names = ("singling out, one column", "singling out, three columns", "attribute inference")
    made = [
        Judgement(name, "?", 0.3, 0.1, (0.2, 0.4), 99, p if name == names[0] else 0.9, {"excess": {}}) for name in names
    ]
    found = table_findings({"attacks": made}, {})
    assert sum("can be attacked" in one.line for one in found) == alarms


@pytest.mark.parametrize(("low", "said"), [(0.505, False), (0.515, True)])
def test_nearer_rows_are_worth_a_line_beyond_one_percent(low: float, said: bool) -> None:
    nearer = Judgement("nearer to training", "?", 0.55, 0.5, (low, 0.6), 99)
    assert ("nearer to training rows" in table_findings({"privacy": [nearer]}, {})[0].line) == said
