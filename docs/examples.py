"""Lets mkdocstrings read our docstrings: ``Example:`` is a section of examples, a role is a link."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Names the section as griffe's parser knows it."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object with its docstring as written."""
        if obj.docstring is not None:
            text = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            text = re.sub(r":\w+:`(reinject\.[\w.]+)`", r"[`\1`][]", text)
            obj.docstring.value = re.sub(r":(?:class|func|mod|meth|data):`([^`]+)`", r"`\1`", text)
