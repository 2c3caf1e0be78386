"""Guard a server on 127.0.0.1: accept only requests of its own page, of limited size.

Another page can make a browser send requests to this machine (cross-origin posts, rebound host names). So the Host
header must be this machine's, an Origin header must be this page's, and too large bodies are cut off.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST = 5_000_000  # bytes of a body
HOSTS = ("127.0.0.1", "localhost")


class Guard:
    """Put an ASGI application in front of another one.

    Arguments:
        app: the guarded application.
        largest: most bytes of a body.
    """

    def __init__(self, app: App, largest: int = LARGEST) -> None:
        self.app, self.largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = refused(dict(scope["headers"]), self.largest)
        if refusal is None:
            await self.app(scope, _counted(receive, self.largest), send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            status, sentence = refusal
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})


def refused(headers: dict[bytes, bytes], largest: int) -> tuple[int, str] | None:
    """Return status and sentence for a request to refuse; None for an acceptable one.

    Example:
        >>> refused({b"host": b"evil.example"}, 10)
        (403, 'This server answers 127.0.0.1 and localhost only.')
        >>> refused({b"host": b"127.0.0.1:8080", b"origin": b"http://127.0.0.1:8080"}, 10)
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if _name(host) not in HOSTS:
        return 403, f"This server answers {' and '.join(HOSTS)} only."
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1") != f"http://{host}":
        return 403, "This server answers its own page only."
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > largest:
        return 413, f"At most {largest / 1e6:g} MB can be sent."
    return None


def _name(host: str) -> str | None:
    """Return the name in a Host header; None if it has no name."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _counted(receive: Receive, largest: int) -> Receive:
    """End a body that exceeds the limit, as if its sender disconnected."""
    seen = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        return {"type": "http.disconnect"} if seen > largest else message

    return counted
