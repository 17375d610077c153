"""The front door: what README.md promises is there. Its session with curl is run in test_story.py."""

import re

from tests.support.servers import ROOT

README = (ROOT / "README.md").read_text()


def test_every_link_in_the_documents_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text()):
            if not re.match(r"\w+:", target):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_readme_names_every_target_of_the_makefile_and_no_other() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) == targets


def test_the_commands_that_the_documents_name_exist() -> None:
    commands = {path.stem for path in ROOT.glob("*/management/commands/*.py")}
    for name in ("verify_ledger", "self_audit", "backup", "restore", "create_demo_staff"):
        assert name in commands


def test_the_readme_tells_each_state() -> None:
    from accounts.states import AccountStatus, KycStatus
    from ledger.states import TransactionStatus

    states = README.partition("## States")[2]
    for status in [*KycStatus, *AccountStatus, *TransactionStatus]:
        assert f"`{status}`" in states
