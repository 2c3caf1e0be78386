"""The autoencoder of codes, which a walk in the space of codes has in place of r."""

import torch

from reinject.base.errors import ModelError
from reinject.walks.reconstruction import Ensemble, Reconstruction, two_points


def latent(r: Reconstruction | Ensemble) -> Ensemble:
    """Return h -> encode(decode(h)), the autoencoder of codes, which any kernel can walk in place of r.

    An r with a denoiser of its codes (a latent diffusion model) gives that denoiser, which is noise-conditioned. Points
    of these walks are codes. Emit data by ``walk(..., transform=r.decode)``.

    Raises:
        ModelError: r has no encoder and decoder.

    Example:
        >>> from reinject import wrap
        >>> half = torch.nn.Linear(2, 1), torch.nn.Linear(1, 2)
        >>> latent(wrap(half, (2,))).event_shape
        (1,)
    """
    members = r.members if isinstance(r, Ensemble) else (r,)
    return Ensemble(tuple(_latent(member) for member in members))


def _latent(r: Reconstruction) -> Reconstruction:
    if r.codes is not None:
        return r.codes
    if not r.has_code:
        raise ModelError(
            r.name,
            "has no encoder and decoder, so there is no code space to walk in",
            "Train one with --autoencoder mlp or conv, or wrap (encoder, decoder)",
        )
    with torch.no_grad():
        shape = tuple(r.encode(two_points(r.event_shape, r.device)).shape[1:])
    return Reconstruction(lambda h: r.encode(r.decode(h)), shape, r.device, name=f"latent({r.name})")
