"""The outside world, played: a small HTTP server that is an identity provider and a bank (see docs/sandbox.md).

It knows nothing of the wallet but its address, and the wallet knows nothing of it but its protocol. Magic values exist
here alone.
"""
