# A handful of machines with nix/module.nix. What NixOS would write for each is in fixtures/machines; test/machine boots the
# first two.
let
  rule = {
    project = "dotfiles";
    jobset = "main";
    job = "nixos-(?<host>[^/]*)\\.(?<system>.*)";
    repository = "alice/dotfiles";
    branch = "nixos-tested-{host}";
  };
  hydraHere =
    { config, lib, ... }:
    {
      services.hydra.enable = true;
      systemd.services."copy-cache@".serviceConfig = {
        Type = "oneshot";
        ExecStart = "/usr/local/libexec/copy-to-cache %I";
        TimeoutStartSec = "1h";
      };
      networking.proxy.envVars = {
        https_proxy = "http://proxy.example.org:3128";
        no_proxy = "127.0.0.1,50%.example.org";
      };
      services.hydra-channels = {
        enable = true;
        privateKeyFile = lib.mkDefault "/run/secrets/github-app-key";
        cacheNetrcFile = "/run/secrets/cache-netrc";
        openCliTo = "wheel";
        metrics.enable = true;
        page.enable = true;
        settings = {
          # without TLS only on this machine
          github = {
            appId = "Iv23liTestTestTest00";
            apiUrl = "http://127.0.0.1:8080";
          };
          hydraUrl = "https://hydra.example.org";
          cache = {
            unit = "copy-cache@.service";
            url = "http://127.0.0.1:8081";
          };
          channels = [ rule ];
        };
      };
    };
in
{
  # the default
  detached = [ hydraHere ];

  inline = [
    hydraHere
    { services.hydra-channels.settings.hook.mode = "inline"; }
  ];

  # Hydra's own flake module, a cache that Hydra uploads to, and names with a meaning elsewhere
  hydra-dev = [
    (
      { config, ... }:
      {
        services.hydra-dev = {
          enable = true;
          extraConfig = config.services.hydra-channels.hydraConf;
        };
        systemd.services.hydra-notify.serviceConfig.User = "hydra-notify";
        services.hydra-channels = {
          enable = true;
          privateKeyFile = "/run/own/100%app";
          metrics = {
            enable = true;
            directory = "/var/lib/node exporter/100%";
          };
          page = {
            enable = true;
            directory = "/srv/www/the page/100%";
          };
          settings = {
            github = {
              appId = 424242;
              host = [
                "github.com"
                "github.com-dotfiles"
              ];
            };
            cache = {
              url = "http://cache.lan:5000";
              allowHttp = true;
            };
            channels = [
              rule
              (rule // { jobset = "stable"; })
            ];
          };
        };
      }
    )
  ];

  # one that upgrades from what Hydra has built
  host = [
    {
      networking.hostName = "hydra1";
      system.autoUpgrade.rebootWindow = {
        lower = "01:00";
        upper = "05:00";
      };
      services.hydra-channels-host = {
        enable = true;
        from = "alice/dotfiles";
        branch = "nixos-tested-nas";
        mode = "store-path";
        pointerUrl = "https://page.example.org/channels/alice/dotfiles/nixos-tested-nas.json";
        metrics.enable = true;
        onFailure = "notify.service";
      };
    }
  ];

  # a machine that only reconciles
  elsewhere = [
    {
      services.hydra-channels = {
        enable = true;
        dryRun = true;
        privateKeyFile = "/run/secrets/github-app-key";
        reconcile.interval = "1h";
        settings = {
          github.appId = 424242;
          database.host = "db.example.org";
          channels = [ rule ];
        };
      };
    }
  ];
}
