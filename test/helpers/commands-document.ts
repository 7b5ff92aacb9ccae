// docs/commands.md: what each command's --help says, made of the same tables.
import { allCommands } from '../../src/commands/all-commands.ts'
import { renderHelp } from '../../src/commands/help.ts'

export const COMMANDS_DOCUMENT = new URL('../../docs/commands.md', import.meta.url)

export async function renderDocument(): Promise<string> {
  const sections = (await allCommands()).map(
    command => `## ${command.name}\n\n\`\`\`text\n${renderHelp(command)}\`\`\`\n`,
  )
  return `# Commands\n\nEach command says this with \`--help\`, and its man page as well (\`man hydra-channels status\`).\nbash, zsh and fish complete commands and options. Made by \`npm run docs\`.\n\n${sections.join('\n')}`
}
