"""``reinject push``."""

from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import Json, Synthetic


def push(
    synthetic: Synthetic,
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face hub; made where it is not there.")],
    public: Annotated[bool, typer.Option("--public", help="For all to see; else what is made is private.")] = False,
    as_json: Json = False,
) -> None:
    """Upload an archive to the Hugging Face hub, after a look at every byte."""
    from reinject.archive.push import push as run

    finish(run(synthetic, repository, public=public), as_json)
