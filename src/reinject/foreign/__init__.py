"""Models of other libraries: a file a route; none runs code of a model that the user has not trusted."""

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
    """The route of a source, by name, or by what the source looks like.

    Raises:
        ArgumentError: no such route, or none fits.

    Example:
        >>> route_for("model.onnx").name, route_for("package.models:make").name
        ('onnx', 'module')
        >>> route_for("model.pkl")
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: import: model.pkl is a pickle, which is not read ...
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
            f"{source} is a pickle, which is not read because it can run code"
            if not source.endswith(".h5")
            else f"{source} is of an older Keras",
            "Save the weights with safetensors.torch.save_model and give PACKAGE.MODULE:CLASS --weights FILE, "
            "or export to ONNX, .skops or .keras",
        )
    if source.endswith(".safetensors"):
        raise ArgumentError(
            "import", f"{source} holds weights and no network to put them in", f"Give FILE.py:CLASS --weights {source}"
        )
    if source.endswith(".py"):
        raise ArgumentError("import", f"{source} does not say which name in it is the network", f"Give {source}:NAME")
    known = "; ".join(f"{route.name}: {route.what}" for route in ROUTES.values())
    raise ArgumentError("import", f"{source} is nothing that is known", f"Give one of {known}")
