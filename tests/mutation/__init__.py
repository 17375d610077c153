"""Mutation testing of the money core: `make mutation`. How, and what came of it: docs/mutation.md."""
