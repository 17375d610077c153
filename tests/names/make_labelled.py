"""Makes the labelled names in compliance/names/evaluation, from OFAC's list and what is written by hand beside this.

    python -m tests.names.make_labelled SDN_CSV ALT_CSV UN_XML

It was run before there was a matcher, and what it made is committed: nothing here knows how names are matched. Only
the UN's aliases came into the tuning part later, when OFAC's in the held-out part had turned out harder than what was
made by hand: something had to be fitted to that was not them.
Pairs of OFAC's aliases are kept by difflib alone (`same_name`), so that the choice says nothing about the matcher.
"""

import csv
import random
import sys
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from xml.etree import ElementTree

from faker import Faker  # only here: `pip install faker`; what it made is committed

from tests.names import people
from tests.names.standards import BGN, FRENCH, GERMAN, ICAO, ISO9, SCHOLARLY, cyrillic, greek, wade_giles

ROOM = Path(__file__).parents[2] / "compliance" / "names" / "evaluation"
SUBJECTS = {"individual": "person", "vessel": "vessel", "aircraft": "aircraft", "-0-": "organisation"}
TITLES = ["Mr", "Dr.", "Gen.", "Eng.", "Haji", "Sheikh", "Prof.", "Mrs"]
FAKER_LOCALES = [
    "en_GB",
    "en_US",
    "ru_RU",
    "ar_AA",
    "zh_CN",
    "el_GR",
    "es_MX",
    "de_DE",
    "fr_FR",
    "tr_TR",
    "uk_UA",
    "pt_BR",
]
Row = tuple[str, str, str, str, str, str]  # label, kind, script, subject, listed, query


def listed_order(surname: str, rest: str) -> str:
    return f"{surname.upper()}, {rest}"


def western(listed: str) -> str:
    surname, _, rest = listed.partition(", ")
    return f"{rest} {surname.title()}" if rest else surname


def typo(name: str, chance: random.Random, edits: int = 1) -> str:
    """One slip of the finger in the longest word: a letter swapped, dropped, doubled or replaced; never the first."""
    words = name.split(" ")
    at = max(range(len(words)), key=lambda index: len(words[index]))
    for _ in range(edits):
        word = words[at]
        spot = chance.randrange(1, len(word) - 1)
        slip = chance.choice(["swap", "drop", "double", "replace"])
        if slip == "swap":
            word = word[:spot] + word[spot + 1] + word[spot] + word[spot + 2 :]
        elif slip == "drop":
            word = word[:spot] + word[spot + 1 :]
        elif slip == "double":
            word = word[:spot] + word[spot] + word[spot:]
        else:
            word = word[:spot] + chance.choice("aeiourtnslmk") + word[spot + 1 :]
        words[at] = word
    return " ".join(words)


def general_variants(listed: str, script: str, chance: random.Random, *, edits: int) -> Iterator[Row]:
    """The kinds that any person's name may have."""
    plain = western(listed)
    words = plain.split(" ")
    yield "positive", "order", script, "person", listed, plain
    yield "positive", "typo", script, "person", listed, typo(plain, chance, edits)
    yield "positive", "title", script, "person", listed, f"{chance.choice(TITLES)} {plain}"
    if len(words) >= 3 and "-" not in words[0]:
        yield "positive", "initials", script, "person", listed, f"{words[0]} {words[1][0]}. {' '.join(words[2:])}"


def cyrillic_rows(names: list[tuple[str, str, str, str]], held_out: bool, chance: random.Random) -> Iterator[Row]:
    standards = (
        {"ISO 9": ISO9, "scholarly": SCHOLARLY, "German press": GERMAN, "French press": FRENCH}
        if held_out
        else {"ICAO passport": ICAO}
    )
    for surname, given, patronymic, nickname in names:
        latin_surname, latin_given, latin_patronymic = (cyrillic(word, BGN) for word in (surname, given, patronymic))
        listed = listed_order(latin_surname, f"{latin_given} {latin_patronymic}")
        native = f"{surname} {given} {patronymic}"
        yield "positive", "script", "Cyrillic", "person", listed, native
        yield "positive", "missing patronymic", "Cyrillic", "person", listed, f"{given} {surname}"
        yield "positive", "missing patronymic", "Latin", "person", listed, f"{latin_given} {latin_surname}"
        initials = f"{latin_surname} {latin_given[0]}. {latin_patronymic[0]}."
        yield "positive", "initials", "Latin", "person", listed, initials
        for name, table in standards.items():
            yield "positive", f"standard: {name}", "Latin", "person", listed, cyrillic(native, table)
            short = cyrillic(f"{given} {surname}", table)
            yield "positive", f"standard: {name}", "Latin", "person", listed, short
        if nickname:
            called = cyrillic(nickname, GERMAN if held_out else ICAO)
            yield "positive", "nickname", "Latin", "person", listed, f"{called} {latin_surname}"
        yield from general_variants(listed, "Latin", chance, edits=1)


def greek_rows(names: list[tuple[str, str]], held_out: bool, chance: random.Random) -> Iterator[Row]:
    for surname, given in names:
        listed = listed_order(greek(surname, "elot"), greek(given, "elot"))
        yield "positive", "script", "Greek", "person", listed, f"{given} {surname}"
        yield "positive", "script", "Greek", "person", listed, f"{surname} {given}".upper()
        if held_out:
            yield "positive", "standard: ISO 843", "Latin", "person", listed, greek(f"{given} {surname}", "iso")
            yield "positive", "standard: beta code", "Latin", "person", listed, greek(f"{given} {surname}", "beta")
        yield from general_variants(listed, "Latin", chance, edits=1)


def arabic_rows(names: list[tuple[str, str, list[str]]], held_out: bool, chance: random.Random) -> Iterator[Row]:
    kinds = ("standard: ALA-LC", "standard: French") if held_out else ("spelling", "spelling")
    for listed, native, spellings in names:
        yield "positive", "script", "Arabic", "person", listed, native
        for kind, spelling in zip(kinds, spellings, strict=True):
            yield "positive", kind, "Latin", "person", listed, spelling
        yield from general_variants(listed, "Latin", chance, edits=1)


def chinese_rows(names: list[tuple[str, str, str]], held_out: bool, chance: random.Random) -> Iterator[Row]:
    for surname, given, han in names:
        syllables = given.split(" ")
        glued = "".join(syllables).title()
        listed = listed_order(surname, glued)
        yield "positive", "script", "Chinese", "person", listed, han
        yield "positive", "order", "Latin", "person", listed, f"{glued} {surname.title()}"
        if held_out:
            wade = "-".join(wade_giles(syllable) for syllable in syllables).capitalize()
            first = f"{wade_giles(surname).title()} {wade}"
            yield "positive", "standard: Wade-Giles", "Latin", "person", listed, first
            yield (
                "positive",
                "standard: Wade-Giles",
                "Latin",
                "person",
                listed,
                first.replace("'", "").replace("ü", "u"),
            )
        if len(syllables) == 2:
            split = " ".join(syllable.title() for syllable in syllables)
            yield "positive", "spacing", "Latin", "person", listed, f"{surname.title()} {split}"
            hyphened = f"{syllables[0].title()}-{syllables[1]} {surname.upper()}"
            yield "positive", "spacing", "Latin", "person", listed, hyphened
            yield "positive", "title", "Latin", "person", listed, f"Mr {surname.title()} {glued}"


def by_hand(held_out: bool, chance: random.Random) -> Iterator[Row]:
    yield from cyrillic_rows(people.CYRILLIC_HELD_OUT if held_out else people.CYRILLIC_TUNING, held_out, chance)
    yield from greek_rows(people.GREEK_HELD_OUT if held_out else people.GREEK_TUNING, held_out, chance)
    yield from arabic_rows(people.ARABIC_HELD_OUT if held_out else people.ARABIC_TUNING, held_out, chance)
    yield from chinese_rows(people.CHINESE_HELD_OUT if held_out else people.CHINESE_TUNING, held_out, chance)
    for listed, variants in people.LATIN_HELD_OUT if held_out else people.LATIN_TUNING:
        for kind, variant in variants:
            yield "positive", kind, "Latin", "person", listed, variant
        yield from general_variants(listed, "Latin", chance, edits=1)
    for listed, forms in people.COMPANIES_HELD_OUT if held_out else people.COMPANIES_TUNING:
        for form in forms:
            yield "positive", "company form", "Latin", "organisation", listed, form
        yield "positive", "typo", "Latin", "organisation", listed, typo(listed, chance)


def plain_words(name: str) -> list[str]:
    folded = "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    return "".join(c if c.isalnum() else " " for c in folded.replace("'", "")).split()


def same_name(primary: str, alias: str) -> bool:
    """Whether two names look like spellings of one: of the shorter's words (two at least), each has a word that
    difflib finds 60 % alike in the other, no two the same one."""
    short, long = sorted((plain_words(primary), plain_words(alias)), key=len)
    if len(short) < 2 or sorted(short) == sorted(long):
        return False
    left = list(long)
    for word in sorted(short, key=len, reverse=True):
        ratios = [SequenceMatcher(None, word, other, autojunk=False).ratio() for other in left]
        if not ratios or max(ratios) < 0.6:
            return False
        left.pop(ratios.index(max(ratios)))
    return True


def ofac_aliases(sdn: list[list[str]], alt: list[list[str]], chance: random.Random) -> Iterator[Row]:
    """OFAC's own aliases against its primary names: 900 people, 300 organisations, and 300 that are other names."""
    primary = {row[0]: (row[1], SUBJECTS[row[2].strip()]) for row in sdn}
    found: dict[str, list[Row]] = {"person": [], "organisation": [], "other": []}
    for row in alt:
        name, subject = primary.get(row[0], ("", ""))  # a few aliases are of entries that are not in the excerpt
        if subject not in {"person", "organisation"} or row[2] != "aka" or len(plain_words(row[3])) < 2:
            continue
        if same_name(name, row[3]):
            found[subject].append(("positive", f"OFAC alias, {subject}", "Latin", subject, name, row[3]))
        elif sorted(plain_words(name)) != sorted(plain_words(row[3])):
            found["other"].append(("other", "OFAC alias, another name", "Latin", subject, name, row[3]))
    for what, count in (("person", 900), ("organisation", 300), ("other", 300)):
        yield from sorted(chance.sample(found[what], count))


def un_aliases(un_path: str, held_out: list[Row], chance: random.Random) -> Iterator[Row]:
    """The UN's aliases against its primary names, without what the held-out part asks."""
    asked = {tuple(sorted(plain_words(row[5]))) for row in held_out}
    found: dict[str, list[Row]] = {"person": [], "organisation": []}
    root = ElementTree.parse(un_path).getroot()
    for kind, subject in (("INDIVIDUAL", "person"), ("ENTITY", "organisation")):
        for element in root.iter(kind):
            parts = (
                element.findtext(part) or "" for part in ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
            )
            name = " ".join(" ".join(parts).split())
            for alias in element.iter(f"{kind}_ALIAS"):
                for other in (alias.findtext("ALIAS_NAME") or "").split(";"):
                    if same_name(name, other) and tuple(sorted(plain_words(other))) not in asked:
                        found[subject].append(
                            ("positive", f"UN alias, {subject}", "Latin", subject, name, " ".join(other.split()))
                        )
    for subject, count in (("person", 400), ("organisation", 100)):
        unique = list(dict.fromkeys(found[subject]))
        yield from sorted(chance.sample(unique, min(count, len(unique))))


def clean_names(held_out: bool, chance: random.Random) -> Iterator[Row]:
    if held_out:
        for locale in FAKER_LOCALES:
            fake = Faker(locale)
            fake.seed_instance(20260301)
            for _ in range(200):
                name = f"{fake.first_name()} {fake.last_name()}"
                yield "negative", f"clean, {locale}", script_of(name), "person", "", name
        return
    for culture, given in people.CLEAN_GIVEN.items():
        surnames = people.CLEAN_SURNAMES[culture].split()
        for first in given.split():
            for surname in surnames:
                name = f"{surname}{first}" if culture == "chinese" else f"{first} {surname}"
                yield "negative", f"clean, {culture}", script_of(name), "person", "", name


def near_misses(held_out: bool, sdn: list[list[str]], alt: list[list[str]], chance: random.Random) -> Iterator[Row]:
    """Surname of one listed person, first names of another: nobody on the list, though each half of it is."""
    individuals = {row[0] for row in sdn if row[2].strip() == "individual"}
    source = (
        [row[3] for row in alt if row[0] in individuals]
        if held_out
        else [row[1] for row in sdn if row[0] in individuals]
    )
    pairs = [name.split(", ", 1) for name in source if ", " in name]
    listed = [set(plain_words(row[1])) for row in sdn] + [set(plain_words(row[3])) for row in alt]
    made: set[str] = set()
    while len(made) < 1000:
        surname, given = chance.choice(pairs)[0], chance.choice(pairs)[1]
        name = f"{given} {surname}"
        words = set(plain_words(name))
        if len(words) >= 2 and not any(words <= other or (len(other) > 1 and other <= words) for other in listed):
            made.add(name)
    for name in sorted(made):
        yield "negative", "near miss, recombined", "Latin", "person", "", name


def siblings(held_out: bool) -> Iterator[Row]:
    """The same surname and patronymic with another given name: a brother, not the person."""
    names = people.CYRILLIC_HELD_OUT if held_out else people.CYRILLIC_TUNING
    men = [name for name in names if name[2].endswith("ч")]
    for at, (surname, given, patronymic, _) in enumerate(men):
        for _, other, _, _ in men[at + 1 : at + 6]:
            if other[:2] != given[:2]:
                name = f"{surname} {other} {patronymic}"
                yield "negative", "near miss, sibling", "Cyrillic", "person", "", name
                yield (
                    "negative",
                    "near miss, sibling",
                    "Latin",
                    "person",
                    "",
                    cyrillic(name, ICAO if not held_out else GERMAN),
                )
    arabic = people.ARABIC_HELD_OUT if held_out else people.ARABIC_TUNING
    for at, (listed, _, _) in enumerate(arabic):
        surname = listed.partition(", ")[0]
        for other, _, _ in arabic[at + 1 : at + 4]:
            yield (
                "negative",
                "near miss, sibling",
                "Latin",
                "person",
                "",
                f"{other.partition(', ')[2]} {surname.title()}",
            )


def script_of(name: str) -> str:
    letter = next(c for c in name if c.isalpha())
    word = unicodedata.name(letter).split()[0].title()
    return {"Cjk": "Chinese"}.get(word, word)


def read(path: str) -> list[list[str]]:
    with Path(path).open(encoding="utf-8", errors="replace", newline="") as file:
        return [row for row in csv.reader(file) if len(row) > 3]


def write(name: str, header: str, rows: list[tuple[str, ...]]) -> None:
    with (ROOM / name).open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header.split(","))
        out.writerows(rows)


def main(sdn_path: str, alt_path: str, un_path: str) -> None:
    sdn, alt = read(sdn_path), read(alt_path)
    write("ofac.csv", "entry,subject,name", [(row[0], SUBJECTS[row[2].strip()], row[1]) for row in sdn])
    rows: list[Row] = []
    for part, held_out in (("held_out", True), ("tuning", False)):
        aliases = list(un_aliases(un_path, rows, random.Random(20260302))) if not held_out else []
        chance = random.Random(20260301 + held_out)
        rows = list(by_hand(held_out, chance))
        if held_out:
            rows += ofac_aliases(sdn, alt, chance)
        rows += clean_names(held_out, chance)
        rows += near_misses(held_out, sdn, alt, chance)
        rows += siblings(held_out)
        rows += aliases
        write(f"{part}.csv", "label,kind,script,subject,listed,query", list(dict.fromkeys(rows)))


if __name__ == "__main__":
    main(*sys.argv[1:4])
