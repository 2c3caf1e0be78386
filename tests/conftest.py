"""Shared fixtures: tiny models on disk, made once a session."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test depends on the hub
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of every process that a test starts: tests run beside each other

import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook

# Shapes in signatures are checked while tests run; the hook has to come before the first import of these modules.
CHECKED = ["reinject.score", "reinject.walks.diagnostics", "reinject.walks.kernels"]
install_import_hook(CHECKED, "beartype.beartype")

from reinject.networks import Inputs, MLPAutoencoder, MLPClassifier  # noqa: E402
from reinject.training.fit import Recipe  # noqa: E402
from reinject.training.plans import TrainPlan  # noqa: E402
from reinject.training.students import Student, whole_jobs  # noqa: E402
from reinject.training.table_fit import TableSpec  # noqa: E402
from reinject.training.train import train  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

settings.register_profile("fixed", derandomize=True, deadline=None)  # the same examples in every run
settings.load_profile("fixed")
torch.set_num_threads(1)  # tests run in parallel processes

TINY = TrainPlan(
    "digits",
    autoencoder_recipe=Recipe(epochs=2, batch=64),
    classifier_recipe=Recipe(epochs=5, batch=64),
)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``reinject train`` made, in seconds; one for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    out = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained" / "models"
    with FileLock(f"{out.parent}.lock"):
        if not out.exists():
            train(TINY, out, device="cpu")
    return out


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of untrained models on images of 4 x 4 and two classes, in milliseconds."""
    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    inputs = Inputs((1, 4, 4), class_names=("a", "b"))
    MLPAutoencoder(inputs, hidden=(16,), latent=3).save_pretrained(folder / "autoencoder")
    MLPClassifier(inputs, hidden=(16,)).save_pretrained(folder / "classifier")
    return folder


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Students and tables of few steps, also in processes: the recipe that they are sent with by default."""
    for function in (Student.__init__, whole_jobs):
        patch.setattr(function, "__defaults__", (Recipe(epochs=1, batch=128, least_steps=40), "mlp"))
    small = {"width": 32, "depth": 1, "steps": 100}
    usual = [small.get(item.name, item.default) for item in fields(TableSpec)]
    patch.setattr(TableSpec.__init__, "__defaults__", tuple(usual))


@pytest.fixture
def quick_students(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what is judged and written, and not of what students learn."""
    hurry(monkeypatch)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright; without them tests are skipped (make test-browser brings them)."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: make test-browser installs it")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page of a new visitor; no error may be told on its console; keeps what was asked for."""
    contexts, said, asked = [], [], []

    def opened(url: str, *, silent: bool = True, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        if silent:
            page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        return page

    opened.asked = asked  # type: ignore[attr-defined]
    yield opened
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture(scope="module")
def explorer(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int, Path]]:
    """An explorer that runs: its address, its port, and the folder where it was started."""
    pytest.importorskip("nicegui")
    folder = tmp_path_factory.mktemp("explorer")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    words = ["explore", str(models), "--no-browser", "--out", str(folder / "out")]
    program = [sys.executable, "-c", "from reinject.cli import main; main()", *words]
    with subprocess.Popen(program, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = int(re.search(r":(\d+)", process.stderr.readline())[1])  # type: ignore[index]
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", port, folder
        assert process.poll() is None, "the explorer ended by itself"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "Traceback" not in process.stderr.read()  # Ctrl-C is how it ends, nothing to complain of
