"""/api/problems: what each problem's `type` leads to. Made from the classes, so it cannot fall behind them."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_safe

from wallet_project.api.problems import status_of
from wallet_project.utils.errors import DomainError

#: The framework's own refusals, which have no class.
_OTHERS = (
    ("internal_error", 500, "Something went wrong on our side; quote request_id when you ask us."),
    ("method_not_allowed", 405, "This address does not take that method; see Allow."),
    ("not_acceptable", 406, "The answer is JSON; send Accept: application/json."),
    ("unsupported_media_type", 415, "Send JSON in UTF-8 (application/json); a file, as multipart/form-data."),
)


@require_safe
def problem_page(_request: HttpRequest) -> HttpResponse:
    rows = sorted({(error.code, status_of(error), error.message) for error in _all(DomainError)} | set(_OTHERS))
    return HttpResponse(
        format_html(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Problems of the wallet's API</title>"
            "<style>body{{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}}"
            "dt{{font-family:monospace;margin-top:1em}}:target{{background:#fe9}}</style>"
            "<h1>Problems</h1><p>Each refusal of the API is an <code>application/problem+json</code> (RFC 9457). "
            "Decide by its <code>code</code>.</p><dl>{}</dl></html>",
            format_html_join("", '<dt id="{0}">{0} <small>{1}</small></dt><dd>{2}</dd>', rows),
        )
    )


def _all(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in error.__subclasses__():
        # Errors of tests and of tools are nobody's business here.
        if not child.__module__.startswith("tests."):
            yield child
        yield from _all(child)
