# A real Hydra with PostgreSQL and this module, and the tests' GitHub on a second machine: a build that
# has finished and the NOTIFY that says so move a branch. A third machine upgrades itself from that
# branch. For pkgs.testers.runNixOSTest.
{ pkgs, lib, ... }:
let
  appId = "Iv23liTestTestTest00"; # test/helpers/github/github.ts

  # The package with its tests and what they need, as it is before it is installed.
  tests = (pkgs.callPackage ./package.nix { doCheck = true; }).overrideAttrs {
    doCheck = false;
    doInstallCheck = false;
    preInstall = "";
    preFixup = "";
    installPhase = ''
      cp -r . "$out"
    '';
  };

  # The machine `github` is github.com for `nas`.
  certificate = pkgs.runCommand "certificate" { nativeBuildInputs = [ pkgs.openssl ]; } ''
    mkdir "$out"
    openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj /CN=github.com \
      -addext subjectAltName=DNS:github.com,DNS:api.github.com \
      -keyout "$out/key.pem" -out "$out/cert.pem"
  '';
in
{
  name = "hydra-channels";

  nodes.github =
    { pkgs, ... }:
    {
      networking.firewall.allowedTCPPorts = [
        443
        8080
      ];
      environment.systemPackages = [ pkgs.git ];
      systemd.services.github = {
        wantedBy = [ "multi-user.target" ];
        path = [ pkgs.git ];
        serviceConfig = {
          ExecStart = "${lib.getExe pkgs.nodejs_24} --import tsx test/nix/vm-github.ts /run/github ${certificate}";
          WorkingDirectory = tests;
          RuntimeDirectory = "github";
        };
      };
    };

  nodes.hydra =
    { pkgs, ... }:
    {
      imports = [ ./module.nix ];
      virtualisation.memorySize = 2048;
      time.timeZone = "UTC";

      services.hydra = {
        enable = true;
        hydraURL = "http://hydra.example.org";
        notificationSender = "hydra@example.org";
      };

      services.hydra-channels = {
        enable = true;
        privateKeyFile = "/root/app.pem";
        settings = {
          # without TLS only on this machine, so through a proxy
          github = {
            inherit appId;
            apiUrl = "http://127.0.0.1:8080";
          };
          cache.unit = "copy-cache@.service";
          channels = [
            {
              project = "dotfiles";
              jobset = "main";
              job = "nixos-(?<host>[^/]*)\\.(?<system>.*)";
              repository = "alice/dotfiles";
              branch = "nixos-tested-{host}";
            }
          ];
        };
      };

      systemd.services."copy-cache@" = {
        serviceConfig.Type = "oneshot";
        scriptArgs = "%I";
        script = ''echo "$1" >> /root/copied'';
      };

      systemd.sockets.github = {
        wantedBy = [ "sockets.target" ];
        listenStreams = [ "127.0.0.1:8080" ];
      };
      systemd.services.github.serviceConfig.ExecStart =
        "${pkgs.systemd}/lib/systemd/systemd-socket-proxyd github:8080";
    };

  # It shows which commit a host fetches and switches to, and nothing else: its new system is a folder
  # with two files in that commit. A whole NixOS would need nixpkgs, and what that is built with.
  nodes.nas =
    { nodes, ... }:
    {
      imports = [ ./host.nix ];
      services.hydra-channels-host = {
        enable = true;
        from = "alice/dotfiles";
      };
      # else nixos-rebuild first builds the new system's nixos-rebuild, and there is none
      system.autoUpgrade.flags = [ "--no-reexec" ];

      networking.hosts.${nodes.github.networking.primaryIPAddress} = [
        "github.com"
        "api.github.com"
      ];
      security.pki.certificateFiles = [ "${certificate}/cert.pem" ];
    };

  testScript = ''
    start_all()
    github.wait_for_file("/run/github/git-dir")
    key = github.succeed("cat /run/github/app.pem")
    built = github.succeed("cat /run/github/built")
    hydra.succeed(f"umask 077; echo '{key}' > /root/app.pem")

    hydra.wait_for_unit("hydra-notify.service")
    hydra.wait_for_unit("hydra-channels-database.service")
    hydra.wait_for_unit("hydra-channels-reconcile.path")
    # the timer's own run, before there is anything to do
    hydra.systemctl("stop hydra-channels-reconcile.timer")

    hydra.succeed(f"runuser -u hydra -- psql hydra --set=ON_ERROR_STOP=1 --set=sha={built} --file=${../test/nix/vm-seed.sql}")
    github.wait_until_succeeds(
        f"git -C $(cat /run/github/git-dir) rev-parse refs/heads/nixos-tested-nas | grep -x {built}"
    )
    # nas follows the channel, and not main
    nas.succeed("systemctl start nixos-upgrade.service")
    nas.succeed("grep -x 'switch to built' /run/switched")

    # by the hook and by reconcile, both of whom polkit let start it
    hydra.succeed("grep nixos-system-nas /root/copied")

    # as root, from a shell
    assert "nixos-tested-nas" in hydra.succeed("hydra-channels status")
    # the role reads what it is for, and no password hash
    ask = "runuser -u hydra-channels -- psql hydra --command='select * from {}'"
    hydra.succeed(ask.format("builds"))
    hydra.fail(ask.format("users"))
  '';
}
