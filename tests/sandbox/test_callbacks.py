import json
from pathlib import Path

from standardwebhooks import Webhook

from tests.sandbox.calls import bank_caller, check, collection, eventually, identity_caller, payout, wallet
from wallet_project.sandbox.embedding import QUICK, fresh_config, running_sandbox


def test_a_callback_is_signed_with_its_services_secret(tmp_path: Path) -> None:
    with wallet() as home:
        config = fresh_config(tmp_path, wallet_url=home.url)
        with running_sandbox(config) as sandbox, bank_caller(sandbox) as bank, identity_caller(sandbox) as provider:
            bank.post("/bank/v1/collections", collection(), key="k-1")
            asked = check(document="SBX-CALLBACK", callback_url=f"{home.url}/webhooks/identity")
            provider.post("/identity/v1/checks", asked, key="k-1")
            eventually(lambda: len(home.received) == 2)
        secrets = {"/webhooks/bank": config.bank_webhook_secret, "/webhooks/identity": config.identity_webhook_secret}
        assert {path for path, _, _ in home.received} == set(secrets)
        for path, headers, body in home.received:
            Webhook(secrets[path]).verify(body, headers)
            assert headers["content-type"] == "application/json"


def test_a_callback_is_repeated_under_one_id_until_the_wallet_takes_it(tmp_path: Path) -> None:
    with wallet() as home:
        home.answers = [503, 500, 302]
        with running_sandbox(fresh_config(tmp_path, wallet_url=home.url)) as sandbox, bank_caller(sandbox) as bank:
            bank.post("/bank/v1/collections", collection(), key="k-1")
            eventually(lambda: bank.get("/control/callbacks").json()["callbacks"][-1:])
            eventually(lambda: bank.get("/control/callbacks").json()["callbacks"][0]["delivered_at"])
            kept = bank.get("/control/callbacks").json()["callbacks"]
        assert [entry["attempts"] for entry in kept] == [4]
        assert kept[0]["next_at"] is None
        assert len({headers["webhook-id"] for _, headers, _ in home.received}) == 1
        assert len(home.received) == 4


def test_it_gives_up_in_the_end(tmp_path: Path) -> None:
    with wallet() as home:
        home.answers = [500] * 100
        with running_sandbox(fresh_config(tmp_path, wallet_url=home.url)) as sandbox:
            sandbox.bank.credit({"amount": 1, "currency": "EUR"})
            sandbox.sandbox.wake()
            eventually(lambda: len(home.received) == QUICK.callback_tries)
            eventually(lambda: sandbox.book.rows("SELECT 1 FROM callback WHERE next_at IS NULL"))
        assert len(home.received) == QUICK.callback_tries


def test_a_wallet_that_is_away_gets_its_callbacks_when_it_is_back(tmp_path: Path) -> None:
    config = fresh_config(tmp_path, wallet_url="http://127.0.0.1:9")
    with running_sandbox(config) as sandbox, bank_caller(sandbox) as bank:
        bank.post("/bank/v1/collections", collection(), key="k-1")
        eventually(lambda: sandbox.book.rows("SELECT 1 FROM callback WHERE attempts > 0"))
    with wallet() as home, running_sandbox(config) as sandbox:
        # The kept callback goes to where it was meant to go; the wallet of this test is elsewhere.
        sandbox.book.run("UPDATE callback SET url = ?, next_at = 0", f"{home.url}/webhooks/bank")
        sandbox.sandbox.wake()
        eventually(lambda: home.received)
        assert json.loads(home.received[0][2])["type"] == "payment.settled"


def test_a_duplicate_is_the_same_message_twice(tmp_path: Path) -> None:
    with wallet() as home:
        with running_sandbox(fresh_config(tmp_path, wallet_url=home.url)) as sandbox, bank_caller(sandbox) as bank:
            bank.post("/bank/v1/payouts", payout(description="SBX-DUPLICATE"), key="k-1")
            eventually(lambda: len(home.received) == 2)
            message_id = home.received[0][1]["webhook-id"]
            assert bank.post(f"/control/callbacks/{message_id}/again", {}).status_code == 202
            eventually(lambda: len(home.received) == 3)
        assert {headers["webhook-id"] for _, headers, _ in home.received} == {message_id}
        assert len({body for _, _, body in home.received}) == 1


def test_a_message_can_be_forged(tmp_path: Path) -> None:
    with wallet() as home:
        config = fresh_config(tmp_path, wallet_url=home.url)
        with running_sandbox(config) as sandbox, bank_caller(sandbox) as bank:
            home.answers = [204, 401, 401, 401]
            message = {"service": "bank", "type": "payment.settled", "data": {"reference": "x"}, "id": "msg_x"}
            for signature, expected in (("good", 204), ("wrong", 401), ("expired", 401), ("none", 401)):
                answer = bank.post("/control/callbacks", message | {"signature": signature})
                assert answer.json() == {"wallet_status": expected}
        good, wrong, expired, none = (headers for _, headers, _ in home.received)
        assert good["webhook-id"] == "msg_x"
        assert good["webhook-signature"] != wrong["webhook-signature"]
        assert int(expired["webhook-timestamp"]) < int(good["webhook-timestamp"]) - 3000
        assert "webhook-signature" not in none


def test_without_a_wallet_callbacks_are_kept_for_whoever_reads_them(tmp_path: Path) -> None:
    config = fresh_config(tmp_path)
    with running_sandbox(config) as sandbox:
        sandbox.bank.credit({"amount": 1, "currency": "EUR"})
        (callback,) = sandbox.callbacks("bank")
        Webhook(config.bank_webhook_secret).verify(callback.body, callback.headers)
        assert sandbox.callbacks("identity") == []
