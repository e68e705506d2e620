"""What an API's page says about its OpenAPI document, and what the console does about it."""

from typing import Any

import pytest
from django.urls import reverse

from apis.models import Api, AttachedPolicy, Target, Upstream
from policies.yaml_text import MAX_BYTES
from tests.apis.described import BROKEN, PROBLEM, USABLE
from tests.console_pages import Console, Page, superuser

pytestmark = pytest.mark.django_db

UNREAD = USABLE.replace(
    "{description: ok}",
    "{description: ok, content: {application/xml: {schema: {type: object}}}}",
)


@pytest.fixture
def console() -> Console:
    return Console(superuser())


def page_of(text: str) -> Api:
    """An API that everybody may call, with a document."""
    upstream = Upstream.objects.create(name="backend")
    Target.objects.create(upstream=upstream, url="https://backend.example.org")
    api = Api.objects.create(name="items", hosts=["*"], upstream=upstream, openapi=text)
    AttachedPolicy.objects.create(api=api, kind="public")
    return api


def attach(console: Console, api: Api, **entries: Any) -> Page:
    page = console.open("apis_attachedpolicy_add", query=f"kind=openapi&place=api:{api.pk}")
    return console.send(page, **{f"config_{name}": value for name, value in entries.items()})


def test_a_page_without_a_document_says_nothing_of_it(console: Console) -> None:
    page = console.open("apis_api_change", page_of("").pk)
    assert page.context["document"] is None
    assert 'id="openapi-document"' not in page.text


def test_a_usable_document_is_shown_with_the_way_to_judge_calls_by_it(console: Console) -> None:
    api = page_of(USABLE)
    page = console.open("apis_api_change", api.pk)
    assert "It describes 1 operation." in page.text
    assert "no call is judged by it" in page.text
    place = f"{reverse('admin:apis_attachedpolicy_add')}?place=api:{api.pk}&kind=openapi"
    assert place in page.text.replace("&amp;", "&")
    page = attach(console, api, responses="report")
    assert page.url == reverse("admin:apis_api_change", args=[api.pk])
    assert "Calls are judged by it." in page.text
    assert "Judge calls by it" not in page.text


def test_a_document_that_cannot_be_compiled_is_told_with_every_reason(console: Console) -> None:
    api = page_of(BROKEN)
    page = console.open("apis_api_change", api.pk)
    assert "No call can be judged by it" in page.text
    assert PROBLEM in page.text
    refused = attach(console, api)
    assert f"in the OpenAPI document: {PROBLEM}" in refused.text
    assert not AttachedPolicy.objects.filter(kind="openapi").exists()


def test_a_document_in_use_cannot_be_replaced_by_one_that_does_not_compile(
    console: Console,
) -> None:
    api = page_of(USABLE)
    attach(console, api)
    page = console.open("apis_api_change", api.pk)
    for text, message in ((BROKEN, PROBLEM), ("", "needs the API's document")):
        refused = console.send(page, openapi=text)
        (said,) = refused.errors["openapi"]
        assert message in said
    api.refresh_from_db()
    assert api.openapi == USABLE


def test_what_is_described_but_not_looked_into_is_said(console: Console) -> None:
    page = console.open("apis_api_change", page_of(UNREAD).pk)
    assert "Described, but not looked into" in page.text
    assert "application/xml: content of this type is not looked into" in page.text


def of_size(size: int) -> str:
    """A usable document of exactly this many bytes."""
    lines = USABLE.rstrip() + "\n" + f"# {'x' * 61}\n" * (size // 64)
    return lines[: size - 1] + "x"


def test_a_page_takes_a_document_as_large_as_a_file_may_be(console: Console) -> None:
    api = page_of(USABLE)
    page = console.open("apis_api_change", api.pk)
    assert 'enctype="multipart/form-data"' in page.text
    largest = of_size(MAX_BYTES)
    assert console.send(page, openapi=largest.replace("\n", "\r\n")).status == 200
    api.refresh_from_db()
    assert api.openapi == largest
    refused = console.send(page, openapi=of_size(MAX_BYTES + 1))
    (said,) = refused.errors["openapi"]
    assert f"larger than {MAX_BYTES} bytes" in said
