"""Unfinished folders: whose plan they serve."""

from pathlib import Path

import numpy as np
import pytest

from reinject.base.errors import ArchiveError
from reinject.base.files import read_json
from reinject.base.staging import PLAN, begin
from test_cli import run


def test_a_folder_in_which_nothing_was_made_serves_another_plan(tmp_path: Path) -> None:
    partial = tmp_path / "out.partial"
    begin(partial, {"seed": 0})
    begin(partial, {"seed": 1})
    assert read_json(partial / PLAN, ArchiveError) == {"seed": 1}
    (partial / "part").touch()
    begin(partial, {"seed": 1})
    with pytest.raises(ArchiveError, match=r"differs in seed \(1 there, 2 here\)"):
        begin(partial, {"seed": 2})


def test_the_right_network_can_be_named_after_one_that_does_not_fit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "odd.npz", x=rng.integers(0, 256, (40, 6, 6)).astype(np.uint8), y=rng.integers(0, 2, 40))
    command = ["train", tmp_path / "odd.npz", "--out", tmp_path / "m"]
    for network in ("staged-denoiser", "unet"):
        status, _, error = run(*command, "--autoencoder", network)
        assert status == 1
        assert "sides divisible by 4" in error
    assert run(*command, "--epochs", 1, "--classifier-epochs", 1)[0] == 0
