"""What a transaction's facts mean by the rules in force. Pure: facts, limits and rules in, a decision out.

What reaches the customer is one code for all rules; names and explanations here are for staff. How the answers of
several rules become one verdict:

1. a rule that rejects, or scores that add up to the threshold of rejection: reject;
2. otherwise a rule that failed: review, for nobody knows what it would have said;
3. otherwise a rule that allows: approve;
4. otherwise a rule that reviews, or scores that add up to the threshold of review: review;
5. otherwise approve.

What shadow versions say is kept beside it, and changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from cel_expr_python import cel

from compliance.rules.explaining import Explanation, parts_of
from compliance.rules.language import Unacceptable, activation, compile_source, either, facts_in, with_limits
from compliance.rules.vocabulary import Facts, Limits
from compliance.states import RuleAction, Verdict

#: Of an explanation and of what is said of a rule that failed.
_SAID: Final = 500
#: What a currency's programs are kept for: settings change limits only between processes, tests within one.
_KEPT_LIMITS: Final = 32


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a rule, as far as deciding needs it."""

    id: UUID
    rule: str
    number: int
    expression: str
    explanation: str
    action: RuleAction
    points: int = 0
    #: Its cases come first in the queue, and an approval needs a second person.
    serious: bool = False


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Sums of points from which the answer is review, and reject."""

    review_from: int
    reject_from: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What one version said. `version` is its number; 0 is the wallet's own word, of no rule."""

    rule: str
    version: int
    #: A RuleAction, or `error`.
    action: str
    verdict: Verdict
    explanation: str
    serious: bool = False
    points: int = 0

    def as_json(self) -> dict[str, Any]:
        said = {
            "rule": self.rule,
            "version": self.version,
            "action": str(self.action),
            "verdict": str(self.verdict),
            "explanation": self.explanation,
            "serious": self.serious,
        }
        return {**said, "points": self.points} if self.points else said


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    findings: tuple[Finding, ...]
    shadow: tuple[Finding, ...] = ()
    score: int = 0


#: What most transactions come to.
_PASSED: Final = Decision(Verdict.APPROVE, ())
_SEVERITY: Final = {Verdict.APPROVE: 0, Verdict.REVIEW: 1, Verdict.REJECT: 2}
_VERDICTS: Final[Mapping[str, Verdict]] = {
    RuleAction.ALLOW: Verdict.APPROVE,
    RuleAction.REVIEW: Verdict.REVIEW,
    RuleAction.REJECT: Verdict.REJECT,
    # By itself it decides nothing.
    RuleAction.SCORE: Verdict.APPROVE,
}
ERROR: Final = "error"


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that decides; approve when nobody objects."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.APPROVE)


class _Asked:
    """Versions compiled for the limits of one currency, as a tree: where all of a branch are false, one evaluation
    says so. Most transactions move no rule, and cost one evaluation in all."""

    def __init__(self, versions: Sequence[Version], limits: Limits) -> None:
        self._versions = versions
        self._limits = limits
        self._explanations: dict[int, Explanation] = {}
        #: By index, why a version can't be asked at all.
        self._broken: dict[int, str] = {}
        sources: dict[int, str] = {}
        for index, version in enumerate(versions):
            try:
                sources[index] = with_limits(version.expression, limits)
                compile_source(sources[index])
            except Unacceptable as error:
                self._broken[index] = error.problem
                sources.pop(index, None)
        self._root = _branch(list(sources.items()))

    def findings(self, facts: cel.Activation) -> list[Finding]:
        answers: dict[int, str] = dict(self._broken)
        if self._root is not None:
            _ask(self._root, facts, answers)
        if not answers:
            return []
        return [self._finding(index, answers[index], facts) for index in sorted(answers)]

    def _finding(self, index: int, problem: str, facts: cel.Activation) -> Finding:
        version = self._versions[index]
        if problem:
            return failed(version, problem)
        explanation = self._explanations.get(index)
        if explanation is None:
            try:
                explanation = self._explanations[index] = Explanation(version.explanation, self._limits)
            except Unacceptable as error:
                return failed(version, f"its explanation: {error.problem}")
        return Finding(
            rule=version.rule,
            version=version.number,
            action=version.action,
            verdict=_VERDICTS[version.action],
            explanation=explanation.filled(facts)[:_SAID],
            serious=version.serious,
            points=version.points,
        )


def failed(version: Version, problem: str) -> Finding:
    """A rule that can't say what it means is a reason to look."""
    said = f"The rule {version.rule}, version {version.number}, failed: {problem}"
    return Finding(version.rule, version.number, ERROR, Verdict.REVIEW, said[:_SAID], serious=version.serious)


@dataclass(frozen=True, slots=True)
class _Branch:
    #: None where it is too deep to be compiled as one.
    program: cel.Expression | None
    #: Of a version that stands alone.
    index: int
    under: tuple["_Branch", ...] = ()


def _branch(sources: Sequence[tuple[int, str]]) -> _Branch | None:
    if not sources:
        return None
    if len(sources) == 1:
        index, source = sources[0]
        return _Branch(compile_source(source), index)
    middle = len(sources) // 2
    under = tuple(branch for half in (sources[:middle], sources[middle:]) if (branch := _branch(half)) is not None)
    try:
        program = compile_source(either([source for _, source in sources]))
    except Unacceptable:
        program = None
    return _Branch(program, -1, under)


def _ask(branch: _Branch, facts: cel.Activation, answers: dict[int, str]) -> None:
    """Put into `answers`, by index, the versions that are true (with an empty text) or failed (with the reason)."""
    if branch.program is not None:
        outcome = branch.program.eval(facts)
        value = outcome.value()
        if value is False:
            return
        if not branch.under:
            answers[branch.index] = "" if value is True else _problem(outcome)
            return
    for each in branch.under:
        _ask(each, facts, answers)


def _problem(outcome: cel.Value) -> str:
    if outcome.type() == cel.Type.ERROR:
        return str(outcome.value())
    return f"its value is of type {outcome.type().name()}, not BOOL"


class RuleSet:
    """The versions in force, and those in shadow, compiled when a currency is first met."""

    def __init__(
        self, active: Sequence[Version], shadow: Sequence[Version] = (), *, revision: int | None = None
    ) -> None:
        self.active, self.shadow, self.revision = tuple(active), tuple(shadow), revision
        self._compiled: dict[Limits, tuple[_Asked, _Asked]] = {}
        self._wanted = _facts_of((*self.active, *self.shadow))

    def decide(self, facts: Mapping[str, Any], limits: Limits, thresholds: Thresholds) -> Decision:
        """`facts` by name; one that is missing fails the rules that need it. Raises ValueError on mixed currencies."""
        if facts.get("currency", limits.currency) != limits.currency:
            raise ValueError(f"{facts['currency']} can't be judged by the limits of {limits.currency}")
        if not self.active:
            return unavailable("No rule is in force.")
        active, shadow = self._for(limits)
        try:
            given = activation({name: facts[name] for name in self._wanted if name in facts})
            said, would_say = active.findings(given), shadow.findings(given) if self.shadow else []
        except Exception as error:  # a value that the package can't take: every rule has failed
            said, would_say = [failed(version, type(error).__name__) for version in self.active], []
        if not said:
            return Decision(Verdict.APPROVE, (), tuple(would_say)) if would_say else _PASSED
        return _decided(said, would_say, thresholds)

    def _for(self, limits: Limits) -> tuple[_Asked, _Asked]:
        compiled = self._compiled.get(limits)
        if compiled is None:
            if len(self._compiled) >= _KEPT_LIMITS:
                self._compiled.clear()
            compiled = self._compiled[limits] = _Asked(self.active, limits), _Asked(self.shadow, limits)
        return compiled


def _facts_of(versions: Sequence[Version]) -> tuple[str, ...]:
    wanted: set[str] = set()
    for version in versions:
        for text in (version.expression, *_in_braces(version.explanation)):
            try:
                wanted |= facts_in(text)
            except Unacceptable:
                # It is broken, and said to be so when it is asked.
                continue
    return tuple(sorted(wanted))


def _in_braces(template: str) -> list[str]:
    return [part.text for part in parts_of(template) if part.is_expression]


def _decided(said: list[Finding], would_say: Sequence[Finding], thresholds: Thresholds) -> Decision:
    score = sum(finding.points for finding in said)
    verdicts = {finding.verdict for finding in said}
    actions = {finding.action for finding in said}
    reached = _reached(score, thresholds)
    if reached is not None:
        said.append(reached)
        verdicts.add(reached.verdict)
    if Verdict.REJECT in verdicts:
        verdict = Verdict.REJECT
    elif ERROR in actions:
        verdict = Verdict.REVIEW
    elif RuleAction.ALLOW in actions:
        verdict = Verdict.APPROVE
    else:
        verdict = Verdict.REVIEW if Verdict.REVIEW in verdicts else Verdict.APPROVE
    return Decision(verdict, tuple(said), tuple(would_say), score)


def _reached(score: int, thresholds: Thresholds) -> Finding | None:
    if score >= thresholds.reject_from:
        verdict, said = Verdict.REJECT, f"The scores add up to {score}; rejected from {thresholds.reject_from}."
    elif score >= thresholds.review_from:
        verdict, said = Verdict.REVIEW, f"The scores add up to {score}; reviewed from {thresholds.review_from}."
    else:
        return None
    return Finding("score", 0, RuleAction.SCORE, verdict, said)


def unavailable(why: str) -> Decision:
    """Nothing can be asked, so a person looks."""
    return Decision(Verdict.REVIEW, (Finding("rules", 0, ERROR, Verdict.REVIEW, why),))


def decide(facts: Facts | Mapping[str, Any], limits: Limits, rules: RuleSet, thresholds: Thresholds) -> Decision:
    """Ask every rule; what each one said is kept. Raises ValueError on mixed currencies."""
    return rules.decide(facts.as_json() if isinstance(facts, Facts) else facts, limits, thresholds)
