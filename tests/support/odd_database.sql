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
  '2026-03-29 01:30:00+01', '1 year 2 days', 'NaN', '-Infinity', gen_random_uuid(),
  repeat('long value ', 20000));
CREATE VIEW seen AS SELECT a, b FROM generated WHERE a > 3;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n, day FROM parted GROUP BY day;
CREATE UNIQUE INDEX ON kept (day);
CREATE MATERIALIZED VIEW not_kept AS SELECT * FROM seen WITH NO DATA;
CREATE INDEX odd_index ON typed (lower(big)) WHERE p > 0;
CREATE STATISTICS both_columns ON a, b FROM nulls;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NEW; END $f$;
CREATE TRIGGER touch BEFORE INSERT ON nulls FOR EACH ROW EXECUTE FUNCTION touched();
CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN NULL; END $f$;
CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION told();
CREATE TABLE secured (who text, what text); INSERT INTO secured VALUES ('reader', 'x'), ('y', 'z');
ALTER TABLE secured ENABLE ROW LEVEL SECURITY; ALTER TABLE secured FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON secured FOR SELECT TO reader USING (who = current_user);
GRANT SELECT ON secured TO reader; GRANT SELECT (a) ON nulls TO reader;
ALTER TABLE nulls OWNER TO "owner ""x""";
ALTER DEFAULT PRIVILEGES FOR ROLE reader GRANT SELECT ON TABLES TO PUBLIC;
CREATE PUBLICATION published FOR TABLE nulls, typed;
CREATE SEQUENCE counted START 5 CYCLE MAXVALUE 1000; SELECT nextval('counted'), nextval('counted');
CREATE RULE quiet AS ON DELETE TO empty DO INSTEAD NOTHING;
CREATE UNLOGGED TABLE fleeting (a int); INSERT INTO fleeting VALUES (1);
COMMENT ON TABLE typed IS 'it''s "é
漢'; COMMENT ON COLUMN typed.p IS 'positive';
SELECT lo_from_bytea(0, decode(repeat('00ff5c2e0a', 2000), 'hex')), lo_from_bytea(4242, 'two');
GRANT SELECT ON LARGE OBJECT 4242 TO reader;
