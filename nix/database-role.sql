-- The role of hydra-channels in Hydra's database. It reads what src/hydra asks for, and nothing else; never `users`, which
-- holds password hashes. The NixOS module does all of this where PostgreSQL is on Hydra's machine. Elsewhere:
--
-- 1. Run this file as a superuser, after hydra-init has made the tables. To run it again does no harm.
--
--      psql --no-psqlrc --dbname=hydra --single-transaction --set=ON_ERROR_STOP=1 --file=database-role.sql
--
-- 2. Let the role in, and reload PostgreSQL. Through the socket, PostgreSQL knows who asks. In pg_hba.conf, before all other
--    lines for this database, because the first one that fits counts:
--
--      local hydra hydra-channels peer map=hydra-channels
--
--    and in pg_ident.conf, the second line for `hydra-channels doctor` as root, and the third only for hook.mode "inline",
--    where the hook is run by hydra-notify's user:
--
--      hydra-channels hydra-channels     hydra-channels
--      hydra-channels root               hydra-channels
--      hydra-channels hydra-queue-runner hydra-channels
--
--    Without a line of its own in pg_hba.conf, the role comes in by Hydra's line for the database. Then the first word of
--    the lines in pg_ident.conf is the name in `map=` there: `hydra-users` in most versions of Hydra's modules, `hydra` in
--    others.
--
-- 3. Over TCP, PostgreSQL does not know who asks, and the role needs a password. Set it with `\password hydra-channels` in
--    psql. In pg_hba.conf, with the address of the machine that asks:
--
--      hostssl hydra hydra-channels 192.0.2.1/32 scram-sha-256
--
--    The program takes the password from database.passFile (docs/operations.md).
--
-- Names have their schema, and the role's search_path is set, so that no table of the same name in another schema is granted
-- or read.
do $$
begin
  if pg_catalog.to_regrole('"hydra-channels"') is null then
    create role "hydra-channels" login;
  end if;
end
$$;

alter role "hydra-channels" set search_path = pg_catalog, public;

grant usage on schema public to "hydra-channels";

grant select on
  public.projects, public.jobsets, public.jobsetrenames,
  public.jobsetevals, public.jobsetevalmembers, public.evaluationerrors,
  public.builds, public.buildoutputs,
  public.schemaversion
to "hydra-channels";
