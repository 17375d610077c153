"""There is one format, so there is little to negotiate."""

from collections.abc import Iterable

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_TAKES_JSON = ("*/*", "application/*", "application/json", "application/problem+json")


class JsonNegotiation(DefaultContentNegotiation):
    """Answers the usual Accept headers without the framework's parsing of media types, which costs a request dear.
    A view with renderers of its own is negotiated as usual."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderers = list(renderers)
        if len(renderers) > 1 or renderers[0].media_type != "application/json":
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
            return chosen
        if takes_json(request.META.get("HTTP_ACCEPT")):
            return renderers[0], "application/json"
        raise NotAcceptable(available_renderers=renderers)


def takes_json(accept: str | None) -> bool:
    """Whether a caller who sends this Accept header takes the one format."""
    return not accept or any(media_range in accept for media_range in _TAKES_JSON)
