"""The story. Every amount (in cents) and every state that it expects stands here as a literal.

The amounts are chosen by the screening limits (docs/operations.md): on an account of less than seven days 5,000.00
or more is looked at by an officer, so only the one transfer that is meant to be stopped reaches that.
"""

from typing import Any, Final
from uuid import uuid4

from wallet_project.demo.bank import Bank
from wallet_project.demo.customer import Customer, compare
from wallet_project.demo.officer import Officer
from wallet_project.demo.screen import Screen, money

CURRENCY: Final = "EUR"
#: A valid IBAN that belongs to nobody: the example of ISO 13616's registry.
IBAN: Final = "DE89370400440532013000"
_PROFILE: Final = {
    "date_of_birth": "1990-12-10",
    "country": "DE",
    "address": "Example Street 1, 10115 Berlin",
    "document_type": "passport",
}


class Story:
    """Told in the order of its methods; each raises NotAsTold as soon as something comes out otherwise."""

    def __init__(self, *, base_url: str, bank: Bank, officer: Officer | None, screen: Screen) -> None:
        self._bank = bank
        self._officer = officer
        self._screen = screen
        self._ada = Customer("Ada", base_url=base_url, screen=screen)
        self._ben = Customer("Ben", base_url=base_url, screen=screen)
        self._deposits: list[str] = []
        self._withdrawals: list[str] = []
        #: The request that is sent twice, and the transaction that it made.
        self._sent: dict[str, Any] = {}
        self._sent_key = str(uuid4())
        self._sent_id = ""
        #: The transfer that Ben captures a part of.
        self._held = ""
        #: The transfer that waits for an officer, and the page of its case when there is an officer to look for it.
        self._stopped = ""
        self.case = ""

    def tell(self) -> None:
        bank_before = self._bank.balance(CURRENCY)
        self._open_account(self._ada, "Ada signs up, says who she is, and asks for an account")
        self._open_account(self._ben, "So does Ben")
        self._ada_deposits()
        self._ada_sends()
        self._ada_withdraws()
        self._ada_sends_more_than_she_has()
        self._ada_sends_the_same_request_again()
        self._ada_holds_and_ben_takes_a_part()
        self._ben_gives_back()
        self._ada_sends_a_large_amount()
        if self._officer is not None:
            self._officer_finds_the_case(self._officer)
        self._the_ends_meet()
        self._bank_agrees(bank_before)

    def _open_account(self, who: Customer, title: str) -> None:
        self._screen.chapter(title)
        who.sign_up()
        who.get("/me", expect={"email": who.email, "kyc_status": "unverified", "profile": None})
        names = {"first_name": who.name, "last_name": "Example", "document_number": f"C{uuid4().hex[:8].upper()}"}
        who.put("/me/profile", {**names, **_PROFILE}, expect={"profile.version": 1, "kyc_status": "unverified"})
        asked = who.post("/accounts", {"currency": CURRENCY, "label": "Main"}, expect={"status": "requested"})
        who.account = asked["id"]
        who.wait_for(f"/accounts/{who.account}", expect={"status": "open"}, meanwhile={"status": "requested"})
        who.get("/me", expect={"kyc_status": "verified"})
        who.balances(cleared=0, reserved=0, available=0)

    def _ada_deposits(self) -> None:
        self._screen.chapter("Ada pays in 4,000.00 and then 3,500.00 from her bank")
        self._deposits.append(self._deposit(400_000))
        self._ada.balances(cleared=400_000, reserved=0, available=400_000)
        self._deposits.append(self._deposit(350_000))
        self._ada.balances(cleared=750_000, reserved=0, available=750_000)

    def _deposit(self, amount: int) -> str:
        body = {"account": self._ada.account, "amount": amount, "currency": CURRENCY, "reference": "from my bank"}
        made = self._ada.post("/deposits", body, expect={"kind": "deposit", "status": "pending", "source": None})
        return self._cleared(made)

    def _ada_sends(self) -> None:
        self._screen.chapter("Ada sends Ben 125.50, with a note for herself")
        self._sent = self._transfer(12_550, reference="dinner", metadata={"note": "he still owes me a dessert"})
        made = self._ada.post(
            "/transfers", self._sent, key=self._sent_key, expect={"kind": "transfer", "status": "pending"}
        )
        self._sent_id = self._cleared(made)
        self._ada.balances(cleared=737_450, reserved=0, available=737_450)
        self._screen.say("Ben sees the money, and nothing of the note.")
        self._ben.get(
            f"/transactions/{self._sent_id}", expect={"status": "cleared", "reference": "dinner", "metadata": {}}
        )
        self._ben.balances(cleared=12_550, reserved=0, available=12_550)

    def _ada_withdraws(self) -> None:
        self._screen.chapter("Ada withdraws 500.00 to her bank account")
        body = {
            "account": self._ada.account,
            "amount": 50_000,
            "currency": CURRENCY,
            "beneficiary": {"name": "Ada Example", "iban": IBAN},
            "reference": "pocket money",
        }
        expect = {"kind": "withdrawal", "status": "pending", "destination": None}
        self._withdrawals.append(self._cleared(self._ada.post("/withdrawals", body, expect=expect)))
        self._ada.balances(cleared=687_450, reserved=0, available=687_450)

    def _ada_sends_more_than_she_has(self) -> None:
        self._screen.chapter("Ada tries to send Ben 7,000.00, which she has not got")
        refused = self._ada.post(
            "/transfers", self._transfer(700_000), status=422, expect={"code": "insufficient_funds"}
        )
        self._screen.say("The refusal is on record, under the id that the answer names.")
        path = f"/transactions/{refused['transaction']}"
        self._ada.get(path, expect={"status": "failed", "failure.code": "insufficient_funds", "amount": 700_000})
        self._ada.balances(cleared=687_450, reserved=0, available=687_450)

    def _ada_sends_the_same_request_again(self) -> None:
        self._screen.chapter("Ada's phone lost its network and sends the 125.50 once more, under the same key")
        expect = {"id": self._sent_id, "status": "cleared"}
        self._ada.post("/transfers", self._sent, key=self._sent_key, replayed=True, expect=expect)
        self._screen.say("The same answer, marked as replayed, and no second transfer.")
        self._screen.say("The key stands for this request alone; another one may not have it.")
        other = {**self._sent, "amount": 12_551}
        expect = {"code": "idempotency_key_reused"}
        self._ada.post("/transfers", other, key=self._sent_key, status=422, expect=expect)
        self._ada.balances(cleared=687_450, reserved=0, available=687_450)

    def _ada_holds_and_ben_takes_a_part(self) -> None:
        self._screen.chapter("Ada sets 80.00 aside for Ben, who takes 60.00 of it")
        asked = {"kind": "transfer", "amount": 8_000, "currency": CURRENCY}
        self._ada.post("/quotes", asked, status=200, expect={"fee": 0, "total": 8_000})
        body = self._transfer(8_000, reference="deposit for a bicycle", capture="manual", fee=0)
        expect = {"status": "pending", "capture.mode": "manual"}
        self._held = self._ada.post("/transfers", body, expect=expect)["id"]
        path = f"/transactions/{self._held}"
        expect = {"status": "pending", "stage": "held"}
        self._ada.wait_for(path, expect=expect, meanwhile={"status": "pending", "stage": "processing"})
        self._ada.balances(cleared=687_450, reserved=8_000, available=679_450)
        self._ben.post(f"{path}/capture", {"amount": 6_000}, status=200, expect={"capture.captured_amount": 6_000})
        self._screen.say("What he did not take is Ada's again at once.")
        self._ada.wait_for(path, expect={"status": "cleared"}, meanwhile={"status": "pending"})
        self._ada.balances(cleared=681_450, reserved=0, available=681_450)
        self._ben.balances(cleared=18_550, reserved=0, available=18_550)
        refused = self._ben.post(f"{path}/capture", {"amount": 2_000}, status=409, expect={"code": "already_captured"})
        compare("what was captured before", expected=6_000, got=refused["captured_amount"])

    def _ben_gives_back(self) -> None:
        self._screen.chapter("Ben gives 20.00 of that back")
        body = {"amount": 2_000, "reason": "the bell is missing"}
        expect = {"kind": "reversal", "status": "pending", "amount": 2_000, "reverses": self._held}
        made = self._ben.post(f"/transactions/{self._held}/reversals", body, expect=expect)
        self._cleared(made, who=self._ben)
        self._ada.get(f"/transactions/{self._held}", expect={"status": "cleared", "reversed_amount": 2_000})
        self._ada.balances(cleared=683_450, reserved=0, available=683_450)
        self._ben.balances(cleared=16_550, reserved=0, available=16_550)
        body = {"amount": 4_001, "reason": "all of it"}
        expect = {"code": "reversal_exceeds", "left": 4_000}
        self._ben.post(f"/transactions/{self._held}/reversals", body, status=422, expect=expect)

    def _ada_sends_a_large_amount(self) -> None:
        self._screen.chapter("Ada sends Ben 6,000.00, which somebody has to look at")
        made = self._ada.post("/transfers", self._transfer(600_000), expect={"status": "pending"})
        self._stopped = made["id"]
        self._ada.balances(cleared=683_450, reserved=600_000, available=83_450)
        self._screen.say("A small transfer that she sends after it overtakes it.")
        self._cleared(self._ada.post("/transfers", self._transfer(1_000), expect={"status": "pending"}))
        self._screen.say("The large one waits for an officer. Ada is not told so, and Ben sees nothing of it yet.")
        expect = {"status": "pending", "stage": "processing", "failure": None, "cleared_at": None}
        self._ada.get(f"/transactions/{self._stopped}", expect=expect)
        self._ben.get(f"/transactions/{self._stopped}", status=404, expect={"code": "transaction_not_found"})
        self._ada.balances(cleared=682_450, reserved=600_000, available=82_450)

    def _officer_finds_the_case(self, officer: Officer) -> None:
        self._screen.chapter("The officer finds it in her queue")
        officer.log_in()
        self.case, reason = officer.find_case(self._stopped)
        expected = "6,000.00 EUR on an account that is 0 days old; reviewed from 5,000.00 EUR in the first 7 days."
        compare("why it is in the queue", expected=expected, got=reason)
        self._screen.came_back({"case": reason})

    def _the_ends_meet(self) -> None:
        self._screen.chapter("What both have in the end")
        self._ada.balances(cleared=682_450, reserved=600_000, available=82_450)
        self._ben.balances(cleared=17_550, reserved=0, available=17_550)
        entries = self._ada.get(f"/accounts/{self._ada.account}/entries", expect={"next": None})["results"]
        lines = [(entry["type"], entry["amount"], entry["balance_after"]) for entry in reversed(entries)]
        expected = [
            ("credit", 400_000, 400_000),
            ("credit", 350_000, 750_000),
            ("debit", 12_550, 737_450),
            ("debit", 50_000, 687_450),
            ("debit", 6_000, 681_450),
            ("credit", 2_000, 683_450),
            ("debit", 1_000, 682_450),
        ]
        compare("Ada's entries, oldest first, as (type, amount, balance after)", expected=expected, got=lines)
        for kind, amount, balance in lines:
            self._screen.say(f"       {kind:<7}{money(amount):>10}{money(balance):>12}")

    def _bank_agrees(self, balance_before: int) -> None:
        self._screen.chapter("What the bank has in its own book")
        ours = {f"wallet-{transaction}" for transaction in self._deposits + self._withdrawals}
        amounts = [line.amount for line in self._bank.lines(CURRENCY) if line.reference in ours]
        compare("movements at the bank, in cents", expected=[400_000, 350_000, -50_000], got=amounts)
        self._screen.came_back({"in": money(750_000), "out": money(50_000), "stays at the bank": money(700_000)})
        compare("what both customers have, and what stays at the bank", expected=700_000, got=682_450 + 17_550)
        self._screen.say("which is what Ada and Ben have together: 6,824.50 + 175.50.")
        balance = self._bank.balance(CURRENCY)
        self._screen.say(f"The bank's balance of the wallet: {money(balance_before)} before, {money(balance)} now.")

    def _transfer(self, amount: int, **more: Any) -> dict[str, Any]:
        source, destination = self._ada.account, self._ben.account
        return {"source": source, "destination": destination, "amount": amount, "currency": CURRENCY, **more}

    def _cleared(self, made: dict[str, Any], *, who: Customer | None = None) -> str:
        """Wait until this transaction of Ada's (or somebody else's) has cleared; its id."""
        identity: str = made["id"]
        expect = {"status": "cleared", "stage": None, "failure": None}
        (who or self._ada).wait_for(f"/transactions/{identity}", expect=expect, meanwhile={"status": "pending"})
        return identity
