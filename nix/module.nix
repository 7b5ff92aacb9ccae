# services.hydra-channels, on the machine that runs Hydra. docs/install.md.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    getExe'
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;

  render = import ./render.nix;
  inherit (render) user credentials;

  cfg = config.services.hydra-channels;
  inherit (cfg) settings;
  json = pkgs.formats.json { };

  # nixpkgs' module, or the one of Hydra's own flake. We cannot ask which units exist: our own units
  # depend on this.
  isNixpkgsHydra = config.services.hydra.enable or false;
  isHydraDev = config.services.hydra-dev.enable or false;
  isHydraHere = isNixpkgsHydra || isHydraDev;
  hydraConf = lib.concatStringsSep "\n" (
    lib.optional isNixpkgsHydra config.services.hydra.extraConfig
    ++ lib.optional isHydraDev config.services.hydra-dev.extraConfig
  );

  # Who runs the hooks: another user in another version of Hydra.
  notifyUser = config.systemd.services.hydra-notify.serviceConfig.User or "hydra-queue-runner";

  isDetached = settings.hook.mode == "detached";
  isInline = !isDetached;
  isKicked = isHydraHere && isDetached;
  cacheUnit = settings.cache.unit;

  configFile =
    let
      file = json.generate "hydra-channels.json" (render.config settings);
    in
    # A cross-built program cannot look at it here.
    if !pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      file
    else
      pkgs.runCommand "hydra-channels-checked.json" { preferLocalBuild = true; } ''
        ${getExe' cfg.package "hydra-channels"} doctor --offline --config ${file}
        ln -s ${file} $out
      '';

  secretFiles = {
    ${credentials.key} = cfg.privateKeyFile;
  }
  // lib.optionalAttrs (cfg.cacheNetrcFile != null) { ${credentials.netrc} = cfg.cacheNetrcFile; }
  // lib.optionalAttrs (cfg.database.passFile != null) {
    ${credentials.password} = cfg.database.passFile;
  };

  # If a file is missing, systemd hands out the second text instead, and the program reports it
  # (src/base/credential-file.ts). Otherwise the unit would not start, and a kick would start it again at once.
  credentialConfig = {
    LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") secretFiles;
    SetCredential = lib.mapAttrsToList (
      name: file: "${name}:missing:${lib.escape [ "\\" ] file}"
    ) secretFiles;
  };
  kickDirectory = dirOf settings.hook.kickFile;

  # What is written after every reconcile. A folder of the state directory is made by systemd.
  written =
    lib.optional cfg.metrics.enable {
      inherit (cfg.metrics) directory;
      name = "metrics";
      argument = "--metrics ${lib.escapeShellArg "${cfg.metrics.directory}/hydra-channels.prom"}";
    }
    ++ lib.optional cfg.page.enable {
      inherit (cfg.page) directory;
      name = "page";
      argument = "--page ${lib.escapeShellArg cfg.page.directory}";
    };
  inState = { name, directory, ... }: directory == "${settings.stateDirectory}/${name}";

  # Of each unit that asks GitHub and the database. Shared with the shell's transient units, so it holds
  # only settings that both accept.
  serviceConfig =
    import ./sandbox.nix
    // credentialConfig
    // {
      StateDirectory = [ "hydra-channels" ];
      # GitHub's tokens, which are good for an hour, for the next run
      RuntimeDirectory = "hydra-channels";
      RuntimeDirectoryMode = "0700";
      RuntimeDirectoryPreserve = "yes";
      # where it is missing, doctor says so
      ReadWritePaths = lib.optional isKicked "-${kickDirectory}";
    };

  # systemd expands % in a unit's file, and not in what systemd-run asks for.
  inFile =
    value:
    if lib.isString value then
      lib.replaceStrings [ "%" ] [ "%%" ] value
    else if lib.isList value then
      map inFile value
    else
      value;
  # except in SetCredential
  inFiles = lib.mapAttrs (name: value: if name == "SetCredential" then value else inFile value);

  proxies = inFiles config.networking.proxy.envVars;

  service = lib.recursiveUpdate {
    wants = [ "network-online.target" ];
    after = [
      "network-online.target"
      "postgresql.service"
      "hydra-init.service"
      "hydra-channels-database.service"
    ];
    environment = proxies;
    # a switch would stop a run, start it again, and wait for its end
    restartIfChanged = false;
    serviceConfig = inFiles serviceConfig // {
      Type = "oneshot";
      User = user;
      Group = user;
      TimeoutStartSec = "15min";
      # to be stopped is no failure
      SuccessExitStatus = "143 SIGTERM";
    };
  };

  cli = pkgs.callPackage ./command.nix {
    inherit (cfg) package openCliTo;
    inherit user credentialConfig serviceConfig;
    environment = config.networking.proxy.envVars;
    systemd = config.systemd.package;
  };

  hasDynamicRunCommand =
    let
      bodies = lib.drop 1 (lib.splitString "<dynamicruncommand>" hydraConf);
      isOff = body: builtins.match "[[:space:]]*enable[[:space:]=]+0[[:space:]]*" body != null;
    in
    lib.any (body: !isOff (lib.head (lib.splitString "</" body))) bodies;
in
{
  options.services.hydra-channels = {
    enable = mkEnableOption "GitHub branches that only ever move to commits that Hydra has built";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalMD "this flake's package, of the system's nixpkgs";
      description = "The package to use.";
    };

    settings = mkOption {
      type = types.submodule {
        freeformType = json.type;
        options = import ./settings.nix {
          inherit lib;
          inherit (render) defaults;
          netrcFile = if cfg.cacheNetrcFile == null then null else credentials.netrc;
          passFile = if cfg.database.passFile == null then null else credentials.password;
        };
      };
      description = ''
        The configuration (docs/configuration.md). It is in the store, where everybody can read
        it, and holds no secret. It is checked when the system is built.
      '';
    };

    dryRun = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether hooks and reconcile only say what they would do: for a first deployment. `hydra-channels
        status` says that it is so.
      '';
    };

    privateKeyFile = mkOption {
      # a path literal would be copied to the store
      type = types.externalPath;
      example = "/run/secrets/github-app-key";
      description = ''
        The private key of the GitHub App (PEM), on the machine itself and never in the store. systemd
        reads it as root and hands it to the units: no user needs to be able to read it.
      '';
    };

    cacheNetrcFile = mkOption {
      type = types.nullOr types.externalPath;
      default = null;
      example = "/run/secrets/cache-netrc";
      description = ''
        A netrc file with the login of the cache at {option}`settings.cache.url`, if it wants one: `machine
        cache.example.org login NAME password PASSWORD`. It is handed to the units as the key is.
      '';
    };

    reconcile = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether every channel is brought to its candidate from time to time, and after boot, which
          makes good what a hook missed. A detached hook leaves all of its work to it.
        '';
      };
      interval = mkOption {
        type = types.strMatching "[1-9][0-9a-z ]*";
        default = "15min";
        example = "1h";
        description = "How long after a reconcile has ended the next one starts (`systemd.time(7)`).";
      };
    };

    metrics = {
      enable = mkEnableOption ''
        metrics of every channel after every reconcile, for the textfile collector of node_exporter
        (`--collector.textfile.directory`)'';
      directory = mkOption {
        type = types.externalPath;
        default = "${render.defaults.stateDirectory}/metrics";
        description = ''
          Where `hydra-channels.prom` is written. Another directory than the default must be there,
          and writable for the user `${user}`.
        '';
      };
    };

    page = {
      enable = mkEnableOption ''
        a page of every channel for browsers, `index.html`, and `status.json` beside it, after every reconcile
        (docs/status.md), and, with {option}`settings.cache.url`, the pointers that hosts follow (docs/hosts.md). Every user of this
        machine can read them; who else may, is up to the web server'';
      directory = mkOption {
        type = types.externalPath;
        default = "${render.defaults.stateDirectory}/page";
        description = ''
          Where the page is written, for a web server to read. Another directory than the default must be
          there, and writable for the user `${user}`.
        '';
      };
    };

    openCliTo = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "wheel";
      description = ''
        A group that may run `hydra-channels status`, `explain`, `history`, `reconcile`, `hold`, `release` and
        `doctor` with the App's key, through sudo and without a password. The key itself stays out of their
        reach, and options that name a file or a folder, such as `--config`, `--metrics FILE` and `--page DIR`, are for root.
        Who asks is handed on: a hold has the name of whoever made it.
      '';
    };

    database = {
      createLocally = mkOption {
        type = types.bool;
        default = isHydraHere && config.services.postgresql.enable;
        defaultText = lib.literalExpression "Hydra and services.postgresql are enabled here";
        description = ''
          Whether the role `${user}` is made in the PostgreSQL of this machine, and may be used by the
          user `${user}` and by root.
        '';
      };
      passFile = mkOption {
        type = types.nullOr types.externalPath;
        default = null;
        example = "/run/secrets/hydra-database";
        description = ''
          A file with the password of the role, for a PostgreSQL that is asked over TCP:
          `HOST:PORT:DATABASE:ROLE:PASSWORD`, as PostgreSQL's own `PGPASSFILE`. It is handed to the units as the
          key is.
        '';
      };
      sql = mkOption {
        type = types.lines;
        readOnly = true;
        default = builtins.readFile ./database-role.sql;
        defaultText = lib.literalMD "`nix/database-role.sql`";
        description = ''
          What makes the role and lets it read what is asked for, and nothing else. For a PostgreSQL
          elsewhere, run it by hand: it begins with how to do that, and with the lines for pg_hba.conf
          and pg_ident.conf.
        '';
      };
    };

    hydraConf = mkOption {
      type = types.lines;
      readOnly = true;
      default = render.hydraConf settings;
      defaultText = lib.literalMD "the `<runcommand>` section";
      description = ''
        The hook, in Hydra's configuration. {option}`services.hydra.extraConfig` has it; for the module
        of Hydra's own flake: `services.hydra-dev.extraConfig = config.services.hydra-channels.hydraConf;`.
      '';
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      services.hydra-channels.settings = {
        dryRun = lib.mkDefault cfg.dryRun;
        # status does not know all that systemd.time(7) has: 900, 1month, 500ms
        reconcile.interval = mkIf (
          cfg.reconcile.enable
          &&
            builtins.match "([0-9]{1,6} *(s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?) *)+" cfg.reconcile.interval
            != null
        ) (lib.mkDefault cfg.reconcile.interval);
      };

      assertions = [
        {
          assertion = isInline || cfg.reconcile.enable;
          message = "services.hydra-channels: a detached hook leaves its work to reconcile, which reconcile.enable = false takes away. Enable it, or set settings.hook.mode = \"inline\".";
        }
        {
          assertion = isDetached || isHydraHere;
          message = "services.hydra-channels: settings.hook.mode is \"inline\", but neither services.hydra nor services.hydra-dev is enabled here: there is no hydra-notify that could run the hook.";
        }
        {
          assertion = cfg.metrics.enable -> cfg.reconcile.enable;
          message = "services.hydra-channels: metrics are written after a reconcile, which reconcile.enable = false takes away.";
        }
        {
          assertion = cfg.page.enable -> cfg.reconcile.enable;
          message = "services.hydra-channels: the page is written after a reconcile, which reconcile.enable = false takes away.";
        }
        {
          assertion = cfg.database.createLocally -> isHydraHere && config.services.postgresql.enable;
          message = "services.hydra-channels: database.createLocally needs Hydra and services.postgresql on this machine. Elsewhere, run database.sql by hand.";
        }
        {
          assertion =
            cfg.database.createLocally
            -> settings.database.user == user && lib.hasPrefix "/" settings.database.host;
          message = "services.hydra-channels: database.createLocally makes the role ${user} for the socket of this machine, but settings.database asks for ${settings.database.user} at ${settings.database.host}. Leave both as they are, or set createLocally = false.";
        }
        {
          # else systemd-run could take the name that polkit allows, for any command as root
          assertion = cacheUnit != null -> config.systemd.units ? ${cacheUnit};
          message = "services.hydra-channels: settings.cache.unit is ${toString cacheUnit}, but this machine has no such unit. Define systemd.services.\"${lib.removeSuffix ".service" (toString cacheUnit)}\".";
        }
        {
          assertion = cfg.cacheNetrcFile != null -> settings.cache.url != null;
          message = "services.hydra-channels: cacheNetrcFile is for the cache at settings.cache.url, which is not set.";
        }
        {
          assertion = cfg.database.passFile != null -> !lib.hasPrefix "/" settings.database.host;
          message = "services.hydra-channels: database.passFile has a password for TCP, but settings.database.host is the socket ${settings.database.host}.";
        }
        {
          assertion = cfg.openCliTo != null -> config.security.sudo.enable || config.security.sudo-rs.enable;
          message = "services.hydra-channels: openCliTo goes through sudo, but neither security.sudo nor security.sudo-rs is enabled.";
        }
        {
          assertion = cfg.openCliTo != null -> config.users.groups ? ${cfg.openCliTo};
          message = "services.hydra-channels: openCliTo is “${toString cfg.openCliTo}”, but there is no such group in users.groups.";
        }
      ];

      warnings =
        lib.optional (isInline && hasDynamicRunCommand) ''
          services.hydra-channels: <dynamicruncommand> is enabled in Hydra, and settings.hook.mode is "inline".
          Whoever can push to a jobset with dynamic hooks can then read the GitHub App's key, its tokens and
          the cache's login. With the mode "detached" hydra-notify has none of these.
        ''
        ++ lib.optional (isHydraDev && !lib.hasInfix cfg.hydraConf config.services.hydra-dev.extraConfig) ''
          services.hydra-channels: Hydra does not run the hook. Set
          services.hydra-dev.extraConfig = config.services.hydra-channels.hydraConf;
        '';

      environment.etc = {
        "hydra-channels/config.json".source = configFile;
        "hydra-channels/hydra-hook".source = getExe' cfg.package "hydra-hook";
      };
      environment.systemPackages = [
        # its hydra-channels before the package's
        (lib.hiPrio cli)
        cfg.package
      ];

      users.users.${user} = {
        isSystemUser = true;
        group = user;
        description = "hydra-channels";
      };
      users.groups.${user} = { };
    }

    (mkIf isNixpkgsHydra { services.hydra.extraConfig = cfg.hydraConf; })

    (mkIf cfg.reconcile.enable {
      systemd.services.hydra-channels-reconcile = service {
        description = "Bring every channel to the newest commit that Hydra has built";
        wants = [ "network-online.target" ] ++ lib.optional isKicked "hydra-channels-reconcile.path";
        unitConfig =
          # If systemd cannot even start a run, its kick stays, and is answered at once, again and again.
          # Then systemd gives the path unit up; the timer's next run wants it, and so brings it back.
          lib.optionalAttrs isKicked {
            StartLimitIntervalSec = 10;
            StartLimitBurst = 5;
          }
          # two names, because systemd warns if one unit has two triggers
          // lib.optionalAttrs (written != [ ]) {
            OnSuccess = "hydra-channels-metrics@success.service";
            OnFailure = "hydra-channels-metrics@failure.service";
          };
        serviceConfig = {
          ExecStart = "${getExe' cfg.package "hydra-channels"} reconcile --wait";
          # the program's own 6 hours, and its last words
          TimeoutStartSec = "6h 1min";
        }
        // lib.optionalAttrs isKicked {
          # The program removes the kick itself. Removed here too, in case the program cannot start; as root, because
          # hydra-notify's user can make it a folder that only that user may empty, and with a limit, because it can be
          # made deep. Then a moment for the other builds of an eval: no run lasts less than that, so kicks never reach
          # the limit above.
          ExecStartPre = [
            "-+${getExe' pkgs.coreutils "timeout"} --kill-after=5 20 ${getExe' pkgs.coreutils "rm"} -rf -- ${settings.hook.kickFile}"
            "${getExe' pkgs.coreutils "sleep"} 3"
          ];
        };
      };
      systemd.timers.hydra-channels-reconcile = {
        description = "Make good what Hydra's hooks missed";
        wantedBy = [ "timers.target" ];
        timerConfig = {
          # OnBootSec would elapse at once if the machine has been up for longer than that
          OnActiveSec = "2min";
          OnUnitInactiveSec = cfg.reconcile.interval;
        };
      };
    })

    (mkIf (written != [ ]) {
      # a unit of its own: trouble with metrics and page is none of the channels'
      systemd.services."hydra-channels-metrics@" = service {
        description = "Write metrics and a page of every channel";
        serviceConfig =
          let
            folders = lib.partition inState written;
          in
          {
            # both of one look
            ExecStart = lib.concatStringsSep " " (
              [
                (getExe' cfg.package "hydra-channels")
                "status"
              ]
              ++ map ({ argument, ... }: inFile argument) written
            );
          }
          // lib.optionalAttrs (folders.right != [ ]) {
            StateDirectory = [
              "hydra-channels"
            ]
            ++ map ({ name, ... }: "hydra-channels/${name}") folders.right;
          }
          // lib.optionalAttrs (folders.wrong != [ ]) {
            # `-`: a folder that is not there does not keep the unit from starting, which then says so and writes the other
            ReadWritePaths = map ({ directory, ... }: builtins.toJSON "-${inFile directory}") folders.wrong;
          };
      };
    })

    (mkIf isKicked {
      systemd.paths.hydra-channels-reconcile = {
        description = "Reconcile when a hook asks for it";
        wantedBy = [ "multi-user.target" ];
        pathConfig.PathExists = settings.hook.kickFile;
      };
      # Not a RuntimeDirectory, which would go with its service, and the hook's kick with it. Root's, so that neither of
      # the two users can shut the other one out.
      systemd.tmpfiles.settings.hydra-channels.${kickDirectory} = {
        d = {
          user = "root";
          group = user;
          mode = "0770";
        };
        "a+".argument = "u:${notifyUser}:rwx";
      };
    })

    (mkIf (isHydraHere && isInline) {
      systemd.services.hydra-notify = {
        environment = lib.mapAttrs (_: lib.mkDefault) proxies;
        serviceConfig = inFiles credentialConfig // {
          # not reconcile's, which is another user's
          RuntimeDirectory = [ "hydra-channels-hook" ];
          RuntimeDirectoryMode = "0700";
          RuntimeDirectoryPreserve = "yes";
        };
      };
    })

    (mkIf cfg.database.createLocally {
      services.postgresql = {
        # Before Hydra's own line for its database, so that the name of Hydra's map does not matter.
        authentication = lib.mkBefore ''
          local ${settings.database.database} ${user} peer map=${user}
        '';
        identMap = ''
          ${user} ${user} ${user}
          ${user} root ${user}
        ''
        + lib.optionalString isInline ''
          ${user} ${notifyUser} ${user}
        '';
      };
      systemd.services.hydra-channels-database = {
        description = "The role of hydra-channels in Hydra's database";
        wantedBy = [ "multi-user.target" ];
        requires = [ "hydra-init.service" ];
        after = [
          "postgresql.service"
          "hydra-init.service"
        ];
        serviceConfig = {
          Type = "oneshot";
          TimeoutStartSec = "5min";
          RemainAfterExit = true;
          User = "postgres";
          ExecStart = lib.concatStringsSep " " [
            (getExe' config.services.postgresql.package "psql")
            "--no-psqlrc --quiet --single-transaction --set=ON_ERROR_STOP=1"
            "--host=${settings.database.host} --port=${toString settings.database.port}"
            "--dbname=${settings.database.database}"
            "--file=${pkgs.writeText "hydra-channels-role.sql" cfg.database.sql}"
          ];
        };
      };
    })

    (mkIf (cacheUnit != null) {
      security.polkit = {
        enable = true;
        extraConfig = render.polkitRule {
          unit = cacheUnit;
          users = lib.unique (lib.optional isHydraHere notifyUser ++ [ user ]);
        };
      };
    })

    (mkIf (cfg.openCliTo != null) (
      let
        extraRules = [
          {
            groups = [ cfg.openCliTo ];
            runAs = "root";
            commands = [
              {
                command = toString cli.forGroup;
                options = [ "NOPASSWD" ];
              }
            ];
          }
        ];
      in
      {
        security.sudo = { inherit extraRules; };
        security.sudo-rs = { inherit extraRules; };
      }
    ))
  ]);
}
