"""Data, classifiers, networks and twins of the zoo, each made once and kept below one folder."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

import zoo_networks
from reinject import data
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.training.students import Student, marks
from zoo_members import ROWS, Member

REAL = 10_000  # rows that the real twin learns from


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


def maker_of_classifier(name: str) -> str:
    return {"digits": "digit_classifier", "features": "feature_classifier"}.get(name, "image_classifier")


def train_classifier(name: str, out: Path, data_dir: str | None) -> None:
    path = out / "classifiers" / f"{name}.safetensors"
    if path.exists():
        return
    torch.set_num_threads(1)
    rows = real(name, out, data_dir)
    torch.manual_seed(1)
    network = zoo_networks.MAKERS[maker_of_classifier(name)]()
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
