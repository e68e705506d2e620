"""An OpenID provider on loopback, with hit counters and ways to misbehave."""

import asyncio
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from oidc_clients.provider import ProviderSpec

AUDIENCE = "urn:test:api"


class Provider:
    """An OpenID provider on loopback: counts its hits, and misbehaves when told to.

    ``fault`` is "" or one of the methods of ``_Handler`` that begin with ``fault_``.
    """

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.hits: Counter[str] = Counter()
        self.fault = ""
        self.cache_control = ""
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}  # by name of a path: what is answered there
        self.said: Any = {"active": False}  # of every token that it is asked about
        self.status = 200  # of that answer
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.arrived = threading.Event()  # a request came
        self.gate = threading.Event()  # answers wait for it
        self.gate.set()
        self.released = threading.Event()  # lets slow faults end with the test
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.provider = self  # type: ignore[attr-defined]
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def hold(self) -> None:
        """Let requests wait for ``gate``."""
        self.arrived.clear()
        self.gate.clear()

    async def held(self) -> None:
        """A request waits."""
        assert await asyncio.to_thread(self.arrived.wait, 20)

    def url(self, path: str) -> str:
        return self.issuer + path

    def spec(self, name: str = "acme", **changes: Any) -> ProviderSpec:
        usual: dict[str, Any] = {
            "issuer": self.issuer,
            "audiences": frozenset({AUDIENCE}),
            "algorithms": frozenset({"RS256", "ES256"}),
            "insecure_http": True,
            "private_networks": ("127.0.0.0/8",),
        }
        return ProviderSpec(name=name, **usual | changes)

    def stop(self) -> None:
        self.gate.set()
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    paths: ClassVar[dict[str, str]] = {
        "/.well-known/openid-configuration": "metadata",
        "/jwks": "jwks",
        "/token": "token",
        "/introspect": "introspect",
        "/elsewhere": "elsewhere",
        "/userinfo": "userinfo",
    }

    @property
    def provider(self) -> Provider:
        return self.server.provider  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        provider = self.provider
        what = self.paths.get(self.path.partition("?")[0], "unknown")
        provider.hits[what] += 1
        length = int(self.headers.get("content-length") or 0)
        provider.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
        provider.arrived.set()
        provider.gate.wait(20)
        if provider.fault:
            self.close_connection = True
            getattr(self, f"fault_{provider.fault}")()
        elif what == "metadata":
            endpoints = {
                "jwks_uri": provider.url("/jwks"),
                "token_endpoint": provider.url("/token"),
            }
            self.json({"issuer": provider.issuer} | endpoints | provider.metadata)
        elif what == "jwks":
            self.json({"keys": provider.keys}, {"Cache-Control": provider.cache_control})
        elif what == "introspect":
            self.json(provider.said, status=provider.status)
        else:
            self.json(provider.answers.get(what, {"what": what}))

    def do_POST(self) -> None:
        self.do_GET()

    def json(self, document: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.answer(json.dumps(document).encode(), status, **(headers or {}))

    def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        usual = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        for name, value in (usual | headers).items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def fault_down(self) -> None:
        """The connection breaks without an answer."""

    def fault_error(self) -> None:
        self.json({"error": "server_error"}, status=500)

    def fault_html(self) -> None:
        self.answer(b"<p>Log in</p>", Content_Type="text/html")

    def fault_garbage(self) -> None:
        self.answer(b'{"keys": [}')

    def fault_twice(self) -> None:
        self.answer(b'{"keys": [], "keys": []}')

    def fault_truncated(self) -> None:
        self.answer(b'{"keys": []}', Content_Length="4000")

    def fault_redirect(self) -> None:
        self.answer(b"", 302, Location=self.provider.url("/elsewhere"))

    def fault_compressed(self) -> None:
        self.answer(b'{"keys": []}', Content_Encoding="gzip")

    def fault_silent(self) -> None:
        self.provider.released.wait(20)

    def fault_drip_body(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self._drip(b" ")

    def fault_drip_head(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self._drip(b"a")

    def _drip(self, byte: bytes) -> None:
        try:
            while not self.provider.released.wait(0.02):
                self.wfile.write(byte)
        except OSError:
            self.provider.hits["cut"] += 1

    def fault_huge(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(1024**3))
        self.end_headers()
        try:
            for _ in range(1024):
                self.wfile.write(bytes(1024**2))
                self.provider.hits["MiB sent"] += 1
        except OSError:
            self.provider.hits["cut"] += 1

    def log_message(self, *arguments: Any) -> None:
        """Tests count hits; nobody reads lines."""
