"""Define the command ``reinject doctor``."""

from reinject.cli.app import finish
from reinject.cli.options import DataDir, Json


def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show what this machine has: versions, extras, devices, threads, data sets, disk."""
    from reinject.cli.doctor import doctor as run

    finish(run(data_dir), as_json)
