"""What is looked at before anything starts: a process that would not be safe does not start.

``problems`` refuses; ``warnings`` is logged and lets go on. Neither ever shows a secret.
"""

import importlib.util
import ipaddress
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from gatewaysite.environment import Environment
from policies.stores.open import open_backend

MIN_KEY_LENGTH = 16
_OTHERS = stat.S_IRWXO


def problems(environment: Environment) -> list[str]:
    """Why this installation must not be started, each with what to do about it."""
    return [
        *_django_problems(environment),
        *_process_problems(environment),
        *_tls_problems(environment),
    ]


def warnings(environment: Environment) -> list[str]:
    """What is allowed but rarely meant."""
    found = []
    for network in environment.trusted_proxies:
        if ipaddress.ip_network(network).prefixlen == 0:
            found.append(
                f"GATEHOUSE_TRUSTED_PROXIES: {network} believes every client about its own "
                "address; name the networks of your proxies"
            )
    if not environment.database.startswith("sqlite:") and environment.state.startswith("sqlite:"):
        found.append(
            "GATEHOUSE_STATE_URL: counters and nonces are kept on this machine alone; with "
            "several machines give all of them one redis:// address"
        )
    return found


def _django_problems(environment: Environment) -> Iterator[str]:
    if settings.DEBUG:
        yield "DEBUG is on: it shows settings and source code to callers; switch it off"
    if any(name in ("*", ".") for name in settings.ALLOWED_HOSTS):
        yield "GATEHOUSE_CONSOLE_HOSTS: '*' answers to every name; list the console's names"
    if any(len(key) < MIN_KEY_LENGTH for key in environment.keys):
        yield (
            f"GATEHOUSE_SECRET_KEYS: a key is shorter than {MIN_KEY_LENGTH} characters; make one "
            "with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )


def _process_problems(environment: Environment) -> Iterator[str]:
    if importlib.util.find_spec("httptools") is None:
        yield "httptools is missing: it parses HTTP; install the locked requirements again"
    try:
        open_backend(environment.state)
    except ValueError as error:
        yield f"GATEHOUSE_STATE_URL: {error}"
    if environment.state.startswith("memory:") and environment.worker_count > 1:
        yield (
            f"GATEHOUSE_STATE_URL: memory:// counts for each of the {environment.worker_count} "
            "workers alone; leave it out, use redis://, or set GATEHOUSE_WORKERS=1"
        )


def _tls_problems(environment: Environment) -> Iterator[str]:
    cert, key, ca = environment.tls_cert, environment.tls_key, environment.tls_client_ca
    if (cert is None) != (key is None):
        yield "GATEHOUSE_TLS_CERT and GATEHOUSE_TLS_KEY: give both or none"
        return
    if cert is None or key is None:
        if ca is not None:
            yield "GATEHOUSE_TLS_CLIENT_CA: client certificates need GATEHOUSE_TLS_CERT and _KEY"
        return
    yield from _open_to_others("GATEHOUSE_TLS_KEY", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        yield f"GATEHOUSE_TLS_CERT: {cert} with {key} does not load: {_reason(error)}"
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            yield f"GATEHOUSE_TLS_CLIENT_CA: {ca} does not load: {_reason(error)}"


def _open_to_others(name: str, path: Path) -> Iterator[str]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield f"{name}: {path} cannot be read: {error.strerror}"
        return
    if mode & _OTHERS:
        yield f"{name}: {path} is open to every user of this machine: chmod o= {path}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
