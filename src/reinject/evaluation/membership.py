"""Judge membership: whether an attacker with a row can tell that it is a training row.

An attack gives each row a score, higher for members. Its measure is the true-positive rate at few false positives
(Carlini et al. 2022, arXiv 2112.03570). Without a leak, members exceed the threshold as often as other rows.
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
_TINY = 1e-15  # least distance of probabilities from 0 and 1
SPLITS = 4  # splits of the data; each half trains a shadow model


def attack(target: str, by: str, member: Tensor, other: Tensor) -> Judgement:
    """Judge one attack by its true-positive rate at 1% false positives; detail: at 0.1%, area under the curve.

    The threshold is the (k + 1)-th highest score of M non-members, k = floor(0.01 M), so at most 1% exceed it. Without
    a leak, a member exceeds it with probability (k + 1)/(M + 1), the null. p is Fisher's, one-sided, of the counts
    above the threshold. It is exact for exchangeable members and others. The interval is of the share of training rows
    above this threshold. A rate that M rows cannot resolve is left out.

    Arguments:
        target: attacked network.
        by: method of the attack.
        member: scores of training rows, (N,).
        other: scores of other rows, (M,).

    Raises:
        DataError: fewer than 100 rows of one kind.

    Example:
        >>> scores = torch.arange(200.0)
        >>> found = attack("classifier", "loss", scores + 100, scores)
        >>> found.value, round(found.null, 4), found.detail["auc"]  # 102 of 200 are above 197
        (0.51, 0.0149, 0.875)
    """
    if min(len(member), len(other)) < _LEAST:
        raise DataError(
            "membership", f"{len(member)} members and {len(other)} other rows", f"Give at least {_LEAST} of each"
        )
    rates = {rate: _rate(member, other, rate) for rate in _RATES if rate * len(other) >= 1}
    hits, false = rates[_RATES[0]]
    table = [[hits, len(member) - hits], [false, len(other) - false]]
    u = float(stats.mannwhitneyu(member.numpy(), other.numpy()).statistic)
    return Judgement(
        f"{by} on the {target}",
        f"What share of training rows does an attack on the {target} by {by} find, at 1% false alarms?",
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
    """Compute P(a score exceeds the (k + 1)-th highest of M others) = (k + 1)/(M + 1), k = floor(rate M)."""
    return (math.floor(rate * others) + 1) / (others + 1)


def _rate(member: Tensor, other: Tensor, rate: float) -> tuple[int, int]:
    """Count members and others above the threshold of a false-positive rate."""
    threshold = other.sort(descending=True).values[math.floor(rate * len(other))]
    return int((member > threshold).sum()), int((other > threshold).sum())


def scores(probabilities: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Compute the scores of all attacks from probabilities (N, classes) and true classes (N,).

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
    """Compute log(p_y / (1 - p_y)), which is nearly normal over models."""
    own = probabilities.double().gather(1, y[:, None])[:, 0].clamp(_TINY, 1 - _TINY)
    return own.log() - torch.log1p(-own)


def likelihood_ratio(target: Tensor, shadows: Tensor, inside: Tensor) -> Tensor:
    """Compute log N(phi; mu_in, s_in) - log N(phi; mu_out, s_out).

    mu are means of a row over shadow models, s are deviations over all rows.

    Arguments:
        target: phi of the attacked model, (N,).
        shadows: phi of each shadow model, (K, N).
        inside: whether a row is a training row of the shadow, bool, (K, N); each row has both kinds of shadows.

    Source: Carlini et al. 2022, arXiv 2112.03570, algorithm 1, with one variance for all rows, as few shadows need.

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
    """Make random halves of a number of rows, and their complements; each row is in half of them.

    Example:
        >>> sorted(np.concatenate(halves(3)[:2]).tolist())
        [0, 1, 2]
    """
    orders = (np.random.default_rng([seed, split]).permutation(total) for split in range(SPLITS))
    return [half for order in orders for half in (order[: total // 2], order[total // 2 :])]


def part_of(train: Table, test: Table, rows: NDArray[np.int64]) -> Table:
    """Select rows of two tables, by numbers counted through both."""
    few = [train.take(rows[rows < len(train)]), test.take(rows[rows >= len(train)] - len(train))]
    return Table(np.concatenate([part.x for part in few]), np.concatenate([part.y for part in few]), test.storage)


def shadow_students(
    train: Table, test: Table, rows: NDArray[np.int64], seed: int = 0
) -> tuple[list[tuple[Student, Table]], Tensor]:
    """Make shadow students on random halves of training and held-out rows.

    Arguments:
        train: training rows.
        test: held-out rows.
        rows: numbers of the probed rows, counted through training and held-out rows, (N,).
        seed: seed of the halves and of the students.

    Returns:
        Each student and its half; whether a row is in the half, bool, (2 SPLITS, N).
    """
    chosen = halves(len(train) + len(test), seed)
    tables = [part_of(train, test, half) for half in chosen]
    inside = [torch.from_numpy(np.isin(rows, half)) for half in chosen]
    return [(Student(seed + k, len(one)), one) for k, one in enumerate(tables)], torch.stack(inside)


def membership(attacks: Mapping[str, Mapping[str, Tensor]], members: int) -> list[Judgement]:
    """Judge all attacks; target -> method -> scores of N rows, of which the first ``members`` are members."""
    return [
        attack(target, by, score[:members], score[members:])
        for target, ways in attacks.items()
        for by, score in ways.items()
    ]
