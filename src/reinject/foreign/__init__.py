"""Models of other libraries: one file for each route; none runs a model's code that the user has not trusted."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from reinject.base.errors import ArgumentError
from reinject.foreign.route import SOURCE, Foreign, Given, Gives, Loaded, Native, Role, Route, Taken
from reinject.foreign.trust import check_trusted, is_trusted, trust

_MODULES = ("torch_module", "exported", "onnx", "diffusers", "pythae", "sklearn", "keras", "pickled")
_FOUND = [import_module(f"{__name__}.{name}") for name in _MODULES]
ROUTES: Mapping[str, Route] = MappingProxyType(
    {route.name: route for module in _FOUND for route in (getattr(module, "SCRIPT", None), module.ROUTE) if route}
)

__all__ = [
    "ROUTES",
    "SOURCE",
    "Foreign",
    "Given",
    "Gives",
    "Loaded",
    "Native",
    "Role",
    "Route",
    "Taken",
    "check_trusted",
    "is_trusted",
    "route_for",
    "trust",
]


def route_for(source: str, name: str | None = None) -> Route:
    """Return the route of a source, by name, or recognised from the source.

    Raises:
        ArgumentError: an unknown route, or a source that fits no route.

    Example:
        >>> route_for("model.onnx").name, route_for("package.models:make").name
        ('onnx', 'module')
        >>> route_for("model.pkl")
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: import: model.pkl is a pickle, which can run code, ...
    """
    if name is not None:
        if name not in ROUTES:
            raise ArgumentError("--route", f"{name!r} is not known", f"Use one of {', '.join(ROUTES)}")
        return ROUTES[name]
    for route in ROUTES.values():
        if route.fits(source):
            return route
    if source.endswith((".pkl", ".pickle", ".joblib", ".h5")):
        raise ArgumentError(
            "import",
            f"{source} is a pickle, which can run code, so it is not read"
            if not source.endswith(".h5")
            else f"{source} is of an older Keras",
            "Save the weights with safetensors.torch.save_model and give PACKAGE.MODULE:CLASS --weights FILE, "
            "or export to ONNX, .skops or .keras",
        )
    if source.endswith(".safetensors"):
        raise ArgumentError(
            "import", f"{source} holds weights, but no network for them", f"Give FILE.py:CLASS --weights {source}"
        )
    if source.endswith(".py"):
        raise ArgumentError("import", f"{source} does not name its network", f"Give {source}:NAME")
    known = "; ".join(f"{route.name}: {route.what}" for route in ROUTES.values())
    raise ArgumentError("import", f"{source} is of an unknown kind", f"Give one of {known}")
