"""Staff for a demonstration: one of each role, with passwords that are made anew each time."""

import secrets
from dataclasses import dataclass, field
from typing import Final

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import Customer, User
from wallet_project.utils.errors import Conflict

#: (name before the @, first name, role as the migration made it)
DEMO_STAFF: Final = (
    ("officer", "Olga", "Officer"),
    ("senior", "Simon", "Senior officer"),
    ("auditor", "Aisha", "Auditor"),
    ("admin", "Adam", "Administrator"),
)
DOMAIN: Final = "wallet.example"


class EmailOfCustomer(Conflict):
    """`email` is the address."""

    code = "email_of_customer"
    message = "A customer has signed up with this address; staff need one of their own."


@dataclass(frozen=True, slots=True)
class DemoLogin:
    email: str
    role: str
    password: str = field(repr=False)


def create_demo_staff() -> list[DemoLogin]:
    """One member of staff for each role; who is there already gets a new password, and his role again.

    Raises EmailOfCustomer.
    """
    logins = [DemoLogin(f"{name}@{DOMAIN}", role, secrets.token_urlsafe(12)) for name, _, role in DEMO_STAFF]
    with transaction.atomic(durable=True):
        for login, (_, first_name, _) in zip(logins, DEMO_STAFF, strict=True):
            if Customer.objects.filter(user__email=login.email).exists():
                raise EmailOfCustomer(email=login.email)
            user = User.objects.select_for_update().filter(email=login.email).first()
            user = user or User(email=login.email, first_name=first_name, last_name=f"({login.role.lower()})")
            user.is_staff, user.is_active, user.is_superuser = True, True, False
            user.set_password(login.password)
            user.save()
            user.groups.set([Group.objects.get(name=login.role)])
    return logins
