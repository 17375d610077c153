"""The town that each of the machine's is a copy of."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from tests.support.database import Databases


@pytest.fixture(scope="module")
def origin(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Any]:
    # Django is set up after this file is read.
    from tests.ledger.model.town import founded

    with django_db_blocker.unblock(), founded(databases) as made:
        yield made
