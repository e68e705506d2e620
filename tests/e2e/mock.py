"""npm ``oauth2-mock-server``: a provider that signs whatever it is told to (see ``provider/``)."""

import json
import time
from typing import Any

from tests.e2e.processes import Process
from tests.e2e.provider import AUDIENCE, FOLDER, install


class MockServer:
    """A running mock. It publishes an RSA key and an EC key, and signs with either."""

    def __init__(self) -> None:
        install()
        self._process = Process(["node", "mock.mjs"], cwd=FOLDER)
        greeting = self._process.greeting()
        self.issuer: str = greeting["issuer"]
        self.kids: dict[str, str] = {name: greeting[name] for name in ("rsa", "ec")}

    def token(self, header: dict[str, Any] | None = None, key: str = "rsa", **claims: Any) -> str:
        """A good access token, with header and claims changed as given; None takes one out."""
        now = int(time.time())
        usual = {"sub": "carol", "aud": AUDIENCE, "scope": "read", "iat": now, "nbf": now}
        asked = {
            "header": {"typ": "at+jwt", **(header or {})},
            "payload": {**usual, "exp": now + 300, **claims},
            "key": self.kids[key],
        }
        return self._process.ask(json.dumps(asked))

    def stop(self) -> None:
        self._process.stop()
