"""Who may import whom: the contracts of ``pyproject.toml``, and purity seen by running."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Packages whose every module must work where Django is not installed.
PURE = ["policies/core", "policies/http", "policies/kinds", "policies/openapi", "policies/stores"]
PURE_MODULES = [
    *("apis.routing", "apis.live", "policies.registry"),
    *("apis.gateway.handle", "apis.gateway.http1", "apis.gateway.upstream"),
    *("oidc_clients.jwks", "oidc_clients.keystore", "oidc_clients.tokens"),
    *("oidc_clients.revocation", "oidc_clients.introspection"),
]

_WITHOUT_DJANGO = """
import sys
sys.modules["django"] = None
import importlib
importlib.import_module(sys.argv[1])
"""


def modules() -> list[str]:
    found = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for folder in PURE
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return found + PURE_MODULES


@pytest.mark.parametrize("module", modules())
def test_the_pure_modules_import_where_django_is_absent(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_DJANGO, module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
