"""Algorithm 1 against a NumPy transcription of the paper's listing."""

import numpy as np
import pytest
import torch

from reinject import algorithm1, wrap
from reinject.base.errors import ArgumentError, ModelError
from reinject.walks.loop import _Noise

N_S, R, LAM, SHAPE = 7, 10, 0.1, (3,)
WEIGHT = torch.tensor([[0.6, 0.2, 0.0], [-0.1, 0.5, 0.1], [0.0, 0.3, 0.7]])


def autoencoder(shift: float) -> torch.nn.Module:
    layer = torch.nn.Linear(3, 3)
    layer.weight.data.copy_(WEIGHT)
    layer.bias.data.fill_(shift)
    return torch.nn.Sequential(layer, torch.nn.Tanh())


def numpy_autoencoder(x: np.ndarray, shift: float) -> np.ndarray:
    return np.tanh(x @ WEIGHT.numpy().T + np.float32(shift))


def listing(shifts: list[float], noise_of_step: list[np.ndarray], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The listing: for n, for i; always move, keep x_i and its label for i > 1."""
    X, Y = [], []
    for n in range(N_S):
        shift = shifts[n % len(shifts)]
        x = noise_of_step[0][n]
        for i in range(R + 1):
            if i > 1:
                X.append(x)
                Y.append(int(np.argmax(x)))
            if i < R:
                x = numpy_autoencoder(x, shift) + np.float32(scale) * noise_of_step[i + 1][n]
    return np.array(X), np.array(Y)


def drawn_noise(seed: int) -> list[np.ndarray]:
    source = _Noise(seed, 0, torch.device("cpu"))
    return [torch.randn((N_S, *SHAPE), generator=source.at(key)).numpy() for key in range(R + 1)]


@pytest.mark.parametrize("shifts", [[0.1], [0.1, -0.4]], ids=["one AE", "two AEs"])
@pytest.mark.parametrize(("noise", "scale"), [("printed", LAM), ("matched", LAM**0.5), (0.0, 0.0)])
def test_states_are_those_of_the_listing(shifts: list[float], noise: str | float, scale: float) -> None:
    AEs = [wrap(autoencoder(shift), SHAPE) for shift in shifts]
    X, Y = algorithm1(AEs, lambda x: x, R=R, N_s=N_S, lam=LAM, noise=noise, seed=3)
    expected_X, expected_Y = listing(shifts, drawn_noise(3), scale)
    assert X.shape == (N_S * (R - 1), *SHAPE)
    np.testing.assert_allclose(X.numpy(), expected_X, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(Y.numpy(), expected_Y)


def test_defaults_are_the_papers() -> None:
    X, Y = algorithm1([wrap(lambda x: 0.5 * x, (1,))], lambda x: torch.cat([x, -x], 1))
    assert len(X) == len(Y) == 90_000
    assert algorithm1.__kwdefaults__["noise"] == "printed"
    # x_i = x_0 / 2^i + .1 (z_i + z_{i-1} / 2 + ...): the variance at i = 10 is that of the start plus a geometric sum
    expected = 0.25**10 + 0.01 * (1 - 0.25**10) / 0.75
    last = X.reshape(10_000, 9)[:, -1].double()
    standard_error = expected * (2 / 10_000) ** 0.5
    assert abs(float(last.var()) - expected) < 4 * standard_error  # false alarm rate 6e-5


def test_autoencoders_of_different_inputs_are_refused() -> None:
    a, b = wrap(lambda x: x / 2, (1,)), wrap(lambda x: x / 2, (2,))
    with pytest.raises(ModelError, match="do not match"):
        algorithm1([a, b], lambda x: x)


def test_no_autoencoder_is_refused() -> None:
    with pytest.raises(ModelError, match="nothing"):
        algorithm1([], lambda x: x)


@pytest.mark.parametrize("bad", [{"lam": 0.0}, {"lam": -1.0}, {"R": 1}, {"N_s": 0}, {"noise": "loud"}])
def test_bad_numbers_are_refused(bad: dict) -> None:
    with pytest.raises(ArgumentError):
        algorithm1([wrap(lambda x: x / 2, (1,))], lambda x: x, **bad)
