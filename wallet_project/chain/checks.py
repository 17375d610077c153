"""Mistakes in what is sealed and in who may sign, said before anything starts."""

import os
from pathlib import Path

from django.conf import settings
from django.core import checks

from wallet_project.chain.declarations import Sealed, declared


def check_declarations(**_: object) -> list[checks.CheckMessage]:
    """settings.SEALED names lists of tables, each once."""
    try:
        found = declared()
    except (ImportError, TypeError, ValueError, AttributeError) as mistake:
        return [checks.Error(f"SEALED: {mistake}", id="chain.E001")]
    wrong = [repr(each) for each in found if not isinstance(each, Sealed)]
    return [checks.Error(f"SEALED names lists of Sealed, not {each}", id="chain.E001") for each in wrong]


def check_notary(**_: object) -> list[checks.CheckMessage]:
    """Web and workers, which refuse to start with an error, are never the notary."""
    if not settings.NOTARY_DIR:
        return []
    key = Path(settings.NOTARY_DIR) / "key.pem"
    who = "can read its key" if os.access(key, os.R_OK) else "are told where it is"
    return [checks.Error(f"NOTARY_DIR is for the notary alone: web and workers {who}.", id="chain.E002")]
