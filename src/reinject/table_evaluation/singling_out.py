"""Attack a table by singling out: guess conditions from synthetic rows that hold for exactly one training row.

An attacker looks for conditions that hold for exactly one synthetic row. They may hold for exactly one real person too.
Success among training rows counts only beyond success among equally many held-out rows, which the table cannot know.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement, binomial_interval
from reinject.table_evaluation.table_coding import Coded

ATTACKS = 500
COLUMNS = 3
_TRIES = 10  # candidates for each attack
_LEAST = 20  # rows of each table
_OPERATORS: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    "=": lambda x, v: x == v,
    "!=": lambda x, v: x != v,
    ">=": lambda x, v: x >= v,
    "<=": lambda x, v: x <= v,
    "missing": lambda x, _: np.isnan(x),
}


class Condition(NamedTuple):
    """State a condition on one column: its number (numeric columns first), an operator and a value."""

    column: int
    operator: str
    value: float


Guess = tuple[Condition, ...]


def matching(rows: Coded, guess: Guess) -> NDArray[np.int64]:
    """Return the numbers of the rows for which all conditions hold.

    Example:
        >>> rows = Coded(np.array([[1.0], [5.0], [7.0]]), np.array([[0], [1], [0]]))
        >>> matching(rows, (Condition(0, ">=", 5.0), Condition(1, "=", 0.0))).tolist()
        [2]
    """
    p = rows.numbers.shape[1]
    found = np.arange(len(rows))
    for column, operator, value in guess:
        x = rows.numbers[found, column] if column < p else rows.codes[found, column - p]
        found = found[_OPERATORS[operator](x, value)]
    return found


def single_column(synthetic: Coded, rng: np.random.Generator) -> Iterator[Guess]:
    """Make guesses of one column: extreme and rare values, in random order."""
    p = synthetic.numbers.shape[1]
    found: list[Guess] = []
    for k in range(p):
        x = synthetic.numbers[:, k]
        known = x[~np.isnan(x)]
        if len(known):
            found += [(Condition(k, "<=", float(known.min())),), (Condition(k, ">=", float(known.max())),)]
        found += [(Condition(k, "missing", 0.0),)] if len(known) == len(x) - 1 else []
        found += [(Condition(k, "=", value),) for value in _rare(known)]
    for k in range(synthetic.codes.shape[1]):
        found += [(Condition(p + k, "=", value),) for value in _rare(synthetic.codes[:, k])]
    return (found[k] for k in rng.permutation(len(found)))


def _rare(values: NDArray[np.float64] | NDArray[np.int64]) -> list[float]:
    distinct, counts = np.unique(values, return_counts=True)
    return [float(value) for value in distinct[counts == 1]]


def several_columns(synthetic: Coded, rng: np.random.Generator) -> Iterator[Guess]:
    """Make guesses from random synthetic rows: some of their columns, numbers at least as far from the median."""
    p, q = synthetic.numbers.shape[1], synthetic.codes.shape[1]
    middle = [float(np.nanmedian(x)) if not np.isnan(x).all() else 0.0 for x in synthetic.numbers.T]
    while True:
        row = int(rng.integers(len(synthetic)))
        chosen = np.sort(rng.permutation(p + q)[:COLUMNS])
        yield tuple(_of_row(synthetic, row, int(k), middle) for k in chosen)


def _of_row(rows: Coded, row: int, column: int, middle: Sequence[float]) -> Condition:
    p = rows.numbers.shape[1]
    if column >= p:
        return Condition(column, "=", float(rows.codes[row, column - p]))
    value = float(rows.numbers[row, column])
    if np.isnan(value):
        return Condition(column, "missing", 0.0)
    return Condition(column, ">=" if value > middle[column] else "<=", value)


def random_guesses(synthetic: Coded, rng: np.random.Generator, columns: int) -> Iterator[Guess]:
    """Make guesses of random columns, operators and values: the baseline of an attacker who knows only the columns."""
    p, q = synthetic.numbers.shape[1], synthetic.codes.shape[1]
    while True:
        chosen = np.sort(rng.permutation(p + q)[:columns])
        parts = []
        for k in map(int, chosen):
            operators = ("=", "!=") if k >= p else ("=", "!=", ">=", "<=")
            one = _of_row(synthetic, int(rng.integers(len(synthetic))), k, [0.0] * p)
            kept = one.operator == "missing"
            parts.append(one if kept else one._replace(operator=operators[rng.integers(len(operators))]))
        yield tuple(parts)


def _kept(candidates: Iterator[Guess], synthetic: Coded, count: int) -> list[Guess]:
    """Keep distinct guesses that hold for exactly one synthetic row."""
    found: dict[Guess, None] = {}
    for tried, guess in enumerate(candidates):
        if len(found) == count or tried == _TRIES * count:
            break
        if guess not in found and len(matching(synthetic, guess)) == 1:
            found[guess] = None
    return list(found)


def singled(rows: Coded, guesses: Sequence[Guess]) -> list[int]:
    """Return the row that each successful guess singles out; guesses that hold for no or several rows fail."""
    each = (matching(rows, guess) for guess in guesses)
    return [int(found[0]) for found in each if len(found) == 1]


def singling_out(
    train: Coded, held_out: Coded, synthetic: Coded, *, attacks: int = ATTACKS, seed: int = 0
) -> list[Judgement]:
    """Judge both attacks: by one column, and by three columns. The null is success among held-out rows.

    Training and held-out rows are drawn equally many, because success depends on their number. For p, a singled-out row
    counts once, with any number of guesses for it. p is one-sided, of the binomial law of training rows among them.
    The baseline guesses at random. ``risk`` is (success - null) / (1 - null), as anonymeter defines it.

    Arguments:
        train: training rows.
        held_out: held-out rows.
        synthetic: synthetic rows.
        attacks: most guesses of each kind.
        seed: seed of guesses and draws.

    Raises:
        DataError: fewer than 20 rows of one table, or no guess holds for exactly one synthetic row.

    Source: Giomi et al. 2023, PoPETs 2023(2):312, arXiv 2211.10459, section 4.1.
    """
    rng = np.random.default_rng([seed, 6])
    n = min(len(train), len(held_out))
    if min(n, len(synthetic)) < _LEAST:
        raise DataError("singling out", f"{n} real and {len(synthetic)} synthetic rows", f"Give at least {_LEAST}")
    inside, outside = (rows.take(rng.permutation(len(rows))[:n]) for rows in (train, held_out))
    found = []
    for name, make, columns in (("one column", single_column, 1), ("three columns", several_columns, COLUMNS)):
        guesses = _kept(make(synthetic, rng), synthetic, attacks)
        if not guesses:
            continue
        baseline = random_guesses(synthetic, rng, columns)
        hits, false = singled(inside, guesses), singled(outside, guesses)
        chance = singled(inside, [next(baseline) for _ in guesses])
        distinct = len(set(hits)), len(set(false))
        success, null = len(hits) / len(guesses), len(false) / len(guesses)
        found.append(
            Judgement(
                f"singling out, {name}",
                f"What share of guesses by {name} single out a training row?",
                success,
                null,
                binomial_interval(len(hits), len(guesses)),
                len(guesses),
                p=float(stats.binom.sf(distinct[0] - 1, sum(distinct), 0.5)),
                detail={
                    "baseline": len(chance) / len(guesses),
                    "risk": (success - null) / (1 - null) if null < 1 else None,
                    "rows": n,
                },
            )
        )
    if not found:
        raise DataError("singling out", "no guess holds for exactly one synthetic row", "Leave this judgement out")
    return found
