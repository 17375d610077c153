"""Lists as others publish them are read whole, each line accounted for, or refused with the line that is wrong."""

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from compliance.lists import ListRefused, Report, read, sources
from compliance.lists.records import RecordName
from compliance.lists.words import birth_dates_of, country_of
from tests.compliance.lists.files import INTERNAL, OFAC, OPENSANCTIONS, UN, ofac_copy, read_all, spoiled


def refused(format_: str, path: Path) -> ListRefused:
    with pytest.raises(ListRefused) as caught:
        list(read(path, Report(format_)))
    return caught.value


def test_ofacs_files_are_read_together_and_each_line_is_accounted_for() -> None:
    records, report = read_all("ofac-csv", OFAC)
    lines = {path.name: len(path.read_bytes().splitlines()) for path in OFAC.parent.glob("*.csv")}
    assert {file.name: file.units for file in report.files} == lines
    assert all(sum(file.accounted.values()) == file.units for file in report.files)
    by_name = {file.name: file.accounted for file in report.files}
    assert by_name["sdn.csv"]["entries"] == lines["sdn.csv"] - 1
    assert by_name["alt.csv"] == {"aliases": lines["alt.csv"] - 1, "left out: end-of-file mark": 1}
    # An alias of an entry that sdn.csv does not have is a name on the list all the same.
    assert report.entries == len(records) == lines["sdn.csv"]
    assert (records["17013"].subject, records["17013"].names) == ("unknown", (RecordName("JSC VTB BANK", "primary"),))
    assert report.warnings[0].startswith("alt.csv has aliases of 1 entries")
    with (OFAC.parent / "alt.csv").open() as file:
        published = {row[3] for row in csv.reader(file) if len(row) > 1 and row[0] in records}
    assert published <= {name.name for record in records.values() for name in record.names}

    person = records["7944"]
    assert person.names[0] == RecordName("MOUSTFA, Djamel", "primary")
    assert RecordName("MOSTAFA, Damel", "alias") in person.names
    assert RecordName("ALI BARKANI", "weak") in person.names
    assert "1973-09-28" in person.birth_dates
    assert records["26235"].gender == "male"
    assert records["306"].subject == "organisation"
    assert "CH" in records["306"].countries
    assert RecordName("BNC", "weak") in records["306"].names
    # Cut at 1,000 characters in sdn.csv, in the middle of a word.
    assert "RED MUNDIAL INMOBILIARIA, S.A. DE C.V." in records["12300"].details["remarks"]


def test_the_uns_list_is_read_whole_each_element_accounted_for() -> None:
    records, report = read_all("un-xml", UN)
    (file,) = report.files
    tree = ElementTree.parse(UN)
    assert file.units == sum(1 for _ in tree.iter()) == sum(file.accounted.values())
    assert report.entries == len(records) == len(tree.findall(".//REFERENCE_NUMBER"))
    first = records["CDi.001"]
    assert first.names[0] == RecordName("ERIC BADEGE", "primary")
    assert first.countries == ("CD",)
    assert first.birth_dates == ("1971",)
    several = next(record for record in records.values() if record.names[0].name == "AZIM AGHAJANI")
    assert [name.name for name in several.names[1:]] == ["Azim Adhajani", "Azim Agha-Jani"]
    kinds = {name.kind for record in records.values() for name in record.names}
    assert kinds == {"primary", "alias", "weak"}
    assert {record.subject for record in records.values()} == {"person", "organisation"}
    assert any(record.gender == "female" for record in records.values())
    assert any(ord(name.name[0]) > 0x600 for record in records.values() for name in record.names)
    assert report.unread["birth date: Nov. 1973"] == 1


def test_opensanctions_and_internal_lists_are_read() -> None:
    records, report = read_all("opensanctions-csv", OPENSANCTIONS)
    (file,) = report.files
    assert file.units == len(OPENSANCTIONS.read_text().splitlines())
    assert file.accounted["left out: a CryptoWallet has no name"] == 1
    person = records["NK-2BAVqMh4hmRCxWbCG4Hqwr"]
    assert [name.name for name in person.names[1:]] == ["Ivan Petrovich Obraztsov", "Obraztsov; Ivan"]
    assert (person.birth_dates, person.countries) == (("1961-03-07",), ("RU", "CY"))
    assert records["NK-3aaa"].names[0].name == "EXAMPLE SHIPPING AND TRADE LTD"
    assert records["NK-4bbb"].birth_dates == ("1949", "1950", "1951")
    assert report.unread == {"country: zz": 1}

    records, _ = read_all("internal-csv", INTERNAL)
    assert records["d-1"].names == (
        RecordName("Mallory Fraudster", "primary"),
        RecordName("M. Fraudster", "alias"),
        RecordName("Fraudster; Mallory", "alias"),
        RecordName("Mal", "weak"),
    )
    assert (records["d-1"].countries, records["d-1"].gender) == (("GB", "IE"), "female")
    assert records["d-2"].subject == "organisation"


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        (",-0- \r\n", "\r\n", 1, "has 11 fields in place of 12"),
        ('"individual"', '"martian"', None, "'martian', which is not known"),
        ('"', '"\x01', 1, "control character U+0001"),
        ('"', '""', 1, "is not CSV"),
        ("\x1a\r\n", '\x1a\r\n306,"AGAIN"\r\n', 26, "after the end-of-file mark"),
        ("306,", "x306,", None, "no number"),
        ("306,", "7944,", None, "repeats the number 7944"),
    ],
)
def test_a_line_of_ofacs_that_is_wrong_refuses_the_file(
    tmp_path: Path, old: str, new: str, line: int | None, problem: str
) -> None:
    error = refused("ofac-csv", spoiled(ofac_copy(tmp_path), old, new))
    assert problem in error.problem
    assert error.file == "sdn.csv"
    assert error.line == line or (line is None and error.line > 0)


def test_ofacs_files_need_each_other_and_may_be_latin_1(tmp_path: Path) -> None:
    sdn = ofac_copy(tmp_path)
    sdn.write_bytes(sdn.read_bytes().replace(b"MOUSTFA", b"MO\xdcSTFA"))
    records, report = read_all("ofac-csv", sdn)
    assert records["7944"].names[0].name == "MOÜSTFA, Djamel"
    assert report.files[0].encoding == "latin-1"
    sdn.with_name("alt.csv").unlink()
    assert "no such file" in refused("ofac-csv", sdn).problem


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<VERSIONNUM>", "<SURPRISE>1</SURPRISE><VERSIONNUM>", "INDIVIDUAL/SURPRISE, which is not known"),
        ("<QUALITY>", "<SURPRISE/><QUALITY>", "INDIVIDUAL_ALIAS/SURPRISE, which is not known"),
        ("<FIRST_NAME>", '<FIRST_NAME lang="en">', "attribute, 'lang'"),
        ("<FIRST_NAME>ERIC", "<FIRST_NAME>" + "<FIRST_NAME>" * 5 + "ERIC", "which is not known"),
        ("<INDIVIDUAL>", "<INDIVIDUAL>stray", "text in INDIVIDUAL"),
        ("ERIC</FIRST_NAME>", "ERIC</FIRST_NAME><FIRST_NAME>E</FIRST_NAME>", "FIRST_NAME more than once"),
        (">CDi.001<", "><", "without a reference number"),
        ("<QUALITY>Good", "<QUALITY>Superb", "quality 'superb'"),
        ("</CONSOLIDATED_LIST>", "", "is not XML"),
        ("<FIRST_NAME>ERIC", "<FIRST_NAME>&lol;ERIC", "is not XML"),
        ("ERIC", "E" * 50_001, "more than 50,000 characters"),
        (
            "<CONSOLIDATED_LIST ",
            '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><CONSOLIDATED_LIST ',
            "declares a document type",
        ),
        (
            "<CONSOLIDATED_LIST ",
            '<!DOCTYPE x SYSTEM "file:///etc/passwd"><CONSOLIDATED_LIST ',
            "declares a document type",
        ),
    ],
)
def test_an_element_of_the_uns_that_is_not_known_or_hostile_refuses_the_file(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    path = tmp_path / "un.xml"
    path.write_bytes(UN.read_bytes())
    error = refused("un-xml", spoiled(path, old, new))
    assert problem in error.problem
    assert error.line > 0


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 0, "is empty"),
        ("id,name\n", 0, "has no entries"),
        ("id,name,colour\n1,A,red\n", 1, "not known: 'colour'"),
        ("id\n1\n", 1, "lacks the columns name"),
        ("id,name,name\n1,A,B\n", 1, "names a column twice"),
        ("id,name\n1,A\n2\n", 3, "has 1 fields"),
        ("id,name\n1,A\n1,B\n", 3, "repeats the id 1"),
        ("id,name\n1,\n", 2, "no id or no name"),
        ('id,name\n1,"A\n2,B\n', 2, "is not CSV"),
        ('id,name\n1,"' + "\n" * 300 + '"\n', 2, "an open quote?"),
        ("id,name\n1," + "A" * 1_001 + "\n", 0, "a name of 1,001 characters"),
        ("id,name\n1," + "A" * 140_000 + "\n", 2, "is not CSV: field larger"),
        ("id,name\n1,A\x00\n", 2, "control character U+0000"),
        ("id,name,subject\n1,A,ghost\n", 2, "is about a 'ghost'"),
        ("id,name,gender\n1,A,m\n", 2, "the gender 'm'"),
        ("id,name,birth_dates\n1,A,1970-13-01\n", 2, "the birth date '1970-13-01'"),
        ("id,name,countries\n1,A,Atlantis\n", 2, "the country 'Atlantis'"),
        ('id,name,aliases\n1,A,"""x""y"\n', 2, "not regular"),
    ],
)
def test_a_list_of_our_own_is_refused_where_it_is_wrong(tmp_path: Path, text: str, line: int, problem: str) -> None:
    path = tmp_path / "deny.csv"
    path.write_text(text, newline="")
    error = refused("internal-csv", path)
    assert problem in error.problem
    assert error.line == line


def test_what_is_not_utf_8_too_large_or_changing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deny.csv"
    path.write_bytes(b"id,name\n1,A\n2,\xff\n")
    assert (refused("internal-csv", path).line, refused("internal-csv", path).problem) == (3, "is not UTF-8")
    path.write_bytes(b"\xef\xbb\xbfid,name\r\n1,A\r\n\r\n")
    records, report = read_all("internal-csv", path)
    assert list(records) == ["1"]
    assert report.files[0].accounted == {"header": 1, "entries": 1, "left out: blank": 1}
    source = sources.Source(path, Report("internal-csv"))
    path.write_bytes(b"id,name\n1,A\n")
    with pytest.raises(ListRefused, match="was changed while it was read"):
        list(source.lines())
    monkeypatch.setattr(sources, "LARGEST_FILE", 5)
    assert "the largest that is read" in refused("internal-csv", path).problem
    monkeypatch.undo()
    monkeypatch.setattr(sources, "LONGEST_LINE", 5)
    assert "is longer than 5 bytes" in refused("internal-csv", path).problem
    assert "no such file" in refused("un-xml", tmp_path).problem


def test_a_list_that_stands_in_one_long_line_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "un.xml"
    one_line = UN.read_text().replace("\n", " ")
    records, _ = read_all("un-xml", UN)
    for shift in ("", " "):
        # With one of the two, a piece that is read at once ends in the middle of a letter.
        path.write_text(one_line.replace("<COMMENTS1>", "<COMMENTS1>" + shift + "é" * 40_001))
        assert read_all("un-xml", path)[0].keys() == records.keys()


def test_the_same_content_has_the_same_hash_whatever_the_order_of_names() -> None:
    records, _ = read_all("internal-csv", INTERNAL)
    one = records["d-1"]
    turned = type(one)(
        **{
            **{name: getattr(one, name) for name in one.__slots__},
            "names": tuple(reversed(one.names)),
            "external_id": "another",
        }
    )
    assert one.content_hash() == turned.content_hash()
    other = type(one)(**{**{name: getattr(one, name) for name in one.__slots__}, "gender": "male"})
    assert other.content_hash() != one.content_hash()


def test_dates_and_countries_are_understood_as_lists_write_them() -> None:
    assert birth_dates_of("14 Jun 1975") == ("1975-06-14",)
    assert birth_dates_of("Jun 1975") == ("1975-06",)
    assert birth_dates_of("1975") == ("1975",)
    assert birth_dates_of("circa 1975") == ("1974", "1975", "1976")
    assert birth_dates_of("1973 to 1975") == ("1973", "1974", "1975")
    assert birth_dates_of("01 Jan 1962 to 31 Dec 1963") == ("1962", "1963")
    assert birth_dates_of("circa 1977-1979") == ("1976", "1977", "1978", "1979", "1980")
    for nothing in ("1900 to 1999", "sometime", "31 Foo 1970", "0000", "1975-00", ""):
        assert birth_dates_of(nothing) == ()
    names = ("Iran (Islamic Republic of)", "Korea, North", "United Kingdom of Great Britain and Northern Ireland", "gb")
    assert [country_of(name) for name in names] == ["IR", "KP", "GB", "GB"]
    assert [country_of(name) for name in ("Türkiye", "Turkey", "The Gambia", "nowhere", "")] == [
        "TR",
        "TR",
        "GM",
        "",
        "",
    ]
