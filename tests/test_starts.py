"""Starts have the law they say, and depend on the generator and the walks' numbers alone."""

import numpy as np
import pytest
import torch

from reinject.base.errors import ArgumentError
from reinject.walks.starts import Fitted, Normal, Points, Uniform, parse_start


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_fitted_has_the_mean_and_covariance_of_its_points() -> None:
    points = torch.randn((500, 2, 2), generator=generator()).exp()
    x = Fitted(points).draw((200_000, 2, 2), generator()).flatten(1).double().numpy()
    flat = points.flatten(1).double().numpy()
    exact = np.cov(flat.T)
    error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / len(x))
    assert np.all(np.abs(np.cov(x.T) - exact) < 4.5 * error)  # 16 entries: false alarms below 1 in 9,000
    assert np.all(np.abs(x.mean(0) - flat.mean(0)) < 4.5 * np.sqrt(np.diag(exact) / len(x)))


def test_fitted_to_fewer_points_than_dimensions_stays_in_their_plane() -> None:
    points = torch.randn((3, 10), generator=generator())
    x = Fitted(points).draw((50, 10), generator())
    assert torch.linalg.matrix_rank(x - points.mean(0), tol=1e-3) == 2


def test_points_go_by_the_walks_numbers() -> None:
    points = torch.arange(5.0)[:, None]
    assert Points(points).draw((4, 1), generator(), first=3).flatten().tolist() == [3.0, 4.0, 0.0, 1.0]
    x = Points(points, std=0.1).draw((50_000, 1), generator())
    noise = x - points[torch.arange(50_000) % 5]
    assert abs(noise.std().item() / 0.1 - 1) < 0.02


def test_the_repr_names_the_points_by_their_hash() -> None:
    a, b = torch.zeros(2, 3), torch.ones(2, 3)
    for cls in (Points, Fitted):
        assert repr(cls(a)) == repr(cls(a.clone())) != repr(cls(b))
        assert "tensor" not in repr(cls(a))


BAD = {
    "normal": lambda: Normal(0.0),
    "uniform": lambda: Uniform(1.0, 1.0),
    "one point": lambda: Fitted(torch.zeros(1, 2)),
    "nan": lambda: Points(torch.full((2, 2), torch.nan)),
    "std": lambda: Points(torch.zeros(2, 2), -1.0),
    "shape": lambda: Points(torch.zeros(2, 2)).draw((3, 4), generator()),
    "fitted shape": lambda: Fitted(torch.zeros(2, 2)).draw((3, 4), generator()),
    "name": lambda: parse_start("gauss"),
    "number": lambda: parse_start("normal:wide"),
    "too many": lambda: parse_start("uniform:1"),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_bad_starts_are_refused(make) -> None:
    with pytest.raises(ArgumentError):
        make()
