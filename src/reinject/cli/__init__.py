"""Run the command line: read options, call functions, print results."""

import logging
import os

from reinject.base.processes import keep_memory, share_cores
from reinject.cli.app import app, guarded
from reinject.cli.config import Command
from reinject.cli.demo_command import demo
from reinject.cli.diagnose_command import diagnose
from reinject.cli.doctor_command import doctor
from reinject.cli.evaluate_command import evaluate
from reinject.cli.explore_command import explore
from reinject.cli.export_command import export
from reinject.cli.extract_command import extract
from reinject.cli.import_command import import_, inspect, try_
from reinject.cli.kernels_command import KernelCommand, kernels
from reinject.cli.push_command import push
from reinject.cli.report_command import report
from reinject.cli.reproduce_command import reproduce
from reinject.cli.sample_command import sample
from reinject.cli.theory_command import theory
from reinject.cli.train_command import train
from reinject.cli.tune_command import tune
from reinject.cli.verify_command import trace, verify

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
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # hide its retries; reinject reports the failure
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)  # the layout of processes
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    app()
