"""Ids in the order of their making."""

import uuid

from wallet_project.utils.context import SYSTEM_PRINCIPAL_ID, system_actor
from wallet_project.utils.ids import uuid7


def test_an_id_is_a_plain_uuid_of_version_7() -> None:
    made = uuid7()
    assert type(made) is uuid.UUID
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_ids_of_one_process_are_in_the_order_of_their_making() -> None:
    made = [uuid7() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000


def test_the_system_acts_under_its_own_principal() -> None:
    actor = system_actor()
    assert (actor.principal_id, actor.customer_id, actor.kind) == (SYSTEM_PRINCIPAL_ID, None, "system")
    assert SYSTEM_PRINCIPAL_ID.version == 7
