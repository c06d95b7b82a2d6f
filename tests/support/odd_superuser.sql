SET client_min_messages = warning;
CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN NULL; END $f$;
CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION told();
ALTER TABLE nulls OWNER TO "owner ""x""";
ALTER DEFAULT PRIVILEGES FOR ROLE reader GRANT SELECT ON TABLES TO PUBLIC;
CREATE EVENT TRIGGER always ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP VIEW') EXECUTE FUNCTION told();
ALTER EVENT TRIGGER always ENABLE ALWAYS; ALTER EVENT TRIGGER tell DISABLE; COMMENT ON EVENT TRIGGER tell IS 'et';
CREATE FOREIGN DATA WRAPPER dummy OPTIONS (debug 'tr''ue'); COMMENT ON FOREIGN DATA WRAPPER dummy IS 'fdw';
CREATE SERVER "far ""away" TYPE 't' VERSION '1' FOREIGN DATA WRAPPER dummy OPTIONS (host 'h', "odd opt" 'é');
GRANT USAGE ON FOREIGN SERVER "far ""away" TO reader;
GRANT USAGE ON FOREIGN DATA WRAPPER dummy TO reader WITH GRANT OPTION;
CREATE USER MAPPING FOR reader SERVER "far ""away" OPTIONS (user 'u', password 'it''s');
CREATE USER MAPPING FOR PUBLIC SERVER "far ""away";
CREATE FOREIGN TABLE distant (a int OPTIONS (name 'x') NOT NULL, b text COLLATE "C" DEFAULT 'y', CHECK (a > 0))
  SERVER "far ""away" OPTIONS (path '/x'); COMMENT ON COLUMN distant.a IS 'dc';
ALTER TABLE secured FORCE ROW LEVEL SECURITY; CREATE TYPE shell_only;
CREATE TYPE base; CREATE FUNCTION base_in(cstring) RETURNS base LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION base_out(base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE base (INPUT = base_in, OUTPUT = base_out, LIKE = text, CATEGORY = 'S', DELIMITER = '|',
  DEFAULT = 'd', COLLATABLE = true);
CREATE TABLE of_base (b base, bs base[]); INSERT INTO of_base VALUES ('x', '{y|z}');
CREATE FUNCTION pair_int(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a';
CREATE CAST (base AS text) WITHOUT FUNCTION AS IMPLICIT; CREATE CAST (text AS pair) WITH INOUT AS ASSIGNMENT;
CREATE CAST (pair AS int) WITH FUNCTION pair_int(pair); COMMENT ON CAST (pair AS int) IS 'cast';
CREATE FUNCTION text_order(text, text) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'bttextcmp';
CREATE OPERATOR CLASS text_ops_2 FOR TYPE text USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
  OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 text_order(text, text);
CREATE INDEX by_class ON hostile (t text_ops_2); COMMENT ON OPERATOR CLASS text_ops_2 USING btree IS 'oc';
CREATE OPERATOR FAMILY pairs USING btree;
CREATE CONVERSION "to ""latin" FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
COMMENT ON CONVERSION "to ""latin" IS 'conv';
CREATE ACCESS METHOD heap_2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE by_method (a int) USING heap_2; INSERT INTO by_method VALUES (1), (2);
CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION schemas FOR TABLES IN SCHEMA public, "odd "" schema
with line";
CREATE SUBSCRIPTION "sub "" s" CONNECTION 'host=/nowhere dbname=x password=''p q''' PUBLICATION a, "b "" c"
  WITH (connect = false, slot_name = NONE, streaming = on, binary = true);
ALTER SCHEMA "odd "" schema
with line" OWNER TO "Röle 漢"; ALTER TYPE mood OWNER TO reader; ALTER FUNCTION touched OWNER TO reader;
ALTER LARGE OBJECT 4243 OWNER TO "Röle 漢";
ALTER DEFAULT PRIVILEGES FOR ROLE "Röle 漢" REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER VIEW checked OWNER TO reader; ALTER SEQUENCE counted OWNER TO reader; ALTER TABLE parted_x OWNER TO reader;
GRANT SELECT ON kept TO reader; ALTER MATERIALIZED VIEW kept_2 OWNER TO reader; ALTER OPERATOR <<< (pair, pair) OWNER TO reader;
ALTER TABLE hostile DISABLE TRIGGER ALL; ALTER TABLE hostile ENABLE ALWAYS TRIGGER tables;
COMMENT ON SCHEMA public IS 'ours'; REVOKE CREATE, USAGE ON SCHEMA public FROM PUBLIC;
