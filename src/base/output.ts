/** An output of a build: `{ name: 'out', path: '/nix/store/<32>-nixos-system-nas' }`; null if Hydra knows no path of it. */
export interface Output {
  name: string
  path: string | null
}

/**
 * What a look into the cache for some outputs found; `silent`: the cache did not answer in time. `away`: it could not be asked, or
 * said nothing of the path. `absent`: it does not have the path: `why` without what to do about it.
 */
export type Look =
  | { kind: 'seen' }
  | { kind: 'missing'; why: string; away?: true; absent?: string }
  | { kind: 'silent' }
