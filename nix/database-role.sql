-- The role of hydra-channels in Hydra's database: it reads what src/hydra asks for, and nothing else; never `users`, which
-- holds password hashes. Run it as a superuser, in Hydra's database, after hydra-init has made the tables; again does no
-- harm.
do $$
begin
  if not exists (select from pg_roles where rolname = 'hydra-channels') then
    create role "hydra-channels" login;
  end if;
end
$$;

grant usage on schema public to "hydra-channels";

grant select on
  projects, jobsets, jobsetrenames,
  jobsetevals, jobsetevalmembers, evaluationerrors,
  builds, buildoutputs
to "hydra-channels";
