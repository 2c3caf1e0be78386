"""Make the judgements of ``reinject evaluate`` from their rows and features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.base.errors import ArgumentError, ModelError
from reinject.data.sample_tables import Table
from reinject.evaluation.coverage import class_histogram, coverage
from reinject.evaluation.evidence import Evidence
from reinject.evaluation.judgement import Judgement, pairs
from reinject.evaluation.membership import likelihood_ratio, logit, membership, scores, shadow_students
from reinject.evaluation.memorisation import attractors, authenticity, copies, data_copying, neighbourhood
from reinject.evaluation.shadows import closeness, shadow_autoencoders
from reinject.evaluation.spurious import spurious
from reinject.evaluation.two_sample import two_sample
from reinject.models.features import pixels
from reinject.training.students import Student

MOST_ROWS = 10_000  # attacked rows, of the training part and of the held-out part
MOST_ATTRACTED = 1_000
_SIGMA = 0.02  # noise for the test of attraction, a multiple of the radius for each value


def judge_coverage(evidence: Evidence) -> list[Judgement]:
    """Judge coverage in features, and the shares of the classes."""
    found = coverage(evidence.parts)
    if evidence.class_names:
        sets = (evidence.train, evidence.test, evidence.synthetic)
        labels = [
            tuple(
                torch.from_numpy(table.y[rows])
                for table, rows in zip(sets, (d.reference, d.held_out, d.synthetic), strict=True)
            )
            for d in evidence.draws
        ]
        found.append(class_histogram(len(evidence.class_names), [(a, b, c) for a, b, c in labels]))
    return found


def judge_two_sample(evidence: Evidence) -> list[Judgement]:
    """Judge whether tests distinguish samples from held-out rows, in features."""
    of = evidence.extractor.rows
    rows = pairs(len(evidence.test), evidence.walk, seed=evidence.seed)
    return two_sample([(of(evidence.test, a), of(evidence.synthetic, b)) for a, b in rows], evidence.seed)


def judge_spurious(evidence: Evidence) -> list[Judgement]:
    """Judge spurious samples: far from real data, without a clear class."""
    given = []
    for part, draw in zip(evidence.parts, evidence.draws, strict=True):
        certain, certainty = (
            evidence.probabilities(table, rows).amax(1)
            for table, rows in ((evidence.test, draw.held_out), (evidence.synthetic, draw.synthetic))
        )
        given.append((*part, certain, certainty))
    return [spurious(given)]


def judge_memorisation(evidence: Evidence) -> list[Judgement]:
    """Judge copies in pixels, and attractors if the autoencoder is available."""
    of = pixels().rows
    train, test = (of(table, np.arange(len(table))) for table in (evidence.train, evidence.test))
    x, near = of(evidence.synthetic, evidence.some_near), evidence.near
    held_out = neighbourhood(test, train, test, itself=True)
    walk = evidence.walk[evidence.some_near]
    found = [copies(near, held_out, train, test), authenticity(near, held_out, walk)]
    found.append(data_copying(x, train, test, walk))
    if evidence.models is not None:
        r, inputs = evidence.models.ensemble(), evidence.models.inputs
        some = (rows[evidence.some(len(rows), MOST_ATTRACTED)].reshape(-1, *inputs.shape) for rows in (train, test))
        found.append(attractors(r, *some, sigma=_SIGMA * inputs.radius, seed=evidence.seed))
    return found


def judge_membership(evidence: Evidence) -> list[Judgement]:
    """Attack the classifier, a student of the samples, and the autoencoder if it is available."""
    train, test = evidence.train, evidence.test
    count = min(len(train), len(test), MOST_ROWS)
    chosen = [
        np.random.default_rng([evidence.seed, k]).permutation(n)[:count] for k, n in enumerate((len(train), len(test)))
    ]
    parts = [table.take(rows) for table, rows in zip((train, test), chosen, strict=True)]
    probed = Table(
        np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]), train.storage
    )
    y = torch.from_numpy(probed.y)
    rows = np.concatenate([chosen[0], len(train) + chosen[1]])
    students, inside = shadow_students(train, test, rows, evidence.seed)
    attacked = (Student(evidence.seed, len(evidence.synthetic)), evidence.synthetic)
    student, *asked = evidence.bench.probabilities([attacked, *students], probed)  # the longest one first
    shadows = torch.stack([logit(p, y) for p in asked])
    targets = {"classifier": evidence.probabilities(probed, np.arange(len(probed))), "student": student}
    attacks: dict[str, dict[str, Tensor]] = {
        name: {**scores(p, y), "likelihood ratio": likelihood_ratio(logit(p, y), shadows, inside)}
        for name, p in targets.items()
    }
    if evidence.models is not None:
        phi = closeness(evidence.models, probed)
        attacks["autoencoder"] = {"reconstruction": phi}
        if evidence.shadows:
            like, known = shadow_autoencoders(
                evidence.models,
                train,
                test,
                rows,
                probed,
                seed=evidence.seed,
                device=evidence.device,
                progress=evidence.progress,
            )
            attacks["autoencoder"]["likelihood ratio"] = likelihood_ratio(phi, like, known)
    return membership(attacks, count)


def closest(evidence: Evidence, rows: int = 12) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find the samples nearest to training rows, one for each row, and these rows; images in [0, 1].

    Distances are relative to the training row's distance to its nearest other row. Absolute distances would put the
    simplest images first.
    """
    of, found, chosen = pixels().rows, evidence.near, evidence.some_near
    order = (found.distance / found.apart.clamp_min(1e-12)).argsort(stable=True).numpy()
    near = found.row.numpy()
    _, first = np.unique(near[order], return_index=True)
    picked = order[np.sort(first)[:rows]]
    storage = evidence.train.storage
    shape = evidence.train.x.shape[1:]
    pairs = (of(evidence.synthetic, chosen[picked]), of(evidence.train, near[picked]))
    a, b = (((x - storage.low) / (storage.high - storage.low)).reshape(-1, *shape).numpy() for x in pairs)
    return a, b


@dataclass(frozen=True)
class Group:
    """Group judgements that are made together.

    Attributes:
        make: function that makes the judgements.
        labelled: whether they need a classifier.
    """

    make: Callable[[Evidence], list[Judgement]]
    labelled: bool


GROUPS: Mapping[str, Group] = {
    "coverage": Group(judge_coverage, False),
    "two-sample": Group(judge_two_sample, False),
    "spurious": Group(judge_spurious, True),
    "memorisation": Group(judge_memorisation, False),
    "membership": Group(judge_membership, True),
}
UTILITY = "utility"


def wanted(names: Sequence[str], labelled: bool) -> list[str]:
    """Choose the judgements to make: the named ones, or all that apply; ``none``: no judgement.

    Raises:
        ArgumentError: an unknown name, or "none" beside other names.
        ModelError: a judgement needs labels, and the archive has none.

    Example:
        >>> wanted((), False), wanted(("none",), True)
        (['coverage', 'two-sample', 'memorisation'], [])
    """
    if "none" in names:
        if len(names) > 1:
            raise ArgumentError("--judge", "'none' is combined with other names", "Give none alone, or leave it out")
        return []
    known = [UTILITY, *GROUPS]
    needing = [name for name in known if name == UTILITY or GROUPS[name].labelled]
    for name in names:
        if name not in known:
            raise ArgumentError("--judge", f"{name!r} is not known", f"Use some of {', '.join(known)}")
        if name in needing and not labelled:
            raise ModelError("--judge", f"{name} needs labels, and the archive has none", "Sample with a classifier")
    return [name for name in known if (name in names or not names) and (labelled or name not in needing)]
