"""The U-Net denoiser: shapes, the skip at small noise, and a short fit."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.models.bundle import load
from reinject.networks import Inputs, UNet
from reinject.training.objective_options import Numbers, build
from reinject.training.objectives import Denoising

INPUTS = Inputs((1, 8, 8), mean=0.2, std=0.3)


def unet(**options: bool) -> UNet:
    torch.manual_seed(0)
    network = UNet(INPUTS, channels=8, **options)
    for layer in network.modules():  # weights that are zero before training
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=0.1)
    return network.eval()


@pytest.mark.parametrize("attention", [True, False])
def test_the_skip_makes_r_the_identity_as_the_noise_vanishes(attention: bool) -> None:
    r, x = unet(attention=attention), torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        near = [float((r(x, torch.full((3,), s)) - x).abs().max()) for s in (1e-2, 1e-3, 1e-4)]
    assert near[0] > 1e-3  # the network matters
    assert near[1] < near[0] / 8
    assert near[2] < near[1] / 8


def test_rows_have_their_own_levels_and_attention_matters() -> None:
    r, x = unet(), torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        both = r(x, torch.tensor([0.1, 2.0]))
        assert torch.allclose(both[1:], r(x[1:], torch.tensor([2.0])), atol=1e-6)
        without = unet(attention=False)
        without.load_state_dict(r.state_dict(), strict=False)
        assert not torch.allclose(both, without(x, torch.tensor([0.1, 2.0])), atol=1e-4)


def test_before_training_r_is_the_best_linear_denoiser_of_white_data() -> None:
    r = UNet(INPUTS, channels=8)
    x, sigma = torch.randn(4, 1, 8, 8), torch.tensor([0.01, 0.3, 1.0, 9.0])
    share = 0.3**2 / (0.3**2 + sigma**2)
    assert torch.allclose(r(x, sigma), 0.2 + share[:, None, None, None] * (x - 0.2), atol=1e-5)


def test_sides_that_do_not_halve_twice_are_refused() -> None:
    with pytest.raises(ModelError, match="sides divisible by 4"):
        UNet(Inputs((1, 6, 8)))


def test_a_short_fit_reduces_the_loss_and_the_network_is_kept(tmp_path: Path) -> None:
    """Images of one bright quarter: the loss of the best linear denoiser of white data falls to less than a half."""
    g = torch.Generator().manual_seed(0)
    x = torch.zeros(256, 1, 8, 8)
    for image, k in zip(x, torch.randint(4, (256,), generator=g).tolist(), strict=True):
        image[:, k // 2 * 4 : k // 2 * 4 + 4, k % 2 * 4 : k % 2 * 4 + 4] = 1
    std = float((x - x.mean(0)).square().mean().sqrt())
    torch.manual_seed(0)
    r = UNet(Inputs((1, 8, 8), mean=float(x.mean()), std=std), channels=8)
    loss = build("denoising", "unet", Numbers(), r.inputs, x).objective
    assert isinstance(loss, Denoising)
    assert loss.most == UNet.most_weight

    def value() -> Tensor:
        with torch.no_grad():
            return loss(r, x, torch.Generator().manual_seed(1)).parts["error"]

    before, adam = value(), torch.optim.Adam(r.parameters(), 0.01)
    for step in range(30):
        adam.zero_grad()
        loss(r, x[step % 8 :: 8], g).value.backward()
        adam.step()
    assert value() < before / 2
    r.save_pretrained(tmp_path)
    again = load(tmp_path).network
    with torch.no_grad():
        assert torch.allclose(again(x, torch.ones(256)), r(x, torch.ones(256)), atol=1e-5)


def test_the_bound_on_weights_lets_low_levels_count() -> None:
    """For r = 0 at one level sigma the loss is min(most, 1 + std^2/sigma^2)/std^2 E x^2."""
    zero = nn.Module()
    zero.forward = lambda x: 0 * x  # type: ignore[method-assign,assignment]
    x = torch.ones(8, 4)
    for most, wanted in ((5.0, 5.0), (1000.0, 101.0)):
        got = Denoising(0.1, 0.0, 1.0, most)(zero, x, torch.Generator()).value
        assert float(got) == pytest.approx(wanted, rel=1e-5)
