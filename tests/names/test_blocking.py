"""What a database looks up instead of comparing names finds whoever a search finds."""

import random
from zlib import crc32

import pytest

from compliance.names import (
    ANYBODY,
    TOKENS_MAKING,
    ListedEntry,
    ListedName,
    NameIndex,
    Query,
    tokens_of_listed,
    tokens_of_person,
)
from compliance.names.evaluation import labelled

PEOPLE = [row for row in labelled("tuning") if row.subject == "person"]


def test_who_is_found_in_an_index_shares_a_token_with_the_name_that_he_is_found_by() -> None:
    """At any threshold: what the index itself looks at is the least that a search may find."""
    chance = random.Random(7)
    positives = [row for row in PEOPLE if row.label == "positive"]
    names = sorted({row.listed for row in chance.sample(positives, 250)})
    index = NameIndex.build(
        [ListedEntry(number, "person") for number in range(len(names))],
        [ListedName(number, name, "primary") for number, name in enumerate(names)],
    )
    tokens = [tokens_of_listed(name) for name in names]
    asked = [row.query for row in positives if row.listed in names] + [row.query for row in chance.sample(PEOPLE, 250)]
    asked += ["Ali Ali", "Abdulrahman", "Van der Merwe", "A. B. Li", "Mohammed Muhammad", "De La Cruz Maria", "O. K."]
    met = 0
    for name in asked:
        ours = set(tokens_of_person(name))
        for hit in index.search(Query(name), threshold=0):
            met += 1
            assert not ours.isdisjoint(tokens[hit.entry]), (name, names[hit.entry])
    assert met > 500


@pytest.mark.parametrize(("one", "other"), [("Anna Schmidt", "ROSSI, Mario"), ("Anna Schmidt", "ROSSI, Anna")])
def test_names_that_have_a_word_in_common_at_most_share_no_token(one: str, other: str) -> None:
    assert set(tokens_of_person(one)).isdisjoint(tokens_of_listed(other))


def test_a_name_of_any_length_has_a_bounded_number_of_tokens_and_is_compared_with_all() -> None:
    hostile = " ".join(f"{letter}chxjcodtruaeu" for letter in "abdefghiklmnoprst")
    assert tokens_of_person(hostile) == [ANYBODY]
    assert ANYBODY in tokens_of_listed("ROSSI, Mario")
    long = "Muhammad Abd al-Rahman bin Khalid Mahmoud Al-Rashidi Abu Yusuf Husayn"
    assert 500 < len(tokens_of_person(long)) < 4_000


def test_tokens_that_change_have_another_making() -> None:
    """Customers' names are kept with their tokens. If this fails, TOKENS_MAKING has to be raised, and with it what is
    expected here: names are then made ready again."""
    digest = 0
    for row in PEOPLE[::4]:
        for numbers in (tokens_of_person(row.query), sorted(tokens_of_listed(row.listed))):
            digest = crc32(",".join(map(str, numbers)).encode(), digest)
    assert (TOKENS_MAKING, digest) == (1, 385067599)
