"""All of the model, part upon part."""

from tests.ledger.model.givings import Givings


class Book(Givings):
    """The wallet as it ought to be."""
