"""Judgements of tables: laws under the null, exact answers, SDMetrics' values, and controls that rank as they must."""

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

from reinject.base.errors import ArgumentError, DataError, ReinjectError
from reinject.evaluation.judgement import Judgement
from reinject.report.table_evaluated import evaluate_rows
from reinject.table_evaluation import table_two_sample
from reinject.table_evaluation.judge_table import EvaluateTableSpec, judge_table
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.table_evaluation.table_controls import gaussian_a_class, independent_columns
from reinject.table_evaluation.table_evidence import TableEvidence
from reinject.table_evaluation.table_findings import table_findings
from reinject.table_evaluation.table_learners import _frequent, engine, predict_classes, predict_number
from reinject.table_evaluation.table_recall import alpha_beta, features
from reinject.table_evaluation.table_shapes import likeness
from reinject.table_evaluation.table_two_sample import c2st, delong
from reinject.table_evaluation.table_utility import Target, auc, measure_utility, table_utility


def people(n: int, seed: int, slope: float = 2.0) -> pa.Table:
    """A number, another that depends on it, a category that depends on both, a class."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    y = slope * x + rng.standard_normal(n)
    kind = np.where(x + y + rng.standard_normal(n) > 0, "up", "down")
    x[rng.random(n) < 0.1] = np.nan
    numbers = {"x": pa.array(x, from_pandas=True), "y": y}
    return pa.table({**numbers, "kind": kind, "rich": (y + (kind == "up") + rng.standard_normal(n)) > 1})


def numbers(x: Any) -> Coded:
    x = np.asarray(x, float)
    x = x[:, None] if x.ndim == 1 else x
    return Coded(x, np.zeros((len(x), 0), np.int64))


def test_every_type_of_a_column_comes_back() -> None:
    table = pa.table(
        {
            "whole": pa.array([3, None, -2], pa.int16()),
            "price": pa.array([Decimal("1.25"), None, Decimal("-7.50")], pa.decimal128(8, 2)),
            "day": pa.array([date(2020, 1, 2), date(1960, 5, 4), None]),
            "when": pa.array([datetime(2020, 1, 2, 3, tzinfo=UTC), None, datetime(1999, 1, 1, tzinfo=UTC)]),
            "text": ["b", None, "a"],
            "truth": [True, None, False],
            "none": pa.nulls(3),
            "share": pa.array([0.25, None, 0.5], pa.float32()),
        }
    )
    coding = Coding.of([table])
    assert coding.numeric == ("whole", "price", "day", "when", "share")
    assert coding.table(coding.code(table)).equals(table)
    words = table.set_column(4, "text", table["text"].dictionary_encode())
    assert np.array_equal(Coding.of([words]).code(words).codes, coding.code(table).codes)
    as_class = Coding.of([table], ["whole"])
    assert as_class.code(table).codes[:, 0].tolist() == [1, 2, 0]
    assert as_class.table(as_class.code(table)).equals(table)


def test_other_types_of_numbers_are_compared_as_numbers() -> None:
    real, fake = pa.table({"n": [1, 2], "k": [0, 1]}), pa.table({"n": [1.5, 2.0], "k": [1.0, 0.5]})
    coding = Coding.of([real, fake], ["k"])
    assert coding.code(fake).numbers[:, 0].tolist() == [1.5, 2.0]
    assert [coding.code(one).codes[:, 0].tolist() for one in (real, fake)] == [[0, 2], [2, 1]]


def test_tables_that_cannot_be_coded_are_refused_by_column() -> None:
    table = pa.table({"a": [1.0, 2.0]})
    with pytest.raises(DataError, match="column b: has values of type list"):
        Coding.of([pa.table({"b": [[1], [2]]})])
    with pytest.raises(DataError, match="column a: has infinite values"):
        Coding.of([table]).code(pa.table({"a": [1.0, math.inf]}))
    with pytest.raises(DataError, match="column a: has type string in one table and double in another"):
        Coding.of([table, pa.table({"a": ["x"]})])
    with pytest.raises(DataError, match="column a: is missing"):
        Coding.of([table]).code(pa.table({"c": [1.0]}))


def test_shapes_and_trends_are_those_of_sdmetrics() -> None:
    """Values of SDMetrics on the same arrays, with missing numbers; it computed them in an environment of its own."""
    known = json.loads((Path(__file__).parent / "sdmetrics.json").read_text())
    real, synthetic = (pa.table(known[name]) for name in ("real", "synthetic"))
    coding = Coding.of([real, synthetic])
    found = likeness(coding, coding.code(real), coding.code(synthetic))
    assert found.shapes == pytest.approx(known["shapes"])
    names = list(found.shapes)
    for pair, value in known["pairs"].items():
        i, j = (names.index(name) for name in pair.split(","))
        assert found.pairs[i, j] == found.pairs[j, i] == pytest.approx(value), pair
    assert found.trend == pytest.approx(np.mean(list(known["pairs"].values())))
    assert found.hardest_pairs(1)[0][:2] == ("y", "b")


def test_trends_are_correlations_of_the_rows_that_have_both_numbers() -> None:
    """Large numbers of one column and small ones of another are missing, so means of columns are not means of pairs."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(400) + 3
    y = x + rng.standard_normal(400)
    x[y > 3.5], y[x < 2] = np.nan, np.nan
    real, fake = numbers(np.stack([x, y], 1)), numbers(rng.standard_normal((400, 2)))
    both = ~np.isnan(x + y)
    exact = np.corrcoef(x[both], y[both])[0, 1] - np.corrcoef(fake.numbers.T)[0, 1]
    coding = Coding.of([pa.table({"x": [0.0], "y": [0.0]})])
    assert likeness(coding, real, fake).pairs[0, 1] == pytest.approx(1 - abs(exact) / 2)


def test_a_pair_of_two_large_categories_and_a_constant() -> None:
    rng = np.random.default_rng(0)
    a, b = (pa.table({k: rng.integers(0, 900, 300).astype(str) for k in "uv"}) for _ in range(2))
    coding = Coding.of([a, b])
    found = likeness(coding, coding.code(a), coding.code(b))
    joint = [set(zip(t["u"].to_pylist(), t["v"].to_pylist(), strict=True)) for t in (a, b)]
    assert found.pairs[0, 1] == pytest.approx(len(joint[0] & joint[1]) / 300)  # hardly a pair comes twice
    flat = pa.table({"c": [1.0, 1.0], "x": [0.0, 1.0]})
    coding = Coding.of([flat])
    assert math.isnan(likeness(coding, coding.code(flat), coding.code(flat)).trend)


def test_auc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score, roc_auc_score

    from reinject.table_evaluation.table_utility import scores

    rng = np.random.default_rng(0)
    p = np.round(rng.dirichlet(np.ones(3), 200), 1) + 1e-3
    p /= p.sum(1, keepdims=True)
    y = rng.integers(0, 3, 200)
    assert auc(y, p) == pytest.approx(roc_auc_score(y, p, multi_class="ovr"))
    assert auc(y % 2, p[:, :2]) == pytest.approx(roc_auc_score(y % 2, p[:, 1]))
    target = Target(Coding.of([pa.table({"y": ["a", "b", "c"]})]), "y")
    assert scores(target, y, p)["F1"] == pytest.approx(f1_score(y, p.argmax(1), average="macro"))


def test_utility_compares_with_the_twin_and_knows_wrong_labels() -> None:
    train, test = people(600, 0), people(600, 1)
    flipped = train.set_column(3, "rich", pa.array(~train["rich"].to_numpy()))
    coding = Coding.of([train, test])
    target = Target(coding, "rich")
    a, b, wrong = (coding.code(one) for one in (train, test, flipped))
    twin = measure_utility(target, a, b)
    assert 0.75 < twin["AUC, linear"] < 0.99
    same, worse = (table_utility(target, twin, b, rows) for rows in (a, wrong))
    assert {one.name: one.value for one in same} == twin
    assert all(one.interval[0] < one.value < one.interval[1] for one in same)
    assert [one.detail["share"] for one in same] == [1.0] * 4
    assert worse[0].value == pytest.approx(1 - twin["AUC, boosting"], abs=0.02)


def test_no_share_of_a_gain_that_the_twin_does_not_have() -> None:
    """A twin below chance has no gain to share, and a number has RMSE above that of a constant."""
    rows = Coding.of([people(200, 0)])
    a = rows.code(people(200, 0))
    for name, twin in (("rich", {"AUC": 0.45, "F1": 0.0}), ("y", {"RMSE": 1e6})):
        given = {f"{k}, {learner}": v for k, v in twin.items() for learner in ("boosting", "linear")}
        found = table_utility(Target(rows, name), given, a, a)
        assert {one.detail["share"] for one in found} == {None}
        assert table_findings({"utility": found}, {})[0].level == "good"


def test_regression_of_a_logarithm() -> None:
    """y = exp(3 + x) gives an exact linear answer in logarithms, and RMSE of a shift is the shift."""
    x = np.random.default_rng(0).standard_normal(300)
    table, shifted = (pa.table({"x": x, "y": np.exp(3 + x + d)}) for d in (0.0, 0.5))
    coding = Coding.of([table])
    target = Target(coding, "y", log=True)
    a, b = coding.code(table), coding.code(shifted)
    assert measure_utility(target, a, a)["RMSE, linear"] < 0.01
    assert measure_utility(target, b, a)["RMSE, linear"] == pytest.approx(0.5, abs=0.02)
    found = table_utility(target, measure_utility(target, a, a), a, b)
    assert found[1].detail["share"] == pytest.approx(0.5, abs=0.05)  # a constant has RMSE 1


def test_the_linear_learner_does_not_see_units() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2))
    y = x @ [1.0, -1.0]
    moved = numbers(x * [1e6, 1e-6] + [5e6, 3.0])
    plain = predict_number("linear", numbers(x), y, numbers(x))
    assert predict_number("linear", moved, y, moved) == pytest.approx(plain, abs=1e-6)


def test_one_class_and_a_thousand_categories() -> None:
    rng = np.random.default_rng(0)
    rows = Coded(np.zeros((2000, 0)), rng.integers(0, 1000, (2000, 1)))
    y = (rows.codes[:, 0] < 20).astype(np.int64)
    assert predict_classes("boosting", rows.take(slice(40)), np.zeros(40, np.int64), rows, 2)[:, 0].min() == 1
    assert predict_classes("boosting", rows, y, rows, 2).shape == (2000, 2)
    found = predict_classes("linear", rows, y, rows, 2)[:, 1]
    assert found[y == 1].min() > 2 * found[y == 0].max()
    assert np.isfinite(predict_number("boosting", rows, y.astype(float), rows)).all()


@pytest.mark.skipif(engine() != "xgboost", reason="the extra `tables` is not installed")
def test_xgboost_knows_categories() -> None:
    rows = Coded(np.zeros((400, 0)), np.arange(400)[:, None] % 40)
    y = (rows.codes[:, 0] % 2).astype(np.int64)  # no order of the numbers tells
    assert auc(y, predict_classes("boosting", rows, y, rows, 2)) > 0.99


def _fast(_: str, train: Coded, y: Any, test: Coded, *__: Any) -> Any:
    """A classifier that learns at once: the difference of the two means."""
    w = train.numbers[y == 1].mean(0) - train.numbers[y == 0].mean(0)
    return np.stack([-test.numbers @ w, test.numbers @ w], 1)


def test_c2st_has_its_law_where_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kolmogorov and Smirnov at .1% over 200 pairs of tables; the mean within 4 standard errors of the null."""
    monkeypatch.setattr(table_two_sample, "predict_classes", _fast)
    rng = np.random.default_rng(0)
    found = [c2st(numbers(rng.standard_normal((90, 2))), numbers(rng.standard_normal((120, 2)))) for _ in range(200)]
    assert stats.kstest([one.p for one in found], "uniform").pvalue > 0.001
    assert np.corrcoef([one.p for one in found], [one.detail["auc"] for one in found])[0, 1] < -0.9  # type: ignore[list-item]
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(found[0].null, abs=4 * values.std() / math.sqrt(200))
    inside = [one.interval[0] <= 1 - 2 * abs(one.detail["auc"] - 0.5) <= one.interval[1] for one in found]  # type: ignore[operator]
    assert all(inside)
    assert np.mean([one.interval[1] == 1 for one in found]) > 0.9  # the truth is 1


def test_c2st_of_a_shift_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """AUC = Phi(shift / sqrt(2)) for normal scores; DeLong's error is that of the placements over repetitions."""
    monkeypatch.setattr(table_two_sample, "predict_classes", _fast)
    rng = np.random.default_rng(0)
    found = [c2st(numbers(rng.standard_normal(300)), numbers(rng.standard_normal(300) + 1)) for _ in range(60)]
    exact = 2 - 2 * stats.norm.cdf(1 / math.sqrt(2))
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(exact, abs=4 * values.std() / math.sqrt(60))
    assert np.mean([one.interval[0] <= exact <= one.interval[1] for one in found]) > 0.85
    errors = [delong(rng.standard_normal(100) + 1, rng.standard_normal(100)) for _ in range(100)]
    assert np.mean([e for _, e in errors]) == pytest.approx(np.std([a for a, _ in errors]), rel=0.3)


def test_c2st_draws_from_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sorted rows, the first ones are no fair sample."""
    monkeypatch.setattr(table_two_sample, "predict_classes", _fast)
    rng = np.random.default_rng(0)
    ordered = numbers(np.sort(rng.standard_normal(3000)))
    assert c2st(ordered, numbers(rng.standard_normal(600))).value > 0.8


def test_boosting_tells_a_dependence_that_columns_do_not_show() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 1))
    together, apart = numbers(np.hstack([x, x])), numbers(rng.standard_normal((900, 2)))
    assert c2st(together, apart).value < 0.2
    with pytest.raises(DataError, match="C2ST: 900 real and 3 synthetic rows"):
        c2st(together, apart.take(slice(3)))


def test_recall_and_precision_have_their_laws() -> None:
    """Of 2N - 1 exchangeable neighbours N are synthetic, so R(b) = b/2, and recall is 1/2.

    Precision: distances of N(0, s^2 I_2) from the centre give P(a) = 1 - (1 - a)^(1 / s^2).
    """
    g = torch.Generator().manual_seed(0)
    found = [alpha_beta(*torch.randn((2, 500, 2), generator=g)) for _ in range(8)]
    recall = np.array([one.recall for one in found])
    assert recall.mean() == pytest.approx(0.5, abs=4 * recall.std() / math.sqrt(8))
    x, wide = torch.randn((2, 4000, 2), generator=g)
    levels = np.linspace(0, 1, 30)
    exact = 1 - np.abs(levels - (1 - (1 - levels) ** (1 / 4))).sum() / levels.sum()
    assert alpha_beta(x, 2 * wide).precision == pytest.approx(exact, abs=0.02)
    assert alpha_beta(x, x).recall == pytest.approx(1, abs=0.02)
    with pytest.raises(DataError, match="beta-recall: 500 real and 499"):
        alpha_beta(x[:500], x[:499])


def test_features_have_the_published_scale() -> None:
    table = pa.table({"x": [1.0, 3.0, None], "k": ["a", "b", "a"]})
    coding = Coding.of([table])
    (published,) = features(coding, coding.code(table))
    assert published.tolist() == [[0, 0, 1, 0], [1, 0, 0, 1], [0.5, 1, 1, 0]]
    (scaled,) = features(coding, coding.code(table), standardised=True)
    assert (scaled[0] - scaled[1]).square().sum().item() == pytest.approx(2**2 + 1, rel=1e-5)


def test_controls_keep_columns_and_moments() -> None:
    coding = Coding.of([people(4000, 0)])
    train = coding.code(people(4000, 0))
    apart, gauss = independent_columns(train, 4000), gaussian_a_class(coding, train, "rich", 4000)
    for rows in (apart, gauss):
        assert np.isnan(rows.numbers[:, 0]).mean() == pytest.approx(0.1, abs=0.03)
        assert rows.codes.mean(0) == pytest.approx(train.codes.mean(0), abs=0.05)
    assert set(apart.numbers[:, 1]) <= set(train.numbers[:, 1])
    y, rich = train.numbers[:, 1], train.codes[:, 1]
    drawn = gauss.numbers[:, 1]
    assert abs(np.corrcoef(apart.numbers[:, 1], apart.codes[:, 1])[0, 1]) < 0.07  # 4 standard errors
    for k in (0, 1):
        one = y[rich == k]
        assert drawn[gauss.codes[:, 1] == k].mean() == pytest.approx(one.mean(), abs=5 * one.std() / math.sqrt(1000))
        assert drawn[gauss.codes[:, 1] == k].std() == pytest.approx(one.std(), rel=0.1)
    assert drawn.max() <= y.max()


def test_tables_rank_as_they_must() -> None:
    """A fresh draw beats a wrong dependence, and both beat independent columns; the headline says what is wrong."""
    train, test = people(400, 0), people(400, 1)
    asked = EvaluateTableSpec(["two-sample", "shapes", "recall"], controls=False)
    fresh = judge_table(train, test, people(400, 2), "rich", asked)
    wrong = judge_table(train, test, people(400, 3, slope=1.0), "rich", asked, real=fresh.real)
    alone = Coding.of([train])
    columns = alone.table(independent_columns(alone.code(train), 400, seed=5))
    broken = judge_table(train, test, columns, "rich", EvaluateTableSpec(["shapes", "recall"]), real=fresh.real)
    value = [{one.name: one.value for group in j.judgements.values() for one in group} for j in (fresh, wrong, broken)]
    assert value[0]["C2ST"] > value[1]["C2ST"]
    for name in ("pair trends", "beta-recall"):
        assert value[0][name] > value[1][name] > value[2][name], name
    assert fresh.findings[0].line == "verdict: good"
    assert "columns depend on each other no better than independent columns" in broken.lines()[0]
    header, *rows = broken.table()
    assert header == ["", "this table", "real rows", "independent columns", "Gaussian a class"]
    assert {len(row) for row in rows} == {5}
    json.dumps(broken.as_json(), allow_nan=False)


def test_tables_of_other_tools_and_missing_parts() -> None:
    train, fake = people(100, 0), people(100, 1)
    other = pa.table({"rich": fake["rich"], "y": fake["y"].cast(pa.float32()), "id": list(range(100))})
    judged = judge_table(train, None, other, "rich", EvaluateTableSpec(controls=False))
    assert list(judged.judgements) == ["two-sample", "shapes", "recall"]
    assert list(judged.alike.shapes) == ["y", "rich"]  # type: ignore[union-attr]
    said = "\n".join(judged.lines())
    assert "not in all tables, and not judged: x, kind, id" in said
    assert "privacy is left out: it needs held-out rows" in said
    few = judge_table(train, fake, fake.slice(0, 9), None, EvaluateTableSpec(["two-sample", "utility", "shapes"]))
    assert any("C2ST: 100 real and 9 synthetic rows" in note for note in few.notes)
    assert any("needs a target" in note for note in few.notes)
    with pytest.raises(ArgumentError, match="the real table has no column 'wage'"):
        judge_table(train, fake, fake, "wage")
    with pytest.raises(ArgumentError, match="categorical: the real table has no column 'zpi'"):
        judge_table(train, fake, fake, spec=EvaluateTableSpec(categorical=["zpi"]))
    with pytest.raises(DataError, match="no common column"):
        judge_table(train, None, pa.table({"z": [1]}))
    with pytest.raises(DataError, match="0 synthetic rows"):
        judge_table(train, None, fake.slice(0, 0))
    with pytest.raises(DataError, match="the synthetic table: has two columns 'y'"):
        judge_table(train, None, pa.table([fake["y"], fake["y"]], ["y", "y"]))
    with pytest.raises(ArgumentError, match="'style' is not known"):
        EvaluateTableSpec(["style"])
    with pytest.raises(ArgumentError, match="'x' is a text"):
        EvaluateTableSpec(categorical="x")


def without_x(table: pa.Table) -> pa.Table:
    return table.set_column(table.column_names.index("x"), "x", pa.nulls(len(table), pa.float64()))


@pytest.mark.filterwarnings("error")
def test_a_column_that_one_table_lacks_all_values_of() -> None:
    """Its shape is 0, not unknown; learners and privacy do without it."""
    train, test, fake = (people(120, seed) for seed in range(3))
    judged = judge_table(train, test, without_x(fake), "rich")
    assert judged.alike.shapes["x"] == 0  # type: ignore[union-attr]
    assert "x 0.00" in "\n".join(judged.lines())
    assert list(judged.judgements) == ["utility", "two-sample", "shapes", "recall", "privacy", "attacks"]
    none = judge_table(*map(without_x, (train, test, fake)), "rich", EvaluateTableSpec(["shapes"], controls=False))
    assert np.isnan(none.alike.shapes["x"])  # type: ignore[union-attr]
    assert not any("x 0.00" in line for line in none.lines())


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_judged_is_said_and_nothing_at_all_is_an_error() -> None:
    train, test, fake = (people(120, seed) for seed in range(3))
    at = train.column_names.index("rich")
    poor = (table.set_column(at, "rich", pa.array(["no"] * 120)) for table in (train, test, fake))
    one = judge_table(*poor, "rich", EvaluateTableSpec(["utility", "shapes"], controls=False))
    assert list(one.judgements) == ["shapes"]
    assert "utility is left out: column rich: has one value in the real test rows. Name another target." in one.notes
    with pytest.raises(DataError, match=r"nothing can be judged. utility is left out: .* privacy is left out: "):
        judge_table(train, None, fake, None, EvaluateTableSpec(["utility", "privacy"]))
    with pytest.raises(DataError, match="column shapes: 0 real"):
        judge_table(train.slice(0, 1), None, fake, None, EvaluateTableSpec(["shapes"]))
    with pytest.raises(DataError, match="beta-recall: 0 real"):
        judge_table(train.slice(0, 1), None, fake, None, EvaluateTableSpec(["recall"]))


@pytest.mark.filterwarnings("error")
def test_numbers_of_any_size_are_judged_or_refused() -> None:
    train, test, fake = (people(120, seed) for seed in range(3))
    far = fake.set_column(0, "x", pa.array([1e99] * 119 + [-1e99]))
    judged = judge_table(train, test, far, "rich", EvaluateTableSpec(["shapes", "recall", "privacy", "attacks"]))
    assert len(judged.judgements) == 4
    with pytest.raises(DataError, match=r"column x: has values beyond 1e\+100. Give it in another unit."):
        judge_table(train, test, fake.set_column(0, "x", pa.array([1e101] * 120)))


def test_findings_lead_with_what_is_worst() -> None:
    bad = Judgement("AUC, boosting", "?", 0.55, 0.9, (0, 1), 9, detail={"share": 0.125})
    near = Judgement("nearer to training", "?", 0.7, 0.5, (0.65, 0.75), 9)
    found = table_findings({"utility": [bad], "privacy": [near]}, {})
    assert [one.level for one in found] == ["broken", "doubtful"]
    assert "gains 12%" in found[0].reason
    assert "70.0% of the rows are nearer to training rows" in found[1].reason
    assert (
        table_findings({"privacy": [Judgement("nearer to training", "?", 0.52, 0.5, (0.49, 0.55), 9)]}, {})[0].reason
        == ""
    )


def test_other_rows_in_memory_are_judged_again(tmp_path: Path) -> None:
    """A data frame has no name, so an earlier result at the same place may be of other rows."""
    spec = EvaluateTableSpec(["shapes"], controls=False)
    evaluate_rows(people(60, 0), people(60, 1), spec=spec, out=tmp_path / "e")
    with pytest.raises(ReinjectError, match="overwrite"):
        evaluate_rows(people(60, 2), people(60, 1), spec=spec, out=tmp_path / "e")


def test_rows_of_another_tool_are_evaluated_by_a_command(tmp_path: Path) -> None:
    from pyarrow import csv

    from test_cli import run

    for seed, name in enumerate(("people", "unseen", "other")):
        csv.write_csv(people(200, seed), tmp_path / f"{name}.csv")
    real, unseen, other = (str(tmp_path / f"{name}.csv") for name in ("people", "unseen", "other"))
    asked = ("evaluate", other, "--data", real, "--target", "rich", "--judge", "shapes", "--judge", "privacy")
    status, out, said = run(*asked, "--test", unseen, "--out", str(tmp_path / "judged"), "--json")
    assert status == 0, said
    found = json.loads(out)
    assert list(found["judgements"]) == ["shapes", "privacy"]
    assert json.loads((tmp_path / "judged" / "metrics.json").read_text())["rows"] == found["rows"]
    assert found["rows"] == {"train": 200, "test": 200, "synthetic": 200}
    status, out, said = run(*asked)
    assert status == 0, said
    assert "Give --test with rows that the tool did not see" in out
    assert run(*asked, "--student", "knn")[0] == 1
    status, _, said = run("evaluate", str(tmp_path), "--data", real, "--target", "rich")
    assert status == 1
    assert "--target: is for a file of rows" in said


def test_missing_numbers_and_the_largest_have_bins_of_their_own() -> None:
    """Two of four rows are alike; of the others the largest number and the missing one change places."""
    real = pa.table({"x": pa.array([0.0, 5.0, 10.0, None]), "c": ["a", "a", "b", "c"]})
    fake = pa.table({"x": pa.array([0.0, 5.0, None, 10.0]), "c": ["a", "a", "b", "c"]})
    coding = Coding.of([real])
    assert likeness(coding, coding.code(real), coding.code(fake)).trend == pytest.approx(0.5)


def test_each_number_has_a_scale_of_its_own() -> None:
    table = pa.table({"a": [0.0, 2.0, 4.0], "b": [0.0, 0.1, 0.5]})
    coding = Coding.of([table])
    (scaled,) = features(coding, coding.code(table), standardised=True)
    np.testing.assert_allclose(scaled.numpy().std(0), 1, rtol=1e-6)
    (ranged,) = features(coding, coding.code(table))
    np.testing.assert_allclose(ranged.numpy(), [[0, 0], [0.5, 0.2], [1, 1]], atol=1e-6)


def test_recall_by_its_definition() -> None:
    """Row by row, of two tables with different centres."""
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((60, 2)), 0.8 * rng.standard_normal((60, 2)) + 0.4
    reached, depth = [], []
    for k, row in enumerate(real):
        to_fake = np.linalg.norm(fake - row, axis=1)
        to_real = np.linalg.norm(np.delete(real, k, 0) - row, axis=1)
        reached.append(to_fake.min() <= to_real.min())
        depth.append(np.linalg.norm(fake[to_fake.argmin()] - fake.mean(0)))
    levels = np.linspace(0, 1, 30)
    within = np.array(depth) <= np.quantile(depth, levels)[:, None]
    gap = np.abs(levels - (within & np.array(reached)).mean(1))
    found = alpha_beta(*(torch.from_numpy(x.astype(np.float32)) for x in (real, fake)))
    assert found.recall == pytest.approx(1 - gap.sum() / levels.sum(), abs=0.02)


def test_the_rarest_of_too_many_categories_are_joined() -> None:
    train = np.concatenate([np.arange(300), np.full(9, 299), np.full(4, 120)])[:, None]
    coded, test = _frequent(train, np.array([[299], [120], [0], [299]]))
    assert test[:, 0].tolist() == [0, 1, 2, 0]
    assert (coded == 253).sum() == 300 - 253
    few = _frequent(train[:200], train[:3])
    assert np.array_equal(few[0], train[:200])


def test_real_rows_are_judged_against_other_real_rows() -> None:
    rows = numbers(np.arange(101.0))
    evidence = TableEvidence(Coding.of([pa.table({"x": [1.0]})]), None, rows, rows, rows, 50, 0)
    one, other = ({*half.numbers[:, 0].tolist()} for half in evidence.halves)
    assert len(one) == len(other) == 50
    assert not one & other
    assert len(evidence.some(rows)) == 50
