"""State URLs."""

import asyncio
from pathlib import Path

import pytest

from policies.stores.batching import BatchingState
from policies.stores.memory import MemoryState
from policies.stores.open import open_backend, open_state
from policies.stores.operations import Increment, Read


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory://host",
        "sqlite://relative.sqlite3",
        "sqlite:///relative.sqlite3",
        "redis://",
        "postgresql://:s3cret@host/db",
    ],
)
def test_an_unknown_url_says_what_to_write_and_not_what_was_written(url: str) -> None:
    with pytest.raises(ValueError, match="memory://, sqlite:////absolute/path, redis://") as said:
        open_state(url)
    assert "s3cret" not in str(said.value)


def test_memory_is_answered_at_once_and_the_others_by_their_thread(tmp_path: Path) -> None:
    assert isinstance(open_state("memory://"), MemoryState)
    assert isinstance(open_state(f"sqlite:///{tmp_path}/s"), BatchingState)
    assert isinstance(open_state("redis://127.0.0.1:1/0"), BatchingState)
    assert isinstance(open_state("rediss://127.0.0.1:1/0"), BatchingState)


def test_blocking_and_asynchronous_callers_of_a_process_see_the_same_state(tmp_path: Path) -> None:
    for url in ("memory://", f"sqlite:///{tmp_path}/state.sqlite3"):
        open_backend(url).execute([Increment("seen by both", 41, 60)])
        assert asyncio.run(open_state(url).increment("seen by both", 1, 60)) == 42
        assert open_backend(url).execute([Read("seen by both")]) == [b"42"]
