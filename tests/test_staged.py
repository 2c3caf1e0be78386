"""The denoiser of two experts: which is asked when, what of the input passes by the convolutions, that both learn."""

import pytest
import torch

from reinject.base.errors import ModelError
from reinject.networks import Inputs, MLPDenoiser, StagedDenoiser
from reinject.training.objectives import Denoising

INPUTS = Inputs((1, 8, 8), mean=0.3, std=0.4)
BORDER = 0.04 * INPUTS.radius


@pytest.fixture(params=[False, True], ids=["plain", "modulated"])
def network(request: pytest.FixtureRequest) -> StagedDenoiser:
    torch.manual_seed(0)
    made = StagedDenoiser(INPUTS, width=16, depth=2, channels=8, modulated=request.param)
    for parameter in made.parameters():  # away from the identity that the blocks begin as
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval().requires_grad_(False)


def points(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_details_by_the_formula(network: StagedDenoiser) -> None:
    x, sigma = points(), torch.full((6,), 0.9 * BORDER)
    s, std, m = 0.9 * BORDER, INPUTS.std, INPUTS.mean
    v = s**2 + std**2
    g = network.fine((x - m) / v**0.5, torch.log(sigma / INPUTS.radius))
    wanted = m + std**2 / v * (x - m) + s * std / v**0.5 * g
    assert torch.allclose(network(x, sigma), wanted, atol=1e-6)


def test_above_the_border_it_is_the_linear_network(network: StagedDenoiser) -> None:
    coarse = MLPDenoiser(INPUTS, width=16, depth=2, modulated=network.level is not None)
    coarse.load_state_dict({name: value for name, value in network.state_dict().items() if "fine" not in name})
    sigma = torch.full((6,), 1.1 * BORDER)
    assert torch.equal(network(points(), sigma), coarse(points(), sigma))


def test_each_point_is_given_to_the_expert_of_its_level(network: StagedDenoiser) -> None:
    sigma = BORDER * torch.tensor([0.5, 2.0, 0.1, 1.0, 3.0, 0.99])
    alone = torch.cat([network(points()[k : k + 1], sigma[k : k + 1]) for k in range(6)])
    assert torch.allclose(network(points(), sigma), alone, atol=1e-6)


def test_without_noise_it_gives_back_its_input(network: StagedDenoiser) -> None:
    far = [float((network(points(), torch.full((6,), s)) - points()).abs().max()) for s in (1e-2, 1e-4)]
    assert far[1] < 1e-3
    assert far[1] == pytest.approx(far[0] / 100, rel=0.2)  # of the first order in sigma: a score times it


def test_both_experts_learn() -> None:
    torch.manual_seed(0)
    made = StagedDenoiser(INPUTS, width=16, depth=2, channels=8)
    loss = Denoising(BORDER, 1.0, INPUTS.std)(made, points(64), torch.Generator().manual_seed(0)).value
    loss.backward()
    silent = {name for name, one in made.named_parameters() if one.grad is None or not one.grad.abs().any()}
    assert all(".first." in name or ".level." in name for name in silent)  # behind a layer that begins at zero


def test_sides_that_cannot_be_quartered_are_refused() -> None:
    with pytest.raises(ModelError, match="sides divisible by 4"):
        StagedDenoiser(Inputs((1, 6, 8)))
