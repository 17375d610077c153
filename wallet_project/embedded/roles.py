"""The roles that the wallet's database needs from the first migration on (docs/database.md).

Made here for the embedded servers; an operator makes the same ones by hand. Never by a migration: a migration runs
as one of them."""

import psycopg
from psycopg import sql

OWNER = "wallet_owner"
APPLICATION = "wallet_app"
#: Reads the chain's blocks, to sign their head outside (docs/chain.md).
NOTARY = "wallet_notary"
DATABASE = "wallet"


def create_roles(connection: psycopg.Connection, passwords: dict[str, str]) -> None:
    """All three, able to log in and nothing else; safe to repeat, and it sets the passwords anew."""
    for role in (OWNER, APPLICATION, NOTARY):
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        connection.execute(
            sql.SQL(
                "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
            ).format(sql.Identifier(role), sql.Literal(passwords[role]))
        )


def create_database(connection: psycopg.Connection, name: str = DATABASE, *, template: str | None = None) -> None:
    """A database of the owner's that the application may only connect to. A copy of `template` if one is given:
    nobody may be connected to that."""
    copy = sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template)) if template else sql.SQL("")
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {}{}").format(sql.Identifier(name), sql.Identifier(OWNER), copy)
    )
    # A template's grants on the database itself are not copied.
    close_to_public(connection, name)


def close_to_public(connection: psycopg.Connection, name: str) -> None:
    """Nobody but these roles may enter the database, and the application makes no temporary tables either."""
    database = sql.Identifier(name)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role in (APPLICATION, NOTARY):
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(role)))


def close_schema(connection: psycopg.Connection) -> None:
    """In the database that `connection` is in: only the owner makes things in schema public."""
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(OWNER)))
    for role in (APPLICATION, NOTARY):
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(role)))
