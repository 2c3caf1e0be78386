"""``reinject explore``: the live page, on the user's models or on digits."""

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
        models: folder that ``reinject train`` or ``import`` made; None: small models of digits, trained into ``out``.
        out: folder of what visitors keep.
        port: to listen at; None: one that is free.
        show: whether a browser is opened.
        device: where the networks run.
        progress: who is told of the training.

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
        progress.say("no models given: training small ones on the embedded digits")
        out.mkdir(parents=True, exist_ok=True)
        train(TrainPlan("digits"), folder, device="cpu", progress=progress)
    labelled = (folder / "classifier").is_dir()
    loaded = load_models([folder], device, labelled=labelled)
    world = World(loaded.ensemble(), loaded.C, loaded.inputs, str(folder))
    from reinject.explorer.serve import serve

    progress.say(f"http://127.0.0.1:{place}  (Ctrl-C ends it)")
    with contextlib.suppress(KeyboardInterrupt):  # that is how it ends
        serve(world, initial_settings(loaded), out, _run, port=place, show=show)


def initial_settings(models: Models) -> Settings:
    """Choose the settings that the page opens with, as ``reinject sample`` does; nothing else decides them."""
    inputs = models.inputs
    return choose_settings(models.ensemble(), models.C, range_of(inputs), inputs.radius).settings


def _run(words: Sequence[str], bar: Bar) -> str:
    """Run a command line beside this process, to its end; what came of it, in words."""
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
    """A port that nobody listens at.

    Raises:
        ArgumentError: the given one is taken, or is none.
    """
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port or 0))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            problem = f"{port} is taken" if taken else f"{port} cannot be had ({error.strerror})"
            raise ArgumentError("--port", problem, "Give another one, or none") from error
        except OverflowError as error:
            raise ArgumentError("--port", f"{port} is no port", "Give 1 to 65535, or none") from error
        return int(probe.getsockname()[1])
