"""The little HTTP server under both demo programs: JSON in, JSON or a page out, loopback only.

Demo only: one thread a connection and no limit on their number. The bodies it reads are
bounded and its sockets time out, so that a mistake in a client cannot hang the demo.
"""

import argparse
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY = 16384


class JsonHandler(BaseHTTPRequestHandler, ABC):
    """Reads bounded bodies and writes JSON over kept-alive HTTP/1.1 connections."""

    protocol_version = "HTTP/1.1"
    server_version = "demo"
    sys_version = ""
    timeout = 30

    @abstractmethod
    def answer(self, path: str, body: bytes) -> None:
        """Answer one request; ``command`` is its method, ``path`` comes without the query."""

    def _receive(self) -> None:
        # The body is read whatever the method: left on the connection it would be taken for
        # the next request.
        length = self.headers.get("Content-Length", "0")
        known = length.isascii() and length.isdecimal() and len(length) < 10
        if not known or "Transfer-Encoding" in self.headers:
            self._refuse(411)
        elif int(length) > MAX_BODY:
            self._refuse(413)
        else:
            self.answer(self.path.partition("?")[0], self.rfile.read(int(length)))

    do_GET = do_HEAD = do_POST = _receive  # noqa: N815 - the names http.server calls

    def _refuse(self, status: int) -> None:
        """Refuse a body unread; the connection ends with it."""
        self.close_connection = True
        self.send_json(status, {"error": "invalid_request"}, {"Connection": "close"})

    def send_json(self, status: int, content: Any, fields: Mapping[str, str] | None = None) -> None:
        """A complete JSON answer; ``fields`` are further header lines."""
        data = json.dumps(content).encode()
        self._send(status, {"Content-Type": "application/json", **(fields or {})}, data)

    def send_html(self, page: str) -> None:
        """A complete page."""
        self._send(200, {"Content-Type": "text/html; charset=utf-8"}, page.encode())

    def send_redirect(self, url: str) -> None:
        self._send(303, {"Location": url, "Cache-Control": "no-store"}, b"")

    def _send(self, status: int, fields: Mapping[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the demo's terminal shows the lines to paste, and nothing else."""


class LoopbackServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1; its threads end with the process."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[JsonHandler]) -> None:
        """``port`` 0 takes a free one; ``server_port`` tells which."""
        super().__init__(("127.0.0.1", port), handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def port_argument(description: str, default: int) -> int:
    """The port given with ``--port`` on the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=default)
    port: int = parser.parse_args().port
    return port


def run(server: LoopbackServer) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    print(f"listening on {server.url}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
