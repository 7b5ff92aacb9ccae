-- The role of hydra-channels in Hydra's database: it reads what src/hydra asks for, and nothing else; never `users`, which
-- holds password hashes. Run it as a superuser, in Hydra's database, after hydra-init has made the tables; again does no
-- harm.
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
  public.builds, public.buildoutputs
to "hydra-channels";
