# The files that NixOS would write of what nix/module.nix sets, as `path = text`: the units in the words of nixpkgs'
# nixos/lib/systemd-lib.nix. A path `a -> b` is a symbolic link.
{ nixpkgsLib, modules }:
let
  lib = import nixpkgsLib;
  render = import ../../nix/render.nix;
  evaluated = import ./evaluate.nix { inherit nixpkgsLib modules; };
  inherit (evaluated) security services systemd;
  settings = services.hydra-channels.settings;

  store = name: "/nix/store/${lib.fixedWidthString 32 "0" ""}-${name}";

  section =
    attributes:
    let
      shown = value: if lib.isBool value then lib.boolToString value else toString value;
      line = name: value: "${name}=${shown value}\n";
    in
    lib.concatStrings (
      lib.concatLists (lib.mapAttrsToList (name: value: map (line name) (lib.toList value)) attributes)
    );

  unitSection =
    unit:
    let
      listed = lib.filterAttrs (_: value: value != "") {
        Description = unit.description or "";
        OnFailure = toString (unit.onFailure or [ ]);
        OnSuccess = toString (unit.onSuccess or [ ]);
        Wants = toString (unit.wants or [ ]);
        Requires = toString (unit.requires or [ ]);
        After = toString (unit.after or [ ]);
      };
    in
    "[Unit]\n${section (listed // unit.unitConfig or { })}\n";

  # every unit of NixOS has these in its PATH
  path = map store [
    "coreutils"
    "findutils"
    "gnugrep"
    "gnused"
    "systemd"
  ];
  environment =
    unit:
    let
      variables = {
        PATH =
          let
            packages = map toString (unit.path or [ ]) ++ path;
          in
          "${lib.makeBinPath packages}:${lib.makeSearchPathOutput "bin" "sbin" packages}";
      }
      // unit.environment or { };
    in
    lib.concatStrings (
      lib.mapAttrsToList (name: value: "Environment=${builtins.toJSON "${name}=${value}"}\n") variables
    );

  # as of `script`, which NixOS makes a file of
  scriptOf =
    name: "${store "unit-script-${lib.replaceStrings [ "@" ] [ "-" ] name}-start"}/bin/${name}-start";

  serviceText =
    name: unit:
    unitSection unit
    + "[Service]\n${environment unit}"
    + lib.optionalString (!(unit.restartIfChanged or true)) "X-RestartIfChanged=false\n"
    + lib.optionalString (unit ? script) "ExecStart=${scriptOf name} ${unit.scriptArgs or ""}\n"
    + section (unit.serviceConfig or { });

  unitScripts = lib.mapAttrs' (
    name: unit:
    lib.nameValuePair (lib.removePrefix "/" (scriptOf name)) "#!${store "bash"}/bin/bash -e\n${unit.script}"
  ) (lib.filterAttrs (_: unit: unit ? script) own);

  targetWants = lib.concatMapAttrs (
    target:
    { wants, ... }:
    lib.listToAttrs (
      map (
        name:
        lib.nameValuePair "etc/systemd/system/${target}.target.wants/${name} -> ../${builtins.head (lib.splitString "@" name)}@.service" ""
      ) wants
    )
  ) systemd.targets;

  links =
    name: unit:
    lib.listToAttrs (
      map (target: lib.nameValuePair "etc/systemd/system/${target}.wants/${name} -> ../${name}" "") (
        unit.wantedBy or [ ]
      )
    );

  units =
    suffix: text:
    lib.concatMapAttrs (
      name: unit:
      { "etc/systemd/system/${name}.${suffix}" = text name unit; } // links "${name}.${suffix}" unit
    );

  # what the module adds to a unit of Hydra's own module
  foreign = [ "hydra-notify" ];
  own = lib.filterAttrs (name: _: !lib.elem name foreign) systemd.services;
  additions = lib.concatMapAttrs (name: unit: {
    "etc/systemd/system/${name}.service.d/hydra-channels.conf" = "[Service]\n${
      lib.optionalString (unit ? environment) (section {
        Environment = lib.mapAttrsToList (name: value: builtins.toJSON "${name}=${value}") unit.environment;
      })
    }${section unit.serviceConfig}";
  }) (lib.filterAttrs (name: _: lib.elem name foreign) systemd.services);

  tmpfiles = lib.concatMapAttrs (name: paths: {
    "etc/tmpfiles.d/${name}.conf" = lib.concatStrings (
      lib.mapAttrsToList (
        path: types:
        lib.concatStrings (
          lib.mapAttrsToList (
            type:
            {
              user ? "-",
              group ? "-",
              mode ? "-",
              argument ? "",
            }:
            "${type} ${path} ${mode} ${user} ${group} - ${argument}\n"
          ) types
        )
      ) paths
    );
  }) systemd.tmpfiles.settings;

  sudo = lib.optionalAttrs (security.sudo.extraRules != [ ]) {
    "etc/sudoers.d/hydra-channels" = lib.concatMapStrings (
      rule:
      lib.concatMapStrings (
        group:
        lib.concatMapStrings (
          { command, options }:
          "%${group} ALL=(${rule.runAs}) ${lib.concatStringsSep ":" options}: ${command}\n"
        ) rule.commands
      ) rule.groups
    ) security.sudo.extraRules;
  };

  polkit = lib.optionalAttrs security.polkit.enable {
    "etc/polkit-1/rules.d/10-nixos.rules" = security.polkit.extraConfig;
  };

  users = {
    "etc/sysusers.d/hydra-channels.conf" = lib.concatStrings (
      lib.mapAttrsToList (name: user: "u ${name} - \"${user.description}\"\n") evaluated.users.users
    );
  };

  shell = text: "#!${store "bash"}/bin/bash\n${text}";
  scripts =
    let
      command = builtins.head evaluated.environment.systemPackages;
    in
    lib.optionalAttrs (evaluated.environment.systemPackages != [ ]) (
      {
        "${lib.removePrefix "/" "${command}"}/bin/hydra-channels" = shell command.text;
      }
      // lib.listToAttrs (
        map (
          script: lib.nameValuePair (lib.removePrefix "/" "${script}") (shell script.text)
        ) command.scripts
      )
      // lib.optionalAttrs (security.sudo.extraRules != [ ]) {
        "${lib.removePrefix "/" "${command.forGroup}"}" = shell command.forGroup.text;
      }
    );

  role = lib.optionalAttrs (systemd.services ? hydra-channels-database) {
    "${lib.removePrefix "/" (store "hydra-channels-role.sql")}" = services.hydra-channels.database.sql;
    "etc/postgresql/pg_hba.conf" = services.postgresql.authentication;
    "etc/postgresql/pg_ident.conf" = services.postgresql.identMap;
  };

  hydra = {
    "etc/hydra/hydra.conf" = services.hydra.extraConfig + services.hydra-dev.extraConfig;
  };
in
assert lib.all ({ assertion, message }: lib.assertMsg assertion message) evaluated.assertions;
units "service" serviceText own
// unitScripts
// targetWants
// units "timer" (_: unit: "${unitSection unit}[Timer]\n${section unit.timerConfig}") systemd.timers
// units "path" (_: unit: "${unitSection unit}[Path]\n${section unit.pathConfig}") systemd.paths
// additions
// tmpfiles
// sudo
// polkit
// users
// scripts
// role
// lib.optionalAttrs (services ? hydra-channels) (
  hydra
  // {
    "etc/hydra-channels/config.json" = builtins.toJSON (render.config settings);
    "etc/hydra-channels/hydra-hook -> ${evaluated.environment.etc."hydra-channels/hydra-hook".source}" =
      "";
  }
)
