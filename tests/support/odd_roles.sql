DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'owner "x"') THEN
    CREATE ROLE "owner ""x""" LOGIN PASSWORD 'secret'; CREATE ROLE reader; CREATE ROLE "Röle 漢";
  END IF;
END $$;
