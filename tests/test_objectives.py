"""Every objective against its formula, and what guards the one that is unbounded below."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, CollapseError, ModelError
from reinject.densities import Gaussian, contraction, ring
from reinject.models.bundle import load
from reinject.networks import ConvResidual, Inputs, MLPAutoencoder, MLPResidual
from reinject.training.objectives import (
    Contractive,
    Denoising,
    PerfectLossy,
    Walkback,
    check_lam,
    principal_axes,
    reconstruction,
    safe_lam,
)


class Affine(nn.Module):
    """r(x) = x A^T + b."""

    def __init__(self, a: Tensor, b: Tensor | None = None) -> None:
        super().__init__()
        self.a = nn.Parameter(a.double())
        self.b = torch.zeros(len(a)).double() if b is None else b.double()

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.a.T + self.b


A = torch.tensor([[0.9, 0.1], [-0.05, 0.8]])
SHIFT = torch.tensor([0.2, -0.1])


def batch(count: int = 500) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_reconstruction_is_the_mean_squared_error() -> None:
    x = batch()
    error = x.numpy() @ A.double().numpy().T + SHIFT.numpy() - x.numpy()
    assert reconstruction(Affine(A, SHIFT), x, seeded()).value.item() == pytest.approx(np.mean(error**2))


def test_contractive_is_error_and_half_lambda_times_the_jacobian() -> None:
    x, lam = batch(), 0.3
    got = Contractive(lam)(Affine(A, SHIFT), x, seeded())
    error = reconstruction(Affine(A, SHIFT), x, seeded()).value.item()
    assert got.value.item() == pytest.approx(error + lam / 2 * float(A.square().sum()) / 2, rel=1e-6)
    assert sum(part.item() for part in got.parts.values()) == pytest.approx(got.value.item())
    probed = Contractive(lam, "hutchinson", probes=50)(Affine(A, SHIFT), x, seeded())
    assert probed.value.item() == pytest.approx(got.value.item(), rel=0.01)


def test_contractive_minimum_is_the_denoisers_on_a_gaussian() -> None:
    """E(1 - a)^2 v + (lam/2) a^2 has its minimum at v/(v + lam/2): gradient 0 there."""
    v, lam = torch.tensor([2.0, 0.5]), 0.3
    x = batch(4000)
    x = (x - x.mean(0)) / x.std(0, unbiased=False) * v.double().sqrt()
    x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / len(x))).T * v.double().sqrt()  # exactly diagonal
    r = Affine(torch.diag(v / (v + lam / 2)))
    Contractive(lam)(r, x, seeded()).value.backward()
    assert float(r.a.grad.abs().max()) < 1e-6


def perfect_by_hand(x: Tensor, lam: float) -> float:
    g = (x.numpy() @ A.double().numpy().T + SHIFT.double().numpy() - x.numpy()) / lam
    return float(np.mean(np.sum(g**2, 1)) + np.log(abs(np.linalg.det(A.double().numpy()))) / lam)


def test_perfect_lossy_is_the_scaled_objective() -> None:
    x, lam = batch(), 0.05
    got = PerfectLossy(lam)(Affine(A, SHIFT), x, seeded())
    assert got.value.item() == pytest.approx(perfect_by_hand(x, lam), rel=1e-6)
    assert got.parts["fidelity"] + got.parts["log_det"] == pytest.approx(got.value.item())
    assert got.parts["least_singular"].item() == pytest.approx(float(torch.linalg.svdvals(A)[-1]))


def test_roulette_is_unbiased_for_the_same_objective() -> None:
    x, lam = batch(200), 0.05
    draws = torch.stack(
        [PerfectLossy(lam, "roulette")(Affine(A, SHIFT), x, seeded(k)).value.detach() for k in range(40)]
    )
    z = (draws.mean() - perfect_by_hand(x, lam)) / (draws.std() / math.sqrt(40))
    assert abs(float(z)) < 4.5


def test_first_order_is_sliced_score_matching() -> None:
    """E|g|^2 + div g, div g = tr(A - I)/lam; with one random sign vector a point."""
    x, lam = batch(), 0.05
    g = (Affine(A, SHIFT)(x) - x) / lam
    expected = float(g.square().sum(1).mean().detach() + (A.trace() - 2) / lam)
    draws = torch.stack(
        [PerfectLossy(lam, "first-order")(Affine(A, SHIFT), x, seeded(k)).value.detach() for k in range(40)]
    )
    assert abs(float((draws.mean() - expected) / (draws.std() / math.sqrt(40)))) < 4.5


def test_exact_and_first_order_coincide_as_lambda_vanishes() -> None:
    x = batch()
    gaps = []
    for lam in (1e-2, 1e-3, 1e-4):
        r = Affine(torch.eye(2) + lam * (A.double() - torch.eye(2)), lam * SHIFT.double())
        exact = PerfectLossy(lam)(r, x, seeded()).value.detach()
        divergence = float(A.double().trace() - 2)
        fidelity = ((r(x) - x) / lam).square().sum(1).mean().detach()
        gaps.append(abs(float(exact - fidelity - divergence)))
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.05)
    assert gaps[1] / gaps[2] == pytest.approx(10, rel=0.05)


def test_its_gradient_vanishes_at_the_perfect_autoencoder() -> None:
    v, lam = torch.tensor([2.0, 0.5]).double(), 0.1
    x = batch(4000)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / len(x))).T * v.sqrt()
    r = Affine(torch.diag(contraction(v, lam)))
    PerfectLossy(lam)(r, x, seeded()).value.backward()
    assert float(r.a.grad.abs().max()) < 1e-8
    wrong = Affine(torch.diag(contraction(v, 1.1 * lam)))
    PerfectLossy(lam)(wrong, x, seeded()).value.backward()
    assert float(wrong.a.grad.abs().max()) > 0.1


def test_smoothing_adds_noise_of_that_size() -> None:
    r = Affine(0.5 * torch.eye(2) + 0.5 * torch.eye(2))  # identity: no fidelity, whatever the noise
    assert PerfectLossy(0.1, smoothing=0.5)(r, batch(), seeded()).value.item() == pytest.approx(0, abs=1e-12)
    shrink = Affine(0.9 * torch.eye(2))
    x = batch(50_000)
    plain, noisy = (PerfectLossy(0.1, smoothing=s)(shrink, x, seeded()).parts["fidelity"].item() for s in (0.0, 0.5))
    assert noisy - plain == pytest.approx(2 * 0.25, rel=0.05)  # (.1/.1)^2 sigma^2 n


def test_denoising_hits_the_tweedie_minimum() -> None:
    """r = a y with a = v/(v + sigma^2) makes the gradient 0 on average."""
    x = batch(200_000)
    r = Affine(torch.eye(2) / (1 + 0.49))
    Denoising(0.7, 0.0, 1.0)(r, x, seeded()).value.backward()
    assert float(r.a.grad.abs().max()) < 0.03
    assert Denoising(0.7, 0.0, 1.0)(r, x, seeded()).parts["error"].item() == pytest.approx(0.49 / 1.49, rel=0.01)


def test_denoising_tells_the_level_to_networks_that_want_it() -> None:
    seen = []

    class Told(nn.Module):
        noise_conditioned = True

        def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
            seen.append(sigma)
            return x

    Denoising(0.3, 0.0, 1.0)(Told(), batch(), seeded())
    Denoising(0.3, 0.5, 1.0)(Told(), batch(5000), seeded())
    assert seen[0].tolist() == pytest.approx([0.3] * 500)
    assert float(seen[1].log().mean()) == pytest.approx(math.log(0.3), abs=0.04)
    assert float(seen[1].log().std()) == pytest.approx(0.5, rel=0.05)


def test_walkback_by_hand() -> None:
    x, sigma = batch(50), 0.2
    r = Affine(A, SHIFT)
    got = Walkback(sigma, 3)(r, x, seeded(4))
    generator, y, errors = seeded(4), x, []
    for _ in range(3):
        noise = torch.empty_like(x).normal_(0.0, sigma, generator=generator)
        y = r(y + noise).detach()
        errors.append(float((y - x).square().mean()))
    assert got.value.item() == pytest.approx(np.mean(errors))
    assert [part.item() for part in got.parts.values()] == pytest.approx(errors)


def test_walkback_of_one_step_is_denoising_without_weight() -> None:
    x, r = batch(), Affine(A)
    one = Walkback(0.3, 1)(r, x, seeded(2)).value.item()
    noise = torch.empty_like(x).normal_(0.0, 0.3, generator=seeded(2))
    assert one == pytest.approx(float((r(x + noise) - x).square().mean().detach()))


def test_walkback_keeps_no_gradient_through_the_walk() -> None:
    r = Affine(A)
    Walkback(0.2, 2)(r, batch(), seeded(3)).value.backward()
    generator, x = seeded(3), batch()
    again = Affine(A)
    first = x + torch.empty_like(x).normal_(0.0, 0.2, generator=generator)
    second = again(first).detach() + torch.empty_like(x).normal_(0.0, 0.2, generator=generator)
    (((again(first) - x).square().mean() + (again(second) - x).square().mean()) / 2).backward()
    torch.testing.assert_close(r.a.grad, again.a.grad)


@pytest.mark.parametrize(
    "objective",
    [
        Contractive(0.1, "hutchinson"),
        PerfectLossy(0.1, "roulette"),
        PerfectLossy(0.1, "first-order"),
        PerfectLossy(0.1, smoothing=0.1),
        Denoising(0.1, 0.5, 1.0),
        Walkback(0.1),
    ],
    ids=lambda objective: repr(objective)[:40],
)
def test_randomness_comes_from_the_generator_alone(objective) -> None:
    before = torch.get_rng_state()
    values = [objective(Affine(A), batch(), seeded(seed)).value.item() for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
    assert torch.equal(before, torch.get_rng_state())


# The guards.


@pytest.mark.parametrize("log_det", ["exact", "roulette", "first-order"])
def test_a_bottleneck_is_refused(log_det) -> None:
    network = MLPAutoencoder(Inputs((8,)), latent=2)
    with pytest.raises(ModelError, match=r"MLPAutoencoder.*not of full rank.*mlp-residual"):
        PerfectLossy(0.1, log_det)(network, torch.rand(20, 8), seeded())


def test_a_fold_is_refused() -> None:
    with pytest.raises(CollapseError, match="det J_r <= 0 at 500 of 500 points"):
        PerfectLossy(0.1)(Affine(torch.diag(torch.tensor([1.0, -1.0]))), batch(), seeded())


@pytest.mark.parametrize("log_det", ["exact", "roulette", "first-order"])
def test_a_direction_past_one_half_is_reported_with_its_axis(log_det) -> None:
    x = batch() * torch.tensor([1.0, 0.2])
    with pytest.raises(CollapseError, match=r"singular value of J_r fell to 0.4.*axis 1 .variance 0.0") as caught:
        PerfectLossy(0.1, log_det)(Affine(torch.diag(torch.tensor([0.9, 0.4]))), x, seeded())
    assert len(caught.value.directions) == 1


def test_training_past_the_threshold_stops() -> None:
    """v = 1, lambda = .6 > v/2: gradient descent from the identity slides to collapse and is stopped on the way."""
    r = Affine(torch.eye(2))
    descent = torch.optim.SGD(r.parameters(), lr=0.02)
    x = batch()

    def descend() -> None:
        for _ in range(500):
            descent.zero_grad()
            PerfectLossy(0.6)(r, x, seeded()).value.backward()
            descent.step()

    with pytest.raises(CollapseError, match=r"lam <= 0\.4"):
        descend()


def test_safe_lam_of_a_gaussian_and_of_a_ring() -> None:
    flat = Gaussian(torch.zeros(2), torch.diag(torch.tensor([4.0, 0.5])))
    assert safe_lam(flat.sample(20_000, seeded())) == pytest.approx(0.9 * 0.5 / 2, rel=0.03)
    assert safe_lam(ring().sample(20_000, seeded())) == pytest.approx(0.9 * 0.25 / 2, rel=0.15)
    assert safe_lam(flat.sample(20_000, seeded()), smoothing=0.5) == pytest.approx(0.9 * 0.75 / 2, rel=0.03)


def test_check_lam_agrees_with_safe_lam() -> None:
    x = ring().sample(5000, seeded())
    safe = safe_lam(x)
    check_lam(x, 0.999 * safe)
    with pytest.raises(CollapseError, match=rf"of cluster .*Take lam <= {safe:.3g}"):
        check_lam(x, 1.001 * safe)


def test_principal_axes_are_orthogonal_and_diagonalise() -> None:
    density = Gaussian(torch.zeros(2), torch.tensor([[2.0, 0.8], [0.8, 1.0]]))
    axes = principal_axes(density.sample(20_000, seeded()))
    q = axes.directions[0]
    torch.testing.assert_close(q @ q.T, torch.eye(2).double())
    rotated = q @ density.covariance @ q.T
    assert float((rotated - torch.diag(axes.variances[0])).abs().max()) < 0.1


def test_constant_pixels_have_no_safe_lambda_without_noise() -> None:
    x = torch.rand(2000, 5, generator=seeded())
    x[:, 2] = 0.3
    assert safe_lam(x) < 1e-6
    with pytest.raises(CollapseError, match=r"No lam is safe.*--sigma"):
        check_lam(x, 0.01)
    check_lam(x, 0.01, smoothing=0.2)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: PerfectLossy(0.0), "lam = 0"),
        (lambda: PerfectLossy(float("nan")), "lam = nan"),
        (lambda: PerfectLossy(0.1, "approximately"), "'approximately'"),
        (lambda: PerfectLossy(0.1, smoothing=-1.0), "smoothing = -1"),
        (lambda: Contractive(-0.1), "lam = -0.1"),
        (lambda: Contractive(0.1, "sliced"), "'sliced'"),
        (lambda: Contractive(0.1, probes=0), "probes = 0"),
        (lambda: Walkback(0.0), "sigma = 0"),
        (lambda: Walkback(0.1, 0), "steps = 0"),
        (lambda: safe_lam(torch.rand(15, 2)), "15 rows for 2 dimensions are too few.*30"),
        (lambda: safe_lam(torch.full((50, 2), math.nan)), "non-finite"),
        (lambda: check_lam(torch.rand(50, 2), -1.0), "lam = -1"),
    ],
)
def test_bad_numbers_are_named(build, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        build()


# The networks that it is for.


@pytest.mark.parametrize("lipschitz", [None, 0.7])
def test_residual_networks_start_at_the_identity_and_train(lipschitz) -> None:
    for network, x in (
        (MLPResidual(Inputs((3,)), lipschitz=lipschitz), torch.rand(6, 3)),
        (ConvResidual(Inputs((1, 6, 6)), lipschitz=lipschitz, channels=4), torch.rand(2, 1, 6, 6)),
    ):
        torch.testing.assert_close(network(x), x)
        value, _ = PerfectLossy(0.01, "first-order")(network, x, seeded())
        value.backward()
        moved = [p for p in network.parameters() if p.grad is not None and bool(p.grad.abs().max() > 0)]
        assert moved


@pytest.mark.parametrize("seed", range(3))
def test_lipschitz_bound_holds_whatever_the_weights(seed: int) -> None:
    torch.manual_seed(seed)
    for network, shape in (
        (MLPResidual(Inputs((5,), std=2.0), lipschitz=0.8, width=32), (5,)),
        (ConvResidual(Inputs((2, 6, 6)), lipschitz=0.8, channels=6, depth=2), (2, 6, 6)),
    ):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(3 * torch.randn_like(parameter))
            network.gain.fill_(20.0)
        for _ in range(30):  # the power iteration of spectral_norm settles over calls in training mode
            network(torch.rand(2, *shape))
        network.eval()
        a, b = torch.randn(64, *shape), torch.randn(64, *shape)
        move = ((network(a) - a) - (network(b) - b)).flatten(1).norm(dim=1)
        assert float((move / (a - b).flatten(1).norm(dim=1)).max()) <= 0.8 * 1.001
        near = a + 1e-3 * b
        move = ((network(a) - a) - (network(near) - near)).flatten(1).norm(dim=1)
        assert float((move / (a - near).flatten(1).norm(dim=1)).max()) <= 0.8 * 1.01


def test_lipschitz_bound_is_attained_and_not_passed() -> None:
    """Layers of norm 1 at SiLU's steepest point: the slope is the bound itself, L = .8."""
    dense = MLPResidual(Inputs((3,), mean=0.0, std=2.0), lipschitz=0.8, width=3, depth=1)
    local = ConvResidual(Inputs((1, 9, 9), mean=0.0, std=2.0), lipschitz=0.8, channels=1, depth=1)
    for network, weight, direction in (
        (dense, torch.eye(3), torch.tensor([1.0, 0.0, 0.0])),
        (local, torch.ones(1, 1, 3, 3), torch.ones(1, 9, 9)),  # a flat image is what a flat kernel amplifies most
    ):
        x = torch.zeros(1, *direction.shape)
        with torch.no_grad():
            for layer, bias in ((network.hidden[0], 2.39936), (network.last, 0.0)):
                layer.weight = 5 * weight
                layer.bias.fill_(bias * (3 if network is local else 1))
            network.gain.fill_(20.0)
        for _ in range(20):
            network(x)
        network.eval()
        _, moved = torch.func.jvp(network, (x,), (direction[None],))
        slope = (moved[0] - direction).abs().max()
        assert float(slope.detach()) == pytest.approx(0.8, rel=1e-3)


@pytest.mark.parametrize("lipschitz", [None, 0.9])
def test_residual_networks_come_back_from_disk(lipschitz, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for network in (
        MLPResidual(Inputs((3,)), scale=None if lipschitz else 0.1, lipschitz=lipschitz, width=8),
        ConvResidual(Inputs((1, 4, 4)), lipschitz=lipschitz, channels=4),
    ):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        x = torch.rand(5, *network.inputs.shape)
        network.eval().save_pretrained(tmp_path / type(network).__name__)
        again = load(tmp_path / type(network).__name__).network
        torch.testing.assert_close(again(x), network(x))
        assert not torch.allclose(again(x), x)


def test_bad_residual_networks_are_named() -> None:
    with pytest.raises(ArgumentError, match=r"lipschitz = 1\.0"):
        MLPResidual(Inputs((2,)), lipschitz=1.0)
    with pytest.raises(ArgumentError, match="scale = -1"):
        MLPResidual(Inputs((2,)), scale=-1.0)
