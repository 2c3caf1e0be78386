"""The command line: options in, jobs called, results printed; no logic of its own."""

import logging
import os

from reinject.cli.app import app, guarded
from reinject.cli.config import Command
from reinject.cli.demo import demo
from reinject.cli.diagnose import diagnose
from reinject.cli.doctor import doctor
from reinject.cli.evaluate import evaluate
from reinject.cli.explore import explore
from reinject.cli.export import export
from reinject.cli.extract import extract
from reinject.cli.importing import import_, inspect, try_
from reinject.cli.kernels import KernelCommand, kernels
from reinject.cli.push import push
from reinject.cli.report import report
from reinject.cli.reproduce import reproduce
from reinject.cli.sample import sample
from reinject.cli.theory import theory
from reinject.cli.train import train
from reinject.cli.tune import tune
from reinject.cli.verify import trace, verify
from reinject.processes import keep_memory, share_cores

__all__ = ["app", "main"]

_COMMANDS = (
    *(demo, train, extract, evaluate, report, diagnose, tune, inspect),
    *(explore, doctor, verify, trace, export, push, kernels, theory, reproduce),
)

for _command in _COMMANDS:
    app.command(cls=Command)(guarded(_command))
app.command("import", cls=Command)(guarded(import_))
app.command("try", cls=Command)(guarded(try_))
app.command(cls=KernelCommand)(guarded(sample))


def main() -> None:
    """Run the command line."""
    keep_memory()
    share_cores()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries; the failure itself is ours to tell
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)  # the layout of processes
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    app()
