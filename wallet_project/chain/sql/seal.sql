-- The chain's functions. What is hashed and how: docs/chain.md, which wallet_project/chain/hashing.py follows by itself.

-- SQL for a column's value as text, the same whatever a session has set; `t` is the table. to_char() has no text for
-- infinity, and the same for a year before Christ as for the one after.
CREATE OR REPLACE FUNCTION chain_text(p_column text, p_kind text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE p_kind
        WHEN 'time' THEN format(
            'coalesce(to_char(t.%1$I AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'')'
            ' || CASE WHEN t.%1$I < ''0001-01-01Z'' THEN '' BC'' ELSE '''' END, t.%1$I::text)', p_column)
        WHEN 'date' THEN format(
            'coalesce(to_char(t.%1$I, ''YYYY-MM-DD'')'
            ' || CASE WHEN t.%1$I < ''0001-01-01'' THEN '' BC'' ELSE '''' END, t.%1$I::text)', p_column)
        WHEN 'bytes' THEN format('encode(t.%I, ''hex'')', p_column)
        ELSE format('t.%I::text', p_column)
    END
$$;

-- SQL for one line of a row: name=length:value, name=- for null, name#digest for a salted text that is
-- not empty ('', {} and [] tell nothing). `p_text` is SQL for the column's value as text, in a row `u` with the table's `key`.
CREATE OR REPLACE FUNCTION chain_line(p_source chain_source, p_column text, p_kind text, p_text text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_length text := CASE p_kind WHEN 'uuid' THEN '''36:''' ELSE format('octet_length(%s) || '':''', p_text) END;
    v_plain text := format('%L || coalesce(%s || %s, ''-'') || E''\n''', p_column || '=', v_length, p_text);
BEGIN
    IF p_kind NOT LIKE 'salted %' THEN
        RETURN v_plain;
    END IF;
    RETURN format(
        'CASE WHEN coalesce(%s, '''') IN ('''', ''{}'', ''[]'') THEN %s ELSE %L || (SELECT encode(s.digest, ''hex'') FROM chain_salt s '
        'WHERE s.source_id = %s AND s.row_id = u.key::text AND s.column_name = %L) || E''\n'' END',
        p_text, v_plain, p_column || '#', p_source.id, p_column);
END $$;

-- What a section's digest begins with: the definition that its leaves were made by.
CREATE OR REPLACE FUNCTION chain_definition(p_source chain_source) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256(convert_to(
        format(E'wallet-chain-source-v1\ntable=%s\nversion=%s\nkey=%s\n', p_source.table_name, p_source.version,
               p_source.key_column)
        || (SELECT string_agg(c || ' ' || k || E'\n', '' ORDER BY i)
            FROM unnest(p_source.columns, p_source.kinds) WITH ORDINALITY AS u (c, k, i)), 'UTF8'))
$$;

-- What a block's hash is made of.
CREATE OR REPLACE FUNCTION chain_hash(p_block chain_block) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256('\x03'::bytea || convert_to(
        format(E'wallet-chain-block-v1\nnumber=%s\nepoch=%s\nfrom_xact=%s\nto_xact=%s\nrow_count=%s\nsealed_at=%s\n'
               'previous=%s\ncontent=%s\n',
               p_block.number, p_block.epoch_id, p_block.from_xact, p_block.to_xact, p_block.row_count,
               to_char(p_block.sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               encode(p_block.previous, 'hex'), encode(p_block.content, 'hex')), 'UTF8'))
$$;

-- chain_seal_source: the part of one table in the block that is being sealed; returns its section's digest.
-- Called by chain_seal, which holds its lock.
CREATE OR REPLACE FUNCTION chain_seal_source(p_source chain_source, p_block bigint, p_from bigint, p_to bigint)
RETURNS TABLE (row_count bigint, digest bytea)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_salted record;
    v_texts text;
    v_lines text;
    v_count bigint;
    v_ids text[];
    v_leaves bytea;
    v_digest bytea;
BEGIN
    FOR v_salted IN
        SELECT c AS name, chain_text(c, substr(k, 8)) AS value
        FROM unnest(p_source.columns, p_source.kinds) AS u (c, k) WHERE k LIKE 'salted %'
    LOOP
        -- In a subquery of its own, so that each row is given a salt of its own: 244 random bits.
        EXECUTE format(
            'INSERT INTO chain_salt (source_id, row_id, column_name, salt, digest) '
            'SELECT $1, row_id, $2, salt, sha256(salt || convert_to(value, ''UTF8'')) FROM ('
            'SELECT t.%I::text AS row_id, %s AS value, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) AS salt '
            'FROM %I t WHERE t.xact >= $3 AND t.xact < $4 AND %s NOT IN ('''', ''{}'', ''[]'')) x',
            p_source.key_column, v_salted.value, p_source.table_name, v_salted.value)
        USING p_source.id, v_salted.name, p_from, p_to;
    END LOOP;
    SELECT string_agg(chain_text(c, regexp_replace(k, '^salted ', '')) || ' AS text' || i, ', ' ORDER BY i),
           string_agg(chain_line(p_source, c, k, 'u.text' || i), ' || ' ORDER BY i)
    INTO v_texts, v_lines
    FROM unnest(p_source.columns, p_source.kinds) WITH ORDINALITY AS u (c, k, i);
    -- By OFFSET 0 each text is made once, however often its line names it.
    EXECUTE format(
        'SELECT count(*), array_agg(key::text ORDER BY xact, key), string_agg(leaf, ''''::bytea ORDER BY xact, key) FROM ('
        'SELECT u.xact, u.key, sha256(''\x00''::bytea || convert_to(%s, ''UTF8'')) AS leaf '
        'FROM (SELECT t.xact, t.%I AS key, %s FROM %I t WHERE t.xact >= $1 AND t.xact < $2 OFFSET 0) u) r',
        v_lines, p_source.key_column, v_texts, p_source.table_name)
    INTO v_count, v_ids, v_leaves USING p_from, p_to;
    IF v_count = 0 THEN
        RETURN;
    END IF;
    IF octet_length(v_leaves) <> 32 * v_count THEN
        RAISE EXCEPTION 'a row of % could not be hashed', p_source.table_name USING ERRCODE = 'WL101';
    END IF;
    v_digest := sha256('\x01'::bytea || chain_definition(p_source) || v_leaves);
    INSERT INTO chain_section (block_id, source_id, row_count, row_ids, leaves, digest)
    VALUES (p_block, p_source.id, v_count, v_ids, v_leaves, v_digest);
    RETURN QUERY SELECT v_count, v_digest;
END $$;

-- chain_seal: one more block, of whole transactions, oldest first: at most about p_rows of each table (1 to 10,000),
-- more only where one transaction wrote more.
-- Seals what is committed: below the snapshot's xmin every transaction has ended, so nothing is ever added to a block's
-- range. Numbers of rows (identities) say nothing of the kind: they are taken before the commit.
-- Locks: an advisory lock of its own, taken without waiting; nothing that a posting would wait for.
-- Returns the block, or no row when there was nothing to seal or somebody else is at it; `more`: call again.
-- Raises WL100 on a database that was restored to another server and not told so (chain_resume).
CREATE OR REPLACE FUNCTION chain_seal(p_rows int) RETURNS TABLE (block bigint, row_count bigint, more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_rows int := least(greatest(coalesce(p_rows, 1000), 1), 10000);
    v_epoch chain_epoch%ROWTYPE;
    v_head chain_block%ROWTYPE;
    v_block chain_block%ROWTYPE;
    v_source chain_source%ROWTYPE;
    v_sources chain_source[] := '{}';
    v_horizon bigint;
    v_first bigint;
    v_cut bigint;
    v_digests bytea := '';
    v_sealed record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('chain_seal', 0)) THEN
        RETURN;
    END IF;
    SELECT * INTO v_epoch FROM chain_epoch ORDER BY number DESC LIMIT 1;
    IF v_epoch.system_identifier <> (SELECT c.system_identifier FROM pg_control_system() c) THEN
        RAISE EXCEPTION 'this database was restored to another server: run manage.py resume_chain' USING ERRCODE = 'WL100';
    END IF;
    SELECT * INTO v_head FROM chain_block ORDER BY number DESC LIMIT 1;
    v_horizon := pg_snapshot_xmin(pg_current_snapshot())::text::bigint + v_epoch.xact_offset;
    v_block.to_xact := v_horizon;
    FOR v_source IN
        SELECT DISTINCT ON (s.table_name COLLATE "C") s.* FROM chain_source s
        WHERE to_regclass(format('public.%I', s.table_name)) IS NOT NULL
        ORDER BY s.table_name COLLATE "C", s.version DESC
    LOOP
        EXECUTE format('SELECT xact FROM %I WHERE xact >= $1 AND xact < $2 ORDER BY xact LIMIT 1', v_source.table_name)
        INTO v_first USING v_head.to_xact, v_horizon;
        CONTINUE WHEN v_first IS NULL;
        v_sources := v_sources || v_source;
        EXECUTE format('SELECT xact FROM %I WHERE xact >= $1 AND xact < $2 ORDER BY xact OFFSET $3 LIMIT 1',
                       v_source.table_name)
        INTO v_cut USING v_head.to_xact, v_horizon, v_rows;
        IF v_cut IS NOT NULL THEN
            v_block.to_xact := least(v_block.to_xact, greatest(v_cut, v_first + 1));
        END IF;
    END LOOP;
    IF v_sources = '{}' THEN
        RETURN;
    END IF;

    v_block.number := v_head.number + 1;
    v_block.epoch_id := v_epoch.number;
    v_block.from_xact := v_head.to_xact;
    v_block.row_count := 0;
    v_block.sealed_at := clock_timestamp();
    v_block.previous := v_head.hash;
    FOREACH v_source IN ARRAY v_sources LOOP
        FOR v_sealed IN
            SELECT * FROM chain_seal_source(v_source, v_block.number, v_block.from_xact, v_block.to_xact)
        LOOP
            v_block.row_count := v_block.row_count + v_sealed.row_count;
            v_digests := v_digests || v_sealed.digest;
        END LOOP;
    END LOOP;
    v_block.content := sha256('\x02'::bytea || v_digests);
    v_block.hash := chain_hash(v_block);
    INSERT INTO chain_block SELECT v_block.*;
    RETURN QUERY SELECT v_block.number, v_block.row_count, v_block.to_xact < v_horizon;
END $$;

-- chain_resume: after a restore. Where the database has come to another server, whose transactions are numbered anew, its
-- rows are numbered from here on so that every new one comes after every old one. For the owner.
-- Locks: every sealed table ACCESS EXCLUSIVE, in order of their names: nobody writes meanwhile.
-- Returns whether that was needed.
CREATE OR REPLACE FUNCTION chain_resume(p_reason text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_epoch chain_epoch%ROWTYPE;
    v_server bigint;
    v_tables text[];
    v_table text;
    v_highest bigint;
    v_last bigint;
    v_offset bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('chain_seal', 0));
    SELECT array_agg(DISTINCT s.table_name::text ORDER BY s.table_name::text) INTO v_tables FROM chain_source s
    WHERE to_regclass(format('public.%I', s.table_name)) IS NOT NULL;
    FOREACH v_table IN ARRAY coalesce(v_tables, '{}') LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', v_table);
    END LOOP;
    SELECT * INTO v_epoch FROM chain_epoch ORDER BY number DESC LIMIT 1;
    SELECT c.system_identifier INTO v_server FROM pg_control_system() c;
    SELECT b.to_xact INTO v_highest FROM chain_block b ORDER BY b.number DESC LIMIT 1;
    FOREACH v_table IN ARRAY coalesce(v_tables, '{}') LOOP
        EXECUTE format('SELECT max(xact) FROM %I', v_table) INTO v_last;
        v_highest := greatest(v_highest, v_last);
    END LOOP;
    IF v_epoch.system_identifier = v_server AND pg_current_xact_id()::text::bigint + v_epoch.xact_offset > v_highest THEN
        RETURN false;
    END IF;
    v_offset := greatest(0, v_highest + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint);
    FOREACH v_table IN ARRAY coalesce(v_tables, '{}') LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN xact SET DEFAULT pg_current_xact_id()::text::bigint + %s', v_table, v_offset);
    END LOOP;
    INSERT INTO chain_epoch (number, system_identifier, xact_offset, after_block, reason)
    SELECT v_epoch.number + 1, v_server, v_offset, (SELECT max(b.number) FROM chain_block b), left(p_reason, 200);
    RETURN true;
END $$;

-- chain_forget: throw away the salt of one text, so that its digest tells nobody any more what it was. For the owner, in
-- the commit that erases the text. Returns whether there was a salt: there is none before the row is sealed.
CREATE OR REPLACE FUNCTION chain_forget(p_table text, p_row text, p_column text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE chain_salt s SET salt = NULL, erased_at = clock_timestamp()
    FROM chain_source o
    WHERE o.id = s.source_id AND o.table_name = p_table AND s.row_id = p_row AND s.column_name = p_column
        AND s.salt IS NOT NULL;
    RETURN FOUND;
END $$;
