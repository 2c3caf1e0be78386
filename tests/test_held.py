"""Known pixels and measurements from the command line: held exactly; wrong files get a sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reinject import Archive, data
from reinject.base.errors import ArgumentError, DataError
from reinject.networks import Inputs
from reinject.sampling.constraints import resolve_constraint
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample
from reinject.sampling.sample_spec import SampleSpec
from reinject.walks.kernels import Langevin
from reinject.walks.loop import spread
from reinject.walks.reconstruction import wrap

INPUTS = Inputs((1, 8, 8))
SETTINGS = Settings("langevin", {"lam": "0.1"}, steps=3)
UPPER = torch.zeros(1, 8, 8, dtype=torch.bool)
UPPER[:, :4] = True


def shrink(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x


def settings(**given: str) -> Settings:
    return Settings("langevin", **given)


def held_by(**given: str):
    wrapper = resolve_constraint(settings(**given), INPUTS, most=5)
    assert wrapper is not None
    return wrapper(Langevin(wrap(shrink, (1, 8, 8), name="r"), 0.1))


@pytest.mark.parametrize("source", ["digits", "file"])
def test_every_sample_of_the_archive_has_the_known_pixels(tmp_path: Path, source: str) -> None:
    images = data.load("digits").test.x[:3]
    np.save(tmp_path / "known.npy", images.float().numpy() / 255)
    known = "digits" if source == "digits" else str(tmp_path / "known.npy")
    constraint = resolve_constraint(settings(known=known, mask="0:4,:"), INPUTS, most=3)
    r = wrap(shrink, (1, 8, 8), name="r")
    done = sample(
        r,
        lambda x: x.flatten(1)[:, :2],
        tmp_path / "out",
        walks=7,
        spec=SampleSpec(class_names=("a", "b"), settings=SETTINGS, constraint=constraint),
    )
    x, _ = Archive.open(tmp_path / "out").read()
    (table,) = Archive.open(tmp_path / "out").tables(["walk"])
    walk = torch.from_numpy(table["walk"].to_numpy().copy())
    assert torch.equal(x[:, :, :4], images[walk % 3][:, :, :4])
    assert not torch.equal(x[:, :, 4:], images[walk % 3][:, :, 4:])
    assert done.result["rows"] == len(x)


def test_masks_say_the_same_in_every_form(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", UPPER.numpy())
    Image.fromarray(UPPER[0].numpy().astype(np.uint8) * 255).save(tmp_path / "mask.png")
    kernels = [
        held_by(known="digits", mask=mask)
        for mask in ("0:4,:", ":4,:", str(tmp_path / "mask.npy"), str(tmp_path / "mask.png"))
    ]
    assert all(torch.equal(kernel.mask, UPPER) for kernel in kernels)
    assert len({repr(kernel) for kernel in kernels}) == 1  # the repr names known values and mask by their hash
    assert repr(held_by(known="digits", mask="0:3,:")) != repr(kernels[0])


def test_an_image_is_known_in_data_units(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 51, np.uint8)).save(tmp_path / "x.png")
    assert held_by(known=str(tmp_path / "x.png"), mask="0:4,:").known.unique().tolist() == pytest.approx([0.2])


def test_measurements_hold(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", matrix=np.full((1, 64), 1 / 64), values=np.array([0.5]))
    kernel = held_by(measured=str(tmp_path / "m.npz"))
    state = kernel.init(torch.zeros(2, 1, 8, 8))
    state, _ = spread(kernel, 1).step(state, torch.Generator().manual_seed(0))
    torch.testing.assert_close(state.x.flatten(1).mean(1), torch.full((2,), 0.5))


def test_nothing_known_is_no_wrapper() -> None:
    assert resolve_constraint(settings(), INPUTS, most=5) is None


@pytest.mark.parametrize(
    ("given", "kind", "sentence"),
    [
        ({"known": "digits"}, ArgumentError, "--known: needs --mask"),
        ({"mask": "0:4,:"}, ArgumentError, "--known: needs --mask"),
        ({"known": "digits", "mask": "0:4,:", "measured": "m.npz"}, ArgumentError, "cannot be combined with"),
        ({"known": "digits", "mask": "rows"}, ArgumentError, "'rows' is neither a file nor ROWS,COLUMNS"),
        ({"known": "digits", "mask": "9:,:"}, ArgumentError, "holds nothing"),
        ({"known": "no.png", "mask": "0:4,:"}, DataError, "no.png: no such file"),
        ({"known": "digits", "mask": "no.npy"}, DataError, "no.npy: no such file"),
        ({"measured": "no.npz"}, DataError, "no.npz: no such file"),
        ({"measured": "pickle.npz"}, DataError, "cannot be read"),
        ({"measured": "half.npz"}, DataError, "cannot be read"),
        ({"known": "pickle.npy", "mask": "0:4,:"}, DataError, "cannot be read"),
        ({"known": "cut.npy", "mask": "0:4,:"}, DataError, "cannot be read"),
    ],
)
def test_wrong_files_get_a_sentence(
    given: dict[str, str], kind: type, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("pickle.npy", np.array([{}], dtype=object))
    np.savez("pickle.npz", matrix=np.array([{}], dtype=object), values=np.zeros(1))
    np.savez("half.npz", matrix=np.ones((1, 64)))
    Path("cut.npy").write_bytes(Path("pickle.npy").read_bytes()[:20])
    with pytest.raises(kind, match=sentence):
        resolve_constraint(settings(**given), INPUTS, most=5)
