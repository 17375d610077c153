"""What lists of money are filtered by."""

from typing import Any

from rest_framework import serializers

from ledger.selectors import LISTED_KINDS, LISTED_STATUSES


class TransactionFilter(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=LISTED_STATUSES, required=False)
    kind = serializers.ChoiceField(choices=LISTED_KINDS, required=False)
