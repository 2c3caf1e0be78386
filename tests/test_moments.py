"""Moments of codes: the mixture's law, what is fitted, and the file."""

from pathlib import Path

import pytest
import torch

from reinject.base.errors import ArgumentError, ModelError
from reinject.models.moments import MOMENTS, load_moments, moments_of
from reinject.walks.starts import Mixture


def test_a_mixture_has_the_moments_that_it_is_given() -> None:
    weights = torch.tensor([0.25, 0.75])
    means = torch.tensor([[0.0, 4.0], [1.0, -2.0]])
    factors = torch.tensor([[[1.0, 0.5], [0.0, 0.2]], [[0.3, 0.0], [0.1, 2.0]]])
    n = 40_000
    x = Mixture(weights, means, factors).draw((n, 2), torch.Generator().manual_seed(0)).double()
    mean = (weights[:, None] * means).sum(0).double()
    each = factors.transpose(1, 2) @ factors + torch.einsum("ki,kj->kij", means - mean.float(), means - mean.float())
    covariance = (weights[:, None, None] * each).sum(0).double()
    assert ((x.mean(0) - mean).abs() < 4 * (covariance.diagonal() / n).sqrt()).all()
    off = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    assert ((off.mean(0) - covariance).abs() < 4 * off.std(0) / n**0.5).all()


def test_fitting_gives_back_weights_means_and_covariances_by_class() -> None:
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(0, 3, (6000,), generator=generator)
    centre = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, -5.0]])
    h = centre[label] + torch.randn((6000, 2), generator=generator) * torch.tensor([1.0, 0.1])
    found = moments_of(h, label)
    assert found.rows == 6000
    for k in range(3):
        group = h[label == k]
        assert torch.allclose(found.law.means[k], group.mean(0), atol=1e-5)
        assert float(found.law.weights[k]) == pytest.approx(len(group) / 6000)
        assert torch.allclose(found.law.factors[k].T @ found.law.factors[k], torch.cov(group.T), atol=1e-4)


def test_small_classes_share_a_component() -> None:
    label = torch.cat([torch.zeros(100), torch.arange(1, 31)]).long()
    assert len(moments_of(torch.randn(130, 4), label).law.means) == 2


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    found = moments_of(torch.randn((50, 3), generator=torch.Generator().manual_seed(0)))
    found.save(tmp_path)
    again = load_moments(tmp_path)
    assert again is not None
    assert again.law == found.law  # by the hash of all values
    assert again.rows == 50
    assert load_moments(tmp_path / "elsewhere") is None


def test_damaged_files_and_codes_are_refused(tmp_path: Path) -> None:
    (tmp_path / MOMENTS).write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="damaged"):
        load_moments(tmp_path)
    with pytest.raises(ModelError, match="finite"):
        moments_of(torch.full((30, 2), float("nan")))
    with pytest.raises(ArgumentError, match="shapes"):
        Mixture(torch.ones(2), torch.ones(1, 3), torch.ones(1, 3, 3))
