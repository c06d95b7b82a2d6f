SET client_min_messages = warning;
CREATE SCHEMA "odd "" schema
with line";
CREATE TABLE "odd "" schema
with line"."t'able ; -- x
y" ("c""ol" int PRIMARY KEY, "ünï 漢" text COLLATE "C", "back\slash" bytea);
INSERT INTO "odd "" schema
with line"."t'able ; -- x
y" SELECT g, E'tab\tline\nback\\slash \\. \\N é 漢 ' || g, decode(md5(g::text), 'hex')
FROM generate_series(1, 500) g;
CREATE TABLE nulls (a int, b text); INSERT INTO nulls VALUES (1, NULL), (NULL, ''), (NULL, E'\\.');
CREATE TABLE no_columns (); INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE empty (a int);
CREATE TABLE parted (id bigint, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')
  PARTITION BY HASH (id);
CREATE TABLE parted_2a PARTITION OF parted_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_2b PARTITION OF parted_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE parted_x PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT g, date '2026-01-01' + g % 100, 'v' || g FROM generate_series(1, 900) g;
CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3);
CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED,
  id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 7));
INSERT INTO generated (a) SELECT g FROM generate_series(1, 20) g;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', '漢'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE typed (m mood, p positive, j jsonb, r int4range, a text[], t timestamptz, i interval,
  n numeric, f float8, x uuid, big text);
INSERT INTO typed VALUES ('it''s ok', 1, '{"a": [1, null, "é\n"]}', '[1,5)', '{"a,b","c\"d",NULL}',
  '2026-03-29 01:30:00+01', '1 year 2 days', 'NaN', '-Infinity', '00112233-4455-6677-8899-aabbccddeeff',
  repeat('long value ', 20000));
CREATE VIEW seen AS SELECT a, b FROM generated WHERE a > 3;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n, day FROM parted GROUP BY day;
CREATE UNIQUE INDEX ON kept (day);
CREATE MATERIALIZED VIEW not_kept AS SELECT * FROM seen WITH NO DATA;
CREATE INDEX odd_index ON typed (lower(big)) WHERE p > 0;
CREATE STATISTICS both_columns ON a, b FROM nulls;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NEW; END $f$;
CREATE TRIGGER touch BEFORE INSERT ON nulls FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TABLE secured (who text, what text); INSERT INTO secured VALUES ('reader', 'x'), ('y', 'z');
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON secured FOR SELECT TO reader USING (who = current_user);
GRANT SELECT ON secured TO reader; GRANT SELECT (a) ON nulls TO reader;
CREATE PUBLICATION published FOR TABLE nulls, typed;
CREATE SEQUENCE counted START 5 CYCLE MAXVALUE 1000; SELECT nextval('counted'), nextval('counted');
CREATE RULE quiet AS ON DELETE TO empty DO INSTEAD NOTHING;
CREATE UNLOGGED TABLE fleeting (a int); INSERT INTO fleeting VALUES (1);
COMMENT ON TABLE typed IS 'it''s "é
漢'; COMMENT ON COLUMN typed.p IS 'positive';
SELECT lo_from_bytea(4241, decode(repeat('00ff5c2e0a', 2000), 'hex')), lo_from_bytea(4242, 'two');
GRANT SELECT ON LARGE OBJECT 4242 TO reader;
-- names: of 63 bytes, of other scripts, with what shells, SQL and COPY give a meaning
CREATE SCHEMA "$HOME `x` \ .. ; DROP";
CREATE TABLE "$HOME `x` \ .. ; DROP"."漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢" ("select" int, " " int, "a.b" text,
  "a.b "" c" text, "%s" text, "tab	tab" text, "Ünïcödé" text, "ends " text);
INSERT INTO "$HOME `x` \ .. ; DROP"."漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢"
  VALUES (1, 2, 'x', 'y', '%s', E'\t', 'ü', ' ');
CREATE TABLE U&"carriage\000Dreturn" (a int);
COMMENT ON TABLE U&"carriage\000Dreturn" IS E'first\r\nsecond\n-- \\connect postgres\n\\! echo no';
CREATE VIEW "view; --" AS
  SELECT "select" AS "from" FROM "$HOME `x` \ .. ; DROP"."漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢";
CREATE FUNCTION "f(""x"")"("in" int DEFAULT 1, VARIADIC "rest" text[] DEFAULT '{"a,b"}') RETURNS int
  LANGUAGE sql IMMUTABLE AS 'SELECT 1 + $1 -- ''quoted''';
-- what COPY has to escape
CREATE TABLE hostile (n int PRIMARY KEY, t text, b bytea);
INSERT INTO hostile VALUES (1, E'\\.', '\x5c2e0a'), (2, E'\\.\n\\.\n', '\x00'), (3, E'\\N', NULL),
  (4, E'a\tb\\tc\rd\r\ne\013f\fg\bh', '\x5c2e'), (5, '', ''), (6, NULL, '\x0000ff00'), (7, E'\\', '\x5c'),
  (8, '"quoted","csv"', '\x0a'), (9, E'\n', '\x0d0a'), (10, E'\001\177', '\x09'), (11, '--; \i x', NULL),
  (12, E'\\\\N', '\xdeadbeef'), (13, U&'\00a0\2028\feff\+01F600', NULL), (14, ' ', NULL);
-- values that are stored beside their table: compressed, not compressed, in pieces
CREATE TABLE toasted (n int, packed text, plain bytea, main text);
ALTER TABLE toasted ALTER plain SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN,
  ALTER packed SET COMPRESSION pglz, ALTER packed SET STATISTICS 500, ALTER n SET (n_distinct = -0.5);
ALTER TABLE toasted SET (fillfactor = 70, toast.autovacuum_enabled = false, autovacuum_enabled = off);
INSERT INTO toasted SELECT g, repeat('x', 1000000), decode(string_agg(md5(g || '.' || i), ''), 'hex'),
  repeat('m', 5000) FROM generate_series(1, 3) g, generate_series(1, 10000) i GROUP BY g;
-- columns that are gone, added later, in another order than those of the parent
CREATE TABLE changed (a int, gone text, b int DEFAULT 5); INSERT INTO changed VALUES (1, 'x', 2);
ALTER TABLE changed DROP gone, ADD c text DEFAULT 'later', ADD d timestamptz DEFAULT '2026-01-01 00:00:00+00';
INSERT INTO changed (a) VALUES (2);
CREATE TABLE listed (k text, v int DEFAULT 3, w int) PARTITION BY LIST (k);
CREATE TABLE listed_a (w int, gone int, v int DEFAULT 4, k text); ALTER TABLE listed_a DROP gone;
ALTER TABLE listed ATTACH PARTITION listed_a FOR VALUES IN ('a', NULL);
CREATE TABLE listed_rest PARTITION OF listed DEFAULT;
CREATE INDEX listed_v ON ONLY listed (v); CREATE INDEX listed_a_v ON listed_a (v);
ALTER INDEX listed_v ATTACH PARTITION listed_a_v;
CREATE UNIQUE INDEX listed_k ON listed (k, w);
INSERT INTO listed VALUES ('a', 1, 2), (NULL, 2, 3), ('ü', 3, 4);
CREATE TABLE heirs (x int) INHERITS (parent, changed);
INSERT INTO heirs VALUES (9, 9, 'c', '2026-02-02 00:00:00+00', 9);
ALTER TABLE child ALTER a SET DEFAULT 42, ADD CONSTRAINT own CHECK (b <> 13) NO INHERIT;
-- constraints of every kind
CREATE TABLE cycle_a (id int PRIMARY KEY, b int); CREATE TABLE cycle_b (id int PRIMARY KEY, a int);
ALTER TABLE cycle_a ADD FOREIGN KEY (b) REFERENCES cycle_b DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE cycle_b ADD FOREIGN KEY (a) REFERENCES cycle_a ON DELETE SET NULL (a) ON UPDATE CASCADE DEFERRABLE;
BEGIN; INSERT INTO cycle_a VALUES (1, 2); INSERT INTO cycle_b VALUES (2, 1); COMMIT;
CREATE TABLE constrained (a int NOT NULL, b int, c int4range, d text, e bigint, day date,
  UNIQUE NULLS NOT DISTINCT (a, b), UNIQUE (d) INCLUDE (b), EXCLUDE USING gist (c WITH &&) DEFERRABLE,
  CONSTRAINT "named "" so" CHECK (a > b), FOREIGN KEY (e, day) REFERENCES parted MATCH FULL);
ALTER TABLE constrained ADD CONSTRAINT later CHECK (d <> 'x') NOT VALID,
  ADD FOREIGN KEY (a) REFERENCES cycle_a NOT VALID;
INSERT INTO constrained VALUES (1, NULL, '[1,2)', 'd', 1, '2026-01-02');
ALTER TABLE constrained REPLICA IDENTITY FULL; CLUSTER cycle_a USING cycle_a_pkey;
ALTER TABLE cycle_b REPLICA IDENTITY USING INDEX cycle_b_pkey; ALTER TABLE empty REPLICA IDENTITY NOTHING;
-- sequences
CREATE TABLE numbered (s serial, b bigserial, n int GENERATED BY DEFAULT AS IDENTITY (INCREMENT -2 CACHE 7));
INSERT INTO numbered DEFAULT VALUES; INSERT INTO numbered DEFAULT VALUES;
CREATE SEQUENCE small AS smallint INCREMENT -1 MINVALUE -50 MAXVALUE -1; CREATE SEQUENCE called CACHE 10;
SELECT nextval('called'), setval('small', -7, false); ALTER SEQUENCE called OWNED BY changed.a;
-- types
CREATE TYPE pair AS (a int, "b " text COLLATE "C"); ALTER TYPE pair ADD ATTRIBUTE c numeric(10, 3);
CREATE TYPE float_range AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi, MULTIRANGE_TYPE_NAME = floats);
CREATE DOMAIN code AS text COLLATE "C" DEFAULT 'x' NOT NULL CONSTRAINT short CHECK (length(VALUE) < 9);
ALTER DOMAIN code ADD CONSTRAINT lower CHECK (VALUE = lower(VALUE)) NOT VALID; CREATE DOMAIN codes AS code[];
ALTER TYPE mood ADD VALUE 'before' BEFORE 'sad'; ALTER TYPE mood ADD VALUE 'än' AFTER 'sad';
CREATE TABLE of_types (p pair, ps pair[], r float_range, m floats, c code, cs codes, x text, b bit varying(9),
  i inet, mac macaddr8, pt point, pg polygon, ts tsvector, tq tsquery, j json, jp jsonpath, n numeric,
  ti timetz, mo money, ch "char", na name, o oid, l pg_lsn, arr int[3][2], d date, tb tstzmultirange);
INSERT INTO of_types VALUES ((1, 'b', 2.5), ARRAY[(1, NULL, NULL), NULL]::pair[], '[1.5,2)', '{[1,2),[3,4)}',
  'x', '{a,b}', '<a>é</a>', B'101', '10.0.0.0/8', '08:00:2b:01:02:03:04:05', '(1.1,2)', '((0,0),(1,1),(2,0))',
  'a fat:2,4 cat:3', 'fat & (cat | rat)', '{"a" :  1}', '$.a[*] ? (@ > 1)', 12345.678, '01:02:03+04', '1.50', 'c',
  'n', 7, '1/2', '[2:3][0:0]={{1},{2}}', '-infinity', '{[2026-01-01,2026-01-02)}');
INSERT INTO of_types (n, d, pt) VALUES ('Infinity', '0044-03-15 BC', '(NaN,-0)');
CREATE TABLE of_type OF pair (PRIMARY KEY (a));
-- functions, procedures, aggregates, operators
CREATE FUNCTION atomic(a int, OUT b int, OUT c text) LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 7
  BEGIN ATOMIC SELECT a + 1, 'x' || a; END;
CREATE FUNCTION tabled() RETURNS TABLE (x int, y text) LANGUAGE sql ROWS 5 SECURITY DEFINER
  SET search_path = pg_catalog, "odd "" schema
with line" SET work_mem = '1MB' AS $$ SELECT 1, 'y' $$;
CREATE PROCEDURE done(INOUT a int DEFAULT NULL) LANGUAGE plpgsql AS $p$ BEGIN a := 1; COMMIT; END $p$;
CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text, INITCOND = '''', PARALLEL = SAFE);
CREATE FUNCTION less(a pair, b pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a.a < b.a';
CREATE FUNCTION more(a pair, b pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a.a > b.a';
CREATE OPERATOR <<< (FUNCTION = less, LEFTARG = pair, RIGHTARG = pair, COMMUTATOR = >>>, RESTRICT = scalarltsel);
CREATE OPERATOR >>> (FUNCTION = more, LEFTARG = pair, RIGHTARG = pair, COMMUTATOR = <<<);
CREATE OPERATOR !!! (FUNCTION = textlen, RIGHTARG = text);
REVOKE ALL ON FUNCTION tabled() FROM PUBLIC; GRANT EXECUTE ON FUNCTION tabled() TO reader WITH GRANT OPTION;
-- views, rules, triggers
CREATE VIEW checked WITH (security_barrier, security_invoker) AS
  SELECT * FROM generated WHERE a > 5 WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW numbers (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < 5;
CREATE VIEW by_key AS SELECT h.*, count(*) FROM hostile h GROUP BY h.n;
CREATE VIEW windows AS SELECT t.m::text || t.p AS x, row_number() OVER w FROM typed t WINDOW w AS (ORDER BY t.p);
CREATE MATERIALIZED VIEW kept_2 AS SELECT sum(n) AS s FROM kept; CREATE INDEX kept_2_s ON kept_2 (s);
CLUSTER kept_2 USING kept_2_s;
CREATE RULE turned AS ON UPDATE TO empty DO ALSO NOTIFY empty; ALTER TABLE empty DISABLE RULE turned;
CREATE TRIGGER instead INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER off AFTER UPDATE OF a, b ON nulls FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
  EXECUTE FUNCTION touched('x', 'é''');
ALTER TABLE nulls DISABLE TRIGGER off; ALTER TABLE nulls ENABLE REPLICA TRIGGER touch;
CREATE TRIGGER tables AFTER DELETE ON hostile REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
  EXECUTE FUNCTION touched();
ALTER TABLE hostile ENABLE ALWAYS TRIGGER tables;
CREATE CONSTRAINT TRIGGER checks AFTER INSERT ON empty FROM nulls DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER each_part AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION touched();
ALTER TABLE parted_1 DISABLE TRIGGER each_part;
-- indexes
CREATE INDEX ON hostile USING hash (t); CREATE INDEX ON typed USING brin (t) WITH (pages_per_range = 4);
CREATE INDEX ON typed USING gin (j jsonb_path_ops) WITH (fastupdate = off); CREATE INDEX ON of_types USING spgist (pt);
CREATE INDEX by_expression ON hostile ((t || 'x') COLLATE "C" text_pattern_ops DESC NULLS LAST, (length(t)));
ALTER INDEX by_expression ALTER COLUMN 2 SET STATISTICS 77;
CREATE STATISTICS "many "" of" (ndistinct, mcv) ON (t || 'y'), n FROM hostile;
ALTER STATISTICS "many "" of" SET STATISTICS 12;
-- collations, text search
CREATE COLLATION "my C" FROM "C"; CREATE COLLATION posix (LOCALE = 'POSIX');
CREATE TABLE collated (t text COLLATE "my C");
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION mine ALTER MAPPING FOR word, asciiword WITH plain, english_stem;
CREATE INDEX searched ON hostile USING gin (to_tsvector('mine', t));
-- rights
GRANT ALL ON SCHEMA "$HOME `x` \ .. ; DROP" TO "Röle 漢" WITH GRANT OPTION; REVOKE USAGE ON TYPE mood FROM PUBLIC;
GRANT UPDATE ("select") ON "$HOME `x` \ .. ; DROP"."漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢" TO reader, PUBLIC;
GRANT USAGE ON SEQUENCE called TO reader; GRANT USAGE ON TYPE code TO "Röle 漢";
ALTER DEFAULT PRIVILEGES IN SCHEMA "odd "" schema
with line" GRANT INSERT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE POLICY restrictive ON secured AS RESTRICTIVE FOR ALL TO PUBLIC USING (true) WITH CHECK (what <> 'é');
CREATE PUBLICATION by_rows FOR TABLE hostile (n, t) WHERE (n > 3), ONLY parent WITH (publish = 'insert, truncate');
ALTER PUBLICATION published SET (publish_via_partition_root = true);
-- comments on what has a name
COMMENT ON CONSTRAINT "named "" so" ON constrained IS 'c'; COMMENT ON INDEX odd_index IS 'i';
COMMENT ON TRIGGER touch ON nulls IS 't'; COMMENT ON POLICY own_rows ON secured IS 'p';
COMMENT ON FUNCTION atomic IS 'f'; COMMENT ON PROCEDURE done IS 'p'; COMMENT ON AGGREGATE joined(text) IS 'a';
COMMENT ON OPERATOR <<< (pair, pair) IS 'o'; COMMENT ON TYPE pair IS 't'; COMMENT ON COLUMN pair.a IS 'attribute';
COMMENT ON DOMAIN code IS 'd'; COMMENT ON CONSTRAINT short ON DOMAIN code IS 'dc'; COMMENT ON SEQUENCE called IS 's';
COMMENT ON RULE quiet ON empty IS 'r'; COMMENT ON STATISTICS both_columns IS 'st'; COMMENT ON COLLATION "my C" IS 'coll';
COMMENT ON TEXT SEARCH CONFIGURATION mine IS 'ts'; COMMENT ON TEXT SEARCH DICTIONARY plain IS 'td';
COMMENT ON LARGE OBJECT 4242 IS 'lo'; COMMENT ON VIEW seen IS 'v'; COMMENT ON COLUMN seen.a IS 'vc';
COMMENT ON MATERIALIZED VIEW kept IS 'm'; COMMENT ON PUBLICATION published IS 'pub';
SELECT lo_from_bytea(4243, ''), lo_from_bytea(4294967294, decode(repeat('00', 300000), 'hex'));
