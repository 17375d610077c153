"""What a screening looks like to staff's programs."""

from rest_framework import serializers

from compliance.states import CaseVerdict, PayerScreeningStatus, ScreeningStatus


class FindingOutput(serializers.Serializer[object]):
    rule = serializers.CharField()
    version = serializers.IntegerField(help_text="of the rule; 0 is the wallet's own word, of no rule")
    action = serializers.CharField(help_text="`allow`, `review`, `reject`, `score`, or `error` where the rule failed")
    verdict = serializers.CharField()
    points = serializers.IntegerField()
    explanation = serializers.CharField()


class ListMatchOutput(serializers.Serializer[object]):
    list = serializers.CharField()
    version = serializers.IntegerField()
    name = serializers.CharField(help_text="as it stands on the list")
    score = serializers.IntegerField(help_text="of 100")
    threshold = serializers.IntegerField(help_text="the score from which on it is a match")
    explanation = serializers.JSONField(help_text="which words met with which score, what raised or lowered it")


class DecisionOutput(serializers.Serializer[object]):
    verdict = serializers.ChoiceField(choices=CaseVerdict.choices)
    reason = serializers.CharField()
    maker = serializers.UUIDField(help_text="the principal who decided or proposed it")
    checker = serializers.UUIDField(allow_null=True, help_text="the principal who answered")
    agreed = serializers.BooleanField(allow_null=True, help_text="the checker's answer")
    created_at = serializers.DateTimeField()


class PayerOutput(serializers.Serializer[object]):
    name = serializers.CharField(help_text="as the bank named whoever paid")
    iban = serializers.CharField(help_text="empty where the bank gave none")
    country = serializers.CharField(help_text="empty where the bank gave none")
    status = serializers.ChoiceField(choices=PayerScreeningStatus.choices)
    lists_read = serializers.BooleanField(help_text="false: the lists could not be read, so a person looked")
    looked_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True, help_text="by an officer")
    matches = ListMatchOutput(many=True)
    decisions = DecisionOutput(many=True)


class ScreeningOutput(serializers.Serializer[object]):
    transaction = serializers.UUIDField()
    status = serializers.ChoiceField(choices=ScreeningStatus.choices)
    decided_by = serializers.CharField(help_text="`rules`, `officer` or `system`; empty while it is under review")
    decided_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    rules = serializers.IntegerField(allow_null=True, help_text="the number of the set of rules that was asked")
    findings = FindingOutput(many=True)
    shadow = FindingOutput(many=True, help_text="what versions in shadow would have said")
    facts = serializers.DictField(help_text="as the rules saw them; docs/screening.md lists them")
    matches = ListMatchOutput(many=True)
    decisions = DecisionOutput(many=True)
    payer = PayerOutput(allow_null=True, help_text="of a deposit, looked for once its money had come")
