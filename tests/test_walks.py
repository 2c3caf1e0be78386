"""The loop: what it emits, what its randomness depends on, what it does with walks that diverge."""

from dataclasses import dataclass, fields, replace

import pytest
import torch

from reinject import wrap
from reinject.base.errors import ArgumentError
from reinject.walks.execution import Execution
from reinject.walks.kernels import Ancestral, Info, Langevin, Metropolis, State
from reinject.walks.loop import Visited, walk
from reinject.walks.reconstruction import Ensemble
from reinject.walks.schedules import PerStep
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal, Points, Uniform

SHRINK = wrap(lambda x: 0.5 * x, (2,))
KERNEL = Langevin(SHRINK, 0.1)


OF_RUN = [field.name for field in fields(RunSpec)]
OF_WALK = [field.name for field in fields(WalkSpec)]


def specs(options: dict) -> tuple[WalkSpec, RunSpec]:
    """The two values, taken out of options by name."""
    of_walk = {name: options.pop(name) for name in OF_WALK if name in options}
    return WalkSpec(**of_walk), RunSpec(**{name: options.pop(name) for name in OF_RUN if name in options})


def run(kernel=KERNEL, start=None, **options) -> list[Visited]:
    options = {"walks": 10, "steps": 4, "block_size": 4, **options}
    return list(walk(kernel, start or Normal(), (2,), *specs(options), **options))


def joined(parts: list[Visited]) -> torch.Tensor:
    """Emitted states by (walk, step)."""
    rows = [(int(w), p.step, x) for p in parts for w, x in zip(p.walk, p.x, strict=True)]
    return torch.stack([x for *_, x in sorted(rows, key=lambda row: row[:2])])


def test_what_is_emitted_and_when() -> None:
    parts = run(burn_in=1, thin=2)
    assert [(p.block, p.step) for p in parts] == [(0, 1), (0, 3), (1, 1), (1, 3), (2, 1), (2, 3)]
    assert torch.cat([p.walk for p in parts if p.step == 1]).tolist() == list(range(10))
    assert parts[-1].walk.tolist() == [8, 9]
    assert parts[-1].row.tolist() == [0, 1]


def test_burn_in_zero_emits_the_start() -> None:
    assert torch.equal(run(steps=0)[0].x, run(steps=4)[0].x)
    assert run(steps=0)[0].step == 0


def test_blocks_are_pure_functions_of_seed_and_number() -> None:
    whole = run()
    alone = run(blocks=(1,))
    assert torch.equal(joined(alone), joined([p for p in whole if p.block == 1]))
    backwards = run(blocks=(2, 0, 1))
    assert torch.equal(joined(backwards), joined(whole))


def test_a_longer_walk_begins_like_a_shorter_one() -> None:
    short, long = run(steps=2), run(steps=4)
    assert torch.equal(joined(short), joined([p for p in long if p.step <= 2]))


def test_seed_and_block_change_the_noise() -> None:
    a, b = run(seed=0), run(seed=1)
    assert not torch.equal(a[0].x, b[0].x)
    assert not torch.equal(a[0].x, a[5].x)  # the same step of another block
    assert not torch.equal(a[0].x, a[1].x - 0.5 * a[0].x)


def test_chunks_do_not_change_the_noise() -> None:
    layer = torch.nn.Linear(2, 2)
    whole, chunked = (wrap(layer, (2,), execution=Execution(chunk)) for chunk in (None, 3))
    a, b = (joined(run(Langevin(r, 0.1))) for r in (whole, chunked))
    torch.testing.assert_close(a, b)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    run()
    run(start=Uniform())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("emit", "calls"), [("state", 4), ("reconstruction", 5)])
def test_calls_of_r(emit: str, calls: int) -> None:
    count = 0

    def counted(x: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        return x / 2

    kernel = Langevin(wrap(counted, (2,)), 0.1)
    count = 0
    run(kernel, walks=4, emit=emit, burn_in=2)
    assert count == calls


def test_reconstructions_are_r_of_the_states() -> None:
    states, means = run(), run(emit="reconstruction")
    for state, mean in zip(states, means, strict=True):
        assert torch.equal(mean.x, 0.5 * state.x)
        assert torch.equal(mean.walk, state.walk)


def test_reconstruction_at_a_noise_level_is_the_levels() -> None:
    r = wrap(lambda x, sigma: x / (1 + sigma[:, None]), (2,), noise_conditioned=True, sigma=1.0)
    kernel = Ancestral(r, PerStep((3.0, 1.0, 0.5, 0.5, 0.5)))
    states, means = (run(kernel, start=Normal(3.0), steps=4, emit=emit) for emit in ("state", "reconstruction"))
    for state, mean in zip(states, means, strict=True):
        torch.testing.assert_close(mean.x, state.x / (1 + kernel.level(state.step)))


def test_walks_that_become_non_finite_are_stopped_and_counted() -> None:
    """r squares: |x| > 1 explodes, and does so in a known number of walks."""
    explode = wrap(lambda x: x * x * x, (2,))
    kernel = Langevin(explode, 0.1, 0.0)
    parts = run(kernel, walks=40, steps=60, block_size=40, start=Normal(1.0))
    start = parts[0].x
    bad = (start.abs() > 1).any(1)
    assert 0 < int(bad.sum()) < 40
    assert sum(p.stopped for p in parts) == int(bad.sum())
    assert parts[-1].walk.tolist() == (~bad).nonzero().flatten().tolist()
    assert all(torch.isfinite(p.x).all() for p in parts)


def test_a_non_finite_reconstruction_is_not_emitted() -> None:
    r = wrap(lambda x: torch.where(x > 1, torch.nan, x), (2,))
    parts = run(Langevin(r, 0.1), walks=50, steps=0, block_size=50, emit="reconstruction")
    assert sum(p.stopped for p in parts) > 0
    assert all(torch.isfinite(p.x).all() for p in parts)
    assert len(parts[0].walk) + parts[0].stopped == 50


def test_each_walk_of_an_ensemble_uses_one_autoencoder() -> None:
    members = tuple(wrap(lambda x, k=k: torch.full_like(x, float(k)), (2,)) for k in (1, 2, 3))
    parts = run(Langevin(Ensemble(members), 0.1, 0.0), walks=7, burn_in=1, block_size=7)
    for part in parts:
        assert part.x[:, 0].tolist() == [1.0 + k % 3 for k in range(7)]


def test_walks_that_leave_the_range_are_stopped_and_counted_once() -> None:
    """x doubles: a start beyond limit/2^k strays at step k, long before it overflows; none is counted twice."""
    kernel = Langevin(wrap(lambda x: 2 * x, (2,)), 0.1, 0.0)
    parts = run(kernel, walks=40, steps=200, block_size=40, limit=8.0)
    start = parts[0].x.abs().amax(1)
    for part in parts:
        inside = start * 2.0**part.step <= 8.0
        assert part.walk.tolist() == inside.nonzero().flatten().tolist()
    assert sum(p.strayed for p in parts) == 40
    assert sum(p.stopped for p in parts) == 0


def test_a_walk_that_overflows_past_the_range_is_counted_once() -> None:
    """x <- 1e30 x: inside the range at x_1, not finite at x_2; that is its one reason."""
    parts = run(Langevin(wrap(lambda x: 1e30 * x, (2,)), 0.1, 0.0), walks=20, steps=5, block_size=20, limit=1e36)
    assert sum(p.stopped for p in parts) == 20
    assert sum(p.strayed for p in parts) == 0


def test_one_walk_can_be_made_again_alone() -> None:
    whole = run()
    alone = run(only=[9, 5])
    assert {(p.block, p.step): p.walk.tolist() for p in alone} == {
        **{(1, i): [5] for i in range(5)},
        **{(2, i): [9] for i in range(5)},
    }
    rows = {(int(w), p.step): x for p in whole for w, x in zip(p.walk, p.x, strict=True)}
    for part in alone:
        for number, x in zip(part.walk.tolist(), part.x, strict=True):
            assert torch.equal(x, rows[number, part.step])


@dataclass(frozen=True)
class Countdown:
    """A kernel whose walk k is done at step k: x counts the steps until then."""

    def init(self, x: torch.Tensor) -> State:
        return State(torch.zeros_like(x), 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:  # noqa: ARG002
        done = torch.arange(len(state.x)) <= state.i
        return State(state.x + (~done)[:, None], state.i + 1), Info(-state.x, done=done)


@pytest.mark.parametrize("burn_in", [0, 3, 20])
def test_converged_walks_are_emitted_once_more_and_end_the_block(burn_in: int) -> None:
    parts = run(Countdown(), walks=5, steps=20, block_size=5, burn_in=burn_in, thin=3)
    last = {int(w): (p.step, x[0].item()) for p in parts for w, x in zip(p.walk, p.x, strict=True)}
    assert last == {k: (k, float(k)) for k in range(5)}
    assert max(p.step for p in parts) == 4
    regular = [p.step for p in parts if len(p.walk) > 1]
    assert regular == ([0, 3] if burn_in == 0 else [3] if burn_in == 3 else [])


def test_a_kernels_notes_are_averaged_between_emissions() -> None:
    r = wrap(lambda x: 0.95 * x, (2,))
    parts = run(Metropolis(r, 0.1), walks=200, steps=6, thin=3, block_size=200, start=Normal(1.0))
    assert all(0.9 < p.accepted <= 1 for p in parts)
    assert all(p.asymmetry < 1e-5 for p in parts)
    assert run()[0].accepted is None


def test_a_dead_walk_takes_no_part_in_a_kernels_notes() -> None:
    """Walk 0 becomes NaN at once; before, the asymmetry of its block was NaN from then on."""
    r = wrap(lambda x: torch.where(x.abs() > 50, torch.nan, 0.95 * x), (2,))
    start = Points(torch.cat([torch.full((1, 2), 60.0), torch.ones(4, 2)]))
    parts = run(Metropolis(r, 0.1), walks=5, steps=6, thin=3, block_size=5, start=start)
    assert sum(part.stopped for part in parts) == 1
    assert all(part.asymmetry is not None and part.asymmetry < 1e-5 for part in parts[1:])
    assert all(0 <= part.accepted <= 1 for part in parts)


def test_notes_of_walks_that_are_all_dead_are_none() -> None:
    r = wrap(lambda x: torch.where(x.abs() > 50, torch.nan, 0.95 * x), (2,))
    start = Points(torch.full((1, 2), 60.0))
    parts = run(Metropolis(r, 0.1), walks=3, steps=4, thin=2, burn_in=2, block_size=3, start=start)
    assert [(part.accepted, part.asymmetry) for part in parts[1:]] == [(None, None)]


@pytest.mark.parametrize(
    "bad",
    [
        {"walks": 0},
        {"steps": -1},
        {"steps": 2, "burn_in": 3},
        {"thin": 0},
        {"seed": -1},
        {"block_size": 0},
        {"emit": "both"},
        {"limit": 0.0},
        {"only": [7]},
    ],
    ids=str,
)
def test_bad_numbers_are_refused_before_the_first_block(bad: dict) -> None:
    options = {"walks": 1, "steps": 3, **bad}
    with pytest.raises(ArgumentError) as error:
        walk(KERNEL, Normal(), (2,), *specs(options), **options)
    assert str(next(iter(bad.values()))).strip("[]") in str(error.value)


def test_a_walk_lives_where_its_autoencoder_is() -> None:
    """There is no GPU to walk on here; a place where nothing can be drawn says that it was asked."""
    kernel = Langevin(replace(wrap(lambda x: x, (2,)), device=torch.device("meta")), 0.1)
    with pytest.raises(RuntimeError, match="META"):
        next(walk(kernel, Normal(), (2,), WalkSpec(steps=1), RunSpec(walks=1)))
    assert len(next(walk(kernel, Normal(), (2,), WalkSpec(steps=1), RunSpec(walks=1), device="cpu")).x) == 1
