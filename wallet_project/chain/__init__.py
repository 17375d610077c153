"""A hash chain over the rows of logs that settings.SEALED names: docs/chain.md. Knows nothing of what the rows mean."""
