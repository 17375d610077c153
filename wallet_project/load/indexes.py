"""Indexes that guard nothing are made when a database has been filled, which is far quicker than keeping them up;
and without those that speak of a payment's status, a payment that clears stays on its page (HOT).

Primary keys, what is unique, and what the chain seals by stay where they are. What there is to make afterwards is read
from the models and not remembered, so that where one was killed in between the next run makes it good.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

from django.contrib.postgres.indexes import BrinIndex
from django.db import connections, models

from compliance.models import StateChange as ComplianceChange
from ledger.models import StateChange, Transaction

#: What grows with each payment and has such indexes. They are taken away only where there is no row yet.
_INDEXED: Final[tuple[type[models.Model], ...]] = (Transaction, StateChange, ComplianceChange)
_VACUUMED: Final = (
    "ledger_transaction", "ledger_entry", "ledger_statechange", "compliance_screening", "compliance_statechange",
    "accounts_idempotencyclaim", "accounts_account", "chain_salt", "chain_section",
)  # fmt: skip
_CONNECTIONS: Final = 2


@contextmanager
def made_afterwards() -> Iterator[None]:
    """Leaves tables without dead rows, and all indexes there, whatever becomes of the block."""
    for model in _INDEXED:
        if not model._base_manager.using("owner").exists():
            with connections["owner"].schema_editor() as editor:
                for index in _indexes(model, there=True):
                    editor.remove_index(model, index)
    try:
        yield
    finally:
        # First what is dead, while there is little that it has to be taken out of.
        _at_once(partial(_vacuum, table) for table in _VACUUMED)
        _at_once(partial(_make, model, index) for model in _INDEXED for index in _indexes(model, there=False))


def _indexes(model: type[models.Model], *, there: bool) -> list[models.Index]:
    """Those of a model that are there, or are not. A BRIN costs nothing to keep up."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = %s", [model._meta.db_table])
        names = {name for (name,) in cursor.fetchall()}
    return [
        index for index in model._meta.indexes if not isinstance(index, BrinIndex) and (index.name in names) == there
    ]


def _vacuum(table: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET lock_timeout = 0; SET maintenance_work_mem = '256MB'")
        cursor.execute(f"VACUUM {table}")


def _make(model: type[models.Model], index: models.Index) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET lock_timeout = 0; SET maintenance_work_mem = '256MB'")
    with connections["owner"].schema_editor(atomic=False) as editor:
        editor.add_index(model, index)


def _at_once(pieces: Iterable[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for done in [pool.submit(on_own_connection, piece) for piece in pieces]:
            done.result()


def on_own_connection(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connections["owner"].close()
