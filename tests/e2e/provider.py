"""The OpenID provider of these tests: npm ``oidc-provider``, with switches (see ``provider/``)."""

import base64
import fcntl
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.processes import Process
from tests.e2e.servers import Absent

FOLDER = Path(__file__).with_name("provider")
AUDIENCE = "urn:test:api"
UPSTREAM_AUDIENCE = "urn:test:upstream"
CALLBACK = "http://127.0.0.1/cb"
USER, PASSWORD = "alice", "correct horse battery"


def install() -> None:
    """Bring in the locked packages once, also when several test processes start together."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Absent("Node.js and npm are not installed")
    locked, done = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    with locked.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.stat().st_mtime >= locked.stat().st_mtime:
            return
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300)
        if result.returncode:
            raise Absent(f"npm ci failed: {result.stderr.strip()[-500:]}")


def secret(client: str) -> str:
    """The secret of one of the provider's clients; logs and errors must never hold it."""
    return f"{client}-secret-canary-4f1d9a"


class Provider:
    """A running provider. Clients: ``service`` (read write), ``reader`` (read), ``gateway``, and
    ``signer``, which has a key (kid ``signer-1``) instead of a secret, and
    ``browser`` once it is told where the gateway is."""

    def __init__(self, *options: str) -> None:
        """``opaque``: its access tokens are opaque."""
        install()
        self.process = Process(["node", "server.mjs", *options], cwd=FOLDER)
        greeting = self.process.greeting()
        self.issuer: str = greeting["issuer"]
        self._control: str = greeting["control"]

    def _steer(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._control}/_ctl/{path}", timeout=30) as answer:
            return json.load(answer)

    def rotate(self, drop: bool = False) -> str:
        """A new key signs from now on; its kid. ``drop`` withdraws the earlier ones."""
        signing: str = self._steer("rotate" + ("?drop=1" if drop else ""))["signing"]
        return signing

    def fault(self, mode: str, path: str = "/") -> None:
        """none, down, 500, slow, garbage or html, for the paths that begin with ``path``."""
        self._steer(f"fault?mode={mode}&path={path}")

    def hits(self, path: str = "/jwks", reset: bool = False) -> int:
        """Requests to one path since the last reset."""
        return int(self._steer("hits" + ("?reset=1" if reset else "")).get(path, 0))

    def private_keys(self) -> list[dict[str, Any]]:
        """The keys as private JWKs; of each type the first one signs."""
        keys: list[dict[str, Any]] = self._steer("keys")
        return keys

    def serve_browsers(self, base: str) -> None:
        """Let people sign in for the gateway at ``base`` (its origin), with client ``browser``."""
        self._steer(f"browser?base={urllib.parse.quote(base)}")

    def serve_console(self, base: str) -> None:
        """Let people sign in to the console at ``base`` (its origin), with client ``console``:
        ``ruth`` is in the group ``admins``, ``sam`` in ``staff``."""
        self._steer(f"console?base={urllib.parse.quote(base)}")

    def lifetime(self, seconds: int = 600) -> None:
        """How long access tokens live that are issued from now on."""
        self._steer(f"ttl?seconds={seconds}")

    def forget_refresh_tokens(self) -> None:
        """Take back every refresh token that was given."""
        self._steer("forget")

    def signer_key(self) -> str:
        """The private key (PEM) of the client ``signer``, which authenticates by it."""
        pem: str = self._steer("signer")["pem"]
        return pem

    def code(self, challenge: str, client: str = "gateway") -> str:
        """An authorization code for the user, as if they had signed in at the client."""
        code: str = self._steer(f"code?client={client}&challenge={challenge}")["code"]
        return code

    def token(self, client: str = "service", scope: str = "read write", **headers: str) -> str:
        """An access token straight from the provider, by client_credentials.

        ``headers`` of the request; ``_`` in a name stands for ``-``.
        """
        form = {"grant_type": "client_credentials", "scope": scope}
        token: str = self._post("/token", form, client, **headers)["access_token"]
        return token

    def revoke(self, token: str, client: str = "service") -> None:
        """The client takes its token back (RFC 7009)."""
        self._post("/token/revocation", {"token": token}, client)

    def _post(self, path: str, form: dict[str, str], client: str, **headers: str) -> Any:
        request = urllib.request.Request(
            self.issuer + path,
            data=urllib.parse.urlencode(form).encode(),
            headers={
                "Authorization": basic(client, secret(client)),
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else {}

    def stop(self) -> None:
        self.process.stop()


def basic(name: str, password: str) -> str:
    """An Authorization header's value (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
