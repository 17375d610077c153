"""Domain-free parts of the REST API. They know the framework and nothing of accounts, ledger or compliance."""
