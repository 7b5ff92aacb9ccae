-- What Hydra has after it built a host's configuration (nix/vm-test.nix), and the word of it. psql's variable `sha` is the
-- commit. The jobset is disabled, so that Hydra does not evaluate it.
begin;

insert into users (username, emailaddress, password) values ('alice', 'alice@example.org', '!');
insert into projects (name, displayname, owner) values ('dotfiles', 'dotfiles', 'alice');

insert into jobsets (project, name, type, flake, emailoverride, enabled)
  values ('dotfiles', 'main', 1, 'github:alice/dotfiles', '', 0)
  returning id as jobset \gset

insert into evaluationerrors (errormsg) values ('') returning id as error \gset

insert into jobsetevals
  (jobset_id, timestamp, checkouttime, evaltime, hasnewbuilds, hash, nrbuilds, flake, evaluationerror_id)
  values (:jobset, 1760000000, 0, 0, 1, '', 1, 'github:alice/dotfiles/' || :'sha', :error)
  returning id as eval \gset

insert into builds
  (jobset_id, job, nixname, drvpath, system, finished, buildstatus, iscachedbuild, iscurrent,
   timestamp, starttime, stoptime)
  values
  (:jobset, 'nixos-nas.x86_64-linux', 'nixos-system-nas',
   '/nix/store/00000000000000000000000000000000-nixos-system-nas.drv', 'x86_64-linux', 1, 0, 0, 1,
   1760000000, 1760000060, 1760000300)
  returning id as build \gset

insert into buildoutputs (build, name, path)
  values (:build, 'out', '/nix/store/11111111111111111111111111111111-nixos-system-nas');
insert into jobsetevalmembers (eval, build, isnew) values (:eval, :build, 1);

select pg_notify('build_finished', :'build');

commit;
