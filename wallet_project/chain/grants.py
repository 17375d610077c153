"""What the application may write of the chain: nothing. It may cause a block to be sealed."""

from collections.abc import Mapping

TABLES: Mapping[str, str] = {}
FUNCTIONS = ("chain_seal",)
#: What the notary reads, and it reads nothing else.
NOTARY_TABLES = ("chain_block",)
