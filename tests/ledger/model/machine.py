"""The machine: each step is done to the wallet and to the model, and then both are compared, down to the last cent."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.test import override_settings
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.ledger.model.book import Book
from tests.ledger.model.draw import ACCOUNTS, Draw
from tests.ledger.model.hands import Hands
from tests.ledger.model.model import Impossible, Purse
from tests.ledger.model.on_the_way import WAYS
from tests.ledger.model.plays import PLAYS, Act, rich, spend
from tests.ledger.model.town import DIED, OWNERS, STARTS, Founded, Town
from tests.ledger.model.wallet import Told

_numbers = st.integers(0, 999)
_amounts = st.integers(1, 700)
#: Acts that two may do at the same time, and in which one of them may die.
TOGETHER = (
    "transfer", "withdraw", "deposit", "hold", "pay", "reverse", "replay", "cancel", "capture", "void", "expire",
    "claim", "decide", "officer", "clear", "dispatch", "deliver", "freeze", "close", "resolve", "set_limit",
    "answer", "bulk", "poisoned",
)  # fmt: skip

#: Acts of several commits, at any of which he may die, and those that would blur which of them he has made.
IN_PARTS = ("clear", "expire", "dispatch", "deliver", "bulk")
_COMMITS = st.sampled_from((0, 0, 1, 2, 3, 4))
_LATE_COMMITS = st.sampled_from((0, 1, 1, 2, 2, 3, 4))
_BLURRED = ("dispatch", "deliver", "resolve")

#: As the model has them (tests/ledger/model/requests.py): 3 for a payout; 5 and a per cent for transfers from 100 on.
FEES = {
    "withdrawal": {"EUR": [{"flat": 3}]},
    "transfer": {"EUR": [{"from": 100, "flat": 5, "basis_points": 100}]},
}
STEPS_PER_TOWN = 50

#: What a transfer is asked for by, in the order of a bulk's items.
_TRANSFER = ("number", "source", "destination", "amount")
State = dict[str, Any]
Choice = tuple[str, int, int, int]
_spending = st.sampled_from(("transfer", "withdraw"))
_choices = st.tuples(st.sampled_from(TOGETHER), _numbers, _numbers, _amounts)


class Machine(RuleBasedStateMachine):
    """`origin` is what each town is a copy of, `planted` a mistake that is put into it; `steps` counts them all."""

    origin: ClassVar[Founded]
    planted: ClassVar[tuple[str, str, str] | None] = None
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(self.origin)
        if self.planted:
            self.town.plant(*self.planted)
        self.hands = Hands(self.origin, self.town)
        people = enumerate(zip(OWNERS, STARTS, strict=True))
        self.book = Book({number: Purse(owner=owner, cleared=start) for number, (owner, start) in people})
        self.book.purses["settlement"].cleared = -sum(STARTS)
        self.numbers = 0
        self.born = datetime.now(UTC).date()
        self.leases: list[tuple[int, int]] = []

    def teardown(self) -> None:
        self.town.close()

    def play(self, name: str, a: int, b: int, amount: int) -> None:
        type(self).steps += 1
        for act in PLAYS[name].plan(self.draw(a, b, amount)):
            self.act(act)

    def act(self, act: Act) -> None:
        name, arguments = act
        told = getattr(self.hands, name)(**arguments)
        note(f"    {_written(act)} -> {told[0]}")
        seen = self.look()
        expected = self.predict(self.book, act, told)
        assert told[0] == expected, f"{_written(act)} said {told[0]!r}, and it ought to be {expected!r}"
        difference = _difference(standing(self.book), seen)
        assert not difference, f"after {_written(act)}: {difference}"
        self.learn(act, told)

    @rule(of_one=_choices, of_other=_choices, killed=st.booleans(), commit=_COMMITS)
    def together(self, of_one: Choice, of_other: Choice, killed: bool, commit: int) -> None:
        """Two at once: the first has done it all and is about to commit when the second comes. As if one had come after
        the other; and as if the first had never come, when his connection ends before his commit: or had come no
        further than to the commit before, where there are several."""
        self.at_once(self.ready(*of_one), self.ready(*of_other), killed, commit)

    @rule(of_one=_choices, name=st.sampled_from(TOGETHER), b=_numbers, killed=st.booleans(), commit=_COMMITS)
    def race(self, of_one: Choice, name: str, b: int, killed: bool, commit: int) -> None:
        """Two at once for the same thing, or for the same account."""
        _, a, _, amount = of_one
        self.at_once(self.ready(*of_one), self.ready(name, a, b, amount), killed, commit)

    @precondition(lambda self: bool(rich(self.book)))
    @rule(names=st.tuples(_spending, _spending), a=_numbers, b=_numbers, amounts=st.tuples(_amounts, _amounts))
    def rush(self, names: tuple[str, str], a: int, b: int, amounts: tuple[int, int]) -> None:
        """Two spend from one account at once what is there for either of them, and not for both."""
        one, two = (spend(self.draw(a, b, amount), name) for name, amount in zip(names, amounts, strict=True))
        self.at_once(one, two, killed=False)

    @rule(a=_numbers, b=_numbers, amount=_amounts, killed=st.booleans())
    def overtake(self, a: int, b: int, amount: int, killed: bool) -> None:
        """A worker whose lease has run out decides while another takes the same up."""
        late, other = self.next_number(), self.next_number()
        for act in (*PLAYS["transfer"].plan(self.draw(a, b, amount)), ("claim", {"lease": late, "limit": 1_000})):
            self.act(act)
        mine = [number for lease, number in self.leases if lease == late]
        if mine:
            self.act(("leases_run_out", {}))
            decision = {"lease": late, "number": mine[-1], "verdict": "review" if b % 3 == 0 else "approve"}
            self.at_once(("claim", {"lease": other, "limit": 1_000}), ("decide", decision), killed)

    @rule(way=st.sampled_from(tuple(WAYS)), a=_numbers, b=_numbers, amount=_amounts, commit=_LATE_COMMITS)
    def dies_on_the_way(self, way: str, a: int, b: int, amount: int, commit: int) -> None:
        """What he has committed before stands, and whoever does the same after him does the rest, once."""
        for act, dies in WAYS[way](self.draw(a, b, amount)):
            if dies:
                other = ("deposit", {"number": self.next_number(), "account": b % ACCOUNTS, "amount": amount})
                self.at_once(act, other, True, commit)
            else:
                self.act(act)

    def at_once(self, first: Act, second: Act, killed: bool, commit: int = 0) -> None:
        type(self).steps += 1
        acts = [first, second]
        if acts[0][0] == acts[1][0] == "dispatch":
            # Each would ask again what the other has just been told: when, is for nobody to predict.
            return
        if first[0] not in IN_PARTS or (first[0] in ("dispatch", "deliver") and second[0] in _BLURRED):
            commit = 0
        # Who goes on after his first commit has the second come between his parts, which no order of the two explains.
        killed = killed or commit > 0
        one, two = (self.doing(act) for act in acts)
        told = self.town.together(one, two, commit=commit, killed=killed)
        note(
            f"    {_written(acts[0])} -> {told[0][0]} while {_written(acts[1])} -> {told[1][0]}, {killed=} at {commit}"
        )
        seen = self.look()
        if told[0][0] == DIED:
            assert killed, "nobody ended his connection"
        assert told[1][0] != DIED, "the second died of the first"
        happened = [(act, said) for act, said in zip(acts, told, strict=True) if said != (DIED, None)]
        problems = []
        for order in (happened, happened[::-1]):
            book = copy.deepcopy(self.book)
            book.skips = True
            if not (problem := self.follow(book, order, seen)):
                self.book = book
                self.book.skips = False
                for act, said in happened:
                    self.learn(act, said)
                return
            problems.append(problem)
        raise AssertionError("as if one had come after the other? " + "; or: ".join(problems))

    def follow(self, book: Book, order: list[tuple[Act, Told]], seen: State) -> str:
        """What does not fit when these came in this order."""
        try:
            for act, told in order:
                if (expected := self.predict(book, act, told)) != told[0] and told[0] != DIED:
                    return f"{_written(act)} would be told {expected!r}"
        except Impossible as impossible:
            return str(impossible)
        return _difference(standing(book), seen)

    def predict(self, book: Book, act: Act, told: Told) -> str:
        name, arguments = act
        facts = {} if told[1] is None else {"took": self.hands.translated(told[1])}
        if name == "bulk":
            facts["died"] = told[0] == DIED
        expected: str = getattr(book, name)(**arguments, **facts)
        return expected

    def doing(self, act: Act) -> Callable[[], Told]:
        name, arguments = act
        method = getattr(self.hands, name)
        return lambda: method(**arguments)

    def ready(self, name: str, a: int, b: int, amount: int) -> Act:
        play = PLAYS[name if PLAYS[name].ready(self.book, self.hands.bank) else "transfer"]
        return next(play.plan(self.draw(a, b, amount)))

    def learn(self, act: Act, told: Told) -> None:
        name, arguments = act
        if name == "claim":
            self.leases += [(arguments["lease"], int(unit)) for unit in self.hands.translated(told[1])]
        if name == "bulk":
            for each in arguments["items"]:
                self.learn(("transfer", dict(zip(_TRANSFER, each, strict=True))), ("", None))
        unit = self.book.units.get(str(arguments.get("number")))
        if unit is not None and unit.asked is not None and unit.request is None:
            unit.request = act

    def draw(self, a: int, b: int, amount: int) -> Draw:
        return Draw(self.book, self.hands.bank, a, b, amount, self.next_number(), self.leases, self.next_number)

    def next_number(self) -> int:
        self.numbers += 1
        return self.numbers

    def look(self) -> State:
        self.book.midnights = (datetime.now(UTC).date() - self.born).days
        accounts, transactions, offences = self.town.view()
        assert not offences, f"an invariant does not hold: {offences}"
        return self.hands.see(accounts, transactions)


def _rule_of(name: str) -> Any:
    def step(self: Machine, a: int, b: int, amount: int) -> None:
        self.play(name, a, b, amount)

    step.__name__ = step.__qualname__ = name
    ready = PLAYS[name].ready
    allowed = precondition(lambda self: bool(ready(self.book, self.hands.bank)))
    return allowed(rule(a=_numbers, b=_numbers, amount=_amounts)(step))


for _name in PLAYS:
    setattr(Machine, _name, _rule_of(_name))


def run(machine: type[Machine], number: int, *, steps: int, shrink: bool = False) -> None:
    """So many steps from the seed of that number; the same ones each time."""
    # Who is stopped at his commit would have the other wait for him in the process, and not where the rows are.
    with override_settings(FEES=FEES):
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            seed(number)(machine),
            settings=settings(
                max_examples=-(-steps // STEPS_PER_TOWN),
                stateful_step_count=STEPS_PER_TOWN,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
                suppress_health_check=list(HealthCheck),
            ),
        )


def standing(book: Book) -> State:
    """The model in the form in which the wallet is read."""
    purses = {name: (purse.cleared, purse.reserved, purse.status) for name, purse in book.purses.items()}
    units = {
        unit.name: (unit.status, unit.failure, unit.stage, tuple(leg.captured for leg in unit.legs))
        for unit in book.units.values()
    }
    return {"purses": purses, "units": units}


def _difference(ought: State, seen: State) -> str:
    return ", ".join(
        f"{what} {name} is {seen[what].get(name)} and ought to be {ought[what].get(name)}"
        for what in ought
        for name in sorted(ought[what].keys() | seen[what].keys(), key=str)
        if ought[what].get(name) != seen[what].get(name)
    )


def _written(act: Act) -> str:
    name, arguments = act
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
