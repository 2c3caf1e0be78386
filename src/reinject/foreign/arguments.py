"""Parse the arguments of a constructor, and call it."""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from reinject.base.errors import ArgumentError, ModelError, reason

_REQUIRED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_OPEN, _CLOSE = "([{", ")]}"


def arguments_of(texts: Sequence[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE,NAME=VALUE``; values are Python literals, or else text.

    Arguments:
        texts: such lists; commas inside brackets and quotes belong to a value.

    Raises:
        ArgumentError: a part without ``=``, an invalid name, or a repeated one.

    Example:
        >>> arguments_of(["latent=32,sizes=(64, 32)", "act=relu,norm=None"])
        {'latent': 32, 'sizes': (64, 32), 'act': 'relu', 'norm': None}
    """
    found: dict[str, Any] = {}
    for part in (part for text in texts for part in _parts(text)):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise ArgumentError(
                "--args", f"{part!r} is not NAME=VALUE", "Give NAME=VALUE pairs, such as --args latent=32,hidden=256"
            )
        if name in found:
            raise ArgumentError("--args", f"{name} is given twice", "Give it once")
        try:
            found[name] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found[name] = value.strip()
    return found


def as_text(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Write arguments as text for a configuration; :func:`from_text` reads it.

    Raises:
        ArgumentError: a value is not a Python literal.
    """
    kept = {name: repr(value) for name, value in arguments.items()}
    for name, text in kept.items():
        try:
            ast.literal_eval(text)
        except (ValueError, SyntaxError) as error:
            raise ArgumentError(
                "--args", f"{name}={text} is not a literal", "Give numbers, text, lists of them"
            ) from error
    return kept


def from_text(kept: Mapping[str, str]) -> dict[str, Any]:
    """Parse the output of :func:`as_text`.

    Example:
        >>> from_text(as_text({"sizes": (64, 32), "act": "relu"}))
        {'sizes': (64, 32), 'act': 'relu'}
    """
    return {name: ast.literal_eval(text) for name, text in kept.items()}


def call(make: Callable[..., Any], arguments: Mapping[str, Any], source: str) -> Any:
    """Call a class or function with the user's arguments.

    Raises:
        ModelError: it needs arguments that are not given, does not take a given one, or fails.
    """
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]
    empty = inspect.Parameter.empty
    missing = [
        one.name
        for one in parameters.values()
        if one.kind in _REQUIRED and one.default is empty and one.name not in arguments
    ]
    if missing:
        line = ",".join(f"{name}=VALUE" for name in missing)
        raise ModelError(source, f"needs arguments that are not given: {', '.join(missing)}", f"Give --args {line}")
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    unknown = [name for name in arguments if name not in parameters and not takes_any]
    if parameters and unknown:
        known = ", ".join(parameters)
        raise ModelError(source, f"takes no argument {unknown[0]!r}", f"Its arguments are {known}")
    try:
        return make(**arguments)
    except Exception as error:  # it is foreign code
        said = f" with {', '.join(f'{k}={v!r}' for k, v in arguments.items())}" if arguments else ""
        raise ModelError(
            source, f"returns no model{said} ({reason(error)})", "Check its arguments, and give --args"
        ) from error


def _parts(text: str) -> Iterator[str]:
    """Split a list at the commas outside brackets and quotes."""
    depth, quote, begin, escaped = 0, "", 0, False
    for at, letter in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = letter == "\\"
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _OPEN or letter in _CLOSE:
            depth += 1 if letter in _OPEN else -1
        elif letter == "," and depth <= 0:
            yield text[begin:at]
            begin = at + 1
    if text[begin:].strip():
        yield text[begin:]
