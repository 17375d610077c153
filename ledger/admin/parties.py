"""Whose account: names for the two sides of a transaction, and the search that finds money by people."""

from uuid import UUID

from django.db.models import Q
from django.utils.safestring import SafeString

from accounts.models import Account
from wallet_project.utils.admin import link

#: To join along with an account, so that naming its owner asks nothing more.
NAMED = ("customer__user", "customer__profile")
#: A customer has fewer accounts; a search that starts from more is not a search.
_MOST_ACCOUNTS = 100

SEARCH_HELP = "A whole id: of a transaction, group, account or customer; or a customer's e-mail"


def owner_name(account: Account) -> str:
    return str(account.customer) if account.customer else f"the wallet: {account.get_purpose_display()}"


def account_link(account: Account) -> str:
    return link(Account, account.id, owner_name(account))


def both_sides(debit: Account, credit: Account) -> str:
    return SafeString(account_link(debit)) + SafeString(" → ") + SafeString(account_link(credit))


def accounts_of_id(identity: UUID) -> list[UUID]:
    """The accounts that an id leads to: itself, or those of the customer it names. One query."""
    found = Account.objects.filter(Q(id=identity) | Q(customer_id=identity))
    return list(found.values_list("id", flat=True)[:_MOST_ACCOUNTS])


def accounts_of_email(email: str) -> list[UUID]:
    found = Account.objects.filter(customer__user__email=email)
    return list(found.values_list("id", flat=True)[:_MOST_ACCOUNTS])
