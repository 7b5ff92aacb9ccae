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

  # The commands that need the key, or write to our state, and what of their options (src/commands) the group of openCliTo
  # may use: a name that ends in “=” takes a value. All others are for root, also those that are still to come: with a
  # configuration of their own, or a file of their choice, the group could do as our user more than these commands do.
  # test/nix/group.test.ts holds this against the program.
  groupOptions = {
    status = [
      "--json"
      # only as “-”: see below
      "--metrics="
    ];
    explain = [ "--json" ];
    history = [
      "--json"
      "--since="
    ];
    reconcile = [
      "--dry-run"
      "--wait"
    ];
    hold = [
      "--reason="
      "--until="
      "--force"
      "--all"
    ];
    release = [ "--all" ];
    doctor = [
      "--json"
      "--offline"
    ];
  };
  commands = lib.attrNames groupOptions;
  anyCommand = lib.concatStringsSep " | " commands;

  takesValue = lib.hasSuffix "=";
  # `'doctor --json' | 'hold --all'`: what a case of bash compares `COMMAND OPTION` with
  patternsOf =
    isWanted:
    lib.concatStringsSep " | " (
      lib.concatLists (
        lib.mapAttrsToList (
          command: options:
          map (option: "'${command} ${lib.removeSuffix "=" option}'") (lib.filter isWanted options)
        ) groupOptions
      )
    );

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

  # `UNIT WHO COMMAND…`, as root: a unit of that name runs the command, and is told who asks. Of the terminal it knows TERM
  # alone, and most that show links say so elsewhere: then addresses are written out. --pty where all three are a terminal,
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
      who=$2
      shift 2
      ${supervise ''
        ${bin "systemd-run"} --quiet --wait --collect --pipe --pty --unit="$unit" \
          --service-type=exec --expand-environment=no --uid=${as} --gid=${as} \
          --description="hydra-channels, from a shell" --setenv=TERM="''${TERM:-dumb}" \
          --setenv=PATH="$PATH" --setenv=HYDRA_CHANNELS_ASKED_BY="$who" \
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
  # `end ID` of the same caller. sudo itself sets SUDO_USER and SUDO_UID: nobody asks in another name.
  # No argument that begins with “-” comes through unless it is an option of the list, wherever it stands. So it
  # does not matter which option it could be the value of: the program takes no such value either
  # (src/commands/arguments.ts), but with “=”. After “--” there are no options, for the program neither.
  forGroup = writeShellScript "hydra-channels-for-group" ''
    [[ "''${2-}" =~ ^[0-9]{1,10}$ && "''${SUDO_UID-}" =~ ^[0-9]+$ && -n "''${SUDO_USER-}" ]] || exit 2
    action=$1
    unit=hydra-channels-shell-$SUDO_UID-$2.service
    shift 2
    case "$action" in
      end) exec ${bin "systemctl"} stop "$unit" ;;
      run) ;;
      *) exit 2 ;;
    esac
    refuse() {
      echo "hydra-channels: $1" >&2
      exit 2
    }
    command=''${1-}
    case "$command" in
      ${anyCommand}) ;;
      *) refuse "only ${lib.concatStringsSep ", " (lib.init commands)} and ${lib.last commands}" ;;
    esac
    option=
    for argument in "''${@:2}"; do
      if [[ -n "$option" ]]; then
        [[ "$argument" != -?* ]] || refuse "$option needs a value, but is followed by $argument (if that is the value: $option=$argument)"
        value=$argument
      else
        case "$argument" in
          --) break ;;
          -h | -v | --help | --version) continue ;;
          -?*) option=''${argument%%=*} ;;
          *) continue ;;
        esac
        case "$command $option" in
          ${patternsOf (option: !takesValue option)}) option=; continue ;;
          ${patternsOf takesValue}) ;;
          *) refuse "$command $option is for root, or there is no such option: see hydra-channels $command --help" ;;
        esac
        # else it is the next argument
        [[ "$argument" == *=* ]] || continue
        value=''${argument#*=}
      fi
      [[ "$option" != --metrics || "$value" == - ]] || refuse "--metrics FILE is for root; --metrics - is not"
      option=
    done
    exec ${asUser} "$unit" "$SUDO_USER" "$@"
  '';
in
writeShellScriptBin "hydra-channels" ''
  # below, we say who asks
  unset HYDRA_CHANNELS_ASKED_BY
  for argument; do
    case "$argument" in
      --config | --config=*) exec ${program} "$@" ;;
    esac
  done
  case "''${1-}" in
    ${anyCommand}) ;;
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
  # root by sudo, or by a login
  who=''${SUDO_USER:-$(${lib.getExe' coreutils "logname"} 2>/dev/null || echo root)}
  as=${asUser}
  [[ $1 != doctor ]] || as=${asRoot}
  exec "$as" hydra-channels-shell-0-$$.service "$who" "$@"
''
// {
  inherit forGroup groupOptions;
  scripts = [
    inside
    asUser
    asRoot
  ];
}
