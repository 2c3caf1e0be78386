"""A zoo of plain networks, and what the default command makes of each.

    python benchmarks/zoo.py train --out ZOO --data-dir DIR   # all networks, some minutes
    python benchmarks/zoo.py run --out ZOO --data-dir DIR     # the default command on each: ratio, verdict
    python benchmarks/zoo.py table --out ZOO                  # both halves

Rules are chosen on half A, figures are of half B; a hash of a network's name says which half it is in.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from joblib import Parallel, delayed
from safetensors.torch import load_model, save_model
from torch import nn

import zoo_networks
from reinject.archive import Archive
from reinject.base.errors import ReinjectError
from reinject.models.bundle import as_reconstruction, load
from reinject.models.importing import import_model
from reinject.models.moments import moments_of
from reinject.models.understanding import Wanted
from reinject.walks.verdict import LEVELS, Figures, merit
from zoo_members import MEMBERS, Member
from zoo_training import REAL, Real, accuracy_of, maker_of_classifier, real, train, train_classifier, twin

NETWORKS = Path(__file__).with_name("zoo_networks.py")
GOOD, LOW = 0.95, 0.9  # ratios


def of_reconstructions(folder: Path, rows: Real) -> float:
    """Accuracy of a student of what r and C make of the real rows, which is about what a walk of r can teach."""
    r = as_reconstruction(load(folder / "autoencoder"), 0.1)
    classifier = load(folder / "classifier").network
    with torch.no_grad():
        seen = torch.cat([r(part) for part in rows.x[:REAL].split(1000)]).clamp(0, 1)
        label = torch.cat([classifier(part).argmax(1) for part in seen.split(1000)])
    return accuracy_of(seen, label, rows)


def prepare(member: Member, out: Path, data_dir: str | None, known: bool) -> tuple[Path, str]:
    """The member's models as ``reinject import`` makes them; and the sentence with which one was refused, if it was.

    ``known``: moments of the codes of its training rows are kept, as ``import --data`` does.
    """
    folder = out / ("models-data" if known else "models") / member.name
    rows = real(member.data, out, data_dir)
    shape = tuple(rows.x.shape[1:])
    if member.classifier == "none":
        torch.manual_seed(5)
        network: nn.Module = zoo_networks.MAKERS[maker_of_classifier(member.data)]()
    else:
        network = zoo_networks.MAKERS[maker_of_classifier(member.data)]()
        load_model(network, out / "classifiers" / f"{member.data}.safetensors")
    if member.classifier == "one":
        with torch.no_grad():
            network.head.bias[3] += 1000  # type: ignore[index,operator,union-attr]
    weights = {"autoencoder": out / "networks" / f"{member.name}.safetensors", "classifier": folder / "c.safetensors"}
    makers = {"autoencoder": member.maker, "classifier": maker_of_classifier(member.data)}
    folder.mkdir(parents=True, exist_ok=True)
    save_model(network, str(weights["classifier"]))
    for role, maker in makers.items():
        if (folder / role).is_dir():
            continue
        wanted = Wanted(role, shape=shape, bounds=(0.0, 1.0), weights=weights[role], trust=True)  # type: ignore[arg-type]
        try:
            import_model(f"{NETWORKS}:{maker}", folder, wanted)
        except ReinjectError as error:
            return folder, str(error)
    if known:
        r = as_reconstruction(load(folder / "autoencoder"), 0.1)
        if r.has_code:
            with torch.no_grad():
                moments_of(r.encode(rows.x), rows.y).save(folder / "autoencoder")
    return folder, ""


def run(member: Member, out: Path, data_dir: str | None, walks: int, known: bool) -> None:
    """The default command on one member: its verdict, and what a student learns from what it gives."""
    path = out / ("results-data" if known else "results") / f"{member.name}.json"
    if path.exists():
        return
    torch.set_num_threads(1)
    began = time.monotonic()
    folder, refused = prepare(member, out, data_dir, known)
    found: dict[str, Any] = {"refused": refused, "walks": walks}
    if not refused:
        archive = out / "sets" / f"{member.name}{known:d}"
        program = [str(Path(sys.executable).with_name("reinject")), "sample", str(folder), "--out", str(archive)]
        done = subprocess.run(
            [*program, "--walks", str(walks), "--overwrite", "--json"], capture_output=True, text=True, check=False
        )
        found["status"] = done.returncode
        found["said"] = done.stderr.splitlines()[-1] if done.stderr else ""
        if done.returncode in (0, 3):
            result = json.loads(done.stdout)
            found |= {"verdict": result["verdict"], "rows": result["rows"], "seconds": result["seconds"]}
            manifest = Archive.open(archive).manifest
            found["figures"], found["settings"] = manifest["figures"], manifest["parameters"]["settings"]
            found["merit"] = merit(Figures(**{k: math.nan if v is None else v for k, v in found["figures"].items()}))
            kept, label = Archive.open(archive).read()
            rows = real(member.data, out, data_dir)
            levels = Archive.open(archive).storage
            found["ratio"] = accuracy_of(levels.load(kept), label, rows) / twin(member.data, out, data_dir)
            found["reconstructions"] = of_reconstructions(folder, rows) / twin(member.data, out, data_dir)
            shutil.rmtree(archive)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    said = found.get("verdict") or {"level": "refused", "reason": refused or found.get("said", "")}
    print(
        f"{member.half} {member.name:24} {found.get('ratio', math.nan):.3f} {said['level']:8} {said['reason']} "
        f"({time.monotonic() - began:.0f} s)",
        flush=True,
    )


def table(out: Path, known: bool) -> None:
    """Both halves: what was refused, ratios of sound networks, verdicts against ratios."""
    from scipy.stats import spearmanr

    for half in "AB":
        found = {}
        for m in MEMBERS:
            path = out / ("results-data" if known else "results") / f"{m.name}.json"
            if m.half == half and path.exists():
                found[m] = json.loads(path.read_text())
        sound = {m: one for m, one in found.items() if not m.broken}
        ratios = sorted(one["ratio"] for one in sound.values() if "ratio" in one)
        if not ratios:
            continue
        for m, one in sound.items():
            if one.get("ratio", 1.0) < LOW:
                print(f"  {m.name}: {one['ratio']:.3f}; reconstructions of real rows: {one['reconstructions']:.3f}")
        judged = [(m, one) for m, one in found.items() if "ratio" in one]
        levels = [LEVELS.index(one["verdict"]["level"]) for _, one in judged]
        fine = [one["verdict"]["level"] for _, one in judged if one["ratio"] >= GOOD]
        bad = [one for m, one in found.items() if m.broken and one.get("verdict", {}).get("level") == "good"]
        kind = "moments kept" if known else "no data"
        print(f"half {half}, {kind}: {len(sound)} sound, {len(found) - len(sound)} broken")
        print(f"  sampled: {len(ratios)} of {len(sound)}; ratio median {np.median(ratios):.3f}, worst {ratios[0]:.3f}")
        print(f"  broken called good: {len(bad)}")
        print(
            f"  ratio >= {GOOD}: {len(fine)}, called broken {fine.count('broken')}, doubtful {fine.count('doubtful')}"
        )
        against = [one["ratio"] for _, one in judged]
        level_rank = spearmanr(levels, against).statistic
        merit_rank = spearmanr([one["merit"] for _, one in judged], against).statistic
        print(
            f"  rank correlation with the ratio: verdict {-level_rank:.2f}, merit {merit_rank:.2f}, over {len(judged)}"
        )


def main(words: Sequence[str] | None = None) -> int:
    """Train, run or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "run", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--walks", type=int, default=10_000)
    parser.add_argument("--moments", action="store_true", help="keep moments of the codes, as import --data does")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--half", choices=["A", "B"])
    given = parser.parse_args(words)
    members = [m for m in MEMBERS if not given.only or any(word in m.name for word in given.only)]
    members = [m for m in members if given.half in (None, m.half)]
    names = ("fashion_mnist", "digits", "features")
    if given.what == "train":
        train_classifier("mnist", given.out, given.data_dir)
        Parallel(2)(delayed(train_classifier)(name, given.out, given.data_dir) for name in names)
        Parallel(2)(delayed(train)(member, given.out, given.data_dir) for member in members)
        for name in ("mnist", *names):
            print(f"real twin {name}: {twin(name, given.out, given.data_dir):.4f}")
    elif given.what == "run":
        wanted = [m for m in members if not (given.moments and m.broken)]
        Parallel(2)(delayed(run)(m, given.out, given.data_dir, given.walks, given.moments) for m in wanted)
    else:
        table(given.out, given.moments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
