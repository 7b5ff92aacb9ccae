// docs/commands.md: what each command's --help says, made of the same tables.
import { command as channelUpdate } from '../../src/commands/channel-update.ts'
import { command as getFlakeCommit } from '../../src/commands/get-flake-commit.ts'
import { renderHelp } from '../../src/commands/help.ts'
import { COMMANDS, command as hydraChannels } from '../../src/commands/hydra-channels.ts'
import { command as hydraHook } from '../../src/commands/hydra-hook.ts'
import type { Command } from '../../src/commands/run.ts'

export const COMMANDS_DOCUMENT = new URL('../../docs/commands.md', import.meta.url)

/** All that can be typed, in the order of the document. */
export async function allCommands(): Promise<Command[]> {
  const own = await Promise.all(Object.values(COMMANDS).map(({ load }) => load()))
  // each has a table of its own, which nobody here looks into
  return [hydraChannels, ...own, hydraHook, channelUpdate, getFlakeCommit] as Command[]
}

export async function renderDocument(): Promise<string> {
  const sections = (await allCommands()).map(
    command => `## ${command.name}\n\n\`\`\`text\n${renderHelp(command)}\`\`\`\n`,
  )
  return `# Commands\n\nEach command says this with \`--help\`. Made by \`npm run docs\`.\n\n${sections.join('\n')}`
}
