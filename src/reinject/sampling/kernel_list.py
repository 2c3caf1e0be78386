"""List the kernels: ``reinject kernels``."""

import inspect

from reinject.base.outcome import Outcome
from reinject.sampling.presets import settings_of
from reinject.walks.kernel_options import default_of, flag, options_of
from reinject.walks.kernels import KERNELS


def table() -> Outcome:
    """List every kernel: first line of its docstring, default length and emission, options with defaults.

    Example:
        >>> table().result["half-denoising"]["options"]["sigma"]["default"]
        '0.5'
    """
    result, lines = {}, []
    for name, cls in KERNELS.items():
        settings = settings_of(name)
        options = {
            flag(item.name): {"help": item.metadata["help"], "default": default_of(name, item)}
            for item in options_of(name)
        }
        summary = inspect.getdoc(cls).split("\n\n")[0].replace("\n", " ")  # type: ignore[union-attr]
        walk = {"steps": settings.steps, "burn_in": settings.burn_in, "thin": settings.thin, "emit": settings.emit}
        result[name] = {"summary": summary, **walk, "options": options}
        lines += [f"{name}: {summary}", f"    {settings.steps} steps, {settings.emit}s after {settings.burn_in}"]
        lines += [f"    --{key} {value['default']}: {value['help']}" for key, value in options.items()]
    return Outcome(result, lines)
