"""How answers are written."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework import renderers
from rest_framework.utils import encoders

_default = encoders.JSONEncoder().default


class JSONRenderer(renderers.JSONRenderer):
    """The framework's text, from orjson; what is to be indented, or orjson does not take, the framework writes."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None or self.get_indent(accepted_media_type or "", renderer_context or {}) is not None:
            return bytes(super().render(data, accepted_media_type, renderer_context))
        try:
            text = orjson.dumps(data, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
        except TypeError:
            return bytes(super().render(data, accepted_media_type, renderer_context))
        # As the framework does: to a reader of JavaScript these would end a line.
        return text.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
