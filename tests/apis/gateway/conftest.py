"""Scenes of the gateway run on the product's event loop and on the standard one."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
import uvloop

from tests.apis.gateway import scripted


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def play(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], None]:
    """Runs a scene; see ``scripted.play``."""
    return partial(scripted.play, loop=request.param)
