"""A database as it looks after years: customers, accounts and millions of entries that verify. For load tests alone."""
