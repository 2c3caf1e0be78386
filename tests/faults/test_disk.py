"""A disk that is really full, in the middle of a run: a sentence, an exit status, and nothing lost."""

import subprocess
import sys
from pathlib import Path

import pytest
from archiving import archive, files

HERE = Path(__file__).parent
INSIDE = (
    "mount -t tmpfs -o size={size}k tmpfs {disk} && {python} {script} {disk}/a; "
    "code=$?; cp -r {disk}/. {kept}; exit $code"
)
SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from reinject.cli.app import guarded
import archiving
import typer
try:
    guarded(lambda: archiving.archive(Path(sys.argv[1])))()
except typer.Exit as end:
    sys.exit(end.exit_code)
"""


def on_a_disk_of(size: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Write the archive on a file system of so many kB, in a name space of its own, and copy out what is left."""
    (folder / "disk").mkdir()
    (folder / "script.py").write_text(SCRIPT.format(here=str(HERE)))
    command = INSIDE.format(
        size=size, disk=folder / "disk", kept=folder / "kept", script=folder / "script.py", python=sys.executable
    )
    (folder / "kept").mkdir()
    return subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("probe")
    probe = ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs tmpfs {folder}"]
    try:
        subprocess.run(probe, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a small disk")


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("size", [4, 16, 28, *(pytest.param(size, marks=pytest.mark.slow) for size in (8, 20, 24))])
def test_a_full_disk_gets_a_sentence_and_the_run_goes_on_elsewhere(tmp_path: Path, size: int) -> None:
    done = on_a_disk_of(size, tmp_path)
    if done.returncode == 0:  # it was large enough
        assert size > 20
        return
    assert done.returncode == 1
    assert "No space left on device. Free space" in done.stderr
    assert "Traceback" not in done.stderr
    kept = tmp_path / "kept"
    assert not (kept / "a").exists()
    archive(kept / "a")  # as after freeing space
    archive(tmp_path / "whole")
    assert files(kept / "a") == files(tmp_path / "whole")
