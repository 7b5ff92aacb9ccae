# The sources of a package-lock.json whose entries carry an `integrity` and no
# `resolved` address (npm's omit-lockfile-registry-resolved): an attribute set
# for importNpmLock's `packageSourceOverrides`, from the lock's own keys
# ("node_modules/a/node_modules/@s/b") to tarballs.
#
# Each tarball is a fixed-output derivation whose hash is the lock's `integrity`,
# and npm itself is asked for it, for npm knows where its registry is. So the
# repository keeps neither an address nor a second hash.
{
  lib,
  stdenvNoCC,
  cacert,
  nodejs,
}:
packageLock:
let
  # npm runs, and so do esbuild and tsx, where the package is built.
  platform = stdenvNoCC.buildPlatform;

  # npm's rule for `os`, `cpu` and `libc`, from npm-install-checks: "!x" forbids x,
  # and a list of nothing but "!x" allows the rest.
  allows =
    list: value:
    list == [ "any" ]
    || !lib.elem "!${value}" list && (lib.elem value list || lib.all (lib.hasPrefix "!") list);

  # importNpmLock makes a build input of every source that it is given, so a package for
  # another platform gets none: npm skips that one before it asks where it is from.
  isForPlatform =
    entry:
    allows (entry.os or [ ]) platform.node.platform
    && allows (entry.cpu or [ ]) platform.node.arch
    && allows (entry.libc or [ ]) (if platform.isMusl then "musl" else "glibc");

  # The others are this package itself, links, what another tarball brings along,
  # and what has an address: importNpmLock knows them all.
  isFromRegistry = entry: entry ? integrity && !(entry ? resolved) && !(entry.inBundle or false);

  # The path ends in the name, unless the entry is an alias: then it says its own.
  nameOf = path: entry: entry.name or (lib.last (lib.splitString "node_modules/" path));

  fetch =
    path: entry:
    let
      name = nameOf path entry;
    in
    stdenvNoCC.mkDerivation {
      # npm takes a `file:` for a tarball by this ending, else for a directory.
      name = lib.strings.sanitizeDerivationName "${lib.removePrefix "@" name}-${entry.version}.tgz";

      # There may be several, separated by spaces: sha512 sorts after sha384, sha256 and sha1.
      outputHash = lib.last (lib.sort lib.lessThan (lib.splitString " " entry.integrity));
      outputHashMode = "flat";

      nativeBuildInputs = [ nodejs ];

      # nixpkgs' Node reads its certificates from where NIX_SSL_CERT_FILE says. The daemon's
      # comes in below, and without one stdenv names a file that does not exist; Node trusts
      # these beside it in either case.
      NODE_EXTRA_CA_CERTS = "${cacert}/etc/ssl/certs/ca-bundle.crt";
      impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [ "NIX_NPM_REGISTRY" ];
      preferLocalBuild = true;

      npm_config_update_notifier = "false";
      spec = "${name}@${entry.version}";
      buildCommand = ''
        export HOME=$TMPDIR
        npm pack --ignore-scripts ''${NIX_NPM_REGISTRY:+--registry="$NIX_NPM_REGISTRY"} "$spec"
        mv ./*.tgz "$out"
      '';
    };
in
lib.mapAttrs fetch (
  lib.filterAttrs (_: entry: isFromRegistry entry && isForPlatform entry) packageLock.packages
)
