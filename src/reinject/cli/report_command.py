"""Define the command ``reinject report``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from reinject.base.files import place_of
from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import DATASET, DataDir, Json, Judge, MadeBy, Overwrite, Seed, SplitSeed, Students, Synthetic
from reinject.cli.table_options import HeldOut, of_tables


def report(
    synthetic: Synthetic,
    out: Annotated[Path, typer.Option(help="HTML file to make.")],
    against: Annotated[
        str | None, typer.Option(help=f"Real data to compare with: {DATASET}", show_default="none: no evaluation")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(parser=place_of, metavar="SYNTHETIC", help="Another archive to show side by side. Repeatable."),
    ] = None,
    test: HeldOut = None,
    nearest: Annotated[
        int, of_tables("Training rows to show beside the nearest synthetic rows. Keep such a page private.", min=0)
    ] = 0,
    judge: Judge = None,
    models: MadeBy = None,
    seeds: Students = 3,
    data_dir: DataDir = None,
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make one HTML page with samples, walks, a map and judgements; of a table, with marginals. Opens offline."""
    from reinject.base.errors import ArgumentError
    from reinject.evaluation.evaluate_spec import EvaluateSpec
    from reinject.report.evaluated import table_place, table_spec_of
    from reinject.report.report import report as run
    from reinject.report.table_report import holds_table, report_table

    spec = EvaluateSpec(judge or (), seeds=seeds, seed=seed, split_seed=split_seed, data_dir=data_dir)
    if synthetic.is_file():
        cure = f"Use reinject evaluate {synthetic} --against REAL --out FOLDER, which makes a page of a table"
        raise ArgumentError("report", f"{synthetic} is a file, not an archive", cure)
    if holds_table(synthetic) and not beside:
        real = None if against is None else table_place(against, data_dir)
        asked = table_spec_of(spec, models or ())
        how: dict[str, Any] = {"test": test, "nearest": nearest, "overwrite": overwrite}
        finish(report_table(synthetic, out, real, asked, **how, progress=for_this_terminal()), as_json)
        return
    for name, given in (("--test", test is not None), ("--nearest", nearest > 0)):
        if given:
            raise ArgumentError(name, f"is for one archive of table rows, and {synthetic} is none", "Leave it out")
    outcome = run(
        synthetic,
        out,
        against=against,
        beside=beside or (),
        spec=spec,
        models=models or (),
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
