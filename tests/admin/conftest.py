"""A house with something in every room, and one member of staff of each role."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.test import Client

if TYPE_CHECKING:
    from accounts.models import User
    from tests.admin.house import House


@pytest.fixture
def house(db: None) -> "House":
    from tests.admin.house import build_house

    return build_house()


@pytest.fixture
def staff(db: None) -> Callable[[str], "User"]:
    """A member of staff by role; `Superuser` has no role and may do everything that anybody may."""
    from django.contrib.auth.models import Group

    from accounts.models import User
    from tests.support.factories import make_user

    made: dict[str, User] = {}

    def of(role: str) -> User:
        if role not in made:
            made[role] = make_user(f"{role.split()[0].lower()}@wallet.example", is_staff=True)
            if role == "Superuser":
                User.objects.filter(id=made[role].id).update(is_superuser=True)
            else:
                made[role].groups.add(Group.objects.get(name=role))
            made[role] = User.objects.get(id=made[role].id)
        return made[role]

    return of


@pytest.fixture
def login(staff: Callable[[str], "User"]) -> Callable[[str], Client]:
    """A browser in which a member of staff of this role has logged in."""

    from tests.admin.house import come_in

    def of(role: str) -> Client:
        return come_in(Client(), staff(role))

    return of
