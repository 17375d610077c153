"""What of this app is under seal (docs/chain.md)."""

from wallet_project.chain.declarations import Sealed

TABLES = [Sealed("accounts_statechange", moment="at", salted=["reason"])]
