"""Pipelines of diffusers as denoisers: their own samplers' samples, from the same noise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reinject.archive import Archive
from reinject.base.errors import ArgumentError, ModelError
from reinject.evaluation.candidates import candidates
from reinject.foreign import ROUTES, SOURCE, Given, Loaded, route_for, trust
from reinject.foreign.folder import describe, digest_of
from reinject.foreign.preconditioning import VarianceExploding, VariancePreserving
from reinject.models.importing import import_model
from reinject.models.loading import Models, load_models
from reinject.models.understanding import understand
from reinject.models.wanted import Wanted
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.sampling.trace import trace
from reinject.sampling.verify import verify
from reinject.walks.code_space import latent
from reinject.walks.conditioning import Conditioning
from reinject.walks.kernels import Ancestral
from reinject.walks.loop import walk
from reinject.walks.reconstruction import wrap
from reinject.walks.schedules import PerStep
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Points

diffusers = pytest.importorskip("diffusers")

SHAPE = (1, 8, 8)
LEVELS, WALKS = 50, 4


def unet(seed: int = 0, channels: int = 1, size: int = 8, **more: Any) -> Any:
    """A tiny network with random weights; its last layer is large enough that predictions matter."""
    torch.manual_seed(seed)
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    sizes = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 4}
    inputs = {"sample_size": size, "in_channels": channels, "out_channels": channels}
    return diffusers.UNet2DModel(**inputs, **blocks, **sizes, **more).eval()


def saved(folder: Path, network: Any, scheduler: Any, **parts: Any) -> Path:
    """Save a pipeline as diffusers does, by its parts."""
    kinds = {"unet": network, "scheduler": scheduler, **parts}
    index = {"_class_name": "DDPMPipeline", **{name: ["diffusers", type(one).__name__] for name, one in kinds.items()}}
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    for name, one in kinds.items():
        one.save_pretrained(folder / name)
    return folder


def loaded_from(source: Path, folder: Path) -> Loaded:
    folder.mkdir(parents=True)
    taken = ROUTES["diffusers"].take(str(source), folder, Given())
    return ROUTES["diffusers"].load(folder, taken.name)


def ours(loaded: Loaded, levels: list[float], x: Tensor) -> Tensor:
    """Walk without new noise over these levels from x, and emit r at the last one."""
    assert loaded.shape is not None
    told = Conditioning(loaded.levels, loaded.labels)
    r = wrap(loaded.module, loaded.shape, noise_conditioned=told, sigma=1.0)
    spec = WalkSpec(len(levels) - 1, len(levels) - 1, emit="reconstruction")
    run = RunSpec(len(x), block_size=len(x))
    return list(walk(Ancestral(r, PerStep(tuple(levels)), eta=0.0), Points(x), loaded.shape, spec, run))[-1].x


@torch.no_grad()
def theirs(network: Any, scheduler: Any, x: Tensor, label: Tensor | None = None, **step: Any) -> Tensor:
    """The loop of diffusers' own pipelines."""
    scheduler.set_timesteps(LEVELS)
    for t in scheduler.timesteps:
        predicted = network(scheduler.scale_model_input(x, t), t, label).sample
        x = scheduler.step(predicted, t, x, **step).prev_sample
    return x


BETAS = {
    "linear": {"beta_schedule": "linear"},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "trained": {"trained_betas": torch.linspace(1e-3, 0.03, 400).tolist(), "num_train_timesteps": 400},
}


@pytest.mark.parametrize(
    ("kind", "prediction", "betas", "clip"),
    [
        ("DDPMScheduler", "epsilon", "linear", True),
        pytest.param("DDIMScheduler", "v_prediction", "cosine", False, marks=pytest.mark.slow),
        pytest.param("DDIMScheduler", "sample", "trained", True, marks=pytest.mark.slow),
        pytest.param("PNDMScheduler", "epsilon", "linear", None, marks=pytest.mark.slow),
        pytest.param("EulerDiscreteScheduler", "v_prediction", "linear", None, marks=pytest.mark.slow),
    ],
)
def test_a_walk_without_new_noise_is_the_pipelines_ddim(
    tmp_path: Path, kind: str, prediction: str, betas: str, clip: bool | None
) -> None:
    network = unet()
    clips = {} if clip is None else {"clip_sample": clip}
    scheduler = getattr(diffusers, kind)(prediction_type=prediction, **BETAS[betas], **clips)
    loaded = loaded_from(saved(tmp_path / "pipeline", network, scheduler), tmp_path / "copy")
    sampler = diffusers.DDIMScheduler.from_config(scheduler.config, clip_sample=bool(clip), set_alpha_to_one=True)
    sampler.set_timesteps(LEVELS)
    shares = sampler.alphas_cumprod[sampler.timesteps].double()
    z = torch.randn(WALKS, *SHAPE, generator=torch.Generator().manual_seed(1))
    found = ours(loaded, ((1 - shares) / shares).sqrt().tolist(), z / shares[0].sqrt().float())
    wanted = theirs(network, sampler, z, eta=0.0, use_clipped_model_output=bool(clip))
    assert float((found - wanted).abs().max()) < 1e-4 * max(1.0, float(wanted.abs().max()))


@pytest.mark.parametrize("prediction", ["epsilon", pytest.param("v_prediction", marks=pytest.mark.slow)])
def test_an_edm_walk_without_new_noise_is_eulers_method(tmp_path: Path, prediction: str) -> None:
    network = unet()
    scheduler = diffusers.EDMEulerScheduler(prediction_type=prediction, sigma_max=20.0)
    loaded = loaded_from(saved(tmp_path / "pipeline", network, scheduler), tmp_path / "copy")
    assert loaded.levels == (0.002, 20.0)
    scheduler.set_timesteps(LEVELS)
    x = 20 * torch.randn(WALKS, *SHAPE, generator=torch.Generator().manual_seed(1))
    found = ours(loaded, scheduler.sigmas[:-1].tolist(), x)
    wanted = theirs(network, scheduler, x)
    assert float((found - wanted).abs().max()) < 1e-4 * max(1.0, float(wanted.abs().max()))


@pytest.mark.slow
def test_a_class_conditional_walk_has_the_pipelines_samples_of_its_classes(tmp_path: Path) -> None:
    network, scheduler = unet(num_class_embeds=3), diffusers.DDIMScheduler(set_alpha_to_one=True)
    loaded = loaded_from(saved(tmp_path / "pipeline", network, scheduler), tmp_path / "copy")
    assert loaded.labels == 3
    scheduler.set_timesteps(LEVELS)
    shares = scheduler.alphas_cumprod[scheduler.timesteps].double()
    z = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(1))
    found = ours(loaded, ((1 - shares) / shares).sqrt().tolist(), z / shares[0].sqrt().float())
    wanted = theirs(network, scheduler, z, torch.arange(5) % 3, use_clipped_model_output=True)
    other = theirs(network, scheduler, z, torch.zeros(5).long(), use_clipped_model_output=True)
    assert float((found - wanted).abs().max()) < 1e-4 < float((found - other).abs().max())


def test_a_score_network_gives_the_denoiser_of_a_gaussian() -> None:
    """The score of N(0, 1 + sigma^2) makes r = x/(1 + sigma^2); so do noise, velocity and x_0 of the same law."""
    x, sigma = torch.linspace(-2, 2, 5)[:, None], torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0])
    wanted = x / (1 + sigma[:, None] ** 2)
    shares = 1 / (1 + torch.logspace(-2, 1, 300) ** 2)
    a = (1 / (1 + sigma**2))[:, None]
    predictions = {"epsilon": (1 - a).sqrt(), "v_prediction": 0 * a, "sample": a.sqrt()}  # times x_t ~ N(0, 1)
    for name, times in predictions.items():
        r = VariancePreserving(lambda z, t, times=times: times * z, shares, name)  # noqa: ARG005
        assert torch.allclose(r(x, sigma), wanted, atol=1e-6), name
    exploding = VarianceExploding(lambda z, t: -z / (1 + t[:, None] ** 2), (0.01, 10.0))
    assert torch.allclose(exploding(x, sigma), wanted, atol=1e-6)


def test_timesteps_are_interpolated_in_log_sigma_or_rounded() -> None:
    sigma = torch.logspace(-2, 2, 101)
    r = VariancePreserving(lambda z, _: z, 1 / (1 + sigma**2))
    between = torch.tensor([0.001, sigma[3], (sigma[3] * sigma[4]).sqrt(), sigma[100], 1000.0])
    assert torch.allclose(r.timestep(between), torch.tensor([0, 3, 3.5, 100, 100]), atol=1e-3)
    whole = VariancePreserving(lambda z, _: z, 1 / (1 + sigma**2), whole=True)
    assert whole.timestep(between[[0, 1, 3]]).tolist() == [0, 3, 100]


def test_a_last_timestep_without_signal_is_left_out(tmp_path: Path) -> None:
    scheduler = diffusers.DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    loaded = loaded_from(saved(tmp_path / "pipeline", unet(), scheduler), tmp_path / "copy")
    assert "its last 5 timesteps have no signal" in " ".join(loaded.notes)
    assert loaded.levels is not None
    assert loaded.levels[1] < 1e4


def imported(pipeline: Path, out: Path, class_names: tuple[str, ...] = ()) -> Models:
    """Import as the command does, but in this process; the extra process has its own tests."""
    folder = out / "autoencoder"
    loaded = loaded_from(pipeline, folder / SOURCE)
    network, _ = understand(loaded, Wanted(class_names=class_names), None, "pipeline")
    describe(folder, "diffusers", ".", network)
    trust(f"read:{digest_of(folder)}")
    return load_models([out], labelled=network.takes_classes)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))


UNJUDGED = Writing(judged=False)


def test_a_class_conditional_pipeline_gives_the_label_with_the_sample(tmp_path: Path) -> None:
    pipeline = saved(tmp_path / "pipeline", unet(num_class_embeds=3), diffusers.DDIMScheduler())
    models = imported(pipeline, tmp_path / "models", ("a", "b", "c"))
    assert models.C is None
    assert models.inputs.class_names == ("a", "b", "c")
    assert [one.steps for one in candidates(models)] == [25, 4, 9, 19, 49]
    short = SampleSpec(options={"sigma": "geometric:100:0.02", "steps": 3, "burn_in": 3})
    sample_models(models, tmp_path / "all", short, walks=5, writing=UNJUDGED)
    kept = Archive.open(tmp_path / "all")
    x, y = kept.read()
    assert y.tolist() == [0, 1, 2, 0, 1]
    assert kept.class_names == ("a", "b", "c")
    asked = replace(short, options={**short.options, "classes": (2, 0)})
    sample_models(models, tmp_path / "some", asked, walks=4, writing=UNJUDGED)
    there, labels = Archive.open(tmp_path / "some").read()
    assert labels.tolist() == [2, 0, 2, 0]
    assert not torch.equal(there[0], x[0])
    assert torch.equal(there[3], x[3])
    assert not verify(tmp_path / "some").failure
    assert not trace(tmp_path / "some", [1, 2]).failure
    with pytest.raises(ArgumentError, match=r"--sigma: 500 is above 157.4, the most noise .* Give levels of at most"):
        sample_models(models, tmp_path / "far", SampleSpec(options={"sigma": "geometric:500:1"}), walks=1)


def test_a_latent_pipeline_walks_among_codes_and_keeps_pixels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    sizes = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 2}
    autoencoder = diffusers.AutoencoderKL(1, 1, **blocks, **sizes, scaling_factor=0.5).eval()
    network, scheduler = unet(channels=2, size=4), diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=True)
    models = imported(saved(tmp_path / "p", network, scheduler, vae=autoencoder), tmp_path / "models")
    r = models.ensemble()
    assert r.event_shape == SHAPE
    assert r.has_code
    assert latent(r).event_shape == (2, 4, 4)
    assert latent(r).noise_conditioned
    outcome = sample_models(models, tmp_path / "set", SampleSpec(), walks=4, writing=UNJUDGED)
    assert "--latent, 25 steps" in outcome.lines[0]
    x, _ = Archive.open(tmp_path / "set").read()
    assert x.shape == (4, *SHAPE)
    assert not trace(tmp_path / "set", [0]).failure
    scheduler.set_timesteps(LEVELS)
    shares = scheduler.alphas_cumprod[scheduler.timesteps].double()
    z = torch.randn(WALKS, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    codes = loaded_from(tmp_path / "p", tmp_path / "copy").codes
    assert codes is not None
    found = r.decode(ours(codes, ((1 - shares) / shares).sqrt().tolist(), z / shares[0].sqrt().float()))
    with torch.no_grad():
        wanted = autoencoder.decode(theirs(network, scheduler, z) / 0.5).sample
    assert torch.allclose(found, wanted, atol=1e-4)
    assert torch.allclose(r.encode(wanted), autoencoder.encode(wanted).latent_dist.mode() * 0.5, atol=1e-5)


def test_pipelines_that_are_refused(tmp_path: Path) -> None:
    text = {"_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"]}
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "model_index.json").write_text(json.dumps(text), encoding="utf-8")
    flow = saved(tmp_path / "flow", unet(), diffusers.FlowMatchEulerDiscreteScheduler())
    pickled = saved(tmp_path / "pickled", unet(), diffusers.DDPMScheduler())
    (pickled / "unet" / "diffusion_pytorch_model.safetensors").rename(pickled / "unet" / "diffusion_pytorch_model.bin")
    identity = saved(tmp_path / "identity", unet(class_embed_type="identity"), diffusers.DDPMScheduler())
    refusals = {
        tmp_path / "text": r"has a text_encoder of class CLIPTextModel, and no text or image may condition it",
        flow: r"has a scheduler of class FlowMatchEulerDiscreteScheduler, and DDPMScheduler, .* are known",
        pickled: r"has no unet/diffusion_pytorch_model.safetensors. Save it with save_pretrained\(safe_serialization",
        identity: r"takes 'identity' embeddings in place of classes. Give a network with num_class_embeds",
    }
    for number, (source, message) in enumerate(refusals.items()):
        with pytest.raises(ModelError, match=message):
            loaded_from(source, tmp_path / str(number))


def test_a_name_of_the_hub_is_fetched_without_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    flat = saved(tmp_path / "hub", unet(), diffusers.DDPMScheduler())  # older pipelines have all files in one folder
    for path in [*(flat / "unet").iterdir(), *(flat / "scheduler").iterdir()]:
        path.rename(flat / path.name)
    for name in ("unet", "scheduler"):
        (flat / name).rmdir()
    asked: list[Any] = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(flat)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert route_for("someone/cats-32").name == "diffusers"
    folder = tmp_path / "copy"
    folder.mkdir()
    ROUTES["diffusers"].take("someone/cats-32", folder, Given())
    assert ROUTES["diffusers"].load(folder, ".").shape == SHAPE
    assert asked == [("someone/cats-32", ["*.json", "*.safetensors"])]
    next(flat.glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"someone/cats-32: has no safetensors on the hub; a pickle can run code"):
        ROUTES["diffusers"].take("someone/cats-32", tmp_path / "copy", Given())


def test_samples_far_outside_of_the_range_are_refused(tmp_path: Path) -> None:
    untrained = diffusers.DDPMScheduler(clip_sample=False)
    with pytest.raises(ModelError, match=r"of the values of its samples lie far outside of -1..1. Check its scheduler"):
        imported(saved(tmp_path / "pipeline", unet(), untrained), tmp_path / "models")


@pytest.mark.slow
def test_import_reads_a_pipeline_from_the_command_line(tmp_path: Path) -> None:
    pipeline = saved(tmp_path / "pipeline", unet(num_class_embeds=2), diffusers.DDPMScheduler())
    outcome = import_model(str(pipeline), tmp_path / "models")
    assert "--labels none" not in outcome.lines[-1]
    assert outcome.result["inputs"]["shape"] == [1, 8, 8]
    assert any("class-conditional: walk k asks for class k modulo 2" in line for line in outcome.lines)
