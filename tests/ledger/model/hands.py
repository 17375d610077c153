"""The same acts as the model's, done to the wallet: by the use cases and steps that the API, the workers and the admin
call."""

from tests.ledger.model.customers import Customers
from tests.ledger.model.officers import Officers
from tests.ledger.model.workers import Workers


class Hands(Customers, Workers, Officers):
    """All that can be done."""
