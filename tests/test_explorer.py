"""The explorer without its page: the walks it shows, what it lets in, the commands that it keeps."""

import asyncio
import contextlib
import io
import shlex
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reinject import Archive, wrap
from reinject.base.errors import ArgumentError, DataError, ModelError
from reinject.explorer import wall_pictures as pictures
from reinject.explorer.commands import arguments, command, folder_for, snippet
from reinject.explorer.explore import explore, initial_settings
from reinject.explorer.guard import Guard, refused
from reinject.explorer.session import Choice, Live, World
from reinject.explorer.tiles import PALETTE, UNSURE, Grid, _luminance, ink_on
from reinject.models.loading import load_models
from reinject.networks import Inputs
from reinject.sampling.auto import PASSES
from reinject.sampling.presets import Settings, falls, settings_of
from reinject.walks.reconstruction import Ensemble
from test_cli import run

LANGEVIN = Settings("langevin", {"lam": "0.2"}, steps=12)


@pytest.fixture(scope="module")
def world(models: Path) -> World:
    loaded = load_models([models])
    return World(loaded.ensemble(), loaded.C, loaded.inputs, str(models))


def frames(live: Live) -> list[torch.Tensor]:
    return [frame.x for frame in iter(live.advance, None)]


CHOICES = {
    "langevin": Choice(LANGEVIN, 16, seed=3),
    "ancestral": Choice(replace(settings_of("ancestral"), steps=20), 9, seed=1),
    "asked": Choice(replace(LANGEVIN, classes=(3, 1), guidance=2.0), 4),
    "picture": Choice(LANGEVIN, 4, picture=torch.linspace(0, 1, 64).reshape(1, 8, 8)),
    "known": Choice(
        LANGEVIN,
        4,
        picture=torch.linspace(0, 1, 64).reshape(1, 8, 8),
        mask=":4,:",
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_command_and_the_snippet_make_what_is_on_the_screen(
    world: World, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = CHOICES[name]
    choice = replace(choice, settings=replace(choice.settings, burn_in=0, thin=1))
    shown = frames(Live(world, choice))
    picture = ""
    if choice.picture is not None:
        picture = str(tmp_path / "p inf 'q'.npy")
        np.save(picture, choice.picture.numpy())
    words = arguments(world, choice, str(tmp_path / "s"), picture=picture, walks=2 * choice.walks)
    assert run(*shlex.split(command(words))[1:], "--store", "float")[0] == 0
    archive = Archive.open(tmp_path / "s")
    x, _ = archive.read()
    walk, step = (archive.numbers(column) for column in ("walk", "step"))
    for i, expected in enumerate(shown):
        rows = np.flatnonzero((step == i) & (walk < choice.walks))
        assert torch.equal(x[rows[np.argsort(walk[rows])]], expected)
    printed = io.StringIO()
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(printed):
        exec(compile(snippet(world, choice, picture=picture), "snippet", "exec"), {})
    means = [float(line.split()[1]) for line in printed.getvalue().splitlines()]
    assert means == [part.mean().item() for part in shown]
    if choice.picture is not None and choice.mask:
        assert torch.equal(shown[-1][:, :, :4], choice.picture[:, :4].expand(4, 1, 4, 8))


def test_back_and_forth_by_the_seed(world: World) -> None:
    live = Live(world, CHOICES["langevin"])
    whole = frames(Live(world, CHOICES["langevin"]))
    assert torch.equal(live.goto(7).x, whole[7])  # type: ignore[union-attr]
    assert torch.equal(live.goto(2).x, whole[2])  # type: ignore[union-attr]
    assert [len(live.history), live.step, live.ended] == [3, 2, False]
    assert torch.equal(live.goto(100).x, whole[12])  # type: ignore[union-attr]
    assert live.ended
    assert live.advance() is None
    other = frames(Live(world, replace(CHOICES["langevin"], seed=4)))
    assert not torch.equal(other[0], whole[0])


def test_what_is_said_of_a_frame(world: World) -> None:
    frame = Live(world, CHOICES["langevin"]).advance()
    assert frame is not None
    with torch.no_grad():
        energy = ((world.r(frame.x) - frame.x) ** 2).flatten(1).mean(1)
        p = world.C(frame.x).softmax(1)  # type: ignore[misc]
    assert torch.allclose(frame.energy, energy)
    assert torch.equal(frame.label, p.argmax(1))
    assert torch.allclose(frame.confidence, p.amax(1), atol=1e-6)


def test_walks_that_break_are_counted_and_stand_still() -> None:
    r = wrap(lambda x: torch.where(x.abs() > 1.5, torch.nan, 1.3 * x), (1, 2, 2))
    world = World(Ensemble((r,)), None, Inputs((1, 2, 2)), "m")
    live = Live(world, Choice(Settings("langevin", {}, steps=30), 16))
    last = live.goto(30)
    assert last is None or torch.isfinite(last.x).all()
    assert live.stopped > 0


@given(st.binary(max_size=200))
def test_what_is_no_image_is_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(DataError, match="is not a readable image"):
        pictures.picture(b"\x89PNG" + data, Inputs((1, 8, 8)))


@given(
    st.sampled_from(["L", "RGB", "RGBA", "P", "1", "CMYK", "I;16"]),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([(1, 8, 8), (3, 16, 12)]),
)
def test_any_image_becomes_a_point(mode: str, width: int, height: int, shape: tuple[int, ...]) -> None:
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, "TIFF")
    x = pictures.picture(file.getvalue(), Inputs(shape, low=-1, high=1))
    assert tuple(x.shape) == shape
    assert float(x.min()) >= -1
    assert float(x.max()) <= 1


def test_a_picture_that_would_fill_the_memory() -> None:
    file = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(file, "PNG")
    with pytest.raises(DataError, match="upload: "):
        pictures.picture(file.getvalue(), Inputs((1, 8, 8)))


@pytest.mark.parametrize(
    ("count", "shape", "captioned"), [(5, (3, 4, 6), True), (64, (1, 8, 8), True), (1, (1, 28, 28), False)]
)
def test_the_wall_has_gaps_and_room_for_captions(count: int, shape: tuple[int, int, int], captioned: bool) -> None:
    x = 0.5 + 0.5 * torch.rand(count, *shape)  # nowhere black, as the gaps are
    _, height, width = shape
    grid = Grid(count, height, width, captioned)
    sheet = np.asarray(Image.open(io.BytesIO(pictures.wall(x, Inputs(shape), grid))))
    assert sheet.shape[:2] == grid.size
    lit = np.zeros(grid.size, bool)
    for k in range(count):
        top, left = grid.corner(k)
        assert min(top, left) >= grid.gap
        assert not lit[top - grid.gap : top + height + grid.gap, left - grid.gap : left + width + grid.gap].any()
        lit[top : top + height, left : left + width] = True
        tile = sheet[top : top + height, left : left + width].reshape(height, width, -1).transpose(2, 0, 1) / 255
        assert np.abs(tile - x[k].numpy()).max() <= 0.5 / 255 + 1e-6
        assert {grid.at(left + a, top + b) for a in (0, width - 0.5) for b in (0, height - 0.5)} == {k}
    assert np.array_equal(sheet.reshape(*grid.size, -1).any(2), lit)
    assert grid.caption * captioned == grid.caption
    assert {grid.at(-5, -5), grid.at(1e6, 1e6)} == {0, count - 1}


def test_each_tile_shows_its_class() -> None:
    """A frame in the class's colour and its name; grey and a question mark where no class reaches 50 %."""
    grid = Grid(3, 8, 8)
    names = ("<cat>", "caterpillar", "automobile")
    svg = grid.frames(torch.tensor([0, 1, 2]), torch.tensor([0.9, 0.4, 0.8]), names, chosen=1)
    root = ElementTree.fromstring(f"<svg>{svg}</svg>")
    texts = {(text.get("x"), text.get("y")): text.text for text in root.iter("text")}
    below = [(f"{left + 4:g}", f"{top + 8 + 0.79 * grid.caption:g}") for top, left in map(grid.corner, range(3))]
    assert [texts[place] for place in below] == ["<cat>", "caterp…?", "automob…"]
    fills = [path.get("fill") for path in root.iter("path")]
    assert fills == [None, PALETTE[0], UNSURE, PALETTE[2], None]
    assert [path.get("class") for path in root.iter("path")] == ["gap", None, None, None, "chosen"]
    unlabelled = grid.frames(torch.full((3,), -1), torch.zeros(3), (), chosen=0)
    assert "<text" not in unlabelled
    assert "fill=" not in unlabelled


def test_captions_can_be_read_on_every_colour() -> None:
    """WCAG asks for a contrast of 4.5."""
    assert len(set(PALETTE)) == len(PALETTE)
    for colour in (*PALETTE, UNSURE):
        light, ink = _luminance(colour), _luminance({"#000": "#000000", "#fff": "#ffffff"}[ink_on(colour)])
        assert (max(light, ink) + 0.05) / (min(light, ink) + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("settings", "step", "level"),
    [
        (Settings("ancestral", {"sigma": "linear:2:1"}, steps=4), 2, 1.5),
        (Settings("ancestral", {"sigma": "linear:2:1"}, steps=4, classes=(1,)), 4, 1.0),
        (Settings("half-denoising", {"sigma": "0.3"}, steps=4), 1, 0.3),
        (Settings("langevin", {"lam": "0.5"}, steps=4), 3, 0.5),
        (Settings("reinjection", steps=4), 3, None),
    ],
)
def test_the_noise_level_of_a_step(world: World, settings: Settings, step: int, level: float | None) -> None:
    frame = Live(world, Choice(settings, 2)).goto(step)
    assert frame is not None
    assert frame.level == (level if level is None else pytest.approx(level))


def test_one_function_decides_what_the_page_opens_with(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_models([models])
    assert initial_settings(loaded) == falls(PASSES, loaded.inputs.n)
    other = Settings("langevin", {"lam": "0.3"}, steps=7, start="uniform")
    served: list[Settings] = []
    monkeypatch.setattr("reinject.explorer.explore.initial_settings", lambda _: other)
    monkeypatch.setattr("reinject.explorer.serve.serve", lambda _, initial, *__, **___: served.append(initial))
    explore(models, models / "none", show=False)
    assert served == [other]


def test_controls_take_all_of_the_initial_settings(world: World) -> None:
    """Also what the page has no field for; another kernel has its own, and coming back brings the initial ones."""
    from nicegui import Client
    from nicegui.page import page

    from reinject.explorer.controls import Controls

    initial = Settings(
        "langevin", {"lam": "0.3"}, steps=7, burn_in=3, thin=2, start="uniform", classes=(4,), guidance=2.0
    )

    async def changed() -> None: ...

    with Client(page("/"), request=None):
        controls = Controls(world, initial, {}, changed)
        made = controls.choice().settings
        assert made == replace(initial, options=made.options)
        assert made.options["lam"] == "0.3"
        controls.kernel.set_value("reinjection")
        controls._fill({})
        assert controls.choice().settings.start == "normal"
        controls.kernel.set_value("langevin")
        controls._fill({})
        assert controls.choice().settings == made


def test_the_field_of_a_plane() -> None:
    from reinject.explorer.score_plane import Plane

    world = World(Ensemble((wrap(lambda x: 0.5 * x, (2,)),)), None, Inputs((2,), mean=0, std=1), "m")
    plane = Plane(world)
    assert Image.open(io.BytesIO(plane.field)).size == (480, 480)
    assert 'cx="240.0" cy="240.0" r="6"' in plane.points(torch.zeros(1, 2), 0)
    assert 'cx="480.0" cy="0.0"' in plane.points(torch.full((1, 2), 99.0), 5)
    assert 'r="3" fill="#e69f00"' in plane.points(torch.zeros(2, 2), 0, ["#009e73", "#e69f00"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({b"host": b"127.0.0.1:80"}, None),
        ({b"host": b"localhost"}, None),
        ({b"host": b"127.0.0.1", b"origin": b"http://127.0.0.1"}, None),
        ({}, 403),
        ({b"host": b"evil.example"}, 403),
        ({b"host": b"127.0.0.1.evil.example"}, 403),
        ({b"host": b"127.0.0.1@evil.example"}, 403),
        ({b"host": b"127.0.0.1", b"origin": b"http://evil.example"}, 403),
        ({b"host": b"127.0.0.1", b"origin": b"null"}, 403),
        ({b"host": b"127.0.0.1:80", b"origin": b"http://127.0.0.1:81"}, 403),
        ({b"host": b"127.0.0.1", b"content-length": b"100000000"}, 413),
        ({b"host": b"127.0.0.1", b"content-length": b"-1"}, 413),
    ],
)
def test_who_is_let_in(headers: dict[bytes, bytes], status: int | None) -> None:
    found = refused(headers, 5_000_000)
    assert (found and found[0]) == status


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_body_that_grows_ends_where_too_much_has_come(sizes: list[int]) -> None:
    """Whatever its header says: what the page's server sees is at most the limit, then its sender is gone."""
    messages = [{"type": "http.request", "body": b"x" * size, "more_body": True} for size in sizes]
    taken: list[int] = []

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def server(_scope: Any, receive: Any, _send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            taken.append(len(message["body"]))

    async def send(_: Any) -> None: ...

    scope = {"type": "http", "headers": [(b"host", b"127.0.0.1")]}
    asyncio.run(Guard(server, largest=100)(scope, receive, send))
    assert sum(taken) <= 100
    assert taken == sizes[: len(taken)]
    assert len(taken) == len(sizes) or sum(sizes[: len(taken) + 1]) > 100


@given(st.dictionaries(st.sampled_from([b"host", b"origin", b"content-length"]), st.binary(max_size=40)))
def test_no_header_crashes_the_guard(headers: dict[bytes, bytes]) -> None:
    found = refused(headers, 10)
    assert found is None or found[0] in (403, 413)
    assert found is not None or headers[b"host"].startswith((b"127.0.0.1", b"localhost"))


def status_of(url: str, **options: object) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **options), timeout=60) as answer:  # type: ignore[arg-type]
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def raw(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(text)
        return connection.recv(2000)


def test_only_this_machine_and_this_page(explorer: tuple[str, int, Path]) -> None:
    url, port, _ = explorer
    assert status_of(url) == 200
    assert status_of(url, headers={"Host": "evil.example"}) == 403
    assert status_of(url, headers={"Origin": "http://evil.example"}, data=b"x") == 403
    assert status_of(f"http://localhost:{port}") == 200
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + "A" * 22
        + "=="
    )
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://evil.example\r\n{upgrade}\r\n\r\n"
    assert b" 403 " in raw(port, head.encode())
    with (
        contextlib.suppress(OSError),
        socket.create_connection((socket.gethostbyname(socket.gethostname()), port), 2) as other,
    ):
        assert other.getpeername()[0].startswith("127."), "another address of this machine answers"


@pytest.mark.parametrize(
    "path",
    ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/_nicegui/../../../etc/passwd", "//etc/passwd"],
)
def test_no_path_leads_outside(explorer: tuple[str, int, Path], path: str) -> None:
    _, port, _ = explorer
    answer = raw(port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
    assert b"root:" not in answer
    assert b" 404 " in answer.splitlines()[0] or b" 307 " in answer.splitlines()[0]


def test_large_bodies_are_cut_off(explorer: tuple[str, int, Path]) -> None:
    url, port, _ = explorer
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 100000000\r\n\r\n"
    assert b" 413 " in raw(port, head.encode())
    chunked = (
        f"POST /_nicegui/client/x/upload/1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(chunked.encode())
        for _ in range(100):
            connection.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
    assert status_of(url) == 200


def test_fifty_visitors_at_once(explorer: tuple[str, int, Path]) -> None:
    url, _, folder = explorer
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(status_of, [url] * 50)) == {200}
    assert {path.name for path in folder.iterdir()} <= {"out"}


def test_a_port_that_is_taken(models: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ArgumentError, match=r"--port: \d+ is taken"):
            explore(models, tmp_path, port=taken.getsockname()[1], show=False)
    with pytest.raises(ArgumentError, match="99999 is not a port"):
        explore(models, tmp_path, port=99999, show=False)
    with pytest.raises(ModelError, match="no such folder of models"):
        explore(tmp_path / "none", tmp_path, show=False)


def test_runs_do_not_overwrite_each_other(tmp_path: Path) -> None:
    assert folder_for(tmp_path).name == "run-1"
    (tmp_path / "run-1").mkdir()
    assert folder_for(tmp_path).name == "run-2"


def test_a_run_beside_the_page(world: World, tmp_path: Path) -> None:
    from reinject.explorer.commands import Bar
    from reinject.explorer.explore import _run

    bar = Bar()
    words = arguments(world, CHOICES["langevin"], str(tmp_path / "s"), walks=40)
    assert _run(words, bar).startswith("520 labelled samples")
    assert bar.share == 1
    assert Archive.open(tmp_path / "s").rows == 520
    assert "is complete already" in _run(words, bar)


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['nicegui'] = None; from reinject.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "explore", "--out", tmp_path / "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs the package nicegui" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
