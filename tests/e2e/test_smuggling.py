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

OUTER = b"POST /outer HTTP/1.1\r\nHost: a\r\n"
INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\nX: "  # what an attacker hides in a body
ENDED = b"0\r\n\r\n" + INNER
CHUNK = INNER + b"y\r\n\r\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CHUNK), CHUNK)
SIZE_LINE = CHUNKED.index(b"\n") + 1
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PLAIN = re.compile(rb"Transfer-Encoding: chunked", re.IGNORECASE)
SILENCE = 0.15  # seconds after which the client says that it has nothing more to send

# Not refused, and right so: the message is whole, ends its connection, and what follows is
# never read as another one.
ENDED_BEFORE = {
    "No restart when keep-alive is off (1.0)",
    "Resetting flags when keep-alive is off (1.0, lenient)",
    "CRLF between requests, explicit `close` (lenient)",
    "Headers separated by dummy characters (lenient)",
    "HTTP/1.1 with keep-alive disabled and 204 status",
    "HTTP/1.1 with keep-alive disabled and 204 status (lenient)",
    "HTTP/1.1 with keep-alive disabled, content-length",
    "HTTP/1.1 with keep-alive disabled, content-length (lenient)",
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


def _requests(header: bytes) -> dict[str, bytes]:
    """One mutation in every constellation: beside both lengths, and alone."""
    return {
        "CL.TE": b"%bContent-Length: %d\r\n%b\r\n\r\n%b" % (OUTER, len(ENDED), header, ENDED),
        "TE.CL": b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (OUTER, header, SIZE_LINE, CHUNKED),
        "TE": b"%b%b\r\n\r\n%b" % (OUTER, header, CHUNKED),
    }


def test_figure_14_te_mutations_never_split_a_request(gateway: Gateway, upstream: Upstream) -> None:
    mutations = te_mutations()
    assert len(mutations) == 1148
    pids = gateway.worker_pids()
    upstream.clear()
    outcomes: Counter[str] = Counter()
    complete = 0
    # What the outer request's content may be: by its length, or by its chunks, and never a mix.
    lengths = {"CL.TE": {len(ENDED)}, "TE.CL": {SIZE_LINE}, "TE": {0, len(CHUNK)}}
    for name, header in mutations:
        for constellation, raw in _requests(header).items():
            answers = _exchange(gateway, raw + LAST)
            statuses = [answer.status for answer in answers]
            case = (name, constellation, statuses)
            carried = [answer for answer in answers if answer.status == 200]
            assert all(status == 200 or 400 <= status < 500 for status in statuses), case
            complete += len(carried)
            assert upstream.counts()["complete"] == complete, case
            if statuses[0] == 200:
                assert answers[0].json()["length"] in lengths[constellation], case
            if constellation == "TE" and PLAIN.fullmatch(header):
                assert statuses == [200, 200], case
                assert answers[0].json()["length"] == len(CHUNK), case
            if constellation != "TE" and PLAIN.fullmatch(header):
                assert statuses == [400], case
            outcomes[f"{constellation} {len(carried)}"] += 1
    assert upstream.counts()["violations"] == []
    assert gateway.worker_pids() == pids
    assert sum(outcomes.values()) == 3 * 1148
    print(dict(outcomes))


def _check_request(gateway: Gateway, upstream: Upstream, fixture: Fixture, raw: bytes) -> int:
    """How many requests were carried."""
    upstream.clear()
    try:
        answers = _exchange(gateway, raw, SILENCE)
    except (NoAnswer, Violation) as failure:
        raise AssertionError(f"{fixture.title}: {raw!r}: {failure}") from None
    statuses = [answer.status for answer in answers]
    case = (fixture.title, raw, statuses)
    carried = [status for status in statuses if status == 200]
    assert all(status == 200 or 400 <= status < 500 for status in statuses), case
    assert upstream.counts()["complete"] == len(carried), case
    assert upstream.counts()["violations"] == [] or not carried, case
    if fixture.must_be_refused and fixture.title not in ENDED_BEFORE:
        assert not statuses or 400 <= statuses[-1] < 500, case
    return len(carried)


def test_figure_14_llhttp_request_fixtures(gateway: Gateway, upstream: Upstream) -> None:
    fixtures = llhttp_fixtures("request")
    assert len(fixtures) == 170
    pids = gateway.worker_pids()
    carried = 0
    for fixture in fixtures:
        if fixture.with_host() != fixture.raw:  # as it is, for want of a Host: refused
            assert _check_request(gateway, upstream, fixture, fixture.raw) == 0, fixture
        carried += bool(_check_request(gateway, upstream, fixture, fixture.with_host()))
    assert gateway.worker_pids() == pids
    assert carried >= 40  # refusing everything would be easy


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
        if fixture.must_be_refused and fixture.title not in ENDED_BEFORE:
            assert answer is None or answer.status == 502, case
            assert answer is not None or "chunk" in (fixture.error or ""), case
        if answer is None:
            continue  # cut off where it broke: the client sees that it is not whole
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
