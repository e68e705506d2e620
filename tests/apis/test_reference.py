"""The reference is what the declarations say."""

from pathlib import Path

from apis.reference import reference
from policies.registry import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_page_is_the_output_of_the_command() -> None:
    assert PAGE.read_text() == reference()


def test_every_kind_and_option_is_described() -> None:
    page = reference()
    for kind, policy in KINDS.items():
        assert f"### `{kind}`" in page
        assert policy.summary in page
        for name, field in policy.Config.model_fields.items():
            assert field.title, f"{kind}.{name} has no title"
            assert field.description, f"{kind}.{name} has no description"
