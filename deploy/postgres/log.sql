-- Once the roles are made, as their passwords would be in the log: the only witness of a trigger that was off for a minute
-- (docs/database.md).
ALTER SYSTEM SET log_statement = 'ddl';
