"""Files that are sent: one form, bounded before it is read, in which each part stands once."""

from collections.abc import Mapping
from typing import IO, Any, Final

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.parsers import MultiPartParser

from wallet_project.api.fields import StrictField
from wallet_project.api.parsers import BodyTooLarge, MalformedBody

#: What stands around the file: boundaries, headers of the parts, the other fields.
AROUND: Final = 16 * 1024


class UploadParser(MultiPartParser):
    """A view says by its attribute `max_body_bytes` (a callable) how large the whole body may be."""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises BodyTooLarge, before a byte is read; MalformedBody; ParseError (no multipart form)."""
        context = parser_context or {}
        limit = context["view"].max_body_bytes()
        # Middleware has measured a body that came without it.
        if int(context["request"].META.get("CONTENT_LENGTH") or 0) > limit:
            raise BodyTooLarge(limit)
        parsed = super().parse(stream, media_type=media_type, parser_context=dict(context))
        values = [*parsed.data.lists(), *parsed.files.lists()]
        if any(len(each) != 1 for _, each in values) or len({name for name, _ in values}) != len(values):
            raise MalformedBody("The form names the same part twice.")
        return parsed


@extend_schema_field(OpenApiTypes.BINARY)
class FileField(StrictField):
    """One file; its bytes. Its name and its type are the client's word, and are not looked at."""

    default_error_messages = {
        "not_a_file": "Send a file, as a part with a file name.",
        "empty": "The file is empty.",
    }

    def to_internal_value(self, data: Any) -> bytes:
        if not isinstance(data, UploadedFile):
            self.refuse("not_a_file")
        content: bytes = data.read()
        return content or self.refuse("empty")
