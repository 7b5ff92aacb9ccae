# Evaluates nix/module.nix as NixOS would, with the real lib and stand-ins for the options of others.
{
  nixpkgsLib,
  modules,
}:
let
  lib = import nixpkgsLib;
  inherit (lib) mkOption types;

  any = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  option = type: default: mkOption { inherit type default; };

  derivation =
    name: more:
    {
      type = "derivation";
      inherit name;
      outPath = "/nix/store/${lib.fixedWidthString 32 "0" ""}-${name}";
    }
    // more;

  pkgs = {
    coreutils = derivation "coreutils" { };
    curl = derivation "curl" { };
    jq = derivation "jq" { };
    systemd = derivation "systemd" { };
    stdenv = {
      hostPlatform = { };
      buildPlatform.canExecute = _: true;
    };
    formats.json = _: {
      type =
        let
          value =
            types.nullOr (
              types.oneOf [
                types.bool
                types.int
                types.float
                types.str
                types.path
                (types.attrsOf value)
                (types.listOf value)
              ]
            )
            // {
              description = "JSON value";
            };
        in
        value;
      generate = name: content: derivation name { inherit content; };
    };
    writeText = name: text: derivation name { inherit text; };
    writeShellScript = name: text: derivation name { inherit text; };
    # not the name of the package, which has one of its own
    writeShellScriptBin = name: text: derivation "${name}-for-shells" { inherit text; };
    runCommand =
      name: _: text:
      derivation name { inherit text; };
    callPackage =
      file: arguments:
      if baseNameOf file == "package.nix" then
        derivation "hydra-channels" { }
      else
        import file (
          {
            inherit lib;
            inherit (pkgs) coreutils writeShellScript writeShellScriptBin;
          }
          // arguments
        );
  };

  # What nixpkgs' modules declare, as far as ours meets it.
  nixos =
    { config, ... }:
    {
      options = {
        assertions = option (types.listOf types.unspecified) [ ];
        warnings = option (types.listOf types.str) [ ];
        environment.etc = any;
        environment.systemPackages = option (types.listOf types.package) [ ];
        networking.hostName = option types.str "nas";
        networking.proxy.envVars = any;
        security.polkit.enable = option types.bool false;
        security.polkit.extraConfig = option types.lines "";
        security.sudo.enable = option types.bool true;
        security.sudo.extraRules = option (types.listOf types.anything) [ ];
        security.sudo-rs.enable = option types.bool false;
        security.sudo-rs.extraRules = option (types.listOf types.anything) [ ];
        services.hydra.enable = option types.bool false;
        services.hydra.extraConfig = option types.lines "";
        services.hydra-dev.enable = option types.bool false;
        services.hydra-dev.extraConfig = option types.lines "";
        services.postgresql.enable = option types.bool false;
        services.postgresql.package = option types.package (derivation "postgresql" { });
        services.postgresql.authentication = option types.lines "";
        services.postgresql.identMap = option types.lines "";
        nix.package = option types.package (derivation "nix" { });
        nix.envVars = any;
        programs.ssh.package = option types.package (derivation "openssh" { });
        system.autoUpgrade = {
          enable = option types.bool false;
          flake = option (types.nullOr types.str) null;
          operation = option types.str "switch";
          dates = option types.str "04:40";
          randomizedDelaySec = option types.str "0";
          fixedRandomDelay = option types.bool false;
          persistent = option types.bool true;
          allowReboot = option types.bool false;
          rebootWindow = option (types.nullOr (types.attrsOf types.str)) null;
        };
        systemd.package = option types.package pkgs.systemd;
        systemd.services = any;
        systemd.timers = any;
        systemd.paths = any;
        systemd.targets = any;
        systemd.tmpfiles.settings = any;
        systemd.units = any;
        users.users = any;
        users.groups = any;
      };
      config = lib.mkMerge [
        {
          systemd.units = lib.mapAttrs' (
            name: _: lib.nameValuePair "${name}.service" { }
          ) config.systemd.services;
          users.groups.wheel = { };
          environment.etc.hostname = lib.mkIf (config.networking.hostName != "") {
            enable = lib.mkDefault true;
            text = "${config.networking.hostName}\n";
          };
        }
        (lib.mkIf (config.services.hydra.enable || config.services.hydra-dev.enable) {
          services.postgresql.enable = lib.mkDefault true;
          services.postgresql.authentication = "local hydra all ident map=hydra-users\n";
          systemd.services.hydra-notify.serviceConfig.User = lib.mkDefault "hydra-queue-runner";
        })
      ];
    };
in
(lib.evalModules {
  specialArgs = { inherit pkgs; };
  modules = [ nixos ] ++ modules;
}).config
