"""Schedules: values, lengths, and what a command line makes of them."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reinject.base.errors import ArgumentError
from reinject.walks.schedules import (
    Cosine,
    Cycles,
    Geometric,
    Karras,
    Linear,
    PerStep,
    bounds_of,
    parse_schedule,
    value_at,
)

ENDS = st.floats(1e-3, 1e3)


@given(shape=st.sampled_from([Linear, Geometric, Cosine, Karras]), first=ENDS, last=ENDS, steps=st.integers(1, 50))
def test_ends_are_met_and_the_way_is_monotone(shape, first: float, last: float, steps: int) -> None:
    values = [shape(first, last, steps).at(i) for i in range(steps + 3)]
    assert math.isclose(values[0], first)
    assert all(math.isclose(v, last, rel_tol=1e-9, abs_tol=1e-12) for v in values[steps:])
    signs = {(b > a) - (b < a) for a, b in itertools.pairwise(values) if not math.isclose(a, b)}
    assert len(signs) <= 1
    low, high = shape(first, last).bounds()
    assert all(low * (1 - 1e-9) - 1e-12 <= v <= high * (1 + 1e-9) for v in values)


@given(st.text(max_size=30))
def test_any_text_is_a_schedule_or_one_sentence(text: str) -> None:
    try:
        assert math.isfinite(value_at(parse_schedule(text), 0)) or text.strip().strip("+-rR").lower() in (
            "nan", "inf", "infinity",
        )  # fmt: skip
    except ArgumentError as error:
        assert str(error).count("\n") <= text.count("\n") + 1  # noqa: PT017


def test_a_held_ladder() -> None:
    ladder = Geometric(8.0, 1.0, steps=7, hold=2)
    assert [round(ladder.at(i), 9) for i in range(8)] == [8.0, 8.0, 4.0, 4.0, 2.0, 2.0, 1.0, 1.0]


def test_the_default_walk_falls_and_rises_as_it_did() -> None:
    """Levels of the default preset, in units of the radius, by their own formula."""
    sigma = Cycles(1.4, 0.02, 13, 1.0, 10)
    fall = [1.4 * (0.02 / 1.4) ** (i / 13) for i in range(14)]
    again = [0.02 ** (i / 9) for i in range(10)]
    expected = fall + 8 * again
    assert all(math.isclose(sigma.at(i), value) for i, value in enumerate(expected))


def test_rho_goes_from_linear_to_geometric() -> None:
    """Levels by the formula of the source; rho = 1 is Linear, and rho = 10^6 Geometric to six digits."""
    for i in range(11):
        u = i / 10
        assert math.isclose(Karras(6.0, 0.05, 10, rho=7.0).at(i), (6 ** (1 / 7) * (1 - u) + 0.05 ** (1 / 7) * u) ** 7)
        assert math.isclose(Karras(6.0, 0.05, 10, rho=1.0).at(i), Linear(6.0, 0.05, 10).at(i))
        assert math.isclose(Karras(6.0, 0.05, 10, rho=1e6).at(i), Geometric(6.0, 0.05, 10).at(i), rel_tol=1e-5)
    assert parse_schedule("karras:2r:.1r:4", radius=10.0) == Karras(20.0, 1.0, rho=4.0)
    assert parse_schedule("karras:2:1") == Karras(2.0, 1.0, rho=7.0)


def test_lengths() -> None:
    assert Linear(1.0, 0.0).over(5).steps == 5
    assert Linear(1.0, 0.0, steps=9).over(5).steps == 9
    for schedule in (Linear(1.0, 0.0, steps=4), PerStep((1.0,) * 5)):
        with pytest.raises(ArgumentError, match="ends at x_4, the walk goes to x_5"):
            schedule.over(5)
    with pytest.raises(ArgumentError, match="has no length"):
        Linear(1.0, 0.0).at(1)
    assert bounds_of(Cycles(1.4, 0.02, 13, 2.0, 10)) == (0.02, 2.0)


@pytest.mark.parametrize(
    "text",
    [
        *("", "wide", "linear:1", "linear:1:2:0", "geometric:1:0", "steps:", "steps:1,x", "cycles:1:2:3"),
        *("cosine:nan:1", "karras:1", "karras:1:0", "karras:2:1:0", "karras:2:1:x", "karras:2:1:7:1"),
    ],
)
def test_bad_schedules_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError):
        parse_schedule(text)


@pytest.mark.parametrize("number", [0.5, np.float32(0.5), np.float64(0.5), torch.tensor(0.5)])
def test_any_number_is_the_constant_schedule(number: float) -> None:
    assert value_at(number, 7) == 0.5
