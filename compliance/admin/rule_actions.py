"""What staff may do with rules: drafts, shadow, trials on the past, and the two words that it takes to bring one into
force."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.staff import staff_actor
from compliance.models import Rule, RuleDecision, RuleVersion
from compliance.rules import Unacceptable, accept, accept_template
from compliance.selectors import newest_version, open_proposal
from compliance.services import backtests, rules
from compliance.services.rules import Draft
from compliance.states import RuleAction, RuleChange, RuleStatus
from wallet_project.utils.admin import StaffAction, StaffForm, answer_form

_DRAFTED = "The draft is saved. It does nothing until it is put into shadow."


class DraftForm(StaffForm):
    expression = forms.CharField(
        max_length=2_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="CEL over the facts and limits of docs/screening.md; true where the rule has something to say. "
        "Amounts are minor units: 100 is one euro.",
    )
    explanation = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="For staff. Expressions in braces are filled in: {amount as money}, {debits_1h + 1}.",
    )
    action = forms.ChoiceField(choices=RuleAction.choices, widget=UnfoldAdminSelectWidget)
    points = forms.IntegerField(
        min_value=0, initial=0, widget=UnfoldAdminIntegerFieldWidget, help_text="Of a score; otherwise 0."
    )
    serious = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="Its cases come first, and an approval needs a second person.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        before = newest_of(self.row)
        if before is not None:
            for name in ("expression", "explanation", "action", "points", "serious"):
                self.initial[name] = getattr(before, name)

    def clean_expression(self) -> str:
        text = str(self.cleaned_data["expression"]).replace("\r\n", "\n")
        return _accepted(text, accept)

    def clean_explanation(self) -> str:
        return _accepted(str(self.cleaned_data["explanation"]), accept_template)


class NewRuleForm(DraftForm):
    name = forms.SlugField(
        max_length=60, widget=UnfoldAdminTextInputWidget, help_text="Small letters, digits, underscores; it stays."
    )
    description = forms.CharField(
        max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="What it is for, in plain words."
    )
    field_order = ("name", "description")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.clear()


class PeriodForm(StaffForm):
    since = forms.SplitDateTimeField(label="From (UTC)", widget=UnfoldAdminSplitDateTimeWidget)
    until = forms.SplitDateTimeField(label="To (UTC, excluded)", widget=UnfoldAdminSplitDateTimeWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = timezone.now().replace(minute=0, second=0, microsecond=0)
        self.initial.setdefault("since", now - timedelta(days=30))
        self.initial.setdefault("until", now + timedelta(hours=1))


def _accepted(text: str, look: Any) -> str:
    try:
        look(text)
    except Unacceptable as error:
        raise forms.ValidationError(error.problem) from error
    return text


def draft_of(values: dict[str, Any]) -> Draft:
    return Draft(
        expression=values["expression"],
        explanation=values["explanation"],
        action=values["action"],
        points=values["points"],
        serious=values["serious"],
    )


def newest_of(row: Any) -> RuleVersion | None:
    """What a new draft begins with: the version that is looked at, or a rule's newest."""
    return newest_version(row.id) if isinstance(row, Rule) else row


def _rule_id(row: Any) -> UUID:
    rule_id: UUID = row.id if isinstance(row, Rule) else row.rule_id
    return rule_id


def _new_rule(request: HttpRequest, row: Rule, values: dict[str, Any]) -> str:
    rules.create_rule(
        actor=staff_actor(request.user),
        name=values["name"],
        description=values["description"],
        draft=draft_of(values),
    )
    return _DRAFTED


def _draft(request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
    rules.draft_version(actor=staff_actor(request.user), rule_id=_rule_id(row), draft=draft_of(values))
    return _DRAFTED


def _shadow(request: HttpRequest, row: RuleVersion, values: dict[str, Any]) -> str:
    rules.put_in_shadow(actor=staff_actor(request.user), version_id=row.id, reason=values["reason"])
    return "It runs in shadow: what it says is kept, and changes nothing."


def _discard(request: HttpRequest, row: RuleVersion, values: dict[str, Any]) -> str:
    rules.discard(actor=staff_actor(request.user), version_id=row.id, reason=values["reason"])
    return "It is over."


def _propose(change: RuleChange) -> Any:
    def perform(request: HttpRequest, row: RuleVersion, values: dict[str, Any]) -> str:
        rules.propose(actor=staff_actor(request.user), version_id=row.id, change=change, reason=values["reason"])
        return "Proposed. Somebody else who may agree finds it on this page."

    return perform


def _answer(*, agree: bool) -> Any:
    def perform(request: HttpRequest, row: RuleVersion, values: dict[str, Any]) -> str:
        rules.answer(
            actor=staff_actor(request.user),
            version_id=row.id,
            proposal_id=values["proposal"],
            agree=agree,
            reason=values["reason"],
        )
        return "Agreed and done; the next batch goes by it." if agree else "Declined; nothing has changed."

    return perform


def _withdraw(request: HttpRequest, row: RuleVersion, values: dict[str, Any]) -> str:
    rules.withdraw(
        actor=staff_actor(request.user), version_id=row.id, proposal_id=values["proposal"], reason=values["reason"]
    )
    return "Your proposal is withdrawn."


def _backtest(request: HttpRequest, row: RuleVersion, values: dict[str, Any]) -> str:
    backtests.ask_for_backtest(
        actor=staff_actor(request.user), version_id=row.id, since=values["since"], until=values["until"]
    )
    return "It is being tried on the past; the report will be under Backtests, and on this page."


def _standing(row: RuleVersion) -> RuleDecision | None:
    """The proposal that waits; asked for once a page, however many buttons want to know."""
    if not hasattr(row, "standing_proposal"):
        row.standing_proposal = open_proposal(row)  # type: ignore[attr-defined]
    standing: RuleDecision | None = row.standing_proposal  # type: ignore[attr-defined]
    return standing


ProposalForm = answer_form(_standing)


def _is(*statuses: RuleStatus, free: bool = False) -> Any:
    """In one of the states and, where it has to be `free`, without a proposal that waits."""

    def available(request: HttpRequest, row: RuleVersion) -> bool:
        return row.status in statuses and not (free and _standing(row))

    return available


def _waits_for(request: HttpRequest, row: RuleVersion, *, mine: bool) -> bool:
    standing = _standing(row)
    return standing is not None and (standing.maker.user_id == request.user.pk) == mine


def _effect(row: RuleVersion) -> str:
    standing = _standing(row)
    if standing is None:
        return "Nothing is proposed."
    if standing.change == RuleChange.RETIRE:
        effect = "it ends, and the next batch of transactions is not asked by it any more"
    else:
        effect = f"from the next batch on it can {row.action} transactions, in the place of the rule's present version"
    return f"{standing.maker} proposes to {standing.change}: “{standing.reason}” If you agree, {effect}."


NEW_DRAFT = StaffAction(
    name="draft",
    label="Draft a new version",
    permission=rules.EDIT_RULE,
    consequence="A new version is saved as a draft. It does nothing until it is put into shadow.",
    perform=_draft,
    available=lambda request, row: True,
    form=DraftForm,
    tone="primary",
)
NEW_RULE = StaffAction(
    name="new",
    label="Write another rule",
    permission=rules.EDIT_RULE,
    consequence="A rule of its own, with a first version as a draft. It does nothing until it is put into shadow.",
    perform=_new_rule,
    available=lambda request, row: True,
    form=NewRuleForm,
)
VERSION_ACTIONS: tuple[StaffAction, ...] = (
    StaffAction(
        name="agree",
        label="Agree",
        permission=rules.APPROVE_RULE,
        consequence=_effect,
        perform=_answer(agree=True),
        available=lambda request, row: _waits_for(request, row, mine=False),
        form=ProposalForm,
        tone="primary",
    ),
    StaffAction(
        name="decline",
        label="Decline",
        permission=rules.APPROVE_RULE,
        consequence="The proposal ends, with your reason. What runs does not change.",
        perform=_answer(agree=False),
        available=lambda request, row: _waits_for(request, row, mine=False),
        form=ProposalForm,
        tone="danger",
    ),
    StaffAction(
        name="withdraw",
        label="Withdraw my proposal",
        permission=rules.EDIT_RULE,
        consequence="The proposal ends. What runs does not change.",
        perform=_withdraw,
        available=lambda request, row: _waits_for(request, row, mine=True),
        form=ProposalForm,
    ),
    StaffAction(
        name="shadow",
        label="Put into shadow",
        permission=rules.EDIT_RULE,
        consequence="It runs with every transaction from the next batch on. What it says is kept, without any effect.",
        perform=_shadow,
        available=_is(RuleStatus.DRAFT),
        tone="primary",
    ),
    StaffAction(
        name="activate",
        label="Propose to activate",
        permission=rules.EDIT_RULE,
        consequence="Nothing happens yet: a second person has to agree. Then it decides about transactions, in "
        "the place of the version of the rule that is active now.",
        perform=_propose(RuleChange.ACTIVATE),
        available=_is(RuleStatus.SHADOW, free=True),
        tone="primary",
    ),
    StaffAction(
        name="retire",
        label="Propose to retire",
        permission=rules.EDIT_RULE,
        consequence="Nothing happens yet: a second person has to agree. Then nothing is asked by this rule any more.",
        perform=_propose(RuleChange.RETIRE),
        available=_is(RuleStatus.ACTIVE, free=True),
        tone="danger",
    ),
    StaffAction(
        name="discard",
        label="Discard",
        permission=rules.EDIT_RULE,
        consequence="It is over, and stays on record. No transaction is decided differently.",
        perform=_discard,
        available=_is(RuleStatus.DRAFT, RuleStatus.SHADOW, free=True),
    ),
    StaffAction(
        name="backtest",
        label="Try it on the past",
        permission=rules.EDIT_RULE,
        consequence="What was screened in the period is asked anew in the background, with the facts of the time. "
        "Nothing is decided anew.",
        perform=_backtest,
        available=lambda request, row: True,
        form=PeriodForm,
    ),
    NEW_DRAFT,
)
