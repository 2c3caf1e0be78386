"""Make each group of judgements of a table, and the same numbers for real rows and controls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from reinject.evaluation.judgement import Judgement
from reinject.table_evaluation.attribute_inference import attribute_inference
from reinject.table_evaluation.singling_out import singling_out
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.table_evaluation.table_distance import closest_record, table_copies
from reinject.table_evaluation.table_recall import features, measure_recall, recall_judgements
from reinject.table_evaluation.table_shapes import Likeness, likeness, shape_judgements
from reinject.table_evaluation.table_two_sample import c2st
from reinject.table_evaluation.table_utility import Target, measure_utility, table_utility

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class TableEvidence:
    """Hold coded tables and what judgements need.

    Attributes:
        coding: kinds of the columns.
        target: what learners predict; None: nothing.
        train: real training rows.
        test: real held-out rows.
        synthetic: synthetic rows.
        most: most rows of each table for neighbours and attacks.
        seed: seed of learners and draws.
    """

    coding: Coding
    target: Target | None
    train: Coded
    test: Coded
    synthetic: Coded
    most: int
    seed: int

    @property
    def halves(self) -> tuple[Coded, Coded]:
        """Two random halves of the training rows: real against real."""
        order = np.random.default_rng([self.seed, 10]).permutation(len(self.train))
        middle = len(order) // 2
        return self.train.take(order[:middle]), self.train.take(order[middle : 2 * middle])

    def some(self, rows: Coded) -> Coded:
        """Draw the most rows that are used."""
        return rows.take(np.random.default_rng([self.seed, 11]).permutation(len(rows))[: self.most])

    @property
    def alike(self) -> Likeness:
        """Likeness of the synthetic rows to the training rows."""
        return likeness(self.coding, self.train, self.synthetic)


def _utility(e: TableEvidence, _: Coded, rows: Coded) -> Numbers:
    return {} if e.target is None else measure_utility(e.target, rows, e.test, e.seed)


def _told(e: TableEvidence, real: Coded, rows: Coded) -> Numbers:
    return {"C2ST": c2st(real, rows, e.seed).value}


def _shapes(e: TableEvidence, real: Coded, rows: Coded) -> Numbers:
    found = likeness(e.coding, real, rows)
    return {"column shapes": found.shape, "pair trends": found.trend}


def _recall(e: TableEvidence, real: Coded, rows: Coded) -> Numbers:
    found = measure_recall(e.coding, real, rows, e.most, e.seed)
    return {"alpha-precision": found.precision, "beta-recall": found.recall}


def _judge_utility(e: TableEvidence, real: Numbers) -> list[Judgement]:
    return [] if e.target is None else table_utility(e.target, real, e.test, e.synthetic, e.seed)


def _judge_told(e: TableEvidence, real: Numbers) -> list[Judgement]:
    return [replace(c2st(e.train, e.synthetic, e.seed), null=real["C2ST"])]


def _judge_shapes(e: TableEvidence, real: Numbers) -> list[Judgement]:
    return shape_judgements(e.alike, real, len(e.synthetic))


def _judge_recall(e: TableEvidence, real: Numbers) -> list[Judgement]:
    return recall_judgements(_recall(e, e.train, e.synthetic), real, len(e.synthetic))


def _judge_privacy(e: TableEvidence, _: Numbers) -> list[Judgement]:
    train, held_out = e.some(e.train), e.some(e.test)
    real, fake = Coded.joined([train, held_out]), e.some(e.synthetic)
    scaled, synthetic = features(e.coding, real, fake, standardised=True)  # exchangeable real rows
    parts = (scaled[: len(train)], scaled[len(train) :], synthetic)
    return [closest_record(*parts, e.seed), table_copies(*parts, e.seed)]


def _judge_attacks(e: TableEvidence, _: Numbers) -> list[Judgement]:
    synthetic, target = e.some(e.synthetic), None if e.target is None else e.target.name
    guessed = attribute_inference(e.coding, e.train, e.test, synthetic, target=target, seed=e.seed)
    return [*singling_out(e.train, e.test, synthetic, seed=e.seed), guessed]


@dataclass(frozen=True)
class TableGroup:
    """Group judgements that are made together.

    Attributes:
        make: (evidence, numbers of real rows) -> judgements.
        measure: (evidence, real rows, other rows) -> the same numbers, for real rows and controls; None: the null is
            part of the judgement.
        held_out: whether held-out rows are needed.
    """

    make: Callable[[TableEvidence, Numbers], list[Judgement]]
    measure: Callable[[TableEvidence, Coded, Coded], Numbers] | None
    held_out: bool

    def real(self, e: TableEvidence, name: str) -> Numbers:
        """Measure real rows: the twin for utility, one half of the training rows against the other for the rest."""
        if self.measure is None:
            return {}
        return self.measure(e, e.train, e.train) if name == UTILITY else self.measure(e, *e.halves)


UTILITY = "utility"
GROUPS: Mapping[str, TableGroup] = {
    UTILITY: TableGroup(_judge_utility, _utility, True),
    "two-sample": TableGroup(_judge_told, _told, False),
    "shapes": TableGroup(_judge_shapes, _shapes, False),
    "recall": TableGroup(_judge_recall, _recall, False),
    "privacy": TableGroup(_judge_privacy, None, True),
    "attacks": TableGroup(_judge_attacks, None, True),
}
