// What the package has for share/: man pages and completions. Nothing loads it but build.ts and the tests.
import { allCommands } from './all-commands.ts'
import { renderCompletions } from './completions.ts'
import { pageName, renderManPage } from './man-page.ts'

/** `man/man1/hydra-hook.1` and its text */
export async function renderShare(): Promise<Map<string, string>> {
  const commands = await allCommands()
  const pages = commands.map(command => {
    // a subcommand refers to its program, and a program to all others
    const [program] = command.name.split(' ')
    const others = commands
      .map(({ name }) => name)
      .filter(name => name !== command.name && (command.name === program || name === program))
    return [`man/man1/${pageName(command.name)}.1`, renderManPage(command, others)] as const
  })
  return new Map([...pages, ...renderCompletions(commands)])
}
