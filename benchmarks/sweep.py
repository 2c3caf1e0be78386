"""Utility of every sensible kernel and noise on one data set: ratio, skill, class shares, seconds.

All settings walk the same models, give about as many samples, and are judged against the same real and noise students.
The best of them is what the automatic choice ought to be.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

from reinject import data
from reinject.archive import Archive
from reinject.base.errors import ReinjectError
from reinject.base.progress import for_this_terminal
from reinject.data.sample_tables import Table
from reinject.evaluation.evidence import levels_for
from reinject.evaluation.learning import Students, check_match, judge
from reinject.models.loading import Models, load_models
from reinject.report.sample_pictures import class_histogram
from reinject.sampling.auto import PASSES
from reinject.sampling.presets import PRESETS, Settings, choose, falls
from reinject.sampling.provenance import shares
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Parallel, SampleSpec, Writing
from reinject.score import lam_of_sigma
from reinject.walks.diagnostics import class_shares
from reinject.walks.execution import Execution

TARGETS = {"mnist": 0.995, "fashion_mnist": 0.985}  # of the ratio, for the automatic choice
SHARES = (0.07, 0.13)


def contestants(models: Models) -> dict[str, Settings]:
    """Settings by name; what the models cannot walk is left out."""
    inputs = models.autoencoders[0].network.inputs
    found = {"paper": PRESETS["paper"]}
    if models.autoencoders[0].network.noise_conditioned:
        once = {"steps": 13, "burn_in": 13}
        found["default"] = PRESETS["default"]
        found["ancestral, one fall"] = choose(None, "ancestral", {"sigma": "geometric:1.4r:0.02r"}, **once)[1]
        found["ancestral, no added noise"] = choose(None, "ancestral", {"eta": "0"})[1]
        for last in ("0.12r", "0.04r", "0.02r", "0.007r"):
            levels = {"sigma": f"cycles:1.4r:{last}:13:1r:10"}
            found[f"ancestral, down to {last.lstrip('0')}"] = choose(None, "ancestral", levels)[1]
        found["annealed"] = choose(None, "annealed")[1]
        for passes in (5, PASSES, 20):
            found[f"{passes} passes"] = falls(passes, math.prod(models.ensemble().event_shape))
    else:
        found["reinjection"] = choose(None, "reinjection")[1]
        found["self-tuning"] = choose(None, "self-tuning")[1]
    if models.ensemble().has_code:
        found["tangent .1"] = choose(None, "tangent", {"sigma": "0.1"})[1]
    for share in (0.06, 0.12):
        sigma = share * inputs.radius
        options = {"sigma": f"{sigma:.3g}"}
        for kernel in ("half-denoising", "walk-jump"):
            found[f"{kernel} {share}r"] = choose(None, kernel, options)[1]
        options = {"lam": f"{lam_of_sigma(sigma):.3g}"}
        long = {"steps": 30, "burn_in": 10, "thin": 5, "emit": "reconstruction"}
        found[f"langevin {share}r"] = choose(None, "langevin", options, **long)[1]
        found[f"underdamped {share}r"] = choose(None, "underdamped", options, emit="reconstruction")[1]
    return found


def chosen(only: list[str] | None, models: Models) -> dict[str, Settings]:
    """Those asked for by name, or all."""
    known = contestants(models)
    names = only or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"--only: {unknown[0]!r} is not known. Use some of {', '.join(map(repr, known))}")
    return {name: known[name] for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument(
        "--models", type=Path, nargs="+", required=True, help="what reinject train made of the data set"
    )
    parser.add_argument("--classifier", type=Path, nargs="*", default=[], help="folders of those that vote, see sample")
    parser.add_argument("--data-dir")
    parser.add_argument("--samples", type=int, default=90_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default="32-true", help="of the walks: 32-true, bf16-mixed or 16-mixed")
    parser.add_argument("--device", default="cpu", help="of the walks: cpu or cuda; students run on the CPU's cores")
    parser.add_argument("--only", nargs="*", help="names of settings; default: all")
    parser.add_argument("--out", type=Path, help="folder for the class histograms")
    options = parser.parse_args()
    progress = for_this_terminal()
    execution = Execution(precision=options.precision)
    models = load_models(options.models, options.device, classifiers=options.classifier)
    wanted = chosen(options.only, models)
    dataset = data.load(options.dataset, options.data_dir, progress=progress)
    models.check_unseen(dataset)
    with tempfile.TemporaryDirectory() as folder:
        archives, seconds = {}, {}
        for name, settings in wanted.items():
            rows = len(range(settings.burn_in, settings.steps + 1, settings.thin))
            began = time.monotonic()
            out = Path(folder) / name
            walks = math.ceil(options.samples / rows)
            sample_models(
                models,
                out,
                SampleSpec(preset=name, settings=settings),
                walks=walks,
                writing=Writing(progress=progress),
                parallel=Parallel(execution=execution),
            )
            seconds[name] = time.monotonic() - began
            archive = Archive.open(out)
            check_match(archive, dataset)
            if archive.rows >= len(dataset.train):  # fewer where walks went astray
                archives[name] = archive
            else:
                print(f"{name}: {archive.rows} samples only", file=sys.stderr)
        C = models.labelling()
        levels = levels_for(dataset, next(iter(archives.values())))
        sets = {name: Table.of(*one.read(options.samples), one.storage) for name, one in archives.items()}
        judged = judge(sets, dataset, levels, C, Students(range(options.seeds), beside=False), progress=progress)
        drawn = {"real": class_shares(dataset.train.y, len(dataset.class_names))}
        rows = []
        for name, result in judged.items():
            of = drawn[name] = shares(archives[name])
            rows.append(
                {
                    "setting": name,
                    "ratio": round(result.ratio.mean, 4),
                    "skill": result.skill and round(result.skill.mean, 3),
                    "shares": [round(min(of), 3), round(max(of), 3)],
                    "seconds": round(seconds[name]),
                }
            )
    rows.sort(key=lambda row: -float(str(row["ratio"])))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        named = {name: drawn[name] for name in ("real", *(str(row["setting"]) for row in rows[:3]), "paper")}
        class_histogram(options.out / f"classes-{dataset.name}.png", named, dataset.class_names)
    for row in rows:
        print(json.dumps(row))
    target = TARGETS.get(dataset.name)
    automatic = f"{PASSES} passes"
    if target is not None and automatic in judged:
        of = drawn[automatic]
        met = judged[automatic].ratio.mean >= target and SHARES[0] <= min(of) and max(of) <= SHARES[1]
        sys.exit(0 if met else f"the automatic choice misses ratio {target} or shares {SHARES}")


if __name__ == "__main__":
    try:
        main()
    except ReinjectError as error:
        sys.exit(str(error))
