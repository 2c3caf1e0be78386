"""Read names of classes that models of other libraries hold: in their metadata, operators, configs."""

import ast
import json
from collections.abc import Mapping
from typing import Any

_KEYS = ("class_names", "classes", "names", "labels", "id2label")
_LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")  # of the operators of ai.onnx.ml


def class_names(model: Any) -> tuple[str, ...]:
    """Return the names in an ONNX model: from its metadata, else from its classifier operator; empty without any.

    Arguments:
        model: the parsed graph.
    """
    told = {one.key.lower(): one.value for one in model.metadata_props}
    for key in _KEYS:
        if key in told:
            return listed(told[key])
    for node in reversed(model.graph.node):
        for attribute in node.attribute if node.domain == "ai.onnx.ml" else ():
            if attribute.name in _LABELS and (attribute.strings or attribute.ints):
                return tuple(one.decode() for one in attribute.strings) or tuple(map(str, attribute.ints))
    return ()


def listed(value: Any) -> tuple[str, ...]:
    """Return names from a list, a mapping of numbers to names, or either of them as text.

    Example:
        >>> listed("{0: 'cat', 1: 'dog'}"), listed('["a", "b"]'), listed("a, b"), listed({"1": "b", "0": "a"})
        (('cat', 'dog'), ('a', 'b'), ('a', 'b'), ('a', 'b'))
    """
    if isinstance(value, str):
        for read in (json.loads, ast.literal_eval):
            try:
                found = read(value)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(found, (Mapping, list, tuple)):
                return listed(found)
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Mapping):
        try:
            return tuple(str(value[key]) for key in sorted(value, key=int))
        except (TypeError, ValueError):
            return ()
    return tuple(map(str, value))


def of_module(module: Any) -> tuple[str, ...]:
    """Return the names in the config of a transformers network, without LABEL_0, LABEL_1, ...; empty without any."""
    labels = getattr(getattr(module, "config", None), "id2label", None)
    names = listed(labels) if isinstance(labels, Mapping) else ()
    return () if all(name == f"LABEL_{k}" for k, name in enumerate(names)) else names
