"""The examples of ``docs/signatures.md``, run as they stand there against a running gateway."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Start
from tests.e2e.gateway import Gateway
from tests.e2e.processes import ROOT
from tests.e2e.servers import until
from tests.e2e.upstream import Upstream

pytestmark = pytest.mark.e2e

PAGE = (ROOT / "docs" / "signatures.md").read_text()
VERIFIED = "the answer is the gateway's, to this request"


def blocks(language: str) -> list[str]:
    """The code of that language on the page, in its order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_has_the_examples() -> None:
    counted = {language: len(blocks(language)) for language in ("sh", "yaml", "python", "js")}
    assert counted == {"sh": 2, "yaml": 1, "python": 1, "js": 1}


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works; the first commands make the client's key."""
    made = tmp_path_factory.mktemp("signatures")
    needed("openssl")
    subprocess.run(["sh", "-euc", blocks("sh")[0]], cwd=made, check=True, capture_output=True)
    assert (made / "partner.pub.pem").exists()
    return made


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream, folder: Path) -> Gateway:
    """Serves the page's configuration, with our upstream in the place of theirs."""
    document = yaml.safe_load(blocks("yaml")[0])
    made = start({"format": 1}, workers=1)
    (orders,) = document["apis"]
    orders["upstream"]["targets"] = [{"url": upstream.url}]
    path = folder / "signed.yaml"
    path.write_text(yaml.safe_dump(document))
    result = made.command("apply_config", str(path))
    assert result.code == 0, result.output
    until(
        lambda: made.call("POST", "/orders/items").code == "signature_missing", 20, "the page's API"
    )
    return made


def run(gateway: Gateway, folder: Path, *command: str) -> str:
    environ = {**gateway.environ, "GATEWAY": f"http://127.0.0.1:{gateway.port}"}
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def arrived(upstream: Upstream) -> None:
    (seen,) = upstream.seen()
    assert (seen.method, seen.target) == ("POST", "/items?dry=1")
    assert seen.body in ('{"item": 7}', '{"item":7}')


def test_curl_and_openssl(gateway: Gateway, upstream: Upstream, folder: Path) -> None:
    needed("curl")
    upstream.clear()
    answer = run(gateway, folder, "sh", "-euc", blocks("sh")[1])
    assert answer.startswith("HTTP/1.1 200"), answer
    assert "signature: gatehouse=:" in answer
    arrived(upstream)


def test_python(gateway: Gateway, upstream: Upstream, folder: Path) -> None:
    upstream.clear()
    answer = run(gateway, folder, sys.executable, "-c", blocks("python")[0])
    assert answer.startswith("200 ")
    assert VERIFIED in answer
    arrived(upstream)


def test_node(gateway: Gateway, upstream: Upstream, folder: Path) -> None:
    node = needed("node")
    upstream.clear()
    (folder / "signed.mjs").write_text(blocks("js")[0])
    answer = run(gateway, folder, node, "signed.mjs")
    assert answer.startswith("200 ")
    assert VERIFIED in answer
    arrived(upstream)
