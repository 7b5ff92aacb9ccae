# `hydra-channels` for a shell. The key is in $CREDENTIALS_DIRECTORY, which only units have, so the
# commands that need it run in a unit of their own: as our user, with the same sandbox, so that a hold
# that somebody makes can be ended by everybody else.
{
  lib,
  writeShellScript,
  writeShellScriptBin,
  systemd,
  package,
  user,
  loadCredential,
  openCliTo,
  serviceConfig,
}:
let
  program = lib.getExe' package "hydra-channels";

  # --pty where all three are a terminal, --pipe else. A `$` in an argument is only a `$`. PATH is not
  # the caller's, who would else choose what runs as our user.
  inUnit =
    as: serviceConfig:
    let
      property =
        name: value: "--property=${name}=${if lib.isBool value then lib.boolToString value else value}";
      properties = lib.concatLists (
        lib.mapAttrsToList (name: value: map (property name) (lib.toList value)) serviceConfig
      );
    in
    ''
      exec ${lib.getExe' systemd "systemd-run"} --quiet --wait --collect --pipe --pty \
        --service-type=exec --expand-environment=no --uid=${as} --gid=${as} \
        --description="hydra-channels, from a shell" --setenv=TERM="''${TERM:-dumb}" \
        --setenv=PATH=/run/current-system/sw/bin \
        ${lib.escapeShellArgs properties} \
        -- ${program} "$@"
    '';

  # What sudo lets the group run as root, which hands over to our user at once. With a configuration
  # of their own, or a file of their choice, they could do as it more than these commands do.
  forGroup = writeShellScript "hydra-channels-for-group" ''
    case "''${1-}" in
      status | reconcile | hold | release | doctor) ;;
      *) echo "hydra-channels: only status, reconcile, hold, release and doctor" >&2; exit 2 ;;
    esac
    for argument; do
      case "$argument" in
        --config | --config=* | --metrics | --metrics=*)
          echo "hydra-channels: $argument is for root" >&2; exit 2 ;;
      esac
    done
    ${inUnit user serviceConfig}
  '';
in
{
  inherit forGroup;

  command = writeShellScriptBin "hydra-channels" ''
    for argument; do
      case "$argument" in
        --config | --config=*) exec ${program} "$@" ;;
      esac
    done
    case "''${1-}" in
      status | reconcile | hold | release | doctor) ;;
      *) exec ${program} "$@" ;;
    esac
    if [[ $EUID != 0 ]]; then
      ${
        if openCliTo == null then
          ''
            echo "hydra-channels: run it as root, or set services.hydra-channels.openCliTo" >&2
            exit 1
          ''
        else
          ''
            exec /run/wrappers/bin/sudo ${forGroup} "$@"
          ''
      }
    fi
    if [[ $1 == doctor ]]; then
      # what polkit allows, only root may ask; with our folders, systemd would make them root's
      ${inUnit "root" { LoadCredential = loadCredential; }}
    fi
    ${inUnit user serviceConfig}
  '';
}
