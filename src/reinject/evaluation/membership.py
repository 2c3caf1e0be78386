"""Membership: whether an attacker who holds a row can say that it was among the training rows.

An attack gives each row a score, higher for members; what counts is the true-positive rate at few false positives
(Carlini et al. 2022, arXiv 2112.03570). If nothing is given away, members lie above the threshold as others do.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from reinject.base.errors import DataError
from reinject.data.sample_tables import Table
from reinject.evaluation.judgement import Judgement, binomial_interval
from reinject.training.students import Student

_LEAST = 100  # rows of each kind
_RATES = (0.01, 0.001)
_TINY = 1e-15  # probabilities are told apart to this distance from 0 and 1
SPLITS = 4  # of the data, both halves of which train a shadow model


def attack(target: str, by: str, member: Tensor, other: Tensor) -> Judgement:
    """One attack: its true-positive rate at 1% false positives; in the detail, at 0.1%, and the area under the curve.

    The threshold is the score of the (k + 1)-th highest of M non-members, k = floor(0.01 M), so that at most 1% lie
    above it. If nothing is given away, a member lies above it with probability (k + 1)/(M + 1), which is the null. p is
    Fisher's, one-sided, of the counts above it: exact where members and others could change places. The interval is of
    the share of training rows above this threshold. A rate that M rows cannot show is left out.

    Arguments:
        target: what is attacked.
        by: how.
        member: scores of training rows, (N,).
        other: scores of rows that were not, (M,).

    Raises:
        DataError: fewer than 100 rows of one kind.

    Example:
        >>> scores = torch.arange(200.0)
        >>> found = attack("classifier", "loss", scores + 100, scores)
        >>> found.value, round(found.null, 4), found.detail["auc"]  # 102 of 200 are above 197
        (0.51, 0.0149, 0.875)
    """
    if min(len(member), len(other)) < _LEAST:
        raise DataError("membership", f"{len(member)} members and {len(other)} others", f"Give {_LEAST} of each")
    rates = {rate: _rate(member, other, rate) for rate in _RATES if rate * len(other) >= 1}
    hits, false = rates[_RATES[0]]
    table = [[hits, len(member) - hits], [false, len(other) - false]]
    u = float(stats.mannwhitneyu(member.numpy(), other.numpy()).statistic)
    return Judgement(
        f"{by} on the {target}",
        f"How many training rows does an attack on the {target} by {by} find, at 1% false alarms?",
        hits / len(member),
        _null(len(other), _RATES[0]),
        binomial_interval(hits, len(member)),
        len(member),
        p=float(stats.fisher_exact(table, alternative="greater").pvalue),
        detail={
            "auc": u / (len(member) * len(other)),
            **{f"null at {rate:g}": _null(len(other), rate) for rate in rates},
            **{f"tpr at {rate:g}": count / len(member) for rate, (count, _) in rates.items()},
            **{f"interval at {rate:g}": binomial_interval(count, len(member)) for rate, (count, _) in rates.items()},
        },
    )


def _null(others: int, rate: float) -> float:
    """P(a score is above the (k + 1)-th highest of M others of its law) = (k + 1)/(M + 1), k = floor(rate M)."""
    return (math.floor(rate * others) + 1) / (others + 1)


def _rate(member: Tensor, other: Tensor, rate: float) -> tuple[int, int]:
    """How many members and others are above the threshold of a false-positive rate."""
    threshold = other.sort(descending=True).values[math.floor(rate * len(other))]
    return int((member > threshold).sum()), int((other > threshold).sum())


def scores(probabilities: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Scores from a classifier's probabilities (N, classes) and the true classes (N,), by the name of the attack.

    loss: log p_y. confidence: max p. modified entropy (Song and Mittal 2021, arXiv 2003.10595, equation 8):
    (1 - p_y) log p_y + sum_(k != y) p_k log(1 - p_k).

    Example:
        >>> {name: round(float(s), 3) for name, s in scores(torch.tensor([[0.8, 0.2]]), torch.tensor([0])).items()}
        {'loss': -0.223, 'confidence': 0.8, 'modified entropy': -0.089}
    """
    p = probabilities.double().clamp(_TINY, 1 - _TINY)
    own = p.gather(1, y[:, None])[:, 0]
    others = (p * torch.log1p(-p)).sum(1) - own * torch.log1p(-own)
    return {"loss": own.log(), "confidence": p.amax(1), "modified entropy": (1 - own) * own.log() + others}


def logit(probabilities: Tensor, y: Tensor) -> Tensor:
    """log(p_y / (1 - p_y)), which is near to normal over models."""
    own = probabilities.double().gather(1, y[:, None])[:, 0].clamp(_TINY, 1 - _TINY)
    return own.log() - torch.log1p(-own)


def likelihood_ratio(target: Tensor, shadows: Tensor, inside: Tensor) -> Tensor:
    """Log N(phi; mu_in, s_in) - log N(phi; mu_out, s_out): means of a row over shadow models, deviations over all rows.

    Arguments:
        target: phi of the attacked model, (N,).
        shadows: phi of each shadow model, (K, N).
        inside: whether a row was among the shadow's training rows, bool, (K, N); for each row some are, some not.

    Source: Carlini et al. 2022, arXiv 2112.03570, algorithm 1, with the one variance that few shadows allow.

    Example:
        >>> shadows = torch.tensor([[1.0], [3.0], [0.0], [2.0]])
        >>> likelihood_ratio(torch.tensor([2.0]), shadows, torch.tensor([[True], [True], [False], [False]])).item()
        0.5
    """
    score = torch.zeros_like(target)
    for sign, chosen in ((1, inside), (-1, ~inside)):
        weight = chosen.to(shadows)
        mean = (shadows * weight).sum(0) / weight.sum(0)
        variance = ((shadows - mean).square() * weight).sum() / weight.sum()
        score += sign * (-(target - mean).square() / (2 * variance) - variance.log() / 2)
    return score


def halves(total: int, seed: int = 0) -> list[NDArray[np.int64]]:
    """Random halves of so many rows, and what they leave; each row is in half of them.

    Example:
        >>> sorted(np.concatenate(halves(3)[:2]).tolist())
        [0, 1, 2]
    """
    orders = (np.random.default_rng([seed, split]).permutation(total) for split in range(SPLITS))
    return [half for order in orders for half in (order[: total // 2], order[total // 2 :])]


def part_of(train: Table, test: Table, rows: NDArray[np.int64]) -> Table:
    """Some rows of two tables, by their numbers counted through both."""
    few = [train.take(rows[rows < len(train)]), test.take(rows[rows >= len(train)] - len(train))]
    return Table(np.concatenate([part.x for part in few]), np.concatenate([part.y for part in few]), test.storage)


def shadow_students(
    train: Table, test: Table, rows: NDArray[np.int64], seed: int = 0
) -> tuple[list[tuple[Student, Table]], Tensor]:
    """Students on random halves of training and held-out rows, to be asked about some of the rows.

    Arguments:
        train: the training rows.
        test: the held-out ones.
        rows: numbers of the rows that are probed, counted through training and held-out rows, (N,).
        seed: of the halves and of the students.

    Returns:
        Each student and its half; whether a row is in the half, bool, (2 SPLITS, N).
    """
    chosen = halves(len(train) + len(test), seed)
    tables = [part_of(train, test, half) for half in chosen]
    inside = [torch.from_numpy(np.isin(rows, half)) for half in chosen]
    return [(Student(seed + k, len(one)), one) for k, one in enumerate(tables)], torch.stack(inside)


def membership(attacks: Mapping[str, Mapping[str, Tensor]], members: int) -> list[Judgement]:
    """All attacks; target -> by -> scores of N rows, the first ``members`` of them members."""
    return [
        attack(target, by, score[:members], score[members:])
        for target, ways in attacks.items()
        for by, score in ways.items()
    ]
