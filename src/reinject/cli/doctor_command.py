"""``reinject doctor``."""

from reinject.cli.app import finish
from reinject.cli.options import DataDir, Json


def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Say what this machine has: versions, extras, devices, threads, data found, disk."""
    from reinject.cli.doctor import doctor as run

    finish(run(data_dir), as_json)
