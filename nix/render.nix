# What module.nix writes for others to read, and the values that it has for that, from nothing but
# builtins: the tests read the results without nixpkgs (test/nix/render.test.ts).
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    foldl'
    isAttrs
    isList
    listToAttrs
    map
    readFile
    replaceStrings
    toJSON
    ;

  withoutNulls =
    value:
    if isAttrs value then
      listToAttrs (
        map (name: {
          inherit name;
          value = withoutNulls value.${name};
        }) (filter (name: value.${name} != null) (attrNames value))
      )
    else if isList value then
      map withoutNulls value
    else
      value;

  # In their order, for a section that moves would restart Hydra.
  unique = foldl' (found: each: if builtins.elem each found then found else found ++ [ each ]) [ ];
in
rec {
  user = "hydra-channels";

  # What the files with secrets are called in $CREDENTIALS_DIRECTORY.
  credentials = {
    key = "github-app-key";
    netrc = "cache-netrc";
    password = "database-password";
  };

  # What the module itself knows by name, or has a default of its own for; and the program's defaults
  # (src/config.ts), so that they can be seen in the options.
  defaults = {
    github = {
      privateKeyFile = credentials.key;
      apiUrl = "https://api.github.com";
      attemptTimeoutSeconds = 15;
      deadlineSeconds = 90;
    };
    database = {
      host = "/run/postgresql";
      port = 5432;
      inherit user;
      database = "hydra";
    };
    cache = {
      allowHttp = false;
      timeoutSeconds = 3600;
      parallel = 4;
    };
    hook = {
      # hydra-notify then never waits for an upload, and has no key that other hooks could read
      mode = "detached";
      kickFile = "/run/hydra-channels-kick/kick";
      deadlineSeconds = 7200;
    };
    reconcile.deadlineSeconds = 900;
    stateDirectory = "/var/lib/hydra-channels";
    dryRun = false;
  };

  # The configuration file's content: what is not set is not there, and no cache is none.
  config =
    settings:
    let
      set = withoutNulls settings;
      cache = set.cache or { };
    in
    if cache ? unit || cache ? url then set else removeAttrs set [ "cache" ];

  # Hydra's configuration. The command's name stays the same when the package, the configuration or a
  # rule changes: any change of hydra.conf restarts Hydra's services, builds and all.
  #
  # With a cache unit every build is copied, whatever its job. Else the jobsets of the rules are
  # enough; Hydra compares project, jobset and job as a whole each, so that a rule's job is no matcher.
  hydraConf =
    settings:
    let
      section = matcher: ''
        <runcommand>
        ${matcher}  command = /etc/hydra-channels/hydra-hook
        </runcommand>
      '';
      jobsets = unique (map ({ project, jobset, ... }: "${project}:${jobset}") settings.channels);
    in
    if (settings.cache.unit or null) != null then
      section ""
    else
      concatStringsSep "" (map (jobset: section "  job = ${jobset}:*\n") jobsets);

  # `unit`: copy-cache@.service; `users`: who may start its instances.
  polkitRule =
    {
      unit,
      users,
      storeDir ? builtins.storeDir,
    }:
    let
      template = builtins.head (builtins.match "(.+@)\\.service" unit);
      # as systemd-escape has it, of the characters that a store's directory may have
      escaped = replaceStrings [ "-" "+" "/" ] [ "\\x2d" "\\x2b" "-" ] "${storeDir}/";
    in
    replaceStrings [ ''["@USERS@"]'' ''"@TEMPLATE@"'' ''"@STORE@"'' ] (map toJSON [
      users
      template
      escaped
    ]) (readFile ./polkit.rules);
}
