"""What a GPU may change: where tensors lie, who waits for whom, what memory holds. Skipped where there is none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from torch import nn

from reinject import wrap
from reinject.archive import Archive
from reinject.base.devices import make_fabric
from reinject.base.errors import ArchiveError, ModelError
from reinject.evaluation.evaluate import examine
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.tune import tune
from reinject.experiments import comparison
from reinject.experiments.catalogue import Experiment
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.reproduce import reproduce
from reinject.explorer.session import Choice, Live, World
from reinject.models.loading import load_models
from reinject.networks import Inputs, StagedDenoiser
from reinject.sampling.presets import PRESETS
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Parallel, SampleSpec, Writing
from reinject.sampling.trace import trace
from reinject.training.fabric_spec import FabricSpec
from reinject.training.fit import Recipe, Rows, fit
from reinject.training.plans import AutoencoderSpec, ClassifierSpec, plan_for
from reinject.training.train import train
from reinject.walks import kernels
from reinject.walks.execution import Execution
from reinject.walks.kernels.kernel import noise_like
from reinject.walks.loop import walk
from reinject.walks.reconstruction import Reconstruction
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal
from test_kernels import CONTRACT, F, G, Row, generator, linear, matrix, second_state, told

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
GPU = torch.device("cuda", 0)


def there(r: Reconstruction) -> Reconstruction:
    """The r of a row of the contract, on the GPU."""
    if r.has_code:
        return wrap((matrix(F), matrix(G)), (3,), device=GPU, name=r.name)
    if r.noise_conditioned:
        return wrap(told, (3,), device=GPU, noise_conditioned=True, sigma=r.sigma, name=r.name)
    return wrap(linear, (3,), device=GPU, name=r.name)


@pytest.fixture(params=CONTRACT.values(), ids=CONTRACT.keys())
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


@contextmanager
def never_waiting() -> Iterator[None]:
    """Whatever waits for the GPU raises RuntimeError."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_one_step_is_that_of_the_cpu(row: Row) -> None:
    """With the noise of a CPU's generator, which is brought to the GPU."""
    kernel = row.make(there(row.r))
    x, state = second_state(row.make(row.r))
    expected, _ = row.make(row.r).step(state, generator(1))
    after, info = kernel.step(kernel.init(x.to(GPU))._replace(i=1), generator(1))
    assert after.x.device == info.reconstruction.device == GPU
    torch.testing.assert_close(after.x.cpu(), expected.x, atol=1e-4, rtol=1e-4)


def test_a_step_does_not_wait(row: Row) -> None:
    kernel = row.make(there(row.r))
    state = kernel.init(torch.randn((50, 3), device=GPU))._replace(i=1)
    z = torch.Generator(GPU).manual_seed(0)
    kernel.step(state, z)  # what is copied once is there
    with never_waiting():
        after, info = kernel.step(state, z)
    assert after.x.device == info.reconstruction.device == GPU


def test_who_waits_is_found() -> None:
    x = torch.ones(1, device=GPU)
    with pytest.raises(RuntimeError), never_waiting():
        x.item()


def test_a_walk_waits_where_it_emits_and_nowhere_else() -> None:
    kernel = kernels.Langevin(wrap(nn.Linear(3, 3), (3,), device=GPU), 0.1)
    emissions = 0

    def seen(x: torch.Tensor) -> torch.Tensor:  # called at the one emission, after all steps
        nonlocal emissions
        emissions += 1
        torch.cuda.set_sync_debug_mode("default")
        return x

    parts = walk(kernel, Normal(), (3,), WalkSpec(steps=50, burn_in=50), RunSpec(walks=64), transform=seen, device=GPU)
    with never_waiting():
        assert len(next(parts).x) == 64
    assert emissions == 1


@pytest.mark.parametrize("name", ["langevin matched", "underdamped", "half-denoising", "tangent"])
def test_the_gpus_own_noise_has_the_law(name: str) -> None:
    """C = M C M^T + N N^T, as tests/test_kernels.py has it for the CPU; 4 standard errors, 9 entries, 4 rows."""
    row = CONTRACT[name]
    assert row.linear is not None
    m, n = row.linear
    walks = 400_000
    parts = walk(
        row.make(there(row.r)),
        Normal(),
        (3,),
        WalkSpec(steps=60, burn_in=60),
        RunSpec(walks=walks, block_size=200_000),
        device=GPU,
    )
    x = torch.cat([part.x.cpu() for part in parts]).double().numpy()
    exact = solve_discrete_lyapunov(m.astype(float), n @ n.T)[:3, :3]
    error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / walks)
    assert np.all(np.abs(np.cov(x.T) - exact) < 4 * error)


def test_blocks_are_the_same_again_in_any_order() -> None:
    kernel = kernels.Langevin(there(CONTRACT["langevin matched"].r), 0.3)
    spec, run = WalkSpec(steps=4, burn_in=4), RunSpec(walks=96, block_size=32, seed=5)
    whole = list(walk(kernel, Normal(), (3,), spec, run, device=GPU))
    again = list(walk(kernel, Normal(), (3,), spec, replace(run, blocks=(2, 0)), device=GPU))
    assert torch.equal(again[0].x, whole[2].x)
    assert torch.equal(again[1].x, whole[0].x)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gpu") / "models"
    plan = plan_for("digits", autoencoder=AutoencoderSpec(epochs=20), classifier=ClassifierSpec(epochs=20))
    train(plan, out, device="cuda", fabric=FabricSpec("bf16-mixed"))
    return out


def test_what_was_trained_there_is_good_and_is_read_anywhere(trained: Path) -> None:
    models = load_models([trained], "cpu")
    assert models.inputs.shape == (1, 8, 8)
    assert next(models.autoencoders[0].network.parameters()).device.type == "cpu"
    found = json.loads((trained / "classifier" / "training.json").read_text())["result"]
    assert found["test_accuracy"] > 0.9


class CutError(Exception):
    """What stops a training in the middle."""


def fitted(
    device: str, checkpoint: Path | None = None, last: int = 99, std: float = 1.0
) -> tuple[nn.Linear, list[dict[str, float]]]:
    """A small denoiser of this noise after 32 steps, or cut after so many."""

    def loss(network: nn.Module, x: torch.Tensor, _: torch.Tensor, z: torch.Generator) -> tuple:
        drawn_at.add(z.device.type)
        return (network(x + noise_like(x, z, std)) - x).square().mean(), {}

    def count(step: int, _: float) -> None:
        if step > last:
            raise CutError

    drawn_at = set[str]()
    rows = Rows(torch.randn((512, 6), generator=generator()), torch.zeros(512, dtype=torch.int64), lambda kept: kept)
    torch.manual_seed(0)
    network, fabric = nn.Linear(6, 6), make_fabric(device)
    recipe = Recipe(4, 64, average=0.9)
    options = {"fabric": fabric, "checkpoint": checkpoint, "on_steps": count}
    history = fit(network, loss, replace(rows, validation=rows), recipe, seed=1, **options)
    assert drawn_at == {device}  # a GPU that waits for a CPU's noise is hardly faster
    return network, history


def test_training_without_noise_is_that_of_the_cpu_by_rounding() -> None:
    """First weights and the order of the rows are drawn on the CPU wherever the network is."""
    here, there = (fitted(device, std=0.0) for device in ("cpu", "cuda"))
    torch.testing.assert_close(there[0].weight.cpu(), here[0].weight, atol=1e-4, rtol=1e-3)
    assert [e["validation"] for e in there[1]] == pytest.approx([e["validation"] for e in here[1]], rel=1e-3)


def test_training_leaves_the_gpus_own_generator_as_it_was() -> None:
    fitted("cuda")
    after = torch.cuda.get_rng_state()
    torch.manual_seed(0)  # as it seeds before it trains
    assert torch.equal(torch.cuda.get_rng_state(), after)


def test_a_training_that_was_cut_goes_on_there(tmp_path: Path) -> None:
    whole, _ = fitted("cuda")
    with pytest.raises(CutError):
        fitted("cuda", tmp_path / "checkpoint", 17)
    with pytest.raises(ModelError, match="another kind of device"):
        fitted("cpu", tmp_path / "checkpoint")
    went_on, _ = fitted("cuda", tmp_path / "checkpoint")
    torch.testing.assert_close(went_on.weight, whole.weight)


def rows_of(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    archive = Archive.open(folder)
    return archive.read(archive.rows, 0)


def test_an_archive_is_the_same_again_and_as_good_as_the_cpus(trained: Path, tmp_path: Path) -> None:
    models = load_models([trained], "cuda")
    settings = PRESETS["default"]
    for name in ("a", "b"):
        sample_models(
            models, tmp_path / name, SampleSpec(preset="default", settings=settings, block_size=128), walks=300
        )
    one, two = rows_of(tmp_path / "a"), rows_of(tmp_path / "b")
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert trace(tmp_path / "a", random=50).result["same"] == 50
    on_cpu = load_models([trained], "cpu")
    with pytest.raises(ArchiveError, match=r"differs in .*device"):
        sample_models(
            on_cpu,
            tmp_path / "b",
            SampleSpec(preset="default", settings=settings, block_size=128),
            walks=300,
            writing=Writing(append=True),
        )
    sample_models(on_cpu, tmp_path / "c", SampleSpec(preset="default", settings=settings, block_size=128), walks=300)
    x = rows_of(tmp_path / "c")[0].double() / 255
    difference = (one[0].double() / 255).mean() - x.mean()
    assert abs(float(difference)) < 0.05  # other noise, the same law


@pytest.mark.parametrize("how", [{"precision": "bf16-mixed"}, {"precision": "16-mixed"}, {"compiled": True}])
def test_how_it_is_run_changes_rounding_only(trained: Path, how: dict) -> None:
    models = load_models([trained], "cuda")
    x = torch.rand((64, 1, 8, 8), device=GPU)
    with torch.no_grad():
        exact, found = models.ensemble()(x, 0.5), models.ensemble(Execution(**how))(x, 0.5)
        again = models.ensemble(Execution(**how))(x, 0.1)  # a second level, which a captured graph must not forget
    assert float((found - exact).abs().max()) < (1e-3 if "compiled" in how else 0.1)
    assert float((again - models.ensemble()(x, 0.1)).abs().max()) < (1e-3 if "compiled" in how else 0.1)


def test_compiled_walks_keep_what_they_emitted(trained: Path, tmp_path: Path) -> None:
    """A CUDA graph writes its results where it wrote them the last time; what was emitted must not change by it."""
    models = load_models([trained], "cuda")
    settings = PRESETS["default"]
    sample_models(
        models, tmp_path / "plain", SampleSpec(preset="default", settings=settings, block_size=128), walks=256
    )
    spec, compiling = SampleSpec("default", settings=settings, block_size=128), Parallel(Execution(compiled=True))
    sample_models(models, tmp_path / "compiled", spec, walks=256, parallel=compiling)
    plain, compiled = (rows_of(tmp_path / name)[0].int() for name in ("plain", "compiled"))
    assert float((plain - compiled).abs().float().mean()) < 1.0  # levels of 255; chaotic, so not the same


def test_the_batch_that_fits_is_found() -> None:
    """A network that needs 1 GiB for 1,024 points, where there are some 300 MiB."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    reserved = torch.cuda.memory_reserved()
    torch.cuda.set_per_process_memory_fraction((reserved + 300 * 2**20) / total)
    try:
        r = wrap(lambda x: x + 0 * x.expand(-1, 2**18).contiguous().sum(1, keepdim=True), (1,), device=GPU)
        x = torch.ones((1024, 1), device=GPU)
        assert torch.equal(r(x), x)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert r._in_chunks.most is not None
    assert r._in_chunks.most < 1024


def test_the_experts_of_a_staged_denoiser_agree_with_the_cpus() -> None:
    torch.manual_seed(0)
    network = StagedDenoiser(Inputs((1, 8, 8)), width=32, channels=8)
    x, sigma = torch.rand((6, 1, 8, 8)), torch.tensor([0.01, 3.0, 0.02, 2.0, 0.05, 9.0])
    with torch.no_grad():
        here = network(x, sigma)
        found = network.to(GPU)(x.to(GPU), sigma.to(GPU))
    torch.testing.assert_close(found.cpu(), here, atol=2e-3, rtol=2e-3)  # tensor cores take TF32 for convolutions


def test_an_archive_is_judged_there(trained: Path, tmp_path: Path) -> None:
    sample_models(
        load_models([trained], "cuda"),
        tmp_path / "set",
        SampleSpec(preset="default", settings=PRESETS["default"]),
        walks=300,
    )
    examined = examine(tmp_path / "set", "digits", models=[trained], spec=EvaluateSpec(seeds=1, device="cuda"))
    assert examined.utility is not None
    assert examined.utility.ratio.mean > 0.8


def test_models_there_are_tuned(trained: Path) -> None:
    found = tune(load_models([trained], "cuda"), walks=16)
    assert found.result["candidates"]


def test_walks_there_are_looked_at(trained: Path) -> None:
    models = load_models([trained], "cuda")
    world = World(models.ensemble(), models.C, models.inputs, "models")
    frame = Live(world, Choice(PRESETS["default"], walks=8, seed=0)).goto(5)
    assert frame is not None
    assert frame.x.shape == (8, 1, 8, 8)


def test_an_experiment_is_made_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = ("one Gaussian", "reinjection without noise", *(("pythae VAE",) if find_spec("pythae") else ()))
    known = {
        "digits": Experiment(
            "digits", autoencoder=AutoencoderSpec(epochs=5), classifier=ClassifierSpec(epochs=5), peers=peers
        )
    }
    monkeypatch.setattr(comparison, "EXPERIMENTS", known)
    spec = ExperimentSpec(seeds=1, samples=1500, device="cuda")
    found = reproduce(["table"], tmp_path, only=["digits"], spec=spec).result["digits"]
    assert found["command"].endswith("--device cuda")
    assert {"ours, default", *peers} < set(found["sets"])
