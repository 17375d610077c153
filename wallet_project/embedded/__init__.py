"""The wallet's own servers, for machines that have neither PostgreSQL nor Redis: real binaries from pip, kept alive
by a small supervisor. Nothing in this package may import Django: it runs before there are settings."""
