"""Whom a customer pays money out to. Each use case opens the one durable transaction."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts import selectors, steps
from accounts.idempotency import claim
from accounts.models import Beneficiary
from accounts.states import BeneficiaryStatus
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, Refused, database_refusals, on_constraint
from wallet_project.utils.iban import normalised_iban
from wallet_project.utils.ids import uuid7
from wallet_project.utils.transitions import born, move

ADD_BENEFICIARY: Final = "add_beneficiary"


class BeneficiaryKept(Conflict):
    """`beneficiary` is the id of the one that has the IBAN."""

    code = "beneficiary_kept"
    message = "You keep this IBAN already; use that beneficiary, or remove it first."
    example_facts = {"beneficiary": "01980000-0000-7000-8000-000000000001"}


class TooManyBeneficiaries(Refused):
    """`limit` is how many a customer may keep."""

    code = "too_many_beneficiaries"
    message = "You keep as many beneficiaries as a customer may; remove one first."


on_constraint("beneficiary_kept_once", BeneficiaryKept)


@dataclass(frozen=True, slots=True)
class BeneficiaryAdded:
    """`replayed`: an earlier request with the same key had added it."""

    beneficiary: Beneficiary
    replayed: bool


def add_beneficiary(
    *, actor: Actor, iban: str, holder: str, label: str = "", key: str, request_hash: bytes
) -> BeneficiaryAdded:
    """Keep a bank account that the customer wants to pay money out to.

    Raises NotACustomer, IbanInvalid, BeneficiaryKept, TooManyBeneficiaries, IdempotencyKeyReused, RequestInProgress;
    then the key stays free.
    """
    customer_id = selectors.customer_id_of(actor)
    iban = normalised_iban(iban)
    beneficiary_id = uuid7()
    with database_refusals(), transaction.atomic(durable=True):
        earlier = claim(
            principal_id=actor.principal_id,
            key=key,
            operation=ADD_BENEFICIARY,
            request_hash=request_hash,
            result_id=beneficiary_id,
        )
        if earlier is not None:
            return BeneficiaryAdded(Beneficiary.objects.get(id=earlier), replayed=True)
        customer = steps.lock_customer(customer_id)
        kept = dict(selectors.beneficiaries_of(customer_id).values_list("iban", "id"))
        if iban in kept:
            raise BeneficiaryKept(beneficiary=kept[iban])
        limit = settings.BENEFICIARIES_PER_CUSTOMER
        if len(kept) >= limit:
            raise TooManyBeneficiaries(limit=limit)
        beneficiary = Beneficiary.objects.create(
            id=beneficiary_id, customer=customer, iban=iban, holder=holder, label=label
        )
        born(beneficiary, actor=actor)
    return BeneficiaryAdded(beneficiary, replayed=False)


def change_beneficiary(*, actor: Actor, beneficiary_id: UUID, label: str | None = None) -> Beneficiary:
    """Set what is given: the customer's own name for it. IBAN and holder stay what they were.

    Raises NotACustomer, BeneficiaryNotFound.
    """
    customer_id = selectors.customer_id_of(actor)
    with transaction.atomic(durable=True):
        kept = selectors.beneficiaries_of(customer_id).filter(id=beneficiary_id)
        beneficiary = kept.select_for_update(no_key=True).first()
        if beneficiary is None:
            raise selectors.BeneficiaryNotFound()
        if label is not None:
            beneficiary.label = label
            beneficiary.save(update_fields=["label"])
    return beneficiary


def remove_beneficiary(*, actor: Actor, beneficiary_id: UUID) -> None:
    """Keep it no longer; payments that went by it go on saying so. Removed twice is removed.

    Raises NotACustomer, BeneficiaryNotFound.
    """
    customer_id = selectors.customer_id_of(actor)
    with transaction.atomic(durable=True):
        own = Beneficiary.objects.filter(id=beneficiary_id, customer_id=customer_id)
        beneficiary = own.select_for_update(no_key=True).first()
        if beneficiary is None:
            raise selectors.BeneficiaryNotFound()
        if beneficiary.status == BeneficiaryStatus.KEPT:
            beneficiary.removed_at = Now()
            move(beneficiary, "remove", actor=actor, also=["removed_at"])
