"""Judge spurious samples: unlike data, and without a clear class."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reinject.evaluation.judgement import Judgement
from reinject.training.learning_curves import interval_of
from reinject.training.neighbours import nearest

_OUTSIDE = 0.05  # share of held-out real rows beyond each of the two thresholds
Part = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def spurious(parts: Sequence[Part]) -> Judgement:
    """Judge the share of samples both farther from real data and less certain than 95% of held-out real rows.

    Distance: to the nearest reference row, in features. Certainty: the classifier's highest probability.

    Arguments:
        parts: for each draw, features of reference, held-out and synthetic rows, (n, d) each, and the highest
            probability of held-out and synthetic rows, (n,) each.

    Example:
        >>> x, sure = torch.arange(100.0)[:, None], torch.ones(100)
        >>> spurious([(x, x + 0.1, x + 9, sure, 0.4 * sure), (x, x + 0.1, x, sure, 0.4 * sure)]).value
        0.045
    """
    found, null = [], []
    for reference, held_out, synthetic, certain, certainty in parts:
        real, fake = (nearest(x, reference)[0][:, 0] for x in (held_out, synthetic))
        far, unsure = torch.quantile(real, 1 - _OUTSIDE), torch.quantile(certain, _OUTSIDE)
        null.append(float(((real > far) & (certain < unsure)).double().mean()))
        found.append(float(((fake > far) & (certainty < unsure)).double().mean()))
    low, high = interval_of(found)
    return Judgement(
        "spurious",
        "What share of the samples is unlike data and has no clear class?",
        sum(found) / len(found),
        sum(null) / len(null),
        (max(0.0, low), min(1.0, high)),
        len(parts[0][0]),
    )
