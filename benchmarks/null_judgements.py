"""How often judgements are wrong where nothing is wrong: p-values and intervals over many sets of one law.

Training rows, held-out rows and samples follow one law; samples of a walk resemble each other; models and attacks know
none of the rows. So p < .05 should come in 5% of the repetitions, and 95% intervals should hold the truth in 95%.
Status 1 where the share of p < .05 of some test lies outside of .02 and .08.
"""

import argparse
import sys
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.evaluation.evidence import Evidence
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.judgements import judge_memorisation, judge_two_sample
from reinject.evaluation.membership import attack, scores
from reinject.evaluation.memorisation import attractors, authenticity, neighbourhood
from reinject.models.features import pixels

LOW, HIGH = 0.02, 0.08
VALUES, CLASSES = 8, 3
STEPS = 3  # samples of a walk
ALIKE = 0.7  # correlation of two of them, before the skewing


def law(z: Tensor) -> Tensor:
    """A skewed law with narrow and wide directions, of normal values (N, 8)."""
    return torch.cat([z[:, :2].exp(), z[:, 2:] * torch.linspace(0.1, 1, VALUES - 2)], 1)


def evidence(seed: int, train: int, test: int, walks: int) -> Evidence:
    """Rows of one law, drawn by the seed; so many walks of three samples each."""
    g = torch.Generator().manual_seed(seed)
    own, walk = torch.randn(walks, VALUES, generator=g), torch.arange(walks).repeat_interleave(STEPS)
    z = ALIKE**0.5 * own[walk] + (1 - ALIKE) ** 0.5 * torch.randn(len(walk), VALUES, generator=g)
    sets = [law(torch.randn(n, VALUES, generator=g)) for n in (train, test)] + [law(z)]
    tables = [Table.of(x, torch.zeros(len(x)).long(), Storage("float")) for x in sets]
    return Evidence(*tables, walk.numpy(), (), pixels(), None, None, seed)


def found_in(seed: int, options: argparse.Namespace) -> list[Judgement]:
    """All tests of one repetition."""
    one = evidence(seed, options.train, options.test, options.walks)
    train, test = (pixels().rows(table, np.arange(len(table))) for table in (one.train, one.test))
    some = min(len(train), len(test))
    weights = torch.randn(VALUES, CLASSES, generator=torch.Generator().manual_seed(seed))
    members, others = (scores((x[:some] @ weights).softmax(1), (x[:some, 2] > 0).long()) for x in (train, test))
    attacks = [attack("classifier", by, members[by], others[by]) for by in members]
    drawn = attractors(lambda x: x + 0.05 * torch.sin(20 * x), train[:some], test[:some], sigma=0.02, seed=seed)
    return [*judge_two_sample(one), *judge_memorisation(one), *attacks, drawn]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--train", type=int, default=1500)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--walks", type=int, default=1000)
    options = parser.parse_args()
    p: dict[str, list[float]] = defaultdict(list)
    inside: list[bool] = []
    far = evidence(10**6, 500, 100, 5_000)  # says what authenticity is of many walks
    for seed in range(options.repetitions):
        for one in found_in(seed, options):
            if one.p is not None:
                p[one.name].append(one.p)
        truth, held = near_to(seed, far, options)
        inside.append(held.interval[0] <= truth <= held.interval[1])
        if sys.stderr.isatty():
            print(f"\r{seed + 1} of {options.repetitions}", end="", file=sys.stderr)
    print("| test | P(p < .05) | P(p < .01) | median p |\n| --- | --- | --- | --- |")
    shares = {name: float(np.mean(np.array(values) < 0.05)) for name, values in p.items()}
    for name, values in p.items():
        print(f"| {name} | {shares[name]:.3f} | {np.mean(np.array(values) < 0.01):.3f} | {np.median(values):.2f} |")
    print(f"\n95% intervals of authenticity that hold the truth: {np.mean(inside):.3f}")
    sys.exit(0 if all(LOW <= share <= HIGH for share in shares.values()) else 1)


def near_to(seed: int, far: Evidence, options: argparse.Namespace) -> tuple[float, Judgement]:
    """Authenticity of many walks, and of few of them with its interval, both beside the training rows of the seed."""
    one = evidence(seed, options.train, options.test, options.walks)
    train, test = (pixels().rows(table, np.arange(len(table))) for table in (one.train, one.test))
    held_out = neighbourhood(test, train, test, itself=True)
    both = []
    for each in (far, one):
        x = pixels().rows(each.synthetic, np.arange(len(each.synthetic)))
        both.append(authenticity(neighbourhood(x, train, test), held_out, each.walk))
    return both[0].value, both[1]


if __name__ == "__main__":
    main()
