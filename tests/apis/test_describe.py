"""Models -> document: complete, in constant time, secrets sealed."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydantic import TypeAdapter

from apis.config import Document
from apis.describe import NotDescribable, describe
from apis.models import Api, AttachedPolicy
from oidc_clients.models import ProviderClient
from policies.references import STORED
from policies.secrets import Keyring

CANARY = "canary-4711"


def configuration(size):
    apis = "".join(
        f"""
  - name: a{n}
    base_path: /a{n}
    upstream: {{targets: [{{url: "http://127.0.0.1:1"}}, {{url: "http://127.0.0.1:2"}}]}}
    policies: [{{jwt: {{providers: [p{n}]}}}}]
    routes: [{{path: /x, policies: [{{public: {{}}}}]}}, {{path: /y}}]"""
        for n in range(size)
    )
    providers = "".join(
        f"""
  - {{name: p{n}, issuer: "https://p{n}.example.org", audiences: [a], algorithms: [RS256],
     client: {{id: c, secret: {CANARY}-{n}}}}}"""
        for n in range(size)
    )
    clients = "".join(
        f"""
  - {{name: c{n}, api_keys: [{{name: k, value: {CANARY}-key-{n}}}],
     signing_keys: [{{id: s{n}, algorithm: hmac-sha256, secret: {CANARY}-hmac-{n}}}]}}"""
        for n in range(size)
    )
    return f"format: 1\nproviders:{providers}\nclients:{clients}\napis:{apis}\n"


def queries():
    with CaptureQueriesContext(
        connection,
    ) as captured:
        describe()
    return len(captured)


def test_the_number_of_queries_does_not_depend_on_the_size(operator):
    assert operator.apply(configuration(1)).status == 0
    few = queries()
    assert operator.apply(configuration(7)).status == 0
    assert queries() == few == 11


def test_secrets_are_sealed_and_open_with_the_keyring(operator):
    operator.apply(configuration(1))
    document = describe()
    secret = document.providers[0].client.secret
    assert secret.value is None
    assert secret.reveal(Keyring.from_settings()) == f"{CANARY}-0"
    assert CANARY not in repr(document)
    assert CANARY not in document.model_dump_json(context=STORED)


def test_a_stored_copy_is_the_same_document(operator):
    """What the installation keeps on disk can be taken up again without the database."""
    operator.apply(configuration(2))
    document = describe()
    copy = TypeAdapter(dict).validate_json(document.model_dump_json(context=STORED))
    again = Document.model_validate(copy, context=STORED)
    assert again == document
    assert again.providers[1].client.secret.reveal(Keyring.from_settings()) == f"{CANARY}-1"


def test_a_text_that_was_edited_is_no_longer_said_to_come_from_its_file(operator):
    document = "openapi: 3.1.0\npaths: {/x: {get: {}}}\n"
    operator.write(document, "orders.yaml")
    operator.apply(
        configuration(1).replace("    routes", "    openapi: {file: orders.yaml}\n    routes")
    )
    assert describe().apis[0].openapi.file == str(operator.folder / "orders.yaml")
    Api.objects.update(openapi=document + "# edited in the console\n")
    assert describe().apis[0].openapi.file == ""
    assert "# edited in the console" in operator.export()
    assert operator.apply(operator.export()).out == "Nothing to change.\n"


def test_A1_a_secret_of_another_row_does_not_open(operator):
    operator.apply(configuration(2))
    first, second = ProviderClient.objects.order_by("provider__name")
    stored = first.secret.stored
    ProviderClient.objects.filter(id=second.id).update(secret=stored)
    secret = describe().providers[1].client.secret
    with pytest.raises(Exception, match="does not open with its key"):
        secret.reveal(Keyring.from_settings())


def test_F7_a_stored_kind_that_nobody_knows_is_a_problem_with_its_place(operator):
    operator.apply(configuration(1))
    AttachedPolicy.objects.create(api=Api.objects.get(), kind="plugin", position=1)
    with pytest.raises(NotDescribable) as refused:
        describe()
    (problem,) = refused.value.problems
    assert problem.path == "apis[0].policies[1]"
    assert problem.message.startswith("unknown policy kind")
    assert operator.run("export_config").status == 2
    ran = operator.apply(configuration(1))
    assert ran.problems == [f"{problem} (in the stored configuration)"]
