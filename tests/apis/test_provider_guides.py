"""The guides' configurations are ones that ``apply_config`` accepts, and their claims hold."""

import re
from pathlib import Path

import pytest
import yaml

from apis.describe import describe
from tests.apis.conftest import Operator
from tests.oidc_clients.relay.conftest import private_key

FOLDER = Path(__file__).parents[2] / "docs" / "providers"
GUIDES = sorted(page.name for page in FOLDER.glob("*.md") if page.name != "README.md")
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[str]:
    return BLOCK.findall((FOLDER / name).read_text())


def test_there_is_a_guide_for_each() -> None:
    assert GUIDES == [
        "auth0.md", "cognito.md", "entra-id.md", "google.md", "keycloak.md", "okta.md",
    ]  # fmt: skip
    index = (FOLDER / "README.md").read_text()
    assert all(f"]({name})" in index for name in GUIDES)


@pytest.mark.parametrize("name", GUIDES)
def test_a_guides_configuration_can_be_applied(
    name: str, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = blocks(name)
    assert len(found) == 1
    for variable in re.findall(r"\{env: (\w+)\}", found[0]):
        monkeypatch.setenv(variable, "a secret of the guide")
    operator.write(private_key(), "gw.pem")
    ran = operator.apply(found[0])
    assert ran.status == 0, ran.err
    stored = describe()
    assert [p.name for p in stored.providers] == sorted(
        provider["name"] for provider in yaml.safe_load(found[0])["providers"]
    )
    assert all("password" not in provider.grants for provider in stored.providers)


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_says_what_to_enter_what_tokens_look_like_and_the_traps(name: str) -> None:
    page = (FOLDER / name).read_text()
    for heading in ("## Set up there", "## Enter here", "## Its tokens", "## Traps", "## Sources"):
        assert heading in page, heading
    sources = page.split("## Sources")[1]
    assert len(re.findall(r"\]\(https://", sources)) >= 3
