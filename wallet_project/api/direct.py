"""Views that may be called without the framework: by its own view, or by the door at the web server.

What such a view takes (its body, its key, its caller) and what it answers stands in one function, `answer`. The
framework's view reaches it through `respond`; `wallet_project.door` calls it itself for requests in the plain form that
programs send, as the framework's and Django's way to it costs more than all that the wallet does for a payment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.urls import resolve
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import HEADER, mark_replayed
from wallet_project.api.throttling import FixedWindowThrottle
from wallet_project.utils.context import Actor


@dataclass(frozen=True, slots=True)
class Call:
    """A POST by somebody who is logged in. `key` is what its Idempotency-Key header holds, unchecked."""

    body: Mapping[str, Any]
    key: str | None
    user_id: UUID
    actor: Actor


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Mapping[str, Any]
    replayed: bool = False


class RecordedRefusals(APIView):
    """A refusal that is on record is an answer like any other, and says when it was given before."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        return mark_replayed(response) if was_replayed(exc) else response


class DirectView(RecordedRefusals):
    """A view of POST alone, with the API's default authentication, permissions, throttle, parser and renderer."""

    max_body_bytes: ClassVar[int]
    throttle_scope: ClassVar[str] = FixedWindowThrottle.scope

    @classmethod
    def answer(cls, call: Call) -> Answer:
        """Raises what the API's problems are made of."""
        raise NotImplementedError

    def respond(self, request: Request) -> Response:
        """What `post` returns."""
        body: Any = request.data
        user: Any = request.user
        given = self.answer(Call(body, request.headers.get(HEADER), user.pk, actor_of(request)))
        response = Response(given.body, status=given.status)
        return mark_replayed(response) if given.replayed else response


class JointView(DirectView):
    """A DirectView whose calls that come at the same time are done together, each answered as if it had been alone."""

    @staticmethod
    def alone(asked: Any) -> Any:
        """Do what one call asks for, and say what became of it. Raises what it is refused with."""
        raise NotImplementedError

    @staticmethod
    def together(asked: Sequence[Any]) -> Sequence[Any]:
        """The same for several, in their order: an exception where one is refused, None where it is to be
        done alone."""
        raise NotImplementedError

    @classmethod
    def asked(cls, call: Call) -> Any:
        """What it asks for, as `alone` and `together` take it. Raises what the API's problems are made of."""
        raise NotImplementedError

    @classmethod
    def told(cls, asked: Any, outcome: Any) -> Answer:
        """Raises the same."""
        raise NotImplementedError

    @classmethod
    def answer(cls, call: Call) -> Answer:
        asked = cls.asked(call)
        return cls.told(asked, cls.alone(asked))


def was_replayed(error: Exception) -> bool:
    return bool(getattr(error, "replayed", False))


@dataclass(frozen=True, slots=True)
class Route:
    """A path's view, and the name by which the figures know it."""

    path: str
    view_name: str
    view: type[JointView]


def routes(paths: list[str]) -> dict[str, Route]:
    """The views of these paths. Raises ImproperlyConfigured for one that the framework would treat in a way of its own,
    of which the door knows nothing."""
    found = {}
    for path in paths:
        match = resolve(path)
        view = getattr(match.func, "cls", None)
        if not (isinstance(view, type) and issubclass(view, JointView)) or match.kwargs:
            raise ImproperlyConfigured(f"{path} has no view whose calls may be answered together")
        for name in ("authentication", "permission", "throttle", "parser", "renderer"):
            if getattr(view, f"{name}_classes") != getattr(api_settings, f"DEFAULT_{name.upper()}_CLASSES"):
                raise ImproperlyConfigured(f"{path} has {name}_classes of its own")
        if view().allowed_methods != ["POST", "OPTIONS"]:
            raise ImproperlyConfigured(f"{path} takes other methods than POST")
        found[path] = Route(path, match.view_name, view)
    if len({route.view.together for route in found.values()}) > 1:
        raise ImproperlyConfigured("what is answered together is done by one function")
    return found
