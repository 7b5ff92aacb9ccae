/** An output of a build: `{ name: 'out', path: '/nix/store/<32>-nixos-system-nas' }`; null if Hydra knows no path of it. */
export interface Output {
  name: string
  path: string | null
}
