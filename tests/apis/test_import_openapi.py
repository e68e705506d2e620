"""``import_openapi``: routes from a document, again and again."""

import http.server
import re
import threading
from collections.abc import Iterator

import pytest
import yaml

from apis.models import Api, AttachedPolicy, Route
from policies.models import Generation

UPSTREAM = "http://127.0.0.1:9000"


def document(*operations):
    paths = {}
    for operation in operations:
        method, path = operation.split()
        named = re.findall(r"{(\w+)}", path)
        parameters = [{"name": n, "in": "path", "required": True, "schema": {}} for n in named]
        described = {"responses": {"200": {"description": "ok"}}, "parameters": parameters}
        paths.setdefault(path, {})[method.lower()] = described
    info = {"title": "t", "version": "1"}
    return yaml.safe_dump({"openapi": "3.1.0", "info": info, "paths": paths})


ITEMS = document("GET /items", "POST /items", "GET /items/{id}")


@pytest.fixture
def load(operator):
    def load(text, *options, upstream=UPSTREAM):
        operator.write(text, "orders.yaml")
        arguments = ("orders.yaml", "--api", "orders", "--upstream", upstream)
        return operator.run("import_openapi", *arguments, *options)

    return load


def stored() -> list[str]:
    return [
        f"{' '.join(route.methods)} {route.path} {[p.kind for p in route.policies.all()]}"
        for route in Route.objects.all()
    ]


def test_a_new_api_gets_its_operations_and_refuses_until_somebody_is_let_in(operator, load):
    ran = load(ITEMS)
    assert ran.status == 0
    assert stored() == ["GET /items []", "POST /items []", "GET /items/{id} []"]
    api = Api.objects.get()
    assert (api.name, api.base_path, api.upstream.targets.get().url) == (
        "orders",
        "/orders",
        UPSTREAM,
    )
    assert [policy.kind for policy in api.policies.all()] == ["openapi"]
    assert "its routes answer 503 misconfigured until an identity policy\nis attached" in ran.out
    assert "python manage.py export_config > gatehouse.yaml" in ran.out
    assert operator.generation() == 1


def test_the_next_step_that_is_printed_works(operator, load):
    load(ITEMS)
    exported = operator.export().replace("  policies:\n", "  policies:\n  - public: {}\n")
    assert operator.apply(exported).status == 0
    assert "misconfigured" not in load(ITEMS).out


def test_what_export_prints_of_it_can_be_applied(operator, load):
    load(ITEMS)
    assert operator.apply(operator.export()).out == "Nothing to change.\n"


def test_what_nobody_may_call_yet_is_not_changed_by_a_file_that_leaves_it_so(operator, load):
    load(ITEMS)
    changed = operator.export().replace("path: /items}", "path: /things}")
    assert all(
        "nothing here says who may call" in line for line in operator.apply(changed).problems
    )


def test_importing_again_changes_nothing(operator, load):
    load(ITEMS)
    before = list(Route.objects.values())
    assert load(ITEMS).out.startswith("Nothing to change.\n")
    assert list(Route.objects.values()) == before
    assert operator.generation() == 1


def test_a_dry_run_changes_nothing(operator, load):
    ran = load(ITEMS, "--dry-run")
    assert "+  - {methods: [GET], path: '/items/{id}'}" in ran.out
    assert "Nothing was changed: dry run." in ran.out
    assert not Api.objects.exists()
    assert Generation.all_values() == {}


def test_a_changed_document_prints_the_difference_and_keeps_policies_and_hand_made_routes(
    operator, load
):
    load(ITEMS)
    api = Api.objects.get()
    AttachedPolicy.objects.create(api=api, kind="public")
    item = Route.objects.get(path="/items/{id}")
    AttachedPolicy.objects.create(route=item, kind="body_limit", config={"max_bytes": 10})
    Route.objects.create(api=api, path="/by-hand", methods=["GET"], position=9)
    ran = load(document("GET /items", "GET /items/{id}", "DELETE /items/{id}"))
    assert stored() == [
        "GET /items []",
        "GET /items/{id} ['body_limit']",
        "GET /by-hand []",
        "DELETE /items/{id} []",
    ]
    changed = [
        line for line in ran.out.splitlines()[2:] if line[0] in "+-" and "sha256" not in line
    ]
    assert changed == [
        "-  - {methods: [POST], path: /items}",
        "+  - {methods: [DELETE], path: '/items/{id}'}",
    ]
    assert Route.objects.get(path="/items/{id}", methods=["GET"]).id == item.id
    assert "misconfigured" not in ran.out


def test_an_operation_that_a_hand_made_route_serves_gets_no_second_one(operator, load):
    load(document("GET /a"))
    api = Api.objects.get()
    AttachedPolicy.objects.create(api=api, kind="public")
    Route.objects.create(api=api, path="/x/{n}", methods=["GET", "PUT"], position=8)
    Route.objects.create(api=api, path="/y", methods=[], position=9)
    load(document("GET /a", "GET /x/{id}", "POST /x/{id}", "GET /y"))
    assert stored() == ["GET /a []", "GET PUT /x/{n} []", " /y []", "POST /x/{id} []"]


def test_what_the_document_does_not_say_stays(operator, load):
    operator.apply(
        "format: 1\napis: [{name: orders, base_path: /v1, policies: [{public: {}}], upstream: "
        f"{{targets: [{{url: '{UPSTREAM}'}}, {{url: 'http://127.0.0.1:9001'}}], retries: 3}}}}]"
    )
    load(ITEMS)
    api = Api.objects.get()
    assert (api.base_path, api.upstream.retries, api.upstream.targets.count()) == ("/v1", 3, 2)
    assert [policy.kind for policy in api.policies.all()] == ["public"]
    load(ITEMS, upstream="http://127.0.0.1:9002")
    assert [t.url for t in Api.objects.get().upstream.targets.all()] == ["http://127.0.0.1:9002"]


def test_an_api_with_a_document_and_no_routes_has_its_operations(operator):
    operator.write(ITEMS, "orders.yaml")
    text = (
        "format: 1\napis: [{name: orders, policies: [{public: {}}], openapi: {file: orders.yaml},"
        f" upstream: {{targets: [{{url: '{UPSTREAM}'}}]}}}}]"
    )
    assert operator.apply(text).status == 0
    assert len(stored()) == 3
    assert operator.apply(text).out == "Nothing to change.\n"
    operator.write(document("GET /other"), "orders.yaml")
    assert operator.apply(text).status == 0
    assert stored() == ["GET /other []"]
    operator.write(document("GET /x{y}"), "orders.yaml")
    assert operator.apply(text).problems == [
        "apis[0].openapi (line 2): in the OpenAPI document: paths./x{y}: a parameter is a whole "
        "segment: /items/{id}, /files/{path*}"
    ]


@pytest.mark.parametrize(
    ("text", "upstream", "problem"),
    [
        ("openapi: 2.0", UPSTREAM, "orders.yaml: openapi: give an OpenAPI document of version"),
        (ITEMS, "ftp://h", "upstream.targets[0].url: the URL must begin with http:// or https://"),
        (ITEMS, "http://10.0.0.1", "apis.orders.upstream.targets[0].url: 10.0.0.1 may not be"),
        ("", UPSTREAM, "the text is empty"),
        (
            *(ITEMS.replace("schema: {}", "schema: {type: integr}"), UPSTREAM),
            "apis.orders.openapi: in the OpenAPI document: paths./items/{id}.get.parameters[0]",
        ),
    ],
)
def test_what_cannot_be_imported_is_refused(operator, load, text, upstream, problem):
    ran = load(text, upstream=upstream)
    assert ran.status == 2
    assert problem in ran.err
    assert not Api.objects.exists()


def test_a_name_that_cannot_be_used_is_refused(operator, load):
    operator.write(ITEMS)
    ran = operator.run("import_openapi", "gatehouse.yaml", "--api", "A b", "--upstream", UPSTREAM)
    assert (ran.status, ran.err.split(":")[0]) == (2, "name")


class Files(http.server.BaseHTTPRequestHandler):
    """Serves one document, and what a hostile server might send instead."""

    answers = {
        "/orders.yaml": (200, ITEMS.encode()),
        "/large": (200, b"x" * (4 * 1024 * 1024 + 1)),
        "/gone": (404, b""),
        "/elsewhere": (302, b""),
        "/binary": (200, b"\xff"),
    }

    def do_GET(self):
        status, content = self.answers[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", "/orders.yaml")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def files() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_document_is_fetched(operator, files):
    arguments = ("--api", "orders", "--upstream", UPSTREAM)
    ran = operator.run("import_openapi", f"{files}/orders.yaml", *arguments)
    assert ran.status == 0
    assert len(stored()) == 3
    assert operator.run("import_openapi", f"{files}/orders.yaml", *arguments).out.startswith(
        "Nothing to change."
    )
    assert operator.apply(operator.export()).out == "Nothing to change.\n"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/large", "answered with more than 4194304 bytes"),
        ("/gone", "answered with status 404"),
        ("/elsewhere", "redirects, which is not followed"),
        ("/binary", "is not UTF-8 text"),
    ],
)
def test_S1_what_must_not_be_fetched_is_refused(operator, files, path, problem):
    ran = operator.run(
        "import_openapi", f"{files}{path}", "--api", "orders", "--upstream", UPSTREAM
    )
    assert ran.status == 2
    assert problem in ran.err


def test_S1_a_document_is_fetched_from_allowed_networks_only(operator, files, settings):
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"allow_private_upstreams": ()})
    ran = operator.run(
        "import_openapi", f"{files}/orders.yaml", "--api", "orders", "--upstream", UPSTREAM
    )
    assert ran.status == 2
    assert "no allowed private network holds it" in ran.err
