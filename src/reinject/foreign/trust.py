"""Which models may run code: those whose exact content the user has trusted by a flag, on this machine.

Some models cannot be read without running code that is in them. ``--trust`` notes the hash of such a model in a file of
the user's; from then on exactly that content is read without a question, and anything else is refused.
"""

import os
from pathlib import Path

from reinject.base.errors import ModelError, reason


def _store() -> Path:
    home = os.environ.get("REINJECT_HOME") or os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "reinject" / "trusted"


def trust(digest: str) -> None:
    """Note that the model with this hash may run code.

    Raises:
        ModelError: nothing can be noted there.
    """
    if is_trusted(digest):
        return
    path = _store()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(digest + "\n")
    except OSError as error:
        raise _unusable(path, error) from error


def is_trusted(digest: str) -> bool:
    """Whether :func:`trust` was called with this hash, by this user."""
    path = _store()
    try:
        return path.is_file() and digest in path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError | UnicodeDecodeError) -> ModelError:
    return ModelError(
        str(path),
        f"cannot be read and written ({reason(error)}), and keeps which models are trusted",
        "Set REINJECT_HOME to a folder of yours that can be, or mend this one",
    )


def check_trusted(owner: str, digest: str) -> None:
    """Raise ModelError unless the model with this hash may run code."""
    if not is_trusted(digest):
        raise ModelError(
            owner,
            "runs code that is in it when it is read, and has not been trusted on this machine",
            "Look at where it comes from, then say so with --trust",
        )
