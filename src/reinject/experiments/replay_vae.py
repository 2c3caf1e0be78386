"""Run methods of continual learning that replay samples of variational autoencoders."""

import math
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reinject.base.devices import make_fabric
from reinject.base.random_streams import stream
from reinject.experiments.replay_setting import Given, Setting, prediction, train_learner
from reinject.models.bundle import load
from reinject.networks.network import mlp
from reinject.training.fit import Parts, Recipe, Rows, fit

LATENT = 32
_DRAWN, _BATCH = 13, 4096  # of the stream of samples; samples at a time


class Vae(nn.Module):
    """A variational autoencoder of vectors, with a Gaussian likelihood of the best variance.

    The loss of a batch is n/2 log mean |x - r(z)|^2 + KL(q(z | x) | N(0, I)), of n values.

    Source: Kingma and Welling 2014, arXiv 1312.6114; Rybkin et al. 2021, arXiv 2006.13202, for the variance.

    Arguments:
        n: number of values of a row.
        hidden: widths of the hidden layers.
    """

    mean: Tensor
    std: Tensor
    noise: Tensor

    def __init__(self, n: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = mlp([n, *hidden, 2 * LATENT])
        self.decoder = mlp([LATENT, *hidden[::-1], n])
        for name in ("mean", "std", "noise"):
            self.register_buffer(name, torch.ones(()))

    def forward(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the loss of rows (B, n), and the mean squared error, in units of std."""
        given = (x - self.mean) / self.std
        middle, log_variance = self.encoder(given).chunk(2, 1)
        z = torch.randn(middle.shape, generator=generator, device=generator.device).to(x.device)
        error = (self.decoder(middle + (log_variance / 2).exp() * z) - given).square().mean()
        divergence = (log_variance.exp() + middle.square() - 1 - log_variance).sum(1).mean() / 2
        return x.shape[1] / 2 * error.log() + divergence, error.detach()

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator, noise: bool) -> Tensor:
        """Draw rows from the prior, (count, n); with the noise of the likelihood, or their means."""
        parts = []
        for size in [_BATCH] * (count // _BATCH) + [count % _BATCH]:
            x = self.decoder(torch.randn(size, LATENT, generator=generator))
            x = x + self.noise * torch.randn(x.shape, generator=generator) if noise else x
            parts.append(x * self.std + self.mean)
        return torch.cat(parts)


def trained_vae(setting: Setting, x: Tensor, recipe: Recipe, seed: int) -> Vae:
    """Train a VAE on stored rows, with the widths of the learner; on the CPU."""
    load_rows = setting.dataset.levels().load
    flat = Rows(x, torch.zeros(len(x)), lambda kept: load_rows(kept).flatten(1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Vae(x[0].numel(), setting.protocol.hidden)
    some = flat.load(x[torch.randperm(len(x), generator=stream((seed,)))[:10_000]])
    network.mean, network.std = some.mean(), some.std()

    def loss(network: nn.Module, x: Tensor, _: Tensor, generator: torch.Generator) -> tuple[Tensor, Parts]:
        value, error = network(x, generator)
        return value, {"error": error}

    history = fit(network, loss, flat, recipe, seed=seed, fabric=make_fabric(setting.device))
    network.noise = torch.tensor(math.sqrt(history[-1]["error"]))
    return network.cpu()


def _drawn(setting: Setting, vae: Vae, count: int, *key: int) -> Tensor:
    """Draw rows, stored as real ones: means of images, which would be grainy, and features with their noise."""
    levels = setting.dataset.levels()
    x = vae.draw(count, stream((setting.seed, _DRAWN, *key)), noise=levels.kind != "uint8")
    return levels.store(x.reshape(-1, *setting.dataset.shape))[0]


def _kept(setting: Setting, path: Path) -> Vae:
    vae = Vae(math.prod(setting.dataset.shape), setting.protocol.hidden)
    vae.load_state_dict(load_file(path))
    return vae


def vae_replay(setting: Setting, task: int) -> Given:
    """Keep a VAE and the learner, trained on new rows and on the VAE's earlier samples (deep generative replay).

    The earlier learner labels these samples. Every old class counts as many of them as a new class has rows.

    Source: Shin et al. 2017, arXiv 1705.08690.
    """
    place = setting.folder / "vae-replay"
    x, y = setting.rows(setting.protocol.tasks[task])
    if task:
        old, each = len(setting.protocol.classes_until(task - 1)), len(x) // len(setting.protocol.tasks[task])
        before = _kept(setting, place / f"vae-{task - 1}.safetensors")
        answer = prediction(load(place / f"learner-{task - 1}").network)
        drawn = _drawn(setting, before, each * old, task)
        load_rows = setting.dataset.levels().load
        labels = [answer(load_rows(part)).argmax(1) for part in torch.split(drawn, _BATCH)]
        x, y = torch.cat([x, drawn]), torch.cat([y, *labels])
    vae = trained_vae(setting, x, setting.protocol.autoencoder, setting.seed)
    learner = train_learner(setting, x, y, len(setting.protocol.classes_until(task)))
    place.mkdir(exist_ok=True)
    save_file(vae.state_dict(), place / f"vae-{task}.safetensors")
    learner.cpu().save_pretrained(place / f"learner-{task}")
    size = sum(4 * value.numel() for network in (vae, learner) for value in network.state_dict().values())
    return Given(None, None, size, prediction(learner))


def vae_a_class(setting: Setting, task: int) -> Given:
    """Keep a VAE for each class, trained once for half of the steps of our autoencoder; replay its samples."""
    place, tasks, recipe = setting.folder / "vae-a-class", setting.protocol.tasks, setting.protocol.autoencoder
    recipe = replace(recipe, least_steps=recipe.least_steps // 2)
    place.mkdir(exist_ok=True)
    for k in tasks[task]:
        vae = trained_vae(setting, setting.rows((k,))[0], recipe, setting.seed)
        save_file(vae.state_dict(), place / f"{k}.safetensors")
    parts, size = [setting.rows(tasks[task])], 0
    for number, k in enumerate(setting.protocol.classes_until(task - 1) if task else ()):
        vae = _kept(setting, place / f"{k}.safetensors")
        count = len(parts[0][1]) // len(tasks[task])
        parts.append((_drawn(setting, vae, count, task, k), torch.full((count,), number)))
        size += sum(4 * value.numel() for value in vae.state_dict().values())
    x, y = (torch.cat(each) for each in zip(*parts, strict=True))
    return Given(x, y, size)
