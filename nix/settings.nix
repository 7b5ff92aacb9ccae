# The options of `services.hydra-channels.settings`: the configuration file, as src/config.ts checks
# it. That check has the last word, when the system is built.
{
  lib,
  defaults,
  # what the files are called in $CREDENTIALS_DIRECTORY; null if there is none
  netrcFile,
  passFile,
}:
let
  inherit (lib) mkOption types;

  seconds = types.ints.between 1 (7 * 24 * 3600);

  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  withDefault =
    type: default: description:
    mkOption { inherit type default description; };

  # The module's units are made for these.
  fixed =
    default: description:
    mkOption {
      type = types.str;
      readOnly = true;
      inherit default description;
    };

  # a file that an option of the module's own names
  handedOver =
    name: option: what:
    mkOption {
      type = types.nullOr types.str;
      readOnly = true;
      default = name;
      defaultText = lib.literalMD "set if {option}`services.hydra-channels.${option}` is";
      description = "The name of ${what} in `$CREDENTIALS_DIRECTORY`; its file is {option}`services.hydra-channels.${option}`.";
    };

  required =
    type: example: description:
    mkOption { inherit type example description; };

  # What Hydra allows, without the characters that would have a meaning in hydra.conf.
  hydraName = types.strMatching "[A-Za-z_][A-Za-z0-9_.-]*";
in
{
  github = {
    appId =
      required (types.either types.ints.positive (types.strMatching "[A-Za-z0-9._-]+"))
        "Iv23liAbCdEfGhIjKlMn"
        "Client id or App id of the GitHub App (`hydra-channels create-app` makes one).";
    privateKeyFile = fixed defaults.github.privateKeyFile "The name of the key in `$CREDENTIALS_DIRECTORY`; its file is {option}`services.hydra-channels.privateKeyFile`.";
    apiUrl =
      withDefault types.str defaults.github.apiUrl
        "GitHub Enterprise Server: `https://HOST/api/v3`.";
    host = optional (types.either types.str (types.nonEmptyListOf types.str)) "The host that flakerefs must have, or a list of such hosts (aliases of ssh); unset: as `apiUrl` says.";
    attemptTimeoutSeconds =
      withDefault seconds defaults.github.attemptTimeoutSeconds
        "One request to GitHub.";
    deadlineSeconds =
      withDefault seconds defaults.github.deadlineSeconds
        "All of GitHub's part in one inline hook.";
  };

  database = {
    host = withDefault types.str defaults.database.host "A host, or the folder of a socket.";
    port = withDefault types.port defaults.database.port "The port, also of a socket.";
    user =
      withDefault types.str defaults.database.user
        "The role, see {option}`services.hydra-channels.database.sql`.";
    database = withDefault types.str defaults.database.database "Hydra's database.";
    passFile = handedOver passFile "database.passFile" "the file with the password";
  };

  hydraUrl = optional types.str "The address of Hydra's web interface.";

  cache = {
    unit = optional (types.strMatching "[A-Za-z0-9:_.-]+@\\.service") "A template unit of this machine that copies a store path, `%I`, to the binary cache. It gets a polkit rule.";
    url = optional types.str "Where every output must be seen before a channel moves.";
    allowHttp =
      withDefault types.bool defaults.cache.allowHttp
        "Whether `url` may be http, for a network that you trust.";
    netrcFile = handedOver netrcFile "cacheNetrcFile" "the netrc file";
    timeoutSeconds = withDefault seconds defaults.cache.timeoutSeconds "How long a copy may take.";
    parallel = withDefault types.ints.positive defaults.cache.parallel "How many copies at once.";
  };

  hook = {
    mode =
      withDefault
        (types.enum [
          "detached"
          "inline"
        ])
        defaults.hook.mode
        ''
          `detached`: the hook asks for a reconcile, so that hydra-notify never waits for an upload, and has no key.
          `inline`: the hook does all of the work itself, and its verdict is in Hydra's log.
        '';
    kickFile = fixed defaults.hook.kickFile "A detached hook creates this file to request a reconcile.";
    deadlineSeconds =
      withDefault seconds defaults.hook.deadlineSeconds
        "One hook as a whole, copies included: Hydra's other notifications wait for it.";
  };

  reconcile = {
    deadlineSeconds =
      withDefault seconds defaults.reconcile.deadlineSeconds
        "All of GitHub's part in one reconcile.";
    interval = optional types.str "How often reconcile runs, for `status`, which says when the next one is due; {option}`services.hydra-channels.reconcile.interval` sets it.";
  };

  dryRun =
    withDefault types.bool defaults.dryRun
      "Look only: hooks and reconcile copy nothing and move nothing, and say what they would do.";

  stateDirectory = fixed defaults.stateDirectory "Holds, when reconcile last ran to its end and which channels it knew, and what was copied.";

  channels =
    required
      (types.nonEmptyListOf (
        types.submodule {
          options = {
            project = required hydraName "dotfiles" "Hydra's project.";
            jobset = required hydraName "main" "Hydra's jobset.";
            job =
              required types.str "nixos-(?<host>[^/]*)\\.(?<system>.*)"
                "A JavaScript regular expression for the whole name of a job.";
            repository =
              required (types.strMatching "[^/]+/[^/]+") "alice/dotfiles"
                "The flake's repository on GitHub.";
            branch =
              required types.str "nixos-tested-{host}"
                "The channel; `{group}` is a named group of `job`.";
            ref = optional types.str "A branch such as `main`: only commits in its history are promoted. Unset: what the jobset follows.";
            ignore = optional (types.listOf types.str) "Branches of somebody else, such as another Hydra: names (`nixos-tested-web`), or what names begin with (`nixos-tested-b-*`). Nothing is said of them, unless they have a job here.";
          };
        }
      ))
      [
        {
          project = "dotfiles";
          jobset = "main";
          job = "nixos-(?<host>[^/]*)\\.(?<system>.*)";
          repository = "alice/dotfiles";
          branch = "nixos-tested-{host}";
        }
      ]
      "The rules: which jobs feed which branch.";
}
