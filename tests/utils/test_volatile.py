"""Redis is asked, and never relied upon."""

import pytest
import redis
from django.core.cache import cache
from django.test import override_settings

from tests.support.cache import redis_is_away
from wallet_project.api.defaults import caches
from wallet_project.utils import volatile


def value(key: str) -> object | None:
    """None when there is none or Redis cannot be asked."""
    found = volatile.fetch(key)
    return found.get(key) if found else None


def test_what_was_put_is_there_until_dropped(redis_url: str) -> None:
    assert value("a") is None
    volatile.put("a", {"b": [1, "c"]}, seconds=10)
    assert value("a") == {"b": [1, "c"]}
    assert volatile.fetch("a", "none") == {"a": {"b": [1, "c"]}}
    volatile.drop("a")
    assert value("a") is None


def test_only_the_first_adds(redis_url: str) -> None:
    assert volatile.add("a", 1, seconds=10) is True
    assert volatile.add("a", 2, seconds=10) is False
    assert value("a") == 1


def test_a_counter_counts_and_ends(redis_url: str) -> None:
    assert [volatile.count("n", seconds=10) for _ in range(3)] == [1, 2, 3]
    assert 0 < cache.ttl("n") <= 10


def test_a_script_is_run_also_by_a_redis_that_has_not_seen_it(redis_url: str) -> None:
    script = volatile.Script("return redis.call('GET', KEYS[1]) .. ARGV[1]")
    volatile.put("a", 1, seconds=10)
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(2):
            client.script_flush()
            assert [volatile.run(script, ["a"], ["-2"]) for _ in range(2)] == [b"1-2", b"1-2"]


def test_without_redis_every_call_comes_back(dead_redis: None) -> None:
    assert value("a") is None
    assert volatile.fetch("a") is None
    assert volatile.add("a", 1, seconds=1) is None
    assert volatile.count("a", seconds=1) is None
    assert volatile.run(volatile.Script("return 1"), [], []) is None
    volatile.put("a", 1, seconds=1)
    volatile.drop("a")


def test_after_a_failure_nobody_asks_for_a_moment(redis_url: str) -> None:
    volatile.put("a", 1, seconds=10)
    with redis_is_away():
        assert value("a") is None
        # Redis is back, and the breaker still open.
        with override_settings(CACHES=caches(redis_url)):
            assert value("a") is None
            volatile.reset_breaker()
            assert value("a") == 1


def test_a_delete_that_failed_is_made_up_for_before_anything_is_read(redis_url: str) -> None:
    volatile.put("a", 1, seconds=100)
    with redis_is_away():
        volatile.drop("a")
    assert value("a") is None


def test_values_are_json_and_never_pickles(redis_url: str) -> None:
    with pytest.raises(TypeError):
        volatile.put("a", object(), seconds=1)
