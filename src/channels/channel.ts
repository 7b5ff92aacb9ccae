// A channel and its key.

/** One branch that this program moves. */
export interface Channel {
  /** `alice/dotfiles` */
  repository: string
  /** `nixos-tested-nas` */
  branch: string
}

/** `alice/dotfiles:nixos-tested-nas`, the same for every spelling of the repository. */
export function channelKey({ repository, branch }: Channel): string {
  return `${repository.toLowerCase()}:${branch}`
}
