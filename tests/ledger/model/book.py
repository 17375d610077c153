"""All of the model, part upon part."""

from tests.ledger.model.at_the_bank import AtTheBank


class Book(AtTheBank):
    """The wallet as it ought to be."""
