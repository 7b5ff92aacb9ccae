# nixosModules.host by another name, with one option that sets `enable` and `from`.
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
