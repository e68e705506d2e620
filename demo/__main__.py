"""``make demo``: Gatehouse with a demo provider and a demo API, ready to be tried with curl.

Everything runs on this machine, on loopback, from a data directory of its own; nothing that
the environment says about a real installation is used. Ctrl-C stops all of it.
"""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
PROVIDER, ORDERS = 9101, 9102
CLIENT, SECRET = "demo-client", "demo-client-secret"
_KEPT = ("GATEHOUSE_PROXY_BIND", "GATEHOUSE_CONSOLE_BIND", "GATEHOUSE_WORKERS")
_PATIENCE = 60.0  # seconds until everything must be ready


def main() -> int:
    """Run the demo until it is stopped; returns the exit code."""
    _use_own_settings()
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from gatewaysite.firststeps import prepare, renew_administrator
    from gatewaysite.serve import ROLES, UNUSABLE, Supervisor, role_command

    environment = settings.ENVIRONMENT
    proxy, console = environment.proxy_bind, environment.console_bind
    addresses = [proxy, console, f"127.0.0.1:{PROVIDER}", f"127.0.0.1:{ORDERS}"]
    busy = [address for address in addresses if _taken(address)]
    if busy:
        print(f"in use already: {', '.join(busy)}; stop what listens there", file=sys.stderr)
        return UNUSABLE
    prepare()
    with open(os.devnull, "w") as nowhere:
        call_command("apply_config", str(HERE / "gatehouse.yaml"), stdout=nowhere)
    guide = Guide(proxy, console, renew_administrator())
    commands = {role: role_command(role) for role in ROLES}
    for name, port in (("provider", PROVIDER), ("orders", ORDERS)):
        commands[name] = [sys.executable, "-m", f"demo.{name}", "--port", str(port)]
    announce = threading.Thread(target=guide.show_when_ready, daemon=True)
    return Supervisor(commands, environment.drain_timeout).run(beside=announce.start)


def _use_own_settings() -> None:
    for name in [name for name in os.environ if name.startswith("GATEHOUSE_")]:
        if name not in _KEPT:
            del os.environ[name]
    os.environ["DJANGO_SETTINGS_MODULE"] = "gatewaysite.settings"
    os.environ["GATEHOUSE_DATA_DIR"] = str(HERE.parent / "var" / "demo")
    os.environ["GATEHOUSE_ALLOW_PRIVATE_UPSTREAMS"] = "127.0.0.0/8,::1/128"


def _taken(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


class Guide:
    """The lines to paste, shown when they will work."""

    def __init__(self, proxy: str, console: str, password: str) -> None:
        self._proxy, self._console, self._password = proxy, console, password

    def show_when_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not self._works():
            if time.monotonic() > deadline:
                print("the demo is not ready; see the messages above", file=sys.stderr)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(0.2)
        print(self._text(), flush=True)

    def _works(self) -> bool:
        """Whether a token can be had, the API called with it, and the console opened."""
        try:
            form = {"grant_type": "client_credentials"}
            basic = b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            answer = _ask(
                self._proxy, "POST", "/auth/demo/token", f"Basic {basic}", urlencode(form)
            )
            token = json.loads(answer)["access_token"]
            _ask(self._proxy, "GET", "/orders/items", f"Bearer {token}")
            _ask(self._console, "GET", "/admin/login/")
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return False
        return True

    def _text(self) -> str:
        gateway = f"http://{self._proxy}"
        token = f"curl -s -u {CLIENT}:{SECRET} -d grant_type=client_credentials"
        member = r"""sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p'"""
        return f"""
# Gatehouse is ready. Paste these into another terminal; Ctrl-C here stops everything.

# 1. Get a token from the demo provider, through the gateway.
TOKEN=$({token} {gateway}/auth/demo/token | {member})

# 2. Call the demo API with it.
curl -s -i -H "Authorization: Bearer $TOKEN" {gateway}/orders/items

# 3. Without a token the call is refused.
curl -s -i {gateway}/orders/items

# 4. Or call it as a person: open this page in a browser, sign in, and come back to it.
#    page:               {gateway}/desk/items
#    sign in as:         demo, demo-password
#    your sessions:      {gateway}/auth/sessions

# 5. Open the console. The password is made anew at each start of the demo.
#    address:            http://{self._console}/admin/
#    user:               admin
#    one-time password:  {self._password}"""


def _ask(address: str, method: str, path: str, credential: str = "", form: str = "") -> bytes:
    """The body of a 200. Raises ``ValueError`` for any other answer."""
    connection = http.client.HTTPConnection(address, timeout=5)
    headers = {"Authorization": credential} if credential else {}
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, path, form or None, headers)
        answer = connection.getresponse()
        body = answer.read(65536)
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"{method} {path}: {answer.status}")
    return body


if __name__ == "__main__":
    sys.exit(main())
