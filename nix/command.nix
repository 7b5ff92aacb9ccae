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
  # what the unit has of the files with secrets, also where it runs as root
  credentialConfig,
  serviceConfig,
  # such as the addresses of proxies
  environment,
  openCliTo,
}:
let
  program = lib.getExe' package "hydra-channels";
  bin = lib.getExe' systemd;
  sudo = "/run/wrappers/bin/sudo --non-interactive";

  # Runs a command and waits for it. A signal ends it by `stop`: systemd-run would leave its unit behind,
  # and the caller may not signal sudo. Repeated, because the unit may not exist yet.
  supervise = run: stop: ''
    stop() { ${stop} 2>/dev/null; }
    end() {
      trap "" HUP INT TERM
      for ((tries = 0; tries < 100; tries++)); do
        [[ -d /proc/''${!:-none} ]] || break
        stop
        ${lib.getExe' coreutils "sleep"} 0.2
      done
      stop
      trap - "$1"
      kill -s "$1" $$
    }
    for signal in HUP INT TERM; do trap "end $signal" "$signal"; done
    ${run} <&0 &
    wait "$!"
    status=$?
  '';

  # systemd counts SIGINT as success: this turns it into 130, as a shell does.
  inside = writeShellScript "hydra-channels-in-unit" ''
    trap : HUP INT TERM
    ${program} "$@"
    exit
  '';

  # `UNIT COMMAND…`, as root: a unit of that name runs the command. --pty where all three are a terminal,
  # --pipe otherwise; the terminal's title is not systemd's. A `$` in an argument is only a `$`. PATH is
  # not the caller's, who would otherwise choose what runs as root and as our user (a pager, say). From
  # 200 on, a status is systemd's own.
  unitAs =
    as: serviceConfig:
    let
      property =
        name: value: "--property=${name}=${if lib.isBool value then lib.boolToString value else value}";
      properties = lib.concatLists (
        lib.mapAttrsToList (name: value: map (property name) (lib.toList value)) serviceConfig
      );
      variables = lib.mapAttrsToList (name: value: "--setenv=${name}=${value}") environment;
    in
    writeShellScript "hydra-channels-as-${as}" ''
      export PATH=/run/current-system/sw/bin SYSTEMD_PAGER=cat
      export SYSTEMD_ADJUST_TERMINAL_TITLE=0 SYSTEMD_TINT_BACKGROUND=0
      unit=$1
      shift
      ${supervise ''
        ${bin "systemd-run"} --quiet --wait --collect --pipe --pty --unit="$unit" \
          --service-type=exec --expand-environment=no --uid=${as} --gid=${as} \
          --description="hydra-channels, from a shell" --setenv=TERM="''${TERM:-dumb}" \
          --setenv=PATH="$PATH" \
          ${lib.escapeShellArgs (variables ++ properties)} \
          -- ${inside} "$@"'' ''${bin "systemctl"} stop "$unit"''}
      if ((status >= 200 && status < 250)); then
        echo "hydra-channels: systemd could not start it (status $status of systemd.exec):" >&2
        ${bin "journalctl"} --no-pager --quiet --unit="$unit" --lines=5 --output=cat >&2
      fi
      exit "$status"
    '';

  asUser = unitAs user serviceConfig;
  # what polkit allows, only root may ask; with our folders, systemd would make them root's
  asRoot = unitAs "root" credentialConfig;

  # What sudo lets the group run as root, which hands over to our user at once: `run ID COMMAND…`, and
  # `end ID` of the same caller. With a configuration of their own, or a file of their choice, they
  # could do as our user more than these commands do.
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
    exec ${asUser} "$unit" "$@"
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
          ${supervise ''${sudo} ${forGroup} run $$ "$@"'' "${sudo} ${forGroup} end $$"}
          exit "$status"
        ''
    }
  fi
  as=${asUser}
  [[ $1 != doctor ]] || as=${asRoot}
  exec "$as" hydra-channels-shell-0-$$.service "$@"
''
// {
  inherit forGroup;
  scripts = [
    inside
    asUser
    asRoot
  ];
}
