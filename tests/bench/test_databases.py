"""The copy of a database in which the bench asks for what nobody is to clear."""

from typing import Any

import pytest
from django.db import connection

from accounts.models import Account
from bench import books, databases
from tests.ledger import flows
from tests.support.factories import make_account
from tests.support.servers import TestServers
from wallet_project.embedded.postgres import ADMIN

pytestmark = [pytest.mark.django_db, pytest.mark.own_database]


def forks() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [databases.FORK])
        return cursor.fetchone()[0]


def ask_in_a_fork(admin_url: str, of: str, source: Account, destination: Account) -> None:
    verified = books.sealed_so_far()
    with databases.forked(admin_url, of=of), databases.inside(databases.FORK):
        flows.transfer(source, destination, 1_000)
        assert flows.balances(source) == (5_000, 4_000)
        assert (books.waiting_units(), forks()) == (1, 1)
        books.seal_all()
        assert (books.verify_new(verified), books.verify_ledger()) == ("", "")
        raise RuntimeError("broke off")


def test_what_is_asked_for_in_a_fork_holds_there_and_is_gone_with_it_however_that_ends(servers: TestServers) -> None:
    source, destination = make_account(funded=5_000), make_account()
    books.seal_all()
    own = connection.settings_dict["NAME"]
    with pytest.raises(RuntimeError, match="broke off"):
        ask_in_a_fork(servers.database_url(ADMIN, "postgres"), own, source, destination)
    assert connection.settings_dict["NAME"] == own
    assert flows.balances(source) == (5_000, 5_000)
    assert (books.waiting_units(), forks()) == (0, 0)
