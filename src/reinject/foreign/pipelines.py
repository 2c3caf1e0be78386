"""Load pipelines of diffusers: a ``UNet2DModel`` and its scheduler as a denoiser of images, or of codes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.base.files import read_json
from reinject.foreign.preconditioning import Elucidated, VarianceExploding, VariancePreserving
from reinject.foreign.route import Loaded, library, readable

INDEX = "model_index.json"
AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny", "VQModel")
_PRESERVING = (
    *("DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"),
    *("HeunDiscreteScheduler", "LMSDiscreteScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"),
    "UniPCMultistepScheduler",
)
_ELUCIDATED = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler")
_EXPLODING = ("ScoreSdeVeScheduler",)
_KNOWN = {
    "unet": ("UNet2DModel",),
    "scheduler": (*_PRESERVING, *_ELUCIDATED, *_EXPLODING),
    "vae": AUTOENCODERS,
    "vqvae": AUTOENCODERS,
}
_WEIGHTS = "diffusion_pytorch_model*.safetensors*"  # one file, or several and their index


def is_pipeline(folder: Path) -> bool:
    """Return whether a folder holds a pipeline of diffusers."""
    return (folder / INDEX).is_file()


def take_pipeline(source: Path, folder: Path, owner: str) -> None:
    """Copy the parts of a pipeline, each into its own folder; older ones have all of them in one.

    Raises:
        ModelError: the pipeline has other parts, or no safetensors.
    """
    shutil.copyfile(source / INDEX, folder / INDEX)
    for name in _parts(source, owner):
        place = source / name if (source / name).is_dir() else source
        (folder / name).mkdir()
        config = "scheduler_config.json" if name == "scheduler" else "config.json"
        files = [place / config, *(sorted(place.glob(_WEIGHTS)) if name != "scheduler" else [])]
        if not files[0].is_file() or (name != "scheduler" and len(files) == 1):
            missing = config if not files[0].is_file() else "diffusion_pytorch_model.safetensors"
            cure = "Save it with save_pretrained(safe_serialization=True)"
            raise ModelError(owner, f"has no {name}/{missing}", cure)
        for path in files:
            shutil.copyfile(path, folder / name / path.name)


def _parts(folder: Path, owner: str) -> dict[str, str]:
    """Return the classes of a pipeline's parts, by name.

    Raises:
        ModelError: a part of another kind, such as a text encoder.
    """
    index: Any = read_json(folder / INDEX, ModelError)
    entries = index.items() if isinstance(index, dict) else ()
    pairs = {name: value for name, value in entries if isinstance(value, list) and len(value) == 2}
    parts = {name: str(kind) for name, (_, kind) in pairs.items() if kind is not None}
    for name, kind in parts.items():
        if name not in _KNOWN or kind not in _KNOWN[name]:
            known = f"{', '.join(_KNOWN[name])} are known" if name in _KNOWN else "no text or image may condition it"
            cure = "Give a pipeline of UNet2DModel, unconditional or class-conditional"
            raise ModelError(owner, f"has a {name} of class {kind}, and {known}", cure)
    missing = [name for name in ("unet", "scheduler") if name not in parts]
    if missing:
        raise ModelError(owner, f"its {INDEX} names no {' and no '.join(missing)}", "Save it with save_pretrained()")
    return parts


def load_pipeline(folder: Path, owner: str) -> Loaded:
    """Load a copied pipeline.

    Raises:
        ModelError: damaged files, or a network that cannot be read as a denoiser.
    """
    parts = _parts(folder, owner)
    unet = read_part(folder / "unet", parts["unet"])
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json", ModelError)
    denoiser, bounds, notes = _denoiser(unet, parts["scheduler"], scheduler, owner)
    shape, classes = _shape(unet.config, owner), _classes(unet.config, owner)
    loaded = Loaded(denoiser, shape, bounds, gives="values", notes=notes, levels=denoiser.levels, labels=classes)
    name = next((one for one in ("vqvae", "vae") if one in parts), None)
    if name is None:
        return loaded
    return _latent(read_part(folder / name, parts[name]), loaded)


def read_part(folder: Path, kind: str) -> Any:
    """Load a network of diffusers from its config and its safetensors; ``kind`` is its class.

    Raises:
        ModelError: damaged files, or weights that do not fit.
    """
    diffusers = library("diffusers", "diffusers")
    try:
        return getattr(diffusers, kind).from_pretrained(
            str(folder), use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise readable("diffusers", str(folder), error) from error


def _denoiser(unet: Any, kind: str, config: Any, owner: str) -> tuple[Any, tuple[float, float], tuple[str, ...]]:
    """Return the denoiser of a network and its scheduler, the range of its images, and notes."""
    try:
        scheduler = getattr(library("diffusers", "diffusers"), kind).from_config(config)
    except (ValueError, TypeError, KeyError, NotImplementedError, AttributeError) as error:
        raise readable("diffusers", f"{owner}'s scheduler", error) from error
    told = scheduler.config
    prediction = told.get("prediction_type", "epsilon")
    if kind in _EXPLODING:
        return VarianceExploding(unet, (told.sigma_min, told.sigma_max)), (0.0, 1.0), ()
    if kind in _ELUCIDATED:
        return Elucidated(unet, (told.sigma_min, told.sigma_max), told.sigma_data, prediction), (-1.0, 1.0), ()
    clip = float(told.get("clip_sample_range", 1.0)) if told.get("clip_sample") else None
    whole = unet.config.time_embedding_type == "learned"
    denoiser = VariancePreserving(unet, scheduler.alphas_cumprod, prediction, clip, whole)
    low, high = denoiser.levels
    notes = [f"its timesteps have noise {low:.3g} to {high:.4g}, and it predicts {prediction}"]
    if denoiser.left_out:
        notes.append(f"its last {denoiser.left_out} timesteps have no signal in float32; walks begin at the one before")
    if told.get("thresholding"):
        notes.append("its scheduler's dynamic thresholding is left out")
    return denoiser, (-1.0, 1.0), tuple(notes)


def _shape(config: Any, owner: str) -> tuple[int, int, int]:
    size = config.sample_size
    if size is None:
        raise ModelError(owner, "its unet states no sample_size", "Add it to unet/config.json")
    height, width = (size, size) if isinstance(size, int) else size
    return int(config.in_channels), int(height), int(width)


def _classes(config: Any, owner: str) -> int:
    """Return the number of classes that a network takes; 0 for an unconditional one."""
    if config.class_embed_type is None:
        return int(config.num_class_embeds or 0)
    cure = "Give a network with num_class_embeds classes"
    raise ModelError(owner, f"takes {config.class_embed_type!r} embeddings in place of classes", cure)


def halves(
    model: Any, scale: float = 1.0, shift: float = 0.0
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return encoder (the mean code) and decoder of an autoencoder of diffusers; codes are less shift, times scale."""

    def encode(x: Tensor) -> Tensor:
        found = model.encode(x)
        code: Tensor = found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents
        return (code - shift) * scale

    def decode(h: Tensor) -> Tensor:
        x: Tensor = model.decode(h / scale + shift).sample
        return x

    return encode, decode


class _Both(nn.Module):
    """An autoencoder r(x) = decode(encode(x)), with the denoiser of its codes."""

    def __init__(self, autoencoder: nn.Module, codes: nn.Module) -> None:
        super().__init__()
        self.autoencoder, self.codes = autoencoder, codes
        self.what = f"{type(autoencoder).__name__} with a denoiser of its codes"
        config: Any = autoencoder.config
        scale, shift = config.get("scaling_factor") or 1.0, config.get("shift_factor") or 0.0
        self.encode, self.decode = halves(autoencoder, float(scale), float(shift))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def _latent(autoencoder: Any, codes: Loaded) -> Loaded:
    """Return the autoencoder of a latent pipeline, with the denoiser of its codes."""
    assert codes.shape is not None
    both = _Both(autoencoder, codes.module)
    times = 2 ** (len(autoencoder.config.block_out_channels) - 1)
    shape = (int(autoencoder.config.in_channels), *(times * side for side in codes.shape[1:]))
    note = f"it walks among codes {codes.shape}, and decodes them to {shape}"
    return Loaded(both, shape, (-1.0, 1.0), both.encode, both.decode, "values", notes=(*codes.notes, note), codes=codes)
