"""Query parameters are as strict as bodies: one that nobody reads is a mistake of the caller's, and is named."""

import re
from collections.abc import Callable
from typing import Final

from rest_framework.request import Request

from wallet_project.utils.errors import InvalidInput

_MAX_NAMES: Final = 10
_MAX_NAME: Final = 100


class UnknownParameter(InvalidInput):
    code = "unknown_parameter"
    message = "There is no parameter of this name here; see `errors`, and look at its spelling."


class RepeatedParameter(InvalidInput):
    code = "repeated_parameter"
    message = "The same parameter stands there more than once; see `errors`, and send it once."


def parameters(request: Request, known: Callable[[str], bool]) -> dict[str, str]:
    """The request's query parameters, each once. Raises UnknownParameter, RepeatedParameter."""
    given = request.query_params
    if unknown := [name for name in given if not known(name)]:
        raise UnknownParameter(fields=_named(unknown, "There is no such parameter."))
    if repeated := [name for name in given if len(given.getlist(name)) > 1]:
        raise RepeatedParameter(fields=_named(repeated, "Send this once."))
    return {name: str(given[name]) for name in given}


def _named(names: list[str], sentence: str) -> dict[str, str]:
    return {re.sub(r"[^\x20-\x7e]", "?", name[:_MAX_NAME]): sentence for name in sorted(names)[:_MAX_NAMES]}
