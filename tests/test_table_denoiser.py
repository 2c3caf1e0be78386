"""The untrained denoiser of a table is exact for independent columns; walks of it give every marginal."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from reinject.data.table_columns import describe
from reinject.data.table_encoder import TableEncoder
from reinject.models.bundle import as_reconstruction, load
from reinject.networks import Inputs, TableDenoiser
from reinject.tables import Synthesizer
from reinject.training.table_fit import TableLoss, TableSpec, network_of
from test_denoisers import layers_by_hand

SIGMAS = torch.tensor([0.05, 0.3, 1.0, 4.0])


@pytest.fixture(scope="module")
def table() -> pa.Table:
    random = np.random.default_rng(0)
    names = np.array(["a", "b", "c", "d"])
    values = random.gamma(2, 3, 4000)
    return pa.table(
        {
            "real": pa.array(values, mask=random.random(4000) < 0.2),
            "spiky": np.where(random.random(4000) < 0.6, 0, random.integers(1, 5000, 4000)),
            "letter": names[random.choice(4, 4000, p=[0.7, 0.2, 0.09, 0.01])],
            "copy": names[(values > 5).astype(int)],
        }
    )


def test_the_untrained_network_is_the_exact_denoiser_of_independent_columns() -> None:
    """E[x0 given x] by sums over the categories and by the Gaussian formula."""
    r = TableDenoiser(Inputs((6,), mean=0.0, std=1.0), numbers=1, sizes=(2, 3), width=16)
    priors = [torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.3, 0.2])]
    r.prior.copy_(torch.cat(priors).log())
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)) * 2
    got = r(x, SIGMAS)
    assert torch.allclose(got[:, 0], x[:, 0] / (1 + SIGMAS**2))
    for prior, part, there in ((priors[0], x[:, 1:3], got[:, 1:3]), (priors[1], x[:, 3:], got[:, 3:])):
        corners = 2 * torch.eye(len(prior))
        far = torch.cdist(part.double(), corners.double()).square() / (2 * SIGMAS.double()[:, None] ** 2)
        weight = (prior.double().log() - far).softmax(1)
        assert torch.allclose(there.double(), weight @ corners.double(), atol=1e-5)


@pytest.mark.parametrize("known", [False, True])
def test_the_network_sees_the_expected_waves_of_independent_numbers(known: bool) -> None:
    """E[sin wz given x] and E[cos wz given x] by draws of z given x, within six standard errors."""
    r = TableDenoiser(Inputs((2,), mean=0.0, std=1.0), numbers=2, width=16)
    seen: list[torch.Tensor] = []
    r.first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x, sigma, draws = torch.tensor([[0.7, -1.9]]), 0.8, 100_000
    r(x, torch.tensor([sigma]), torch.tensor([[known, False]]))
    variance = sigma**2 / (1 + sigma**2)
    noise = torch.randn(draws, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = x[0, :, None] / (1 + sigma**2) + variance**0.5 * noise
    if known:
        z[:, 0] = x[0, 0]
    angle = z * torch.tensor([1.0, 2.0, 4.0, 8.0])
    waves = torch.cat([angle.sin(), angle.cos()], 2).flatten(1)
    bound = 6 * waves.std(0) / draws**0.5 + 1e-5
    assert ((seen[0][0, 2:18] - waves.mean(0)).abs() < bound).all()


def test_layers_standardise_and_take_scale_and_shift_from_the_level() -> None:
    """The residual network in NumPy, with no weight zero."""
    r = TableDenoiser(Inputs((2,), mean=0.0, std=1.0), numbers=2, width=16, depth=3)
    generator = torch.Generator().manual_seed(0)
    for weight in r.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    u, t = (torch.randn(5, n, generator=generator) for n in (r.first.in_features - 9, 9))
    wanted = layers_by_hand(r, u.double().numpy(), t.double().numpy())
    with torch.no_grad():
        np.testing.assert_allclose(r.body(u, t).numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_known_blocks_stay_and_say_something_else_to_the_network() -> None:
    r = TableDenoiser(Inputs((3,), mean=0.0, std=1.0), numbers=1, sizes=(2,), width=16)
    torch.nn.init.normal_(r.last.weight, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[1.5, 2.0, 0.0]])
    known = torch.tensor([[False, True]])
    held = r(x, torch.ones(1), known)
    assert torch.equal(held[:, 1:], x[:, 1:])
    assert not torch.equal(held[:, 0], r(x, torch.ones(1))[:, 0])
    other = r(x, 3 * torch.ones(1), torch.tensor([[True, True]]))
    assert torch.equal(other, x)


def test_walks_of_the_untrained_network_give_every_marginal_and_no_dependence(table: pa.Table) -> None:
    encoder = TableEncoder.fit(table, describe(table))
    n = 8192
    drawn = Synthesizer(encoder, network_of(encoder, TableSpec(width=8, depth=1))).sample(n)
    se = 0.5 / n**0.5 + 0.5 / 4000**0.5
    for name in ("letter", "copy"):
        for value in "abcd":
            share = [np.mean(np.array(one.column(name)) == value) for one in (table, drawn)]
            assert abs(share[0] - share[1]) < 4 * se * max(0.1, 2 * (share[0] * (1 - share[0])) ** 0.5), (name, value)
    assert abs(drawn.column("real").null_count / n - table.column("real").null_count / 4000) < 4 * 0.8 * se
    for name in ("real", "spiky"):
        real, ours = (np.sort(one.column(name).drop_null().to_numpy()) for one in (table, drawn))
        ends = np.quantile(real, [0.05, 0.25, 0.5, 0.62, 0.8, 0.95, 0.99])
        shares = [(part[None] <= ends[:, None]).mean(1) for part in (real, ours)]
        assert np.abs(shares[0] - shares[1]).max() < 4 * se
    whole = drawn.filter(pa.compute.is_valid(drawn.column("real")))
    copies = (np.array(whole.column("copy")) == "b").astype(float)
    assert abs(np.corrcoef(whole.column("real").to_numpy(), copies)[0, 1]) < 4 / len(whole) ** 0.5


def test_rows_do_not_depend_on_others_and_are_saved_with_the_model(table: pa.Table, tmp_path: Path) -> None:
    encoder = TableEncoder.fit(table, describe(table))
    network = network_of(encoder, TableSpec(width=8, depth=2), seed=3)
    torch.nn.init.normal_(network.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    first = Synthesizer(encoder, network, "pandas")
    rows = first.sample(200, seed=5)
    first.save(tmp_path)
    again = Synthesizer.load(tmp_path)
    assert again.sample(200, seed=5).equals(rows)
    assert not again.sample(200, seed=6).equals(rows)
    files = sorted(path.name for path in (tmp_path / "autoencoder").iterdir() if path.suffix != ".md")
    assert files == ["config.json", "encoder.json", "encoder.safetensors", "model.safetensors", "table.json"]
    r = as_reconstruction(load(tmp_path / "autoencoder"), 0.1)
    assert r.noise_conditioned
    assert r.event_shape == (encoder.width,)


@pytest.mark.parametrize(("name", "share"), [("real", 0.5), ("plain", 1.0), ("letter", 0.0)])
def test_noise_is_that_of_numbers_as_often_as_blocks_are_numbers(table: pa.Table, name: str, share: float) -> None:
    """Mean and variance of log sigma, within five standard errors; ``real`` has gaps, so a mark beside its number."""
    part = table.append_column("plain", pa.array(np.random.default_rng(1).normal(size=len(table)))).select([name])
    encoder, rows = TableEncoder.fit(part, describe(part)), 40_000
    draws = TableLoss(encoder, 0.0).levels(rows, torch.Generator().manual_seed(0)).log().double()
    means, variances = np.log([0.35, 0.82]), np.square([1.6, 1.2])
    mean = share * means[0] + (1 - share) * means[1]
    variance = share * (variances[0] + means[0] ** 2) + (1 - share) * (variances[1] + means[1] ** 2) - mean**2
    assert abs(draws.mean() - mean) < 5 * (variance / rows) ** 0.5
    assert abs(draws.var() / variance - 1) < 5 * (2.2 / rows) ** 0.5
