"""The gateway behind any ASGI server, for development and small sites.

    uvicorn gatewaysite.catch_all:application

serves every path through Django's catch-all view (``apis.gateway.view``): the same checks, chain
and upstreams as the proxy process, at a twentieth of its speed and without upgrades. The life
span is the proxy worker's, so the server must send it (uvicorn does). None of the console's
middleware runs, and none of its URLs can be reached.
"""

from typing import Any

from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.exception import convert_exception_to_response

from gatewaysite.proxy_worker import assemble


class CatchAllRequest(ASGIRequest):
    """A request for the gateway, not for the console."""

    urlconf = "gatewaysite.catch_all_urls"


class CatchAllHandler(ASGIHandler):
    """Django without middleware: nothing is added to what the gateway answers."""

    request_class = CatchAllRequest

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(
            self._get_response_async  # type: ignore[attr-defined]
        )


class CatchAll:
    """The ASGI application: the life span for the gateway, requests for Django's view."""

    def __init__(self) -> None:
        self.gateway = assemble()
        self._django = CatchAllHandler()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        application = self.gateway if scope["type"] == "lifespan" else self._django
        await application(scope, receive, send)


application = CatchAll()
