-- The roles and the database that the wallet needs, made once by a superuser: the compose file's PostgreSQL reads it
-- when its volume is empty, an operator gives it to psql (docs/operations.md). Passwords come from the environment,
-- never from a command line.
\set ON_ERROR_STOP on
\getenv owner_password WALLET_OWNER_PASSWORD
\getenv app_password WALLET_APP_PASSWORD
\getenv notary_password WALLET_NOTARY_PASSWORD

-- Migrates, owns everything, and is never used to serve a request.
CREATE ROLE wallet_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
-- Web, worker and beat: no DDL, and of the rest only what migrations grant.
CREATE ROLE wallet_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';
-- Signs the heads of the hash chain (docs/chain.md), and reads nothing but its blocks. Left out where it has no password.
\if :{?notary_password}
CREATE ROLE wallet_notary LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'notary_password';
\endif
-- For a managed server's administrator, who is no superuser: to hand the database over. Taken back at the end.
GRANT wallet_owner TO CURRENT_USER;

CREATE DATABASE wallet OWNER wallet_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE wallet FROM PUBLIC;
GRANT CONNECT ON DATABASE wallet TO wallet_app;
\if :{?notary_password}
GRANT CONNECT ON DATABASE wallet TO wallet_notary;
\endif

\connect wallet
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO wallet_owner;
GRANT USAGE ON SCHEMA public TO wallet_app;
REVOKE wallet_owner FROM CURRENT_USER;
