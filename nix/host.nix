# services.hydra-channels-host, on a host that follows its channel. docs/hosts.md.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkDefault
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;

  cfg = config.services.hydra-channels-host;
  upgrade = config.system.autoUpgrade;
  hostName = config.networking.hostName;

  isStorePath = cfg.mode == "store-path";
  upgradeUnit = if isStorePath then "hydra-channels-host" else "nixos-upgrade";
  state = "hydra-channels-host";
  hasFollowers = cfg.onFailure != null || cfg.metrics.enable;
  shown = value: if value == null then "" else value;
  scriptOf = file: builtins.readFile ./host-reboot.sh + builtins.readFile file;
  # systemd expands % in a unit's file
  inFile = lib.replaceStrings [ "%" ] [ "%%" ];

  # autoUpgrade puts it into a script as it is
  forShell =
    flakeref:
    if builtins.match "[A-Za-z0-9,._+:@%/?=~#-]+" flakeref == null then
      lib.escapeShellArg flakeref
    else
      flakeref;

  unit = types.strMatching "[a-zA-Z0-9:_.@-]+[.](service|target)";
in
{
  options.services.hydra-channels-host = {
    enable = mkEnableOption "upgrades of this host from its channel, which has only what Hydra has built";

    from = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9_-]+/[A-Za-z0-9._-]+");
      default = null;
      example = "alice/dotfiles";
      description = "The flake's repository on GitHub, which has the channel.";
    };

    branch = mkOption {
      # what Nix accepts in a flakeref
      type = types.strMatching "[a-zA-Z0-9@][a-zA-Z0-9_./@+-]*";
      default = "nixos-tested-${hostName}";
      defaultText = lib.literalExpression ''"nixos-tested-''${config.networking.hostName}"'';
      description = "The channel.";
    };

    mode = mkOption {
      type = types.enum [
        "flake"
        "store-path"
      ];
      default = "flake";
      description = ''
        `flake`: {option}`system.autoUpgrade` evaluates the channel's commit on this host, and fetches what that comes to from the
        caches. `store-path`: the host fetches the channel's pointer, which names the system that Hydra has built, and evaluates
        nothing. It takes `dates`, `randomizedDelaySec`, `allowReboot` and `rebootWindow` from {option}`system.autoUpgrade`.
      '';
    };

    flake = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "git+ssh://git@github.com/alice/dotfiles?ref=nixos-tested-nas";
      description = ''
        A whole flakeref, with the branch in it, instead of `github:FROM/BRANCH`: for a private repository over ssh, or for GitHub
        Enterprise (`github:alice/dotfiles/nixos-tested-nas?host=github.example.org`).
      '';
    };

    pointerUrl = mkOption {
      type = types.nullOr (types.strMatching "https://[^[:space:]]+");
      default = null;
      example = lib.literalExpression ''"https://hydra.example.org/channels/channels/alice/dotfiles/nixos-tested-''${config.networking.hostName}.json"'';
      description = ''
        Where the channel's pointer is: below the page that `hydra-channels status --page` writes,
        `channels/OWNER/REPOSITORY/BRANCH.json`, with owner and repository in lower case. What a server answers on this address is
        what the host switches to.
      '';
    };

    operation = mkOption {
      type = types.enum [
        "switch"
        "boot"
      ];
      default = "switch";
      description = "Whether the host switches to the new system at once, or when it is booted.";
    };

    onFailure = mkOption {
      type = types.nullOr unit;
      default = null;
      example = "notify.service";
      description = "A unit that is started if an upgrade has failed.";
    };

    metrics = {
      enable = mkEnableOption ''
        metrics of what this host runs, for the textfile collector of node_exporter (`--collector.textfile.directory`): after every
        upgrade, and after boot'';
      directory = mkOption {
        type = types.externalPath;
        default = "/var/lib/${state}/metrics";
        description = ''
          Where `hydra-channels-host.prom` is written. Another directory than the default must be there.
        '';
      };
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [
        {
          assertion = isStorePath || cfg.from != null || cfg.flake != null;
          message = "services.hydra-channels-host: set from (\"alice/dotfiles\"), or flake for another kind of flakeref.";
        }
        {
          assertion = isStorePath -> cfg.from != null && cfg.pointerUrl != null;
          message = "services.hydra-channels-host: mode \"store-path\" needs from and pointerUrl: a pointer of another channel is refused.";
        }
        {
          assertion = isStorePath -> cfg.flake == null;
          message = "services.hydra-channels-host: flake is for mode \"flake\"; mode \"store-path\" evaluates nothing.";
        }
        {
          assertion = cfg.pointerUrl != null -> isStorePath;
          message = "services.hydra-channels-host: pointerUrl is for mode \"store-path\".";
        }
        {
          assertion = isStorePath -> !upgrade.enable;
          message = "services.hydra-channels-host: system.autoUpgrade.enable would upgrade this host a second time, in another way. Mode \"store-path\" takes its dates, allowReboot and rebootWindow, and must be alone.";
        }
        {
          assertion = isStorePath -> config.environment.etc.hostname.enable or false;
          message = "services.hydra-channels-host: mode \"store-path\" compares networking.hostName with the system's /etc/hostname, and there is none: set networking.hostName, and leave environment.etc.hostname as it is.";
        }
        {
          assertion = cfg.metrics.enable -> cfg.from != null;
          message = "services.hydra-channels-host: metrics name the channel: set from, also beside flake.";
        }
      ];
    }

    (mkIf (!isStorePath) {
      system.autoUpgrade = {
        enable = mkDefault true;
        flake = mkDefault (
          if cfg.flake != null then forShell cfg.flake else "github:${shown cfg.from}/${cfg.branch}"
        );
        operation = mkDefault cfg.operation;
      };
    })

    (mkIf isStorePath {
      systemd.services.hydra-channels-host = {
        description = "Upgrade to the system that Hydra has built for this host's channel";
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        # a switch must not stop what switches
        restartIfChanged = false;
        unitConfig.X-StopOnRemoval = false;
        path = [
          pkgs.coreutils
          pkgs.curl
          pkgs.jq
          config.nix.package
          config.programs.ssh.package
          config.systemd.package
        ];
        environment = {
          CURL_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
          HOME = "/root";
        }
        // config.nix.envVars
        // lib.mapAttrs (_: inFile) config.networking.proxy.envVars
        // {
          POINTER_URL = inFile (shown cfg.pointerUrl);
          REPOSITORY = shown cfg.from;
          BRANCH = cfg.branch;
          HOST = hostName;
          OPERATION = cfg.operation;
          ALLOW_REBOOT = if upgrade.allowReboot then "1" else "0";
          REBOOT_FROM = if upgrade.rebootWindow == null then "" else upgrade.rebootWindow.lower;
          REBOOT_UNTIL = if upgrade.rebootWindow == null then "" else upgrade.rebootWindow.upper;
        };
        script = scriptOf ./host.sh;
        # no limit in time: it must not end in the middle of a switch
        serviceConfig = {
          Type = "oneshot";
          StateDirectory = state;
          RuntimeDirectory = state;
          RuntimeDirectoryPreserve = true;
        };
      };
      systemd.timers.hydra-channels-host = {
        description = "Upgrade from this host's channel";
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnCalendar = upgrade.dates;
          RandomizedDelaySec = upgrade.randomizedDelaySec;
          FixedRandomDelay = upgrade.fixedRandomDelay;
          Persistent = upgrade.persistent;
        };
      };
    })

    {
      systemd.services.${upgradeUnit} = mkIf (hasFollowers && (isStorePath || upgrade.enable)) {
        onFailure =
          lib.optional (cfg.onFailure != null) cfg.onFailure
          ++ lib.optional cfg.metrics.enable "hydra-channels-host-metrics@failure.service";
        onSuccess = lib.optional cfg.metrics.enable "hydra-channels-host-metrics@success.service";
      };
    }

    (mkIf cfg.metrics.enable {
      systemd.services."hydra-channels-host-metrics@" = {
        description = "Write metrics of what this host runs";
        path = [
          pkgs.coreutils
          pkgs.jq
        ];
        environment = {
          MODE = cfg.mode;
          REPOSITORY = shown cfg.from;
          BRANCH = cfg.branch;
          METRICS_DIRECTORY = cfg.metrics.directory;
        };
        script = scriptOf ./host-metrics.sh;
        scriptArgs = "%i";
        serviceConfig = {
          Type = "oneshot";
          # every switch starts it, and must not fail for it
          SuccessExitStatus = 1;
          StateDirectory = [
            state
          ]
          ++ lib.optional (cfg.metrics.directory == "/var/lib/${state}/metrics") "${state}/metrics";
        };
      };
      # a reboot that was due no longer is
      systemd.targets.multi-user.wants = [ "hydra-channels-host-metrics@boot.service" ];
    })
  ]);
}
