"""Serve the live page on the user's models or on digits: ``reinject explore``."""

import atexit
import contextlib
import errno
import functools
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from reinject.base.errors import ArgumentError, ModelError
from reinject.base.progress import Progress, Silent
from reinject.base.staging import partial_of
from reinject.explorer.commands import Bar
from reinject.explorer.session import World
from reinject.models.loading import Models, load_models, range_of
from reinject.sampling.auto import choose_settings
from reinject.sampling.presets import Settings
from reinject.training.plans import TrainPlan
from reinject.training.train import train

_POLL = 0.2  # seconds


def explore(
    models: Path | None,
    out: Path,
    *,
    port: int | None = None,
    show: bool = True,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Serve the page on 127.0.0.1 until interrupted.

    Arguments:
        models: model folder of ``reinject train`` or ``import``; None: small models of digits, trained into ``out``.
        out: folder for what visitors keep.
        port: port on 127.0.0.1; None: a free one.
        show: whether to open a browser.
        device: device of the networks.
        progress: progress reporter of the training.

    Raises:
        ModelError: the extra ``explorer`` is not installed, or the folder holds no models.
        ArgumentError: the port is taken.
    """
    if importlib.util.find_spec("nicegui") is None:
        raise ModelError("reinject explore", "needs the package nicegui", "pip install 'reinject[explorer]'")
    progress = progress or Silent()
    place = _free(port)
    folder = models or out / "models"
    if models is None and not folder.is_dir():
        progress.say("no models given: training small models on the embedded digits")
        out.mkdir(parents=True, exist_ok=True)
        train(TrainPlan("digits"), folder, device="cpu", progress=progress)
    labelled = (folder / "classifier").is_dir()
    loaded = load_models([folder], device, labelled=labelled)
    world = World(loaded.ensemble(), loaded.C, loaded.inputs, str(folder))
    from reinject.explorer.serve import serve

    progress.say(f"http://127.0.0.1:{place}  (press Ctrl-C to stop)")
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to stop
        serve(world, initial_settings(loaded), out, _run, port=place, show=show)


def initial_settings(models: Models) -> Settings:
    """Choose the page's first settings as ``reinject sample`` does."""
    inputs = models.inputs
    return choose_settings(models.ensemble(), models.C, range_of(inputs), inputs.radius).settings


def _run(words: Sequence[str], bar: Bar) -> str:
    """Run a command line in another process to its end; return its result in words."""
    out = Path(words[words.index("--out") + 1])
    blocks = -(-int(words[words.index("--walks") + 1]) // int(words[words.index("--block-size") + 1]))
    program = [sys.executable, "-c", "from reinject.cli import main; main()", *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        stop = functools.partial(process.terminate)
        atexit.register(stop)
        while process.poll() is None:
            bar.share = sum(1 for _ in partial_of(out).glob("data/*.parquet")) / blocks
            time.sleep(_POLL)
        atexit.unregister(stop)
        said, failed = process.communicate()
    if process.returncode == 0:
        bar.share = 1.0
    return (said if process.returncode == 0 else failed).strip().splitlines()[0]


def _free(port: int | None) -> int:
    """Find a free port.

    Raises:
        ArgumentError: the given port is taken, or is not a port.
    """
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port or 0))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            problem = f"{port} is taken" if taken else f"{port} is not available ({error.strerror})"
            raise ArgumentError("--port", problem, "Give another port, or leave out --port") from error
        except OverflowError as error:
            raise ArgumentError("--port", f"{port} is not a port", "Give 1 to 65535, or leave out --port") from error
        return int(probe.getsockname()[1])
