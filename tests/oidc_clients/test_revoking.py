"""Taking tokens back, by the console and by the command: what is kept, and what is refused."""

import io
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from oidc_clients.models import Provider, Revocation
from oidc_clients.revocation import Kind
from oidc_clients.revoking import KEPT, NotRevocable, named_by, revoke, stored_book
from oidc_clients.tasks import purge_revocations
from policies.models import Generation
from tests.console_pages import Console, superuser
from tests.oidc_clients.conftest import b64

pytestmark = pytest.mark.django_db
ISSUER = "https://id.example.org"
SIGNATURE = b64(b"canary-of-the-signature").decode()


@pytest.fixture(autouse=True)
def acme() -> Provider:
    return Provider.objects.create(
        name="acme", issuer=ISSUER, audiences=["a"], algorithms=["RS256"]
    )


def token(**changes: Any) -> str:
    claims = {"iss": ISSUER, "jti": "t-1", "exp": int(time.time()) + 600, **changes}
    parts = ({"alg": "RS256"}, {k: v for k, v in claims.items() if v is not None})
    return ".".join([b64(json.dumps(part).encode()).decode() for part in parts] + [SIGNATURE])


def generation() -> int:
    return Generation.all_values().get(Generation.REVOCATIONS, 0)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def command(*arguments: str, stdin: str = "") -> str:
        out = io.StringIO()
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        call_command("revoke", *arguments, stdout=out)
        return out.getvalue()

    return command


def test_a_token_is_known_by_its_id_and_kept_as_long_as_it_could_be_valid(run: Any) -> None:
    text = token(sub="canary-of-the-subject")
    assert run("--token", stdin=f"Bearer {text}\n") == "one token: t-1\n"
    row = Revocation.objects.get()
    assert (row.issuer, row.kind, row.value, row.before) == (ISSUER, "token", "t-1", None)
    ends = named_by(text).expires
    assert row.expires == ends
    assert 600 < (ends - timezone.now()).total_seconds() <= 720
    assert "canary" not in str(Revocation.objects.values())
    assert generation() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is not a signed JWT"),
        ("a.b.c", "this is not a signed JWT"),
        (token(iss="https://other.example"), "the token comes from no registered provider"),
        (token(iss=None), "the token comes from no registered provider"),
        (token(jti=None), "the token has no jti"),
        (token(jti=7), "the token has no jti"),
        (token(exp=None), "the token has no valid exp"),
        (token(exp="soon"), "the token has no valid exp"),
        (token(exp=2**52), "the token has no valid exp"),
        (token(exp=1000), "the token has expired already"),
        (token(jti="x" * 1001), "this is longer than 1000 characters"),
    ],
    ids=[  # tokens hold the time, and every process must collect the same tests
        *("nothing", "no token", "another issuer", "no issuer", "no jti", "a number as jti"),
        *("no exp", "a text as exp", "an exp beyond all time", "expired", "a long jti"),
    ],
)
def test_what_names_no_token_is_refused(run: Any, text: str, message: str) -> None:
    with pytest.raises(CommandError) as error:
        run("--token", stdin=text)
    assert error.value.returncode == 2
    assert str(error.value).startswith(message)
    assert not Revocation.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "kind", "value"),
    [
        (("--subject", "user-1"), "subject", "user-1"),
        (("--client", "shop"), "client", "shop"),
        (("--all",), "issuer", ""),
        (("--jti", "t-2"), "token", "t-2"),
    ],
)
def test_everything_that_can_be_named(
    run: Any, arguments: tuple[str, ...], kind: str, value: str
) -> None:
    earliest = timezone.now()
    run(*arguments, "--provider", "acme", "--reason", "leaked")
    row = Revocation.objects.get()
    assert (row.kind, row.value, row.reason) == (kind, value, "leaked")
    assert row.expires >= earliest + KEPT
    if kind != "token":
        assert row.before is not None
        assert earliest <= row.before <= timezone.now()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--subject", "x"), "--provider is needed"),
        (("--subject", "x", "--provider", "nobody"), "no provider is called nobody"),
        (("--subject", "", "--provider", "acme"), "say whose tokens"),
        (("--subject", "x", "--provider", "acme", "--before", "soon"), "--before: "),
        (("--all", "--provider", "acme", "--before", "2999-01-01"), "the moment is more than"),
    ],
)
def test_a_command_that_cannot_be_meant_changes_nothing(
    run: Any, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)
    assert not Revocation.objects.exists()
    assert generation() == 0


def test_taking_back_again_only_ever_adds(run: Any) -> None:
    run("--subject", "u", "--provider", "acme", "--before", "2026-02-01", "--reason", "first")
    first = Revocation.objects.get()
    run("--subject", "u", "--provider", "acme", "--before", "2026-01-01")
    second = Revocation.objects.get()
    assert second.before == datetime(2026, 2, 1, tzinfo=UTC)
    assert (second.reason, second.created) == ("first", first.created)
    assert second.expires >= first.expires
    run("--subject", "u", "--provider", "acme")
    third = Revocation.objects.get()
    assert third.before is not None
    assert third.before > datetime(2026, 2, 1, tzinfo=UTC)
    assert generation() == 3


def test_what_has_ended_is_purged_and_told_to_the_workers() -> None:
    revoke(ISSUER, Kind.TOKEN, "kept")
    revoke(ISSUER, Kind.TOKEN, "gone")
    Revocation.objects.filter(value="gone").update(expires=timezone.now() - timedelta(seconds=1))
    assert [entry.value for entry in stored_book().entries] == ["kept"]
    before = generation()
    purge_revocations()
    assert [row.value for row in Revocation.objects.all()] == ["kept"]
    assert generation() == before + 1
    purge_revocations()
    assert generation() == before + 1


def test_a_provider_that_is_deleted_leaves_its_revocations() -> None:
    revoke(ISSUER, Kind.SUBJECT, "u")
    Provider.objects.all().delete()
    assert [entry.issuer for entry in stored_book().entries] == [ISSUER]


def test_a_revocation_is_no_change_of_the_configuration() -> None:
    before = Generation.all_values()[Generation.CONFIGURATION]
    revoke(ISSUER, Kind.ISSUER)
    assert Generation.all_values()[Generation.CONFIGURATION] == before


def test_only_the_whole_issuer_goes_without_a_value() -> None:
    for kind, value in ((Kind.TOKEN, ""), (Kind.ISSUER, "x")):
        with pytest.raises(NotRevocable):
            revoke(ISSUER, kind, value)


@pytest.fixture
def console() -> Console:
    return Console(superuser())


ADD, LIST = "oidc_clients_revocation_add", "oidc_clients_revocation_changelist"


def test_the_console_takes_a_pasted_token_back_and_forgets_it(console: Console) -> None:
    choice = console.open(ADD)
    assert all(f"?kind={kind.value}" in choice.text for kind in Kind)
    page = console.open(ADD, query="kind=token")
    assert page.inline == []
    assert "this is not a signed JWT" in console.send(page, token="nonsense").text
    console.shown.clear()
    listed = console.send(page, token=token(), reason="lost laptop")
    assert "one token: t-1" in listed.text
    assert "lost laptop" in listed.text
    assert SIGNATURE not in "".join(console.shown) + str(Revocation.objects.values())


@pytest.mark.parametrize("kind", ["subject", "client", "issuer"])
def test_the_console_takes_back_what_was_issued_before(
    console: Console, acme: Provider, kind: str
) -> None:
    page = console.open(ADD, query=f"kind={kind}")
    entries = {"provider": str(acme.pk), "before": "2026-01-02T03:04:05"}
    if kind != "issuer":
        assert "value" in console.send(page, **entries).errors
        entries["value"] = "shop"
    late = console.send(page, **entries | {"before": "2999-01-01T00:00:00"})
    assert "before" in late.errors
    console.send(page, **entries)
    row = Revocation.objects.get()
    assert row.before == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (row.issuer, row.kind, row.value) == (ISSUER, kind, entries.get("value", ""))
    console.send(page, **entries)  # the same once more is the same entry
    assert Revocation.objects.count() == 1


def test_deleting_an_entry_gives_its_tokens_back(console: Console) -> None:
    row = revoke(ISSUER, Kind.SUBJECT, "u")
    before = generation()
    page = console.open("oidc_clients_revocation_delete", row.pk)
    console.send(page, post="yes")
    assert not stored_book().entries
    assert generation() == before + 1
    many = [revoke(ISSUER, Kind.SUBJECT, name).pk for name in "ab"]
    listed = console.open(LIST)
    confirm = {"action": "delete_selected", "_selected_action": many, "post": "yes"}
    console.browser.post(listed.url, confirm)
    assert not Revocation.objects.exists()
    assert generation() > before + 3
