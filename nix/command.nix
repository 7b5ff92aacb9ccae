# `hydra-channels` for a shell. The key is in $CREDENTIALS_DIRECTORY, which only units have, so the
# commands that need it run in a unit of their own: as our user, with the same sandbox, so that a hold
# that somebody makes can be ended by everybody else.
{
  lib,
  writeShellScript,
  writeShellScriptBin,
  coreutils,
  systemd,
  package,
  user,
  # what the unit has of the key, also where it runs as root
  keyConfig,
  serviceConfig,
  # such as the addresses of proxies
  environment,
  openCliTo,
}:
let
  program = lib.getExe' package "hydra-channels";
  bin = lib.getExe' systemd;

  # Waits for the job `running`, and ends it by `stop` when a signal comes: systemd-run would leave its
  # unit behind, and sudo's process is not the caller's to end. Again and again, for the unit may not
  # be there yet.
  waitFor = stop: ''
    end() {
      trap "" HUP INT TERM
      while ${stop} 2>/dev/null; [[ -d /proc/$running ]]; do
        ${lib.getExe' coreutils "sleep"} 0.2
      done
      trap - "$1"
      kill -s "$1" $$
    }
    for signal in HUP INT TERM; do trap "end $signal" "$signal"; done
    wait "$running"
    status=$?
  '';

  # To systemd, a service that Ctrl-C has ended has ended well: this ends with 130, as in a shell.
  inside = writeShellScript "hydra-channels-in-unit" ''
    trap : HUP INT TERM
    ${program} "$@"
    exit
  '';

  # --pty where all three are a terminal, --pipe else; the terminal's title is not systemd's. A `$` in an
  # argument is only a `$`. PATH is not the caller's, who would else choose what runs as our user. From
  # 200 on, a status is systemd's own.
  inUnit =
    as: serviceConfig:
    let
      property =
        name: value: "--property=${name}=${if lib.isBool value then lib.boolToString value else value}";
      properties = lib.concatLists (
        lib.mapAttrsToList (name: value: map (property name) (lib.toList value)) serviceConfig
      );
      variables = lib.mapAttrsToList (name: value: "--setenv=${name}=${value}") environment;
    in
    ''
      SYSTEMD_ADJUST_TERMINAL_TITLE=0 SYSTEMD_TINT_BACKGROUND=0 \
        ${bin "systemd-run"} --quiet --wait --collect --pipe --pty --unit="$unit" \
        --service-type=exec --expand-environment=no --uid=${as} --gid=${as} \
        --description="hydra-channels, from a shell" --setenv=TERM="''${TERM:-dumb}" \
        --setenv=PATH=/run/current-system/sw/bin \
        ${lib.escapeShellArgs (variables ++ properties)} \
        -- ${inside} "$@" <&0 &
      running=$!
      ${waitFor ''${bin "systemctl"} stop "$unit"''}
      if ((status >= 200 && status < 250)); then
        echo "hydra-channels: systemd could not start it (status $status of systemd.exec):" >&2
        ${bin "journalctl"} --quiet --unit="$unit" --lines=5 --output=cat >&2
      fi
      exit "$status"
    '';

  # What sudo lets the group run as root, which hands over to our user at once: `run ID COMMAND…`, and
  # `end ID` of the same caller. With a configuration of their own, or a file of their choice, they
  # could do as it more than these commands do.
  forGroup = writeShellScript "hydra-channels-for-group" ''
    [[ "''${2-}" =~ ^[0-9]{1,10}$ && "''${SUDO_UID-}" =~ ^[0-9]+$ ]] || exit 2
    action=$1
    unit=hydra-channels-shell-$SUDO_UID-$2.service
    shift 2
    case "$action" in
      end) exec ${bin "systemctl"} stop "$unit" ;;
      run) ;;
      *) exit 2 ;;
    esac
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
writeShellScriptBin "hydra-channels" ''
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
          /run/wrappers/bin/sudo ${forGroup} run $$ "$@" <&0 &
          running=$!
          ${waitFor "/run/wrappers/bin/sudo ${forGroup} end $$"}
          exit "$status"
        ''
    }
  fi
  unit=hydra-channels-shell-0-$$.service
  if [[ $1 == doctor ]]; then
    # what polkit allows, only root may ask; with our folders, systemd would make them root's
    ${inUnit "root" keyConfig}
  fi
  ${inUnit user serviceConfig}
''
// {
  inherit forGroup inside;
}
