"""Check the paper's propositions numerically, and draw them: ``reinject theory``."""

import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject import data
from reinject.archive.request import asked_for, earlier, note
from reinject.base.errors import ArchiveError, ArgumentError
from reinject.base.files import read_json, write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.data.samples import Storage
from reinject.densities import euler_lagrange, mixture8, ring
from reinject.experiments import check_energy as energy
from reinject.experiments import check_estimators as estimators
from reinject.experiments import check_gaussian as gaussian
from reinject.experiments import check_kernels as kernels
from reinject.experiments import check_lambda as lam
from reinject.experiments import check_perfect as perfect
from reinject.experiments import check_proposition2 as proposition2
from reinject.experiments.claims import Row
from reinject.report import theory_pictures
from reinject.score import score

RESULT = "theory.json"


@dataclass(frozen=True)
class Finding:
    """Hold the rows of a check, and its pictures: name -> function that writes one PNG."""

    rows: Sequence[Row]
    pictures: Mapping[str, Callable[[Path], Path]] = field(default_factory=dict)


def theory(
    checks: Sequence[str] = (),
    out: Path | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Run the checks, print the table, draw the pictures.

    Arguments:
        checks: names of CHECKS; empty: all, in order.
        out: folder for theory.json and figures/; default: no folder. An interrupted run resumes there.
        overwrite: replace an earlier run at ``out``.

    Returns:
        Rows claim / exact / measured / error / bound / note / verdict; a failure if a claim fails.

    Raises:
        ArgumentError: an unknown check.
        ArchiveError: ``out`` is taken.
    """
    unknown = [name for name in checks if name not in CHECKS]
    if unknown:
        raise ArgumentError("--only", f"{unknown[0]!r} is not known", f"Use some of {', '.join(CHECKS)}")
    names = [name for name in CHECKS if not checks or name in checks]
    progress = progress or Silent()
    partial = None
    asked = asked_for({}, checks=names)
    if out is not None:
        made = None if overwrite else earlier(out, asked)
        if made is not None:
            return made
        check_free(out, RESULT, overwrite)
        partial = partial_of(out)
        begin(partial, {"checks": names, "torch": torch.__version__})
    rows = [row for name in names for row in _run(name, partial, progress)]
    failed = [row["claim"] for row in rows if row["verdict"] == "fails"]
    failure = f"{len(failed)} of {len(rows)} claims do not hold: {'; '.join(failed)}" if failed else ""
    outcome = Outcome(rows, [_table(rows), *([f"Pictures and {RESULT} are in {out}."] if out else [])], failure)
    if out is not None and partial is not None:
        write_json(partial / RESULT, rows)
        note(partial, asked, outcome)
        shutil.rmtree(partial / "checks")
        publish(partial, out)
    return outcome


def _run(name: str, partial: Path | None, progress: Progress) -> list[dict[str, Any]]:
    """Run one check, or read its rows from an earlier run in the folder."""
    kept = partial / "checks" / f"{name}.json" if partial else None
    if kept and kept.is_file():
        return list(read_json(kept, ArchiveError))
    found = CHECKS[name](progress)
    rows = [{"check": name, **row.as_dict()} for row in found.rows]
    if partial and kept:
        for title, draw in found.pictures.items():
            draw(partial / "figures" / f"{title}.png")
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, rows)
    return rows


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("claim", "exact", "measured", "error", "bound", "verdict", box=box.SIMPLE, show_lines=True)
    for row in rows:
        cells = (_cell(row[key]) for key in ("exact", "measured", "error", "bound"))
        table.add_row(f"{row['claim']}\n  {row['note']}" if row["note"] else row["claim"], *cells, row["verdict"])
    text = io.StringIO()
    Console(file=text, markup=False, width=max(100, shutil.get_terminal_size((140, 24)).columns)).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _cell(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _array(x: Tensor) -> NDArray[np.float64]:
    return x.detach().double().numpy()


def _gaussian(progress: Progress) -> Finding:
    sizes = (2, 8, 64)
    with progress.task("gaussian", 2 * len(sizes), "spectra") as advance:
        spectra, refused = [], []
        for n in sizes:
            spectra.append(gaussian.spectrum(n))
            advance(1)
            refused.append(gaussian.refusal(n))
            advance(1)
    measured = {f"n = {len(found.v)}": (_array(found.v / found.lam), _array(found.measured)) for found in spectra}
    below = _array(refused[-1].v[: len(refused[-1].names)] / refused[-1].lam)

    def draw(path: Path) -> Path:
        return theory_pictures.eigenvalues(path, measured, below)

    return Finding([*map(gaussian.eigenvalues, spectra), *map(gaussian.collapse, refused)], {"eigenvalues": draw})


def _proposition2(progress: Progress) -> Finding:
    exact = proposition2.stationary()
    steps = (len(proposition2.TRAINED) + 1) * proposition2.COURSE.steps
    with progress.task("proposition2", steps, "steps") as advance:
        trained = proposition2.trained(on_step=advance)
    learnt = trained.found

    def errors(path: Path) -> Path:
        points = (exact.lams, exact.errors, exact.slope)
        return theory_pictures.convergence(path, points, (learnt.lams, learnt.errors), trained.floor)

    def curves(path: Path) -> Path:
        p = proposition2.SKEWED
        x = torch.linspace(-5, 4, 400, dtype=torch.float64)[:, None]
        panels = {}
        for at, network in list(zip(learnt.lams, trained.networks, strict=True))[:: len(learnt.lams) - 1]:
            stationary = euler_lagrange(p, at, proposition2.LOW, proposition2.HIGH)
            lines = {
                "boundary-value solution": stationary(x) - x,
                "trained": network(x) - x,
                "$\\lambda s/2$": at / 2 * p.score(x),
            }
            panels[at] = {label: _array(line)[:, 0] for label, line in lines.items()}
        return theory_pictures.reconstructions(path, _array(x)[:, 0], panels, _array(p.log_prob(x).exp()))

    rows = [proposition2.by_equation(exact), proposition2.by_training(trained)]
    return Finding(rows, {"convergence": errors, "reconstructions": curves})


def _ring(progress: Progress) -> Finding:
    density = ring()
    with progress.task("ring", perfect.RING.steps, "steps") as advance:
        trained = perfect.train(density, perfect.RING, on_step=advance)

    def draw(path: Path) -> Path:
        line = torch.linspace(-3.2, 3.2, 17)
        x = torch.cartesian_prod(line, line)
        fields = {
            "exact score": density.score(x),
            "$2(r - x)/\\lambda$ of the trained network": score(trained.network, x, perfect.LAM),
        }
        points = density.sample(1500, torch.Generator().manual_seed(4))
        return theory_pictures.score_fields(path, _array(x), {k: _array(v) for k, v in fields.items()}, _array(points))

    rows = [perfect.score_error("ring of 8 modes", density, trained, 0.05)]
    return Finding([*rows, *(perfect.refusal(density, large) for large in (0.125, 0.5))], {"score": draw})


def _mixture(progress: Progress) -> Finding:
    density = mixture8()
    with progress.task("mixture", perfect.MIXTURE8.steps, "steps") as advance:
        trained = perfect.train(density, perfect.MIXTURE8, depth=3, on_step=advance)
    return Finding([perfect.score_error("mixture, n = 8", density, trained, 0.10)])


def _energy(progress: Progress) -> Finding:  # noqa: ARG001
    return Finding([energy.difference(mixture8()), energy.path(mixture8())])


def _estimators(progress: Progress) -> Finding:
    with progress.task("estimators", 1, "tables") as advance:
        rows = estimators.all_rows()
        advance(1)
    return Finding(rows)


def _lam(progress: Progress) -> Finding:
    digits = data.load("digits")
    train, held_out = (Storage().load(part.x) for part in (digits.train, digits.test))
    with progress.task("lam", lam.COURSE.steps * len(lam.SIGMAS), "steps") as advance:
        networks = {sigma: lam.trained(train, sigma, advance) for sigma in lam.SIGMAS}
    return Finding([lam.found_lambda(network, held_out, sigma) for sigma, network in networks.items()])


def _kernels(progress: Progress) -> Finding:
    cases = list(kernels.cases())
    with progress.task("kernels", len(cases), "kernels") as advance:
        rows = []
        for case in cases:
            rows.append(kernels.row(case))
            advance(1)

    def draw(path: Path) -> Path:
        return theory_pictures.walks(path, *kernels.walks_on_ring())

    return Finding(rows, {"walks": draw})


CHECKS: dict[str, Callable[[Progress], Finding]] = {
    "gaussian": _gaussian,
    "proposition2": _proposition2,
    "ring": _ring,
    "mixture": _mixture,
    "energy": _energy,
    "estimators": _estimators,
    "lam": _lam,
    "kernels": _kernels,
}
