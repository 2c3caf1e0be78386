"""A zoo of plain networks, and what the default command makes of each.

    python benchmarks/zoo.py train --out ZOO --data-dir DIR   # all networks, some minutes
    python benchmarks/zoo.py run --out ZOO --data-dir DIR     # the default command on each: ratio, verdict
    python benchmarks/zoo.py table --out ZOO                  # both halves

Rules are chosen on half A, figures are of half B; a hash of a network's name says which half it is in.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from joblib import Parallel, delayed
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

import zoo_networks
from reinject import data
from reinject.archive import Archive
from reinject.base.errors import ReinjectError
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.models.bundle import as_reconstruction, load
from reinject.models.importing import import_model
from reinject.models.moments import moments_of
from reinject.models.understanding import Wanted
from reinject.training.students import Student, marks
from reinject.walks.verdict import LEVELS, Figures, merit

NETWORKS = Path(__file__).with_name("zoo_networks.py")
ROWS = 20_000  # of real data that a network may see
REAL = 10_000  # that the real twin learns from
GOOD, LOW = 0.95, 0.9  # ratios


@dataclass(frozen=True)
class Member:
    """A network of the zoo: on which data, made how, trained how, and in what way it is broken."""

    name: str
    data: str
    maker: str
    steps: int = 2000
    noise: float = 0.0
    rows: int = ROWS
    beta: float = 0.0
    contract: float = 0.0
    sparse: float = 0.0
    scale: float = 1.0
    broken: str = ""
    classifier: str = ""

    @property
    def half(self) -> str:
        return "AB"[hashlib.sha256(self.name.encode()).digest()[1] % 2]


def _family(data_name: str) -> list[Member]:
    short = {"mnist": "mnist", "fashion_mnist": "fashion"}[data_name]
    return [
        Member(f"{short}-mlp-plain", data_name, "image_mlp_32"),
        Member(f"{short}-mlp-noise.4", data_name, "image_mlp_32", noise=0.4),
        Member(f"{short}-mlp128-noise.7", data_name, "image_mlp_128", noise=0.7),
        Member(f"{short}-conv-plain", data_name, "image_conv_64"),
        Member(f"{short}-conv-noise.5", data_name, "image_conv_64", noise=0.5),
        Member(f"{short}-vae-beta1", data_name, "image_vae_16", beta=1.0),
        Member(f"{short}-vae-beta.1", data_name, "image_vae_16", beta=0.1),
    ]


MEMBERS: list[Member] = [
    *_family("mnist"),
    *_family("fashion_mnist"),
    Member("mnist-conv-linear-noise.2", "mnist", "image_conv_64_linear", noise=0.2),
    Member("mnist-contractive", "mnist", "image_mlp_32_linear", contract=0.1),
    Member("mnist-sparse", "mnist", "image_mlp_128", sparse=0.02),
    Member("mnist-vq", "mnist", "image_vq"),
    Member("mnist-pca", "mnist", "image_pca_48"),
    Member("mnist-narrow", "mnist", "image_mlp_4"),
    Member("fashion-wide", "fashion_mnist", "image_mlp_1024"),
    Member("fashion-overfit", "fashion_mnist", "image_mlp_128", rows=300, steps=4000),
    Member("mnist-half-trained", "mnist", "image_mlp_32", steps=150),
    Member("digits-mlp-plain", "digits", "digit_mlp_16"),
    Member("digits-mlp-noise.4", "digits", "digit_mlp_16", noise=0.4),
    Member("digits-vae", "digits", "digit_vae_8", beta=1.0),
    Member("digits-pca", "digits", "digit_pca_12"),
    Member("features-mlp-plain", "features", "feature_mlp_32"),
    Member("features-mlp-noise.2", "features", "feature_mlp_32", noise=0.2),
    Member("features-vae", "features", "feature_vae_16", beta=0.3),
    Member("broken-untrained", "mnist", "image_conv_64", steps=0, broken="never trained"),
    Member("broken-untrained-mlp", "fashion_mnist", "image_mlp_32", steps=0, broken="never trained"),
    Member("broken-collapsed", "mnist", "image_vae_16", beta=300.0, broken="posterior collapse: r is constant"),
    Member(
        "broken-range", "fashion_mnist", "image_mlp_32_linear", scale=255.0, broken="trained on 0..255, used on 0..1"
    ),
    Member("broken-gain", "mnist", "image_gain", broken="walks diverge"),
    Member("broken-random", "mnist", "image_noisy", broken="random at every call"),
    Member(
        "broken-classifier",
        "mnist",
        "image_mlp_32",
        noise=0.4,
        broken="the classifier was never trained",
        classifier="none",
    ),
    Member(
        "broken-one-class",
        "fashion_mnist",
        "image_mlp_32",
        noise=0.4,
        broken="the classifier answers one class",
        classifier="one",
    ),
]


@dataclass(frozen=True)
class Real:
    """Real data: training and test rows in 0..1."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(k) for k in range(int(self.y.max()) + 1))


def real(name: str, out: Path, data_dir: str | None) -> Real:
    """The rows of a data set, read once."""
    path = out / "rows" / f"{name}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = _features(out, data_dir) if name == "features" else _read(name, data_dir)
        save_file(
            {key: value.contiguous() for key, value in vars(rows).items()}, str(path.with_suffix(f".{os.getpid()}"))
        )
        path.with_suffix(f".{os.getpid()}").replace(path)
    return Real(**load_file(str(path)))


def _read(name: str, data_dir: str | None) -> Real:
    found = data.load(name, data_dir)
    order = torch.randperm(len(found.train), generator=torch.Generator().manual_seed(0))[:ROWS]
    part = found.train.take(order)
    levels = Storage("uint8", 0.0, 1.0)
    return Real(levels.load(part.x), part.y, levels.load(found.test.x), found.test.y)


def _features(out: Path, data_dir: str | None) -> Real:
    """Fashion-MNIST as a classifier of MNIST sees it: its last hidden layer, in 0..1."""
    images = real("fashion_mnist", out, data_dir)
    network = zoo_networks.MAKERS["image_classifier"]()
    load_model(network, out / "classifiers" / "mnist.safetensors")
    with torch.no_grad():
        x, test = (torch.cat([network.body(p) for p in part.split(1000)]) for part in (images.x, images.test_x))
    top = (
        x.quantile(0.995, 0) + 1e-6
        if len(x) * x.shape[1] < 2**24
        else torch.tensor(np.quantile(x.numpy(), 0.995, 0)) + 1e-6
    )
    return Real((x / top).clamp(0, 1).float(), images.y, (test / top).clamp(0, 1).float(), images.test_y)


def _maker_of_classifier(name: str) -> str:
    return {"digits": "digit_classifier", "features": "feature_classifier"}.get(name, "image_classifier")


def train_classifier(name: str, out: Path, data_dir: str | None) -> None:
    path = out / "classifiers" / f"{name}.safetensors"
    if path.exists():
        return
    torch.set_num_threads(1)
    rows = real(name, out, data_dir)
    torch.manual_seed(1)
    network = zoo_networks.MAKERS[_maker_of_classifier(name)]()
    adam = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(1500):
        pick = torch.randint(len(rows.x), (128,))
        loss = nn.functional.cross_entropy(network(rows.x[pick]), rows.y[pick])
        adam.zero_grad()
        loss.backward()
        adam.step()
    network.eval()
    with torch.no_grad():
        accuracy = (torch.cat([network(p) for p in rows.test_x.split(1000)]).argmax(1) == rows.test_y).float().mean()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(network, str(path))
    print(f"classifier {name}: {accuracy:.4f}", flush=True)


def train(member: Member, out: Path, data_dir: str | None) -> None:
    path = out / "networks" / f"{member.name}.safetensors"
    if path.exists():
        return
    torch.set_num_threads(1)
    began = time.monotonic()
    rows = real(member.data, out, data_dir)
    x_all = rows.x[: member.rows] * member.scale
    torch.manual_seed(0)
    network = zoo_networks.MAKERS[member.maker]()
    adam = torch.optim.Adam(network.parameters(), 1e-3)
    loss = torch.zeros(())
    for _ in range(member.steps):
        x = x_all[torch.randint(len(x_all), (128,))]
        loss = _loss(member, network, x)
        adam.zero_grad()
        loss.backward()
        adam.step()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(network, str(path))
    print(f"{member.name} ({member.half}): loss {float(loss):.4f}, {time.monotonic() - began:.0f} s", flush=True)


def _loss(member: Member, network: nn.Module, x: Tensor) -> Tensor:
    seen = x + member.noise * torch.randn_like(x)
    y = network(seen)
    loss = (y - x).square().flatten(1).sum(1).mean()
    if member.beta:
        mu, lv = network.mu, network.lv
        loss = loss + member.beta * 0.5 * (mu.square() + lv.exp() - 1 - lv).sum(1).mean()
    if member.contract:
        e = 0.1 * torch.randn_like(x)
        loss = loss + member.contract * (network(x + e) - y).square().flatten(1).sum(1).mean() / 0.01
    if member.sparse:
        loss = loss + member.sparse * network.encode(seen).abs().sum(1).mean()
    if "vq" in member.maker:
        loss = loss + 10 * network.commitment
    return loss


def twin(name: str, out: Path, data_dir: str | None) -> float:
    """Accuracy of the student on real rows."""
    path = out / "twins.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        rows = real(name, out, data_dir)
        known[name] = accuracy_of(rows.x[:REAL], rows.y[:REAL], rows)
        path.write_text(json.dumps(known))
    return float(known[name])


def accuracy_of(x: Tensor, y: Tensor, rows: Real, seed: int = 0) -> float:
    """Accuracy on real test rows of a student of these."""
    table = Table.of(x.contiguous(), y, Storage("float"))
    test = Table.of(rows.test_x, rows.test_y, Storage("float"))
    return marks(Student(seed, len(table)), table, test, rows.names, "cpu").accuracy


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
        network: nn.Module = zoo_networks.MAKERS[_maker_of_classifier(member.data)]()
    else:
        network = zoo_networks.MAKERS[_maker_of_classifier(member.data)]()
        load_model(network, out / "classifiers" / f"{member.data}.safetensors")
    if member.classifier == "one":
        with torch.no_grad():
            network.head.bias[3] += 1000  # type: ignore[index,operator,union-attr]
    weights = {"autoencoder": out / "networks" / f"{member.name}.safetensors", "classifier": folder / "c.safetensors"}
    makers = {"autoencoder": member.maker, "classifier": _maker_of_classifier(member.data)}
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
