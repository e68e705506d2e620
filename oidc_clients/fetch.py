"""Requests to OpenID providers: everything at the other end is taken to be hostile.

Threat model. A URL from the configuration, or from a provider's own metadata, may point into
our network (SSRF); its name may resolve to another address each time (DNS rebinding); the
server may redirect, answer without end, drip one byte a second, compress a bomb, or answer
with something that is not what was asked for.

Rules of this file:
1. https, or http to loopback where the provider is flagged ``insecure_http``. No user
   information, no fragment, and no host that two parsers could read differently.
2. The name is resolved once, at connect time; the socket is connected to the very address
   that was checked, while TLS goes on verifying the name.
3. No proxies or credentials from the environment, no cookies, no redirects, no compression.
4. At most ``MAX_BYTES`` are read (of a document: what the caller allows) and the whole exchange
   ends within its time, whatever the other side does: it runs in a thread of its own whose
   connection is cut at the deadline.

Every function blocks; async callers run it in a thread.
"""

import contextlib
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from oidc_clients.strict import NotStrict, json_object
from policies.core.addresses import networks, refusal
from policies.urls import WebAddress, web_address

MAX_BYTES = 256 * 1024
TOTAL_TIME = 5.0
"""Seconds that one exchange may take in all."""

_QUERY = re.compile(r"[!$%&'()*+,./:;=?@0-9A-Za-z_~-]*", re.ASCII)  # RFC 3986 3.4
_MAX_URL = 2000
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.ASCII)
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "gatehouse",
}


class FetchError(Exception):
    """A request did not give what was asked for.

    The message is safe to log: it names the host and what went wrong, never anything of the
    request or the answer. It is for operators, not for clients.
    """


@dataclass(frozen=True, slots=True)
class Reach:
    """Where requests may go: public addresses and ``networks`` (CIDRs); plain http to loopback
    if ``insecure_http``."""

    networks: tuple[str, ...] = ()
    insecure_http: bool = False


class Response(NamedTuple):
    """``json`` is None only when the answer had no content. Header names are lower case."""

    status: int
    json: dict[str, Any] | None
    headers: Mapping[str, str]


def check_url(url: str, insecure_http: bool = False) -> WebAddress:
    """Where a URL points. Raises ``FetchError`` if it may not be used or could be misread.

    Other than a configured address it may have a query, as endpoints in metadata do.
    """
    base, _, query = url.partition("?")
    if len(url) > _MAX_URL or not _QUERY.fullmatch(query):
        raise FetchError("the URL is too long, or has an impossible query or a fragment")
    try:
        address = web_address(base)
    except ValueError as error:
        raise FetchError(str(error)) from error
    if address.scheme == "http" and not insecure_http:
        raise FetchError("the URL must begin with https://")
    return address


def get_document(url: str, reach: Reach, limit: int, timeout: float) -> bytes:
    """GET at most ``limit`` bytes of any type. Raises ``FetchError``, also but for 200."""
    accept = {"Accept": "application/yaml, application/json;q=0.9, */*;q=0.1"}
    answer = _exchange("GET", url, reach, timeout, limit, headers=accept)
    if answer.status != 200:
        raise FetchError(f"{answer.host} answered with status {answer.status}")
    return answer.content


def get_json(
    url: str, reach: Reach, timeout: float = TOTAL_TIME, token: str | None = None
) -> Response:
    """GET a JSON object, with ``token`` as the bearer token (RFC 6750 2.1) if there is one.
    Raises ``FetchError``, also for every status but 200."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    response = _exchange("GET", url, reach, timeout, headers=headers).as_json()
    if response.status != 200 or response.json is None:
        raise FetchError(f"{check_url(url, True).host} answered with status {response.status}")
    return response


def post_form(
    url: str,
    data: Mapping[str, str | Sequence[str]],
    headers: Mapping[str, str],
    reach: Reach,
    timeout: float = TOTAL_TIME,
) -> Response:
    """POST a form and read a JSON object, or no content at all, whatever the status.

    A sequence in ``data`` is a parameter that is given several times.

    Raises ``FetchError``, also for a redirect.
    """
    answer = _exchange("POST", url, reach, timeout, data=dict(data), headers=dict(headers))
    return answer.as_json()


class _Answer(NamedTuple):
    """An answer that was read whole, within its limits."""

    host: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def as_json(self) -> Response:
        if not self.content:
            return Response(self.status, None, self.headers)
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not _JSON.fullmatch(media_type):
            raise FetchError(f"{self.host} answered {self.status} with content that is not JSON")
        try:
            return Response(self.status, json_object(self.content), self.headers)
        except NotStrict as error:
            raise FetchError(f"{self.host} answered with invalid JSON: {error}") from error


def _exchange(
    method: str,
    url: str,
    reach: Reach,
    timeout: float,
    limit: int = MAX_BYTES,
    **arguments: Any,
) -> _Answer:
    line = _Line(check_url(url, reach.insecure_http), reach, timeout)
    outcome: Future[_Answer] = Future()

    def work() -> None:
        try:
            outcome.set_result(_send(line, method, url, limit, arguments))
        except Exception as error:  # noqa: BLE001 - raised again where the outcome is awaited
            outcome.set_exception(error)

    threading.Thread(target=work, name="fetch", daemon=True).start()
    try:
        return outcome.result(timeout)
    except TimeoutError:
        raise line.too_late() from None
    finally:
        line.cut()


def _send(line: "_Line", method: str, url: str, limit: int, arguments: dict[str, Any]) -> _Answer:
    host = line.address.host
    with requests.Session() as session:
        session.trust_env = False
        session.headers.clear()
        session.headers.update(_HEADERS)
        session.mount(f"{line.address.scheme}://", _PinnedAdapter(line))
        try:
            with session.request(
                method, url, allow_redirects=False, stream=True, timeout=line.remaining, **arguments
            ) as answer:
                content = answer.raw.read(limit + 1, decode_content=False)
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise line.too_late() from error  # the socket may notice before whoever waits for us
        except requests.exceptions.SSLError as error:
            raise FetchError(f"{host}: TLS failed, or its certificate is not accepted") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise FetchError(f"{host} cannot be reached, or broke the connection") from error
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if 300 <= answer.status_code < 400:
        raise FetchError(f"{host} redirects, which is not followed")
    if len(content) > limit:
        raise FetchError(f"{host} answered with more than {limit} bytes")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"{host} answered with compressed content")
    return _Answer(host, answer.status_code, headers, content)


class _Line:
    """The one connection of one exchange: checked when it is made, cut when its time is over."""

    def __init__(self, address: WebAddress, reach: Reach, timeout: float) -> None:
        self.address = address
        self._networks = networks(reach.networks)
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._handle: socket.socket | None = None
        self._is_cut = False

    @property
    def remaining(self) -> float:
        return max(self._deadline - time.monotonic(), 0.001)

    def too_late(self) -> FetchError:
        """What to raise when the time is over."""
        return FetchError(f"{self.address.host} did not answer within {self._timeout:g} seconds")

    def connect(self, host: str, port: int | None) -> socket.socket:
        """A socket connected to a checked address of the host. Raises ``FetchError``."""
        name = self.address.host
        if (host.strip("[]"), port) != (name, self.address.port):
            raise FetchError(f"{name}: the client understood another host than was checked")
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        reasons = []
        for family, kind, protocol, _, address in found:
            reason = self._objection(str(address[0]))
            if reason is not None:
                reasons.append(reason)
                continue
            try:
                return self._connected(socket.socket(family, kind, protocol), address)
            except OSError:
                reasons.append("no connection")
        raise FetchError(f"{name} cannot be reached: {', '.join(sorted(set(reasons)))}")

    def _objection(self, address: str) -> str | None:
        if self.address.scheme == "http" and not ipaddress.ip_address(address).is_loopback:
            return "plain http is for loopback only"
        return refusal(address, self._networks)

    def _connected(self, sock: socket.socket, address: Any) -> socket.socket:
        try:
            sock.settimeout(self.remaining)
            # TLS takes the socket over; a second handle stays with us, to cut the connection.
            self._handle = sock.dup()
            sock.connect(address)
            if self._is_cut:
                raise TimeoutError
        except OSError:
            sock.close()
            self._drop()
            raise
        return sock

    def cut(self) -> None:
        """End the connection now: whoever reads from it or writes to it fails at once."""
        self._is_cut = True
        self._drop()

    def _drop(self) -> None:
        handle = self._handle
        if handle is not None:
            with contextlib.suppress(OSError):  # it may never have been connected
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()


class _PinnedAdapter(HTTPAdapter):
    """Makes requests connect through a ``_Line`` and trust what this machine trusts."""

    def __init__(self, line: _Line) -> None:
        class Http(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return line.connect(self.host, self.port)

        class Https(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return line.connect(self.host, self.port)

        class HttpPool(HTTPConnectionPool):
            ConnectionCls = Http

        class HttpsPool(HTTPSConnectionPool):
            ConnectionCls = Https

        super().__init__(max_retries=0)
        self.poolmanager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=trust())

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to add: the context of ``trust`` verifies always."""


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """The authorities trusted: this machine's store (``SSL_CERT_FILE``) and requests' bundle."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context
