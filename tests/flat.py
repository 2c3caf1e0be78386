"""A call of sample or sample_models from options by name, whatever value they belong to."""

from dataclasses import fields
from typing import Any

from reinject.sampling.sample_spec import Format, Parallel, SampleSpec, Writing

_FORMAT = {"store": "kind", "value_range": "value_range", "images": "images", "compression": "compression"}
_DIRECT = ("walks", "seed")


def flat(**options: Any) -> dict[str, Any]:
    """The arguments of the call; what no value has is an option of the kernel."""

    def taken(cls: type) -> dict[str, Any]:
        return {one.name: options.pop(one.name) for one in fields(cls) if one.name in options}

    direct = {name: options.pop(name) for name in _DIRECT if name in options}
    kept = {_FORMAT[name]: options.pop(name) for name in list(options) if name in _FORMAT}
    writing, parallel, of_spec = Writing(**taken(Writing)), taken(Parallel), taken(SampleSpec)
    spec = SampleSpec(**of_spec, options=options, format=Format(**kept))
    return {**direct, "spec": spec, "writing": writing, **({"parallel": Parallel(**parallel)} if parallel else {})}
