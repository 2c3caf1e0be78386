"""Record which models may run code: those whose exact content the user has trusted by a flag, on this machine.

Some models cannot be read without running their own code. ``--trust`` records the hash of such a model in a file of the
user. Later, exactly that content is read without a question, and any other content is refused.
"""

import os
from pathlib import Path

from reinject.base.errors import ModelError, reason


def _store() -> Path:
    home = os.environ.get("REINJECT_HOME") or os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "reinject" / "trusted"


def trust(digest: str) -> None:
    """Record that the model with this hash may run code.

    Raises:
        ModelError: the record cannot be written.
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
    """Return whether this user has called :func:`trust` with this hash."""
    path = _store()
    try:
        return path.is_file() and digest in path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError | UnicodeDecodeError) -> ModelError:
    return ModelError(
        str(path),
        f"cannot be read and written ({reason(error)}), and it records the trusted models",
        "Set REINJECT_HOME to a folder with read and write access, or repair this one",
    )


def check_trusted(owner: str, digest: str) -> None:
    """Raise ModelError unless the model with this hash may run code."""
    if not is_trusted(digest):
        raise ModelError(
            owner,
            "runs code when it is read, and is not trusted on this machine",
            "Check where it comes from, then trust it with --trust",
        )
