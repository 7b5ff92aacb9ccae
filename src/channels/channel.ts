// A channel and its key.

/** One branch that this program moves. */
export interface Channel {
  /** `alice/dotfiles` */
  repository: string
  /** `nixos-tested-nas` */
  branch: string
}

/** `alice/dotfiles nixos-tested-nas`: each line of a log about a channel begins with it. */
export function channelName({ repository, branch }: Channel): string {
  return `${repository} ${branch}`
}

/** `alice/dotfiles:nixos-tested-nas`, the same for every spelling of the repository. */
export function channelKey({ repository, branch }: Channel): string {
  return `${repository.toLowerCase()}:${branch}`
}
