"""Staff and customers in the states that these tests begin with, and races between threads."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import connection

from accounts.models import Account, Customer, StateChange, User
from accounts.staff import staff_actor
from compliance.models import Case, KycCheck
from tests.support.factories import PROFILE, make_account, make_customer, make_user
from wallet_project.utils.context import Actor


def staff(role: str = "Officer") -> Actor:
    """A member of staff in one of the roles that the migration makes."""
    user = make_user(is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return staff_actor(user)


def user_of(actor: Actor) -> User:
    return User.objects.get(principal=actor.principal_id)


def applicant(document: str = "X1234567", *, accounts: int = 1) -> Customer:
    """A customer who has asked for accounts and whose identity nobody has looked at."""
    customer = make_customer(verified=False, profile=replace(PROFILE, document_number=document))
    for _ in range(accounts):
        make_account(customer)
    customer.refresh_from_db()
    return customer


def check_of(customer: Customer) -> KycCheck:
    return KycCheck.objects.filter(customer=customer).latest("id")


def case_of(customer: Customer) -> Case:
    return Case.objects.filter(customer=customer).latest("id")


def account_states(customer: Customer) -> list[str]:
    return list(Account.objects.filter(customer=customer).order_by("id").values_list("status", flat=True))


def path_of(subject: UUID, model: type[Any] = StateChange) -> list[str]:
    """The states that a row has been in, from its app's log."""
    return list(model.objects.filter(subject_id=subject).order_by("id").values_list("to_state", flat=True))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads that start together; what each returned or raised, in their order."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(index: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[index] = call()
        except Exception as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index, call)) for index, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results
