# What nixosModules.host was called before. When a host upgrades, and whether it may reboot, is system.autoUpgrade's.
{ config, lib, ... }:
{
  imports = [ ./host.nix ];

  options.services.hydra-channels.upgradeFrom = lib.mkOption {
    type = lib.types.strMatching "[^/]+/[^/]+";
    example = "alice/dotfiles";
    description = "The same as {option}`services.hydra-channels-host.from`.";
  };

  config.services.hydra-channels-host = {
    enable = lib.mkDefault true;
    from = lib.mkDefault config.services.hydra-channels.upgradeFrom;
  };
}
