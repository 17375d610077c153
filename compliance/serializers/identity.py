"""What the API takes and gives of documents and levels."""

from typing import Any

from rest_framework import serializers

from accounts.selectors import format_time
from accounts.states import Level
from compliance.models import Document
from compliance.states import DocumentKind, DocumentStatus
from wallet_project.api.fields import IdField, StrictDateField, TextField
from wallet_project.api.serializers import StrictSerializer
from wallet_project.api.uploads import FileField


class DocumentInput(StrictSerializer):
    kind = TextField(max_length=20, choices=DocumentKind.values)
    expires_on = StrictDateField(
        required=False, help_text="The last day on which it is valid; what shows your identity has one."
    )
    file = FileField(help_text="A PDF, a JPEG or a PNG, by its first bytes.")


class DocumentOutput(serializers.Serializer[Document]):
    id = IdField()
    kind = serializers.ChoiceField(choices=DocumentKind.values)
    status = serializers.ChoiceField(choices=DocumentStatus.values)
    reason = serializers.CharField(allow_null=True, help_text="Why it was not accepted.")
    expires_on = serializers.DateField(allow_null=True)
    media_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField(help_text="Of the file, hexadecimal.")
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Document) -> dict[str, Any]:
        return {
            "id": str(instance.id),
            "kind": str(instance.kind),
            "status": str(instance.status),
            "reason": instance.reason or None,
            "expires_on": instance.expires_on and instance.expires_on.isoformat(),
            "media_type": instance.media_type,
            "size": instance.size,
            "sha256": instance.sha256,
            "created_at": format_time(instance.created_at),
        }


class LevelInput(StrictSerializer):
    level = TextField(max_length=10, choices=[Level.FULL.value])


class LevelLimitOutput(serializers.Serializer[Any]):
    """Of what you send to others from all your accounts in the currency; minor units, null: any."""

    currency = serializers.CharField()
    per_transaction = serializers.IntegerField(allow_null=True)
    per_day = serializers.IntegerField(allow_null=True)
    per_30_days = serializers.IntegerField(allow_null=True)


class LevelRequestOutput(serializers.Serializer[Any]):
    level = serializers.ChoiceField(choices=Level.values)
    status = serializers.ChoiceField(choices=["pending", "accepted", "rejected"])
    created_at = serializers.DateTimeField()


class LevelNeedOutput(serializers.Serializer[Any]):
    what = serializers.ChoiceField(choices=["identity", "address"])
    documents = serializers.ListField(child=serializers.CharField(), help_text="Kinds of which one shows it.")
    sent = serializers.BooleanField(help_text="One of them is here, and neither rejected nor expired.")


class NextLevelOutput(serializers.Serializer[Any]):
    level = serializers.ChoiceField(choices=Level.values)
    needs = LevelNeedOutput(many=True)
    limits = LevelLimitOutput(many=True, help_text="Those of that level; empty: none.")


# For the API's document alone: `compliance.levels.level_of` gives this shape.
class LevelOutput(serializers.Serializer[Any]):
    level = serializers.ChoiceField(choices=Level.values, allow_null=True, help_text="null: not verified yet.")
    since = serializers.DateTimeField(allow_null=True)
    limits = LevelLimitOutput(many=True, help_text="What the level allows; empty: no limit.")
    request = LevelRequestOutput(allow_null=True, help_text="The last one for the full level.")
    next = NextLevelOutput(allow_null=True, help_text="The level above, and what it needs.")
    notice = serializers.CharField(allow_null=True, help_text="What to do now, in a sentence.")
