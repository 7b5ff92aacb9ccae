// Every command that can be typed, for what is made of their tables: docs/commands.md, man pages and completions. No command
// loads this.
import { command as channelUpdate } from './channel-update.ts'
import { command as getFlakeCommit } from './get-flake-commit.ts'
import type { Described } from './help.ts'
import { COMMANDS, command as hydraChannels } from './hydra-channels.ts'
import { command as hydraHook } from './hydra-hook.ts'

export interface Listed extends Described {
  /** what it does, in a line */
  summary: string
}

/** In the order of docs/commands.md. */
export async function allCommands(): Promise<Listed[]> {
  const own = Object.values(COMMANDS).map(async ({ summary, load }) => ({ ...(await load()), summary }))
  return [
    { ...hydraChannels, summary: 'GitHub branches that only ever move to commits that Hydra has built' },
    ...(await Promise.all(own)),
    { ...hydraHook, summary: "Hydra's RunCommand hook: copies a build's outputs, and moves its channels" },
    { ...channelUpdate, summary: 'fast-forwards one branch of a GitHub repository, or says why not' },
    { ...getFlakeCommit, summary: "prints the commit of a build's newest eval" },
  ]
}
