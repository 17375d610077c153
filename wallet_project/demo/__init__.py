"""The story of `make demo`: a customer's first day with the wallet, told by somebody who knows only its addresses."""
