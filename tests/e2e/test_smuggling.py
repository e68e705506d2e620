"""Figure 14: vectors of request smuggling through the running gateway, all of them.

Whatever is sent, the upstream sees as many complete requests as the client gets answers that
are not refusals; nothing hangs, nothing is a 5xx, and no worker ends.
"""

import re
from collections import Counter

import pytest

from tests.e2e.conftest import Start
from tests.e2e.documents import api, document
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Answer, Client, NoAnswer
from tests.e2e.strict import Violation
from tests.e2e.upstream import Upstream
from tests.e2e.vectors import Fixture, llhttp_fixtures, te_mutations

pytestmark = pytest.mark.e2e

INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\nX: "
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PLAIN = re.compile(rb"Transfer-Encoding:[ \t]*chunked[ \t]*", re.IGNORECASE)
SILENCE = 0.15  # seconds after which the client says that it has nothing more to send

# Answered with less than a refusal, and why that is right.
CLOSED_BEFORE = {
    "No restart when keep-alive is off (1.0)": "answered and closed; what follows is not read",
    "Resetting flags when keep-alive is off (1.0, lenient)": "answered and closed",
    "CRLF between requests, explicit `close` (lenient)": "answered and closed",
    "Headers separated by dummy characters (lenient)": "answered and closed",
}


@pytest.fixture(scope="module")
def gateway(start: Start, upstream: Upstream) -> Gateway:
    everything = api("all", upstream.url, base_path="/", strip_base_path=False)
    short = {"GATEHOUSE_HEADER_TIMEOUT": "2", "GATEHOUSE_IDLE_TIMEOUT": "2"}
    return start(document(None, everything), short, workers=1)


def _exchange(gateway: Gateway, raw: bytes, silence: float = 20) -> list[Answer]:
    """Every answer to some bytes, until the gateway closes. Raises ``NoAnswer`` on a hang."""
    with Client(gateway.address) as client:
        for method in re.findall(rb"([A-Z-]+) [^\r\n]* HTTP/1", raw) or [b"GET"]:
            client._asked.append(method.decode())
        client.send(raw)
        answers: list[Answer] = []
        try:
            _collect(client, answers, silence)
        except NoAnswer:
            if client.ended:
                raise
            client.socket.shutdown(1)
            _collect(client, answers, 10)
        return answers


def _collect(client: Client, answers: list[Answer], deadline: float) -> None:
    while not client.closed(deadline):
        answers.append(client.answer(10))


def _bodies(header: bytes) -> dict[str, bytes]:
    """One mutation in every constellation: both framings, and alone."""
    chunk = INNER + b"y\r\n\r\n"
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk)
    ended = b"0\r\n\r\n" + INNER
    head = b"POST /outer HTTP/1.1\r\nHost: a\r\n"
    first_size = chunked.index(b"\n") + 1
    return {
        "CL.TE": b"%bContent-Length: %d\r\n%b\r\n\r\n%b" % (head, len(ended), header, ended),
        "TE.CL": b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (head, header, first_size, chunked),
        "TE": b"%b%b\r\n\r\n%b" % (head, header, chunked),
    }


def test_figure_14_te_mutations_never_split_a_request(gateway: Gateway, upstream: Upstream) -> None:
    mutations = te_mutations()
    assert len(mutations) == 1148
    pids = gateway.worker_pids()
    upstream.clear()
    outcomes: Counter[str] = Counter()
    complete = 0
    for name, header in mutations:
        for constellation, raw in _bodies(header).items():
            answers = _exchange(gateway, raw + LAST)
            statuses = [answer.status for answer in answers]
            case = (name, constellation, statuses)
            carried = [answer for answer in answers if answer.status == 200]
            assert all(status == 200 or 400 <= status < 500 for status in statuses), case
            complete += len(carried)
            assert upstream.counts()["complete"] == complete, case
            for answer in carried:
                assert answer.json()["target"] != "/inner", case
            if constellation == "TE" and PLAIN.fullmatch(header):
                assert statuses == [200, 200], case
                assert answers[0].json()["length"] == len(INNER) + 5, case
            if constellation != "TE" and PLAIN.fullmatch(header):
                assert statuses == [400], case
            outcomes[f"{constellation} {len(carried)}"] += 1
    assert upstream.counts()["violations"] == []
    assert gateway.worker_pids() == pids
    assert sum(outcomes.values()) == 3 * 1148
    print(dict(outcomes))


def _check_request(gateway: Gateway, upstream: Upstream, fixture: Fixture, raw: bytes) -> None:
    upstream.clear()
    try:
        answers = _exchange(gateway, raw, SILENCE)
    except NoAnswer as silence:
        raise AssertionError(f"{fixture.title}: hangs: {silence}") from None
    statuses = [answer.status for answer in answers]
    case = (fixture.title, raw, statuses)
    carried = [status for status in statuses if status == 200]
    assert all(status == 200 or 400 <= status < 500 for status in statuses), case
    assert upstream.counts()["complete"] == len(carried), case
    assert upstream.counts()["violations"] == [] or not carried, case
    if fixture.must_be_refused and fixture.title not in CLOSED_BEFORE:
        assert not statuses or 400 <= statuses[-1] < 500, case


def test_figure_14_llhttp_request_fixtures(gateway: Gateway, upstream: Upstream) -> None:
    fixtures = llhttp_fixtures("request")
    assert len(fixtures) == 170
    pids = gateway.worker_pids()
    for fixture in fixtures:
        _check_request(gateway, upstream, fixture, fixture.raw)
        if fixture.with_host() != fixture.raw:
            _check_request(gateway, upstream, fixture, fixture.with_host())
    assert gateway.worker_pids() == pids


def test_figure_14_plain_requests_of_the_fixtures_pass(
    gateway: Gateway, upstream: Upstream
) -> None:
    """Refusing everything would be easy: what is right, and complete, is carried."""
    passed = 0
    for fixture in llhttp_fixtures("request"):
        if fixture.kind != "request" or fixture.error:
            continue
        upstream.clear()
        answers = _exchange(gateway, fixture.with_host(), SILENCE)
        passed += bool(answers) and answers[0].status == 200
    assert passed >= 40, passed


def test_figure_14_llhttp_response_fixtures(gateway: Gateway, upstream: Upstream) -> None:
    fixtures = llhttp_fixtures("response")
    assert len(fixtures) == 85
    pids = gateway.worker_pids()
    carried = 0
    for fixture in fixtures:
        upstream.clear()
        upstream.script(fixture.raw)
        case = (fixture.title, fixture.raw, fixture.error)
        with Client(gateway.address) as client:
            client.request("GET", "/raw")
            answer = _whole(client)
        if answer is None:
            continue  # cut off where it broke: the client sees that it is not whole
        assert answer.status == 502 or not _broken_head(fixture), (case, answer.status)
        if answer.status == 502:
            assert answer.code == "upstream_invalid", case
        else:
            said = re.findall(rb"HTTP/1\.[01] ([2-5]\d\d)", fixture.raw)
            assert str(answer.status).encode() == said[0], case
            carried += 1
        assert gateway.call("GET", "/after").json()["target"] == "/after", case
    assert carried >= 40
    assert gateway.worker_pids() == pids


def _whole(client: Client) -> Answer | None:
    """The answer; None when it was cut. Raises ``NoAnswer`` on a hang."""
    try:
        return client.answer(10)
    except (NoAnswer, Violation):
        if not client.ended:
            raise
        return None


def _broken_head(fixture: Fixture) -> bool:
    """Whether what is wrong stands in the head, before anything was passed on."""
    return fixture.must_be_refused and "chunk" not in (fixture.error or "").lower()
