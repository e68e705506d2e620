"""A provider that misbehaves on request: one issuer for each way of doing so.

``/slow``, ``/html`` ... are issuers of their own, each with discovery and a token endpoint.
It records every request, so that a test can say what was sent, and that nothing was.
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

GIBIBYTE = 1 << 30
NASTY = 'no "such"\r\nSet-Cookie: a=b\t\\ <script>é\x7f'


@dataclass
class Recorded:
    """One request to a token endpoint."""

    path: str
    headers: dict[str, str]
    form: list[tuple[str, str]]


def _json(status: int, content: Any) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(content).encode()


# What a token endpoint answers: status, media type, content.
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "html": (200, "text/html", b"<html>sign in</html>"),
    "html-401": (401, "text/html", b"<html>sign in</html>"),
    "no-json": (200, "application/json", b"{"),
    "array": _json(200, [{"access_token": "t"}]),
    "no-token": _json(200, {"token_type": "Bearer"}),
    "token-no-text": _json(200, {"access_token": {"a": 1}}),
    "twice": (200, "application/json", b'{"access_token":"a","access_token":"b"}'),
    "infinite": (200, "application/json", b'{"access_token":"a","expires_in":1e999}'),
    "deep": (
        200,
        "application/json",
        b'{"access_token":"a","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ),
    "server-error": _json(500, {"error": "server_error"}),
    "too-many": _json(429, {"error": "too_many_attempts"}),
    "no-error": _json(400, {"message": "no"}),
    "bad-error": _json(400, {"error": 'inva"lid\r\n'}),
    "created": _json(201, {"access_token": "t"}),
    "nasty": _json(
        400,
        {
            "error": "invalid_grant",
            "error_description": NASTY,
            "error_uri": "javascript:alert(1)",
            "debug": "canary-internal",
        },
    ),
    "told": _json(
        400,
        {
            "error": "invalid_grant",
            "error_description": "No such person.",
            "error_uri": "https://op.example.org/errors#grant",
        },
    ),
    "long": _json(400, {"error": "invalid_grant", "error_description": "x" * 5000}),
    "forbidden": _json(403, {"error": "unauthorized_client"}),
    "wrong-client": _json(401, {"error": "invalid_client"}),
    "post-only": _json(200, {"access_token": "t", "token_type": "Bearer"}),
    "echo": _json(200, {"access_token": "echo-token", "token_type": "Bearer", "extra": [1, None]}),
}
RAW = ("slow", "garbage", "huge", "redirect", "drip")
DISCOVERY = ("discovery-down", "other-issuer", "no-endpoint", "file-endpoint", "foreign-endpoint")
OFFERING = ("echo", "server-error", "nasty", "garbage", "post-only")  # more than tokens
ISSUERS = (*ANSWERS, *RAW, *DISCOVERY)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name, _, rest = self.path[1:].partition("/")
        if rest != ".well-known/openid-configuration":
            self._send(404, "application/json", b"{}")
            return
        with self.server.faults.lock:
            self.server.faults.discoveries[name] = self.server.faults.discoveries.get(name, 0) + 1
        if name == "discovery-down":
            self._send(500, "application/json", b"{}")
            return
        issuer = f"{self.server.faults.url}/{name}"
        document = {"issuer": issuer, "token_endpoint": f"{issuer}/token"}
        if name in OFFERING:
            document["revocation_endpoint"] = f"{issuer}/revoke"
            document["introspection_endpoint"] = f"{issuer}/introspect"
        if name == "post-only":
            document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        if name == "other-issuer":
            document["issuer"] += "/"
        elif name == "no-endpoint":
            del document["token_endpoint"]
        elif name == "file-endpoint":
            document["token_endpoint"] = "file:///etc/passwd"
        elif name == "foreign-endpoint":
            document["token_endpoint"] = "http://169.254.169.254/token"
        self._send(200, "application/json", json.dumps(document).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        form = parse_qsl(body.decode(), keep_blank_values=True)
        self.server.faults.requests.append(Recorded(self.path, headers, form))
        name = self.path[1:].partition("/")[0]
        if name in ANSWERS:
            self._send(*ANSWERS[name])
        else:
            self.close_connection = True
            getattr(self, f"_{name}")()

    def _slow(self) -> None:
        self.server.faults.ended.wait(30)

    def _garbage(self) -> None:
        self.wfile.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")

    def _redirect(self) -> None:
        self.send_response(307)
        self.send_header("Location", f"{self.server.faults.url}/echo/token")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _huge(self) -> None:
        self._head(GIBIBYTE)
        self.wfile.write(b'{"access_token":"')
        self._write_while_read(b"a" * 65536)

    def _drip(self) -> None:
        self._head(1000)
        while not self.server.faults.ended.wait(0.2):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _write_while_read(self, chunk: bytes) -> None:
        try:
            while True:
                self.server.faults.sent += len(chunk)
                self.wfile.write(chunk)
        except OSError:
            return

    def _send(self, status: int, media_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    faults: "Faults"


@dataclass
class Faults:
    """The server and what it recorded. ``sent`` counts the bytes of the endless answer."""

    requests: list[Recorded] = field(default_factory=list)
    discoveries: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.faults = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def to(self, name: str) -> list[Recorded]:
        """The token requests that one issuer received."""
        return [request for request in self.requests if request.path == f"/{name}/token"]

    def stop(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
