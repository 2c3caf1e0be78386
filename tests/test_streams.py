"""Streams of noise: no two alike, and those of old archives as they were."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from flat import flat
from reinject import Archive
from reinject.archive import write_shard
from reinject.base.errors import ArchiveError, ReinjectError
from reinject.base.random_streams import FIRST, SCHEME, parts_of, stream
from reinject.evaluation.diagnose import diagnose
from reinject.models.loading import load_models
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.trace import trace
from reinject.sampling.verify import verify
from reinject.walks.kernels.kernel import noise_like
from reinject.walks.loop import walk
from reinject.walks.specs import RunSpec, WalkSpec

OLD = Path(__file__).parent / "old" / "streams"  # made at d044335: models, and an archive of 8 walks in blocks of 6
SETTINGS = Settings("langevin", {"lam": "0.5"}, steps=3, burn_in=1)
RUN = {"seed": 5, "block_size": 6, "judged": False}
SAME = ((0, 549, 15), (0, 763, 94))  # seed, block and step of the old scheme's example


def first(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(20, generator=generator)


def test_two_streams_that_were_one_differ() -> None:
    old, new = ([first(stream(key, scheme=scheme)) for key in SAME] for scheme in (FIRST, SCHEME))
    assert torch.equal(*old)
    assert not torch.equal(*new)


def test_two_walks_that_were_one_differ() -> None:
    from reinject import wrap
    from reinject.walks import kernels, starts

    kernel = kernels.Langevin(wrap(lambda x: 0 * x, (2,), name="r"), 0.5)
    states = []
    for _, block, step in SAME:
        parts = walk(
            kernel,
            starts.Normal(),
            (2,),
            WalkSpec(steps=step, emit="state"),
            RunSpec(walks=764, block_size=1, blocks=(block,)),
        )
        states.append(list(parts)[-1].x)  # r is 0: a state is its last step's noise
    assert not torch.equal(*states)


def test_no_seed_reads_as_another_seed_and_block() -> None:
    large = 2**32  # two words of 32 bits, 0 and 1, to NumPy
    assert not torch.equal(first(stream((large, 3, 0))), first(stream((0, 1, 3))))
    assert torch.equal(first(stream((large, 3, 0), scheme=FIRST)), first(stream((0, 1, 3), scheme=FIRST)))


def test_many_streams_are_all_different() -> None:
    keys = [(seed, block, step) for seed in (0, 1, 2**40) for block in range(10) for step in range(40)]
    words = {tuple(torch.randint(2**62, (2,), generator=stream(key)).tolist()) for key in keys}
    assert len(words) == len(keys)


def test_a_stream_is_uniform_and_normal() -> None:
    x = torch.randn(200_000, generator=stream((7, 7, 7)), dtype=torch.float64)
    assert abs(x.mean()) < 4 / 200_000**0.5
    assert abs(x.square().mean() - 1) < 4 * (2 / 200_000) ** 0.5
    across = torch.stack([first(stream((0, 0, step))) for step in range(5000)]).double()  # one place of many streams
    assert across.mean(0).abs().amax() < 5 / 5000**0.5
    assert (torch.corrcoef(across.T) - torch.eye(20)).abs().amax() < 5 / 5000**0.5


def test_the_old_scheme_is_what_it_was() -> None:
    word = int(np.random.SeedSequence([3, 1, 4]).generate_state(1, np.uint64)[0]) >> 1
    assert torch.equal(first(stream((3, 1, 4), scheme=FIRST)), first(torch.Generator().manual_seed(word)))
    seeds = torch.randint(2**62, (8,), generator=torch.Generator().manual_seed(word)).tolist()
    parts = torch.zeros(2**18).tensor_split(8)
    drawn = [part.normal_(generator=torch.Generator().manual_seed(s)) for part, s in zip(parts, seeds, strict=True)]
    assert torch.equal(noise_like(torch.zeros(2**18), stream((3, 1, 4), scheme=FIRST)), torch.cat(drawn))


@pytest.mark.parametrize("scheme", [FIRST, SCHEME])
def test_parts_follow_the_generator(scheme: int) -> None:
    twice = [torch.stack([first(part) for part in parts_of(stream((9,), scheme=scheme), 8)]) for _ in range(2)]
    assert torch.equal(*twice)
    assert len(torch.unique(twice[0], dim=0)) == 8


def test_a_scheme_of_the_future_is_refused() -> None:
    with pytest.raises(ReinjectError, match="scheme 3 is not known"):
        stream((0,), scheme=3)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the old archive, beside its models."""
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old" / "archive"


def more(old: Path, out: Path | None = None, walks: int = 5, **options: object) -> dict:
    models = load_models([old.parent / "models"], labelled=False)
    sample_models(models, out or old, **flat(preset="", settings=SETTINGS, walks=walks, **{**RUN, **options}))
    return Archive.open(out or old).manifest


def test_an_old_archive_is_traced_and_diagnosed(old: Path) -> None:
    found = trace(old, random=24)
    assert found.result["same"] == 24
    assert not found.failure
    assert "streams" not in Archive.open(old).manifest["parameters"]
    diagnose(old)


def test_walks_added_to_an_old_archive_are_of_its_scheme(old: Path) -> None:
    assert "streams" not in more(old, append=True)["parameters"]
    assert not trace(old, random=99).failure
    (old / "data" / "shard-000002.parquet").unlink()
    assert not verify(old, repair=True).failure


def test_new_archives_name_their_scheme(old: Path, tmp_path: Path) -> None:
    manifest = more(old, tmp_path / "new", walks=8)
    assert manifest["parameters"]["streams"] == SCHEME
    assert not trace(tmp_path / "new", random=24).failure
    there, here = (Archive.open(folder).read()[0] for folder in (old, tmp_path / "new"))
    assert not torch.equal(there, here)


def test_an_old_run_that_was_cut_goes_on_as_it_began(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, made = tmp_path / "again", []

    def one_only(*arguments: object) -> dict:
        if made:
            raise KeyboardInterrupt
        made.append(1)
        return write_shard(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("reinject.archive.shards.write_shard", one_only)
        patch.setattr("reinject.sampling.sample.scheme_for", lambda *_, **__: FIRST)
        with pytest.raises(KeyboardInterrupt):
            more(old, out, walks=8)
    plan = tmp_path / "again.partial" / "plan.json"
    assert "streams" not in json.loads(plan.read_text())["parameters"]
    more(old, out, walks=8)
    assert torch.equal(Archive.open(out).read()[0], Archive.open(old).read()[0])
    assert more(old, out, walks=8, overwrite=True)["parameters"]["streams"] == SCHEME


@pytest.mark.parametrize("wrong", [-1, "2", None, [2], True])
def test_a_scheme_that_is_no_number_is_damage(old: Path, wrong: object) -> None:
    manifest = json.loads((old / "manifest.json").read_text())
    manifest["parameters"]["streams"] = wrong
    (old / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArchiveError, match=r"damaged \(parameters.streams"):
        trace(old, [0])
