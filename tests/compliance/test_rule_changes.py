"""How a rule comes into force and goes: two people, one commit, and the next batch goes by it."""

from typing import Any

import psycopg
import pytest

from accounts.staff import PermissionMissing
from compliance import ruleset
from compliance.models import Case, Rule, RuleDecision, RulesRevision, RuleVersion, Screening, StateChange
from compliance.rules import RuleSet
from compliance.rules.defaults import DEFAULT_RULES
from compliance.ruleset import rules_in_force
from compliance.selectors import open_proposal
from compliance.services import rules
from compliance.services.rules import Draft
from compliance.services.screening import screen_due
from compliance.states import RuleChange
from tests.compliance.people import at_once, path_of, staff
from tests.ledger.flows import transfer
from tests.support.factories import NOW, make_account
from wallet_project.utils.context import Actor

pytestmark = pytest.mark.django_db
SMALL = Draft("amount < 100", "Only {amount as money}.", "review")


def drafted(actor: Actor, draft: Draft = SMALL, name: str = "small_change") -> RuleVersion:
    return rules.create_rule(actor=actor, name=name, description="Tests of cards begin small.", draft=draft)


def in_shadow(actor: Actor, draft: Draft = SMALL, name: str = "small_change") -> RuleVersion:
    version = drafted(actor, draft, name)
    return rules.put_in_shadow(actor=actor, version_id=version.id, reason="let us see")


def agreed(version: RuleVersion, change: RuleChange, *, by: Actor) -> RuleVersion:
    proposal = rules.propose(actor=staff(), version_id=version.id, change=change, reason="it is good")
    return rules.answer(actor=by, version_id=version.id, proposal_id=proposal.id, agree=True, reason="it is")


def screened(source: Any, amount: int) -> Screening:
    made = transfer(source, make_account(), amount)
    screen_due(now=NOW)
    return Screening.objects.get(transaction=made.id)


def test_a_new_wallet_starts_with_the_default_rules_in_force() -> None:
    in_force = rules_in_force()
    assert [(each.rule, each.number) for each in in_force.active] == [(each.name, 1) for each in DEFAULT_RULES]
    assert (in_force.shadow, in_force.revision) == ((), 1)
    for version in RuleVersion.objects.all():
        assert path_of(version.id, StateChange) == ["draft", "shadow", "active"]


def test_a_draft_runs_in_shadow_then_in_force_and_then_no_more(django_assert_num_queries: Any) -> None:
    maker, checker = staff(), staff("Senior officer")
    payer = make_account(funded=100_000)
    version = drafted(maker)
    assert screened(payer, 50).status == "approved"

    rules.put_in_shadow(actor=maker, version_id=version.id, reason="let us see")
    row = screened(payer, 50)
    assert (row.status, row.findings, row.rules_revision) == ("approved", [], 2)
    assert row.shadow == [
        {
            "rule": "small_change",
            "version": 1,
            "action": "review",
            "verdict": "review",
            "explanation": "Only 0.50 EUR.",
            "serious": False,
        }
    ]
    assert screened(payer, 500).shadow is None
    assert not Case.objects.exists()

    agreed(version, RuleChange.ACTIVATE, by=checker)
    row = screened(payer, 50)
    assert (row.status, row.shadow, row.rules_revision) == ("in_review", None, 3)
    assert (row.findings[0]["rule"], row.findings[0]["version"]) == ("small_change", 1)
    with django_assert_num_queries(1):
        rules_in_force()

    # The next version takes the place of this one; then it is retired, too.
    following = rules.draft_version(
        actor=maker, rule_id=version.rule_id, draft=Draft("amount < 10", "Only {amount as money}.", "review")
    )
    rules.put_in_shadow(actor=maker, version_id=following.id, reason="smaller")
    agreed(following, RuleChange.ACTIVATE, by=checker)
    assert (screened(payer, 50).status, screened(payer, 5).status) == ("approved", "in_review")
    assert path_of(version.id, StateChange) == ["draft", "shadow", "active", "retired"]
    agreed(following, RuleChange.RETIRE, by=checker)
    assert screened(payer, 5).status == "approved"
    newest, first = RulesRevision.objects.order_by("-number").first(), RulesRevision.objects.get(number=1)
    assert newest is not None
    assert (newest.number, newest.active) == (6, first.active)
    decisions = RuleDecision.objects.filter(version=following).values_list("change", "step", "maker", "checker")
    assert [each[:2] for each in decisions] == [
        ("activate", "proposed"),
        ("activate", "agreed"),
        ("retire", "proposed"),
        ("retire", "agreed"),
    ]


def test_it_takes_two_people_who_may(owner_connection: psycopg.Connection) -> None:
    senior = staff("Senior officer")
    with pytest.raises(PermissionMissing):
        drafted(staff("Auditor"))
    version = in_shadow(senior)
    proposal = rules.propose(actor=senior, version_id=version.id, change=RuleChange.ACTIVATE, reason="good")
    with pytest.raises(rules.ProposalStands):
        rules.propose(actor=staff(), version_id=version.id, change=RuleChange.ACTIVATE, reason="good")
    with pytest.raises(rules.ProposalStands):
        rules.discard(actor=senior, version_id=version.id, reason="not good")
    with pytest.raises(rules.SecondPersonNeeded):
        rules.answer(actor=senior, version_id=version.id, proposal_id=proposal.id, agree=True, reason="I think so, too")
    with pytest.raises(PermissionMissing):
        rules.answer(actor=staff(), version_id=version.id, proposal_id=proposal.id, agree=True, reason="yes")
    with pytest.raises(rules.NotYourProposal):
        rules.withdraw(actor=staff(), version_id=version.id, proposal_id=proposal.id, reason="no")

    # The same is the database's word.
    for statement, refusal in (
        (f"UPDATE compliance_ruleversion SET status = 'active' WHERE id = '{version.id}'", "nobody has agreed"),
        ("UPDATE compliance_ruleversion SET status = 'retired' WHERE status = 'active'", "nobody has agreed"),
        ("UPDATE compliance_ruleversion SET expression = 'false'", "is not changed"),
        (
            "INSERT INTO compliance_ruledecision (version_id, change, step, answers_id, maker_id, checker_id, reason) "
            "SELECT version_id, change, 'agreed', id, maker_id, maker_id, '' FROM compliance_ruledecision",
            "rule_checker_is_not_the_maker",
        ),
        (
            "INSERT INTO compliance_ruledecision (version_id, change, step, answers_id, maker_id, checker_id, reason) "
            "SELECT version_id, change, 'agreed', id, author_id, maker_id, '' FROM compliance_ruledecision d "
            "CROSS JOIN (SELECT author_id FROM compliance_ruleversion ORDER BY id LIMIT 1) x",
            "another proposal",
        ),
        ("UPDATE compliance_ruledecision SET reason = ''", "refuse|may not|keep"),
        ("DELETE FROM compliance_rulesrevision", "refuse|may not|keep"),
        ("TRUNCATE compliance_rule CASCADE", "refuse|may not|keep"),
    ):
        with pytest.raises(psycopg.Error, match=refusal):
            owner_connection.execute(statement)  # type: ignore[call-overload]

    rules.answer(
        actor=staff("Senior officer"), version_id=version.id, proposal_id=proposal.id, agree=False, reason="not yet"
    )
    with pytest.raises(rules.NothingProposed):
        rules.answer(
            actor=staff("Senior officer"), version_id=version.id, proposal_id=proposal.id, agree=True, reason="yet"
        )
    second = rules.propose(actor=senior, version_id=version.id, change=RuleChange.ACTIVATE, reason="now")
    assert open_proposal(version) == second
    rules.withdraw(actor=senior, version_id=version.id, proposal_id=second.id, reason="on second thoughts")
    assert open_proposal(version) is None
    rules.discard(actor=senior, version_id=version.id, reason="it finds nothing")
    with pytest.raises(rules.RuleElsewhere):
        rules.propose(actor=senior, version_id=version.id, change=RuleChange.ACTIVATE, reason="again")


def test_what_cannot_be_a_rule_is_not_saved() -> None:
    actor = staff()
    for draft, field, says in (
        (Draft("amunt > 1", "So.", "review"), "expression", "Line 1, column 1: 'amunt' is not a fact"),
        (Draft("true", "{amunt}", "review"), "explanation", "'amunt' is not a fact"),
        (Draft("true", "So.", "pass"), "action", "Not one of those"),
        (Draft("true", "So.", "review", points=5), "points", "anything else none"),
        (Draft("true", "So.", "score"), "points", "1 to 1000 points"),
    ):
        with pytest.raises(rules.RuleNotValid) as caught:
            drafted(actor, draft)
        assert says in caught.value.fields[field]
    with pytest.raises(rules.RuleNotValid):
        drafted(actor, name="Small Change")
    drafted(actor)
    with pytest.raises(rules.RuleNameTaken):
        drafted(actor)
    assert Rule.objects.count() == len(DEFAULT_RULES) + 1


def test_two_versions_agreed_at_once_are_both_in_the_newest_set_or_one_is_refused() -> None:
    names = ["first", "second", "third", "fourth"]
    versions = [in_shadow(staff(), name=name) for name in names]
    maker = staff()
    proposals = [
        rules.propose(actor=maker, version_id=each.id, change=RuleChange.ACTIVATE, reason="good") for each in versions
    ]
    checkers = [staff("Senior officer") for _ in names]
    results = at_once(
        *[
            lambda checker=checker, proposal=proposal: rules.answer(
                actor=checker, version_id=proposal.version_id, proposal_id=proposal.id, agree=True, reason="good"
            )
            for checker, proposal in zip(checkers, proposals, strict=True)
        ]
    )
    refused = [each for each in results if isinstance(each, Exception)]
    assert all(isinstance(each, rules.RulesChangedMeanwhile) for each in refused), results
    running = {str(id_) for id_ in RuleVersion.objects.filter(status="active").values_list("id", flat=True)}
    newest = RulesRevision.objects.order_by("-number").first()
    assert newest is not None
    assert set(newest.active) == running
    assert len(running) == len(DEFAULT_RULES) + len(names) - len(refused)
    assert len(refused) < len(names)


def test_rules_that_cannot_be_loaded_leave_the_decision_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    payer = make_account(funded=100_000)

    def broken(*_: Any) -> RuleSet:
        raise KeyError("a version that is not there")

    monkeypatch.setattr(ruleset, "_loaded", (ruleset._NONE, RuleSet(())))
    monkeypatch.setattr(ruleset, "_compiled", broken)
    row = screened(payer, 500)
    assert (row.status, row.rules_revision) == ("in_review", None)
    assert row.findings[0]["explanation"] == "The rules could not be loaded, so a person looks."
    assert Case.objects.get().screening_id == row.id
