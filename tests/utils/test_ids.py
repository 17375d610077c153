"""Ids in the order of their making."""

import copy
import multiprocessing
import pickle
import time
import uuid

from wallet_project.utils.context import SYSTEM_PRINCIPAL_ID, system_actor
from wallet_project.utils.ids import read_id, uuid7


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = uuid7()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_an_id_is_as_good_as_a_plain_uuid_before_and_after_it_was_written() -> None:
    capital = "0198ABCD-0000-7000-8000-0000000000FE"
    for made in (uuid7(), read_id(capital), read_id(capital.lower())):
        plain = uuid.UUID(int=made.int)
        for _ in range(2):
            assert (made, hash(made), repr(made)) == (plain, hash(plain), repr(plain))
            again = pickle.loads(pickle.dumps(made))
            assert str(plain) == str(made) == str(copy.deepcopy(made)) == str(again)
            assert plain == copy.copy(made) == again
    assert read_id(capital) == uuid.UUID(capital)


def test_ids_of_one_process_are_in_the_order_of_their_making() -> None:
    made = [uuid7() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000


def test_ids_tell_the_time_however_many_are_made() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(5_000)]
    after = time.time_ns() // 1_000_000
    assert before <= made[0].int >> 80 <= made[-1].int >> 80 <= after


def test_a_child_makes_other_ids_than_its_parent() -> None:
    uuid7()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        children = [made for batch in pool.map(_random_parts, [100] * 4) for made in batch]
    assert len({*children, *_random_parts(100)}) == 500


def _random_parts(count: int) -> list[int]:
    return [uuid7().int & (2**62 - 1) for _ in range(count)]


def test_the_system_acts_under_its_own_principal() -> None:
    actor = system_actor()
    assert (actor.principal_id, actor.customer_id, actor.kind) == (SYSTEM_PRINCIPAL_ID, None, "system")
    assert SYSTEM_PRINCIPAL_ID.version == 7
