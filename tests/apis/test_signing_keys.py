"""A configuration that signs gets the gateway's first key with it, however it is made."""

import pytest

from apis.models import Api, AttachedPolicy, Upstream
from policies.models import GatewayKey

pytestmark = pytest.mark.django_db

FILE = """
format: 1
apis:
  - name: orders
    upstream: {{targets: [{{url: "http://127.0.0.1:9000"}}]}}
    policies: [{{public: {{}}}}, {policy}]
"""


@pytest.mark.parametrize(
    ("policy", "keys"),
    [
        ("sign_response: {}", 1),
        ("forward_identity: {token: X-Identity}", 1),
        ("forward_identity: {}", 0),
        ("sign_response: {mode: 'off'}", 0),
        ("sign_response: {mode: report}", 1),
    ],
)
def test_a_file_that_needs_a_key_makes_it(operator, policy: str, keys: int) -> None:
    text = FILE.format(policy="{" + policy + "}")
    operator.apply(text)
    assert GatewayKey.objects.count() == keys
    operator.apply(text)
    assert GatewayKey.objects.count() == keys


def test_a_trial_and_a_refused_file_make_none(operator) -> None:
    text = FILE.format(policy="{sign_response: {}}")
    operator.apply(text, "--dry-run")
    assert operator.apply(text + "  - name: broken\n").problems
    assert GatewayKey.objects.count() == 0


def test_a_policy_of_the_console_gets_it_too(operator) -> None:
    api = Api.objects.create(name="a", upstream=Upstream.objects.create(name="u"))
    policy = AttachedPolicy.objects.create(api=api, kind="sign_response", mode="off")
    AttachedPolicy.objects.create(api=api, kind="sign_response", config={"digest": "md5"})
    assert GatewayKey.objects.count() == 0
    policy.mode = "enforce"
    policy.save()
    assert GatewayKey.objects.count() == 1
