{
  description = "GitHub branches that only ever move to commits that Hydra has built";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { nixpkgs, ... }:
    let
      eachSystem =
        f:
        nixpkgs.lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: f nixpkgs.legacyPackages.${system});
    in
    {
      overlays.default = final: _prev: {
        hydra-channels = final.callPackage ./nix/package.nix { };
      };

      packages = eachSystem (pkgs: rec {
        hydra-channels = pkgs.callPackage ./nix/package.nix { };
        default = hydra-channels;
      });

      nixosModules = {
        # for the machine that runs Hydra
        default = ./nix/module.nix;
        # for the hosts that follow their channel
        host = ./nix/host.nix;
        # the same by another name, with an option more
        auto-upgrade = ./nix/auto-upgrade.nix;
      };

      checks = eachSystem (pkgs: {
        # the package with its tests
        default = pkgs.callPackage ./nix/package.nix { doCheck = true; };
        # a real Hydra, and the module
        vm = pkgs.testers.runNixOSTest ./nix/vm-test.nix;
        # Every Nix file is as `nix fmt` would write it. treefmt, which `nix fmt` runs, would need a copy that it
        # can write to; nixfmt itself only reads.
        formatting =
          pkgs.runCommand "nix-files-are-formatted"
            {
              nativeBuildInputs = [ pkgs.nixfmt ];
              files = nixpkgs.lib.fileset.toSource {
                root = ./.;
                fileset = nixpkgs.lib.fileset.fileFilter (file: file.hasExt "nix") ./.;
              };
            }
            ''
              find "$files" -name '*.nix' -exec nixfmt --check {} +
              touch "$out"
            '';
      });

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = [
            pkgs.git
            pkgs.nodejs_24
            pkgs.postgresql
            pkgs.systemd
          ];
          # npm's biome is linked for /lib64, where NixOS has no loader.
          BIOME_BINARY = nixpkgs.lib.getExe pkgs.biome;
        };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
