"""All of the model, part upon part."""

from tests.ledger.model.adjustments import Adjustments


class Book(Adjustments):
    """The wallet as it ought to be."""
