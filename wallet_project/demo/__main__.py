"""`python -m wallet_project.demo`: tell the story to a wallet that runs somewhere.

Options come from the environment where they are not given: BASE_URL, BANK_URL, BANK_API_KEY. Exit code 0 only if each
step came out as told.
"""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from wallet_project.demo.bank import Bank
from wallet_project.demo.customer import NotAsTold
from wallet_project.demo.http import NotReached, check_base_url
from wallet_project.demo.officer import Officer
from wallet_project.demo.screen import Screen
from wallet_project.demo.story import Story

_ROOT = Path(__file__).resolve().parents[2]
_VERIFY = shlex.join([sys.executable, "manage.py", "verify_ledger"])


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    screen = Screen(sys.stdout)
    bank = Bank(url=options.bank_url, key=options.bank_key)
    try:
        officer = Officer(base_url=options.base_url, logins=options.logins) if options.logins else None
        story = Story(base_url=options.base_url, bank=bank, officer=officer, screen=screen)
        story.tell()
        if options.verify_command:
            _verify(options.verify_command, screen)
    except (NotAsTold, NotReached) as error:
        screen.wrong(str(error))
        return 1
    screen.chapter("Go on from here")
    screen.say(f"the API        {options.base_url}/api/docs  (README.md has a session for curl)")
    screen.say(f"the admin      {options.base_url}/admin/")
    if options.logins:
        screen.say(f"Ada's transfer {options.base_url}{story.case}  (approve it or reject it)")
        for line in options.logins.read_text().splitlines():
            screen.say(f"  {line}")
    return 0


def _verify(command: str, screen: Screen) -> None:
    screen.chapter("Every cent can be explained: verify_ledger")
    done = subprocess.run(  # noqa: S603 - what the caller named
        shlex.split(command), cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        screen.say(line)
    if done.returncode != 0:
        raise NotAsTold(f"verify_ledger: expected exit code 0, got {done.returncode}\n{done.stderr}")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wallet_project.demo", description=__doc__.partition("\n")[0])
    env = os.environ.get
    parser.add_argument("--base-url", type=check_base_url, default=env("BASE_URL") or None, help="of the wallet")
    parser.add_argument("--bank-url", type=check_base_url, default=env("BANK_URL") or None, help="of the sandbox bank")
    parser.add_argument("--bank-key", default=env("BANK_API_KEY"), help="of the sandbox bank")
    parser.add_argument("--logins", type=Path, help="what create_demo_staff printed, to log in to the admin")
    parser.add_argument(
        "--verify-command",
        default=_VERIFY,
        help="how to run verify_ledger; '' to leave it out",
    )
    options = parser.parse_args(arguments)
    for name in ("base_url", "bank_url", "bank_key"):
        if not getattr(options, name):
            parser.error(f"--{name.replace('_', '-')} is missing")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
