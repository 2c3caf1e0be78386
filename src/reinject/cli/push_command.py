"""Define the command ``reinject push``."""

from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import Json, Synthetic


def push(
    synthetic: Synthetic,
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face hub; made if missing.")],
    public: Annotated[bool, typer.Option("--public", help="Make a public repository. Default: private.")] = False,
    as_json: Json = False,
) -> None:
    """Check every byte of an archive, then upload it to the Hugging Face hub."""
    from reinject.archive.push import push as run

    finish(run(synthetic, repository, public=public), as_json)
