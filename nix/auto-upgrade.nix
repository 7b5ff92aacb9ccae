# For the hosts: each upgrades itself from its channel. When, and whether it may reboot, is
# system.autoUpgrade's: `dates`, `allowReboot`, `rebootWindow`.
{ config, lib, ... }:
{
  options.services.hydra-channels.upgradeFrom = lib.mkOption {
    type = lib.types.strMatching "[^/]+/[^/]+";
    example = "alice/dotfiles";
    description = "The flake's repository on GitHub, whose branch `nixos-tested-HOSTNAME` is followed.";
  };

  config.system.autoUpgrade = {
    enable = lib.mkDefault true;
    flake = "github:${config.services.hydra-channels.upgradeFrom}/nixos-tested-${config.networking.hostName}";
  };
}
