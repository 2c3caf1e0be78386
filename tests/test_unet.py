"""The denoiser of convolutions at every level: what of the input passes by them, that all of it learns."""

import pytest
import torch

from reinject.errors import ModelError
from reinject.models import Inputs, UNetDenoiser
from reinject.objectives import Denoising

INPUTS = Inputs((1, 8, 8), mean=0.3, std=0.4)


def network() -> UNetDenoiser:
    torch.manual_seed(0)
    made = UNetDenoiser(INPUTS, channels=8)
    for parameter in made.parameters():  # away from the identity that the blocks begin as
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval().requires_grad_(False)


def points(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("s", [0.01, 0.4, 12.0])
def test_it_is_its_formula(s: float) -> None:
    made, x, sigma, std, m = network(), points(), torch.full((6,), s), INPUTS.std, INPUTS.mean
    v = s**2 + std**2
    g = made.unet((x - m) / v**0.5, torch.log(sigma / INPUTS.radius))
    wanted = m + std**2 / v * (x - m) + s * std / v**0.5 * g
    assert torch.allclose(made(x, sigma), wanted, atol=1e-5)


def test_rows_have_levels_of_their_own() -> None:
    made, sigma = network(), torch.tensor([0.01, 9.0, 0.5, 0.02, 3.0, 0.1])
    alone = torch.cat([made(points()[k : k + 1], sigma[k : k + 1]) for k in range(6)])
    assert torch.allclose(made(points(), sigma), alone, atol=1e-5)


def test_without_noise_it_gives_back_its_input() -> None:
    far = [float((network()(points(), torch.full((6,), s)) - points()).abs().max()) for s in (1e-2, 1e-4)]
    assert far[1] < 1e-3
    assert far[1] == pytest.approx(far[0] / 100, rel=0.2)  # of the first order in sigma: a score times it


def test_every_output_sees_every_input() -> None:
    made, x = network(), points(1).requires_grad_()
    corner = made(x, torch.tensor([0.5]))[0, 0, 0, 0]
    assert bool((torch.autograd.grad(corner, x)[0] != 0).all())


def test_all_of_it_learns() -> None:
    torch.manual_seed(0)
    made = UNetDenoiser(INPUTS, channels=8)
    loss = Denoising(0.5, 1.0, INPUTS.std)(made, points(64), torch.Generator().manual_seed(0)).value
    loss.backward()
    silent = {name for name, one in made.named_parameters() if one.grad is None or not one.grad.abs().any()}
    assert all(".first." in name or ".level." in name for name in silent)  # behind a layer that begins at zero


def test_sides_that_cannot_be_quartered_are_refused() -> None:
    with pytest.raises(ModelError, match="sides divisible by 4"):
        UNetDenoiser(Inputs((1, 6, 8)))
