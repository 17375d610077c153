"""Whom a request for money names: a payee by his handle, a bank account by the beneficiary that is kept.

What a request named is looked up when it is made. One that is sent again is answered as before, whoever has given up
his handle or removed the beneficiary meanwhile.
"""

from collections.abc import Mapping
from uuid import UUID

from accounts.selectors import BeneficiaryNotFound, PayeeNotFound, account_of_handle, beneficiary_of, customer_id_of
from ledger.services.requests import answered_before
from wallet_project.utils.context import Actor
from wallet_project.utils.ids import uuid7


def destination_account(destination: UUID | str, currency: str, *, actor: Actor, key: str) -> UUID:
    """The account that is named by its id, or by the handle (a str) of whose oldest open one in the currency it is.

    Raises NotACustomer, PayeeNotFound.
    """
    if isinstance(destination, UUID):
        return destination
    # Before anything is told about a handle.
    customer_id_of(actor)
    try:
        return account_of_handle(destination, currency)
    except PayeeNotFound:
        if answered_before(actor, key):
            # Nothing is posted to it: where the money went is on record.
            return uuid7()
        raise


def bank_account(beneficiary: UUID | Mapping[str, str], *, actor: Actor, key: str) -> Mapping[str, str]:
    """What a withdrawal keeps of whom it goes to: {name, iban}, and the id of a beneficiary that its customer keeps.

    Raises NotACustomer, BeneficiaryNotFound.
    """
    if not isinstance(beneficiary, UUID):
        return beneficiary
    try:
        return beneficiary_of(customer_id_of(actor), beneficiary).as_paid()
    except BeneficiaryNotFound:
        if answered_before(actor, key):
            return {}
        raise
