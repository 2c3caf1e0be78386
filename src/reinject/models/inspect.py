"""``reinject inspect``: describe a folder of models on one page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinject import data
from reinject.base.errors import ModelError
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress
from reinject.data.splits import check_unseen, unknown
from reinject.foreign import Foreign, trust
from reinject.foreign.folder import digest_of, is_foreign
from reinject.models.bundle import Bundle, as_reconstruction, load
from reinject.models.loading import some_of, values_for
from reinject.networks import CLASSIFIERS, Network
from reinject.score import estimate_lam
from reinject.walks.reconstruction import Reconstruction

_POINTS = 512
_LOSES = 1e-3  # least change of inputs, or of small noise on them
_CALLS, _AWAY, _FAR = 10, 64, 10.0  # calls of r in a row, on so many points, and how far they may lead away (spreads)


def inspect(
    models: Path,
    *,
    against: str | None = None,
    trusted: bool = False,
    data_dir: str | None = None,
    split_seed: int = 0,
    progress: Progress | None = None,
) -> Outcome:
    """Describe the models in a folder: what they are, whether they run, and how much the autoencoder loses.

    Arguments:
        models: a folder with autoencoder/, classifier/ or both, or one of these two.
        against: a data set, for lambda and for the autoencoder's losses.
        trusted: from now on, let the models run code when they are read, with exactly this content.
        data_dir: where to look for data sets first.
        split_seed: seed of the split of a data set without a test part; the models' training used the same.
        progress: progress reporter.

    Raises:
        DataError: the models were trained on held-out rows of the data set.
        ModelError: no model there, an unreadable model, or an autoencoder that loses nothing.
    """
    folders = [models / name for name in ("autoencoder", "classifier") if (models / name).is_dir()] or [models]
    for folder in folders if trusted else ():
        if is_foreign(folder):
            trust(digest_of(folder))
    dataset = None if against is None else data.load(against, data_dir, split_seed, progress)
    pages = [_page(load(folder), dataset) for folder in folders]
    result = {folder.name: page.result for folder, page in zip(folders, pages, strict=True)}
    lines = [line for folder, page in zip(folders, pages, strict=True) for line in (f"{folder}", *page.lines)]
    return Outcome(result, lines)


def _page(bundle: Bundle, dataset: data.Dataset | None) -> Outcome:
    """Return the page of one model, with a remark where its training rows are unknown."""
    page = inspect_bundle(bundle, dataset)
    owner, remark = str(bundle.folder), ""
    if dataset is not None:
        remark = check_unseen(owner, bundle.split, dataset.split) if bundle.split else ""
        if bundle.split is None or isinstance(bundle.network, Foreign):
            remark = unknown(owner)
    return replace(page, lines=[*page.lines, *([f"  {remark}"] if remark else [])])


def inspect_bundle(bundle: Bundle, dataset: data.Dataset | None = None) -> Outcome:
    """Return the page of one model.

    Arguments:
        bundle: the model.
        dataset: the model's data, whose test part it was not trained on.

    Raises:
        ModelError: an autoencoder that loses nothing.
        DataError: data of another shape or space.
    """
    network, inputs = bundle.network, bundle.network.inputs
    labels = network.role == "classifier" if isinstance(network, Foreign) else type(network) in CLASSIFIERS.values()
    told: dict[str, Any] = {
        "architecture": _architecture(network),
        "sha256": bundle.sha256,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "inputs": {"shape": list(inputs.shape), "low": inputs.low, "high": inputs.high},
    }
    lines = [
        f"  {told['architecture']}, {told['parameters']:,} parameters, "
        f"inputs {inputs.shape} in {inputs.low:g}..{inputs.high:g}",
    ]
    if isinstance(network, Foreign) and (network.native.shape, network.native.low) != (inputs.shape, inputs.low):
        lines.append(f"  inside: {network.native.shape} in {network.native.low:g}..{network.native.high:g}")
    x = _points(bundle, dataset)
    if labels:
        told["class_names"] = list(inputs.class_names)
        lines.append(f"  classifier of {len(inputs.class_names)} classes: {', '.join(inputs.class_names[:12])}")
        if dataset is not None:
            told["accuracy"] = _accuracy(bundle, x, some_of(dataset))
            lines.append(f"  accuracy on {len(x)} test rows of {dataset.name}: {told['accuracy']:.1%}")
        return Outcome(told, lines)
    r = as_reconstruction(bundle, 0.1)
    with torch.no_grad():
        x = x if dataset is not None else r(r(x))
        loss = losses(r, x, inputs.high - inputs.low)
    told |= {"std": inputs.std, "radius": inputs.radius, "has_code": r.has_code, **loss}
    lines += [
        f"  autoencoder; typical distance of an input from the mean {inputs.radius:.3g} (data units)"
        + ("; it has an encoder and a decoder" if r.has_code else ""),
        f"  |r(x) - x| / |x - mean| = {loss['relative_error']:.3g}; {_words_for_noise(loss['noise_kept'])}",
    ]
    _check_sane(loss, str(bundle.folder))
    told["lambda"] = None
    if dataset is not None:
        try:
            found = estimate_lam(r, x)
            told["lambda"] = [found.value, found.standard_error]
            lines.append(f"  lambda = {found.value:.3g} +- {found.standard_error:.2g} by Stein's identity on the data")
        except ModelError as error:
            lines.append(f"  lambda unknown: {error.problem}")
    else:
        lines.append("  lambda unknown without data; reinject tune tries kernels and noises")
    return Outcome(told, lines)


def _architecture(network: Network | Foreign) -> str:
    module = network.module if isinstance(network, Foreign) else network
    return str(getattr(module, "what", type(module).__name__))


def _words_for_noise(kept: float) -> str:
    if kept > 1:
        return f"small noise grows to {kept:.3g} times its size, so walks may leave the data: try small noise first"
    return f"of small noise {1 - kept:.1%} is lost"


def _check_sane(loss: dict[str, float], owner: str) -> None:
    """Raise ModelError where r changes nothing, or diverges."""
    if max(loss["relative_error"], loss["noise_changed"]) < _LOSES:
        raise ModelError(
            owner,
            "loses nothing: r(x) = x and noise passes through, so it has no score to sample by",
            "Give an autoencoder with a bottleneck, or one trained to remove noise",
        )
    if not loss["led_away"] < _FAR:
        raise ModelError(
            owner,
            f"diverges: after {_CALLS} calls in a row inputs lie {loss['led_away']:.3g} times as far from the mean",
            "Check its weights and its --range; a network that returns logits needs its sigmoid",
        )


def losses(r: Reconstruction, x: Tensor, spread: float) -> dict[str, float]:
    """Measure what an autoencoder loses at some points: of the points, and of small noise on them.

    Arguments:
        r: the autoencoder.
        x: points, (B, *event), data units.
        spread: of the values of x; the noise has 2% of it.

    Returns:
        relative_error: root of E|r(x) - x|^2 / E|x - E x|^2. noise_kept: root of E|r(x + e) - r(x)|^2 / E|e|^2, 1 for
        an identity map and 0 for a constant one. A value above 1 is no fault by itself: an oblique projection stretches
        noise once. noise_changed: root of E|r(x + e) - r(x) - e|^2 / E|e|^2, 0 for an identity map. led_away: distance
        from E x after 10 calls of r on x + e, over the distance of x or the range, whichever is larger.
    """
    e = 0.02 * spread * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    y = r(x)
    error = (y - x).square().mean() / (x - x.mean(0)).square().mean().clamp(min=1e-12)
    noisy = r(x + e)
    kept, changed = ((noisy - y - part).square().mean() / e.square().mean() for part in (torch.zeros_like(e), e))
    far = max(float((x - x.mean(0)).square().mean().sqrt()), spread)
    noisy = noisy[:_AWAY]
    for _ in range(_CALLS - 1):
        noisy = r(noisy)
    away = float((noisy - x.mean(0)).double().square().mean().sqrt()) / far
    return {
        "relative_error": float(error.sqrt()),
        "noise_kept": float(kept.sqrt()),
        "noise_changed": float(changed.sqrt()),
        "led_away": away,
    }


def _accuracy(bundle: Bundle, x: Tensor, dataset: data.Dataset) -> float:
    """Return the share of correctly classified test rows; equal sets of names match by name, others by position."""
    names = bundle.network.inputs.class_names
    same = set(names) == set(dataset.class_names)
    number = torch.tensor([names.index(name) if same else k for k, name in enumerate(dataset.class_names)])
    with torch.no_grad():
        return float((bundle.network(x).argmax(1) == number[dataset.test.y]).double().mean())


def _points(bundle: Bundle, dataset: data.Dataset | None) -> Tensor:
    inputs = bundle.network.inputs
    if dataset is not None:
        return values_for(some_of(dataset, _POINTS), inputs, str(bundle.folder), "test")
    u = torch.rand((_POINTS, *inputs.shape), generator=torch.Generator().manual_seed(1))
    return inputs.low + (inputs.high - inputs.low) * u
