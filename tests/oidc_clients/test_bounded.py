"""A dictionary that forgets."""

from hypothesis import given
from hypothesis import strategies as st

from oidc_clients.bounded import Bounded


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30))), st.integers(2, 10))
def test_J14_never_more_than_its_size_and_never_a_wrong_value(
    steps: list[tuple[bool, int]], size: int
) -> None:
    cache: Bounded[int, str] = Bounded(size)
    for write, key in steps:
        if write:
            cache.put(key, f"value {key}")
            assert cache.get(key) == f"value {key}"
        else:
            assert cache.get(key) in (None, f"value {key}")
        assert len(cache) <= size


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    cache: Bounded[int, int] = Bounded(10)
    cache.put(-1, 1)
    for key in range(1000):
        cache.put(key, key)
        assert cache.get(-1) == 1
    assert cache.get(900) is None
    assert cache.get(999) == 999
