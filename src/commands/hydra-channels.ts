// hydra-channels COMMAND: finds the command, and loads only its code.
import { UsageError } from '../base/errors.ts'
import { type Command, main } from './run.ts'

interface Entry {
  /** what it does, in a line */
  summary: string
  load: () => Promise<Command>
}

const entry = (summary: string, load: () => Promise<unknown>): Entry => ({
  summary,
  // each has a table of its own, which nobody here looks into
  load: load as Entry['load'],
})

export const COMMANDS: Readonly<Record<string, Entry>> = {
  status: entry(
    'what every channel is at, how far behind, since when and why',
    async () => (await import('./status.ts')).command,
  ),
  explain: entry(
    'every gate of one channel, open or shut, for its candidate and for the newest eval',
    async () => (await import('./explain.ts')).command,
  ),
  history: entry(
    "what happened to a channel's branch: when, by whom, and which build stands behind it",
    async () => (await import('./history.ts')).command,
  ),
  reconcile: entry(
    "brings every channel to its candidate, from Hydra's database alone",
    async () => (await import('./reconcile.ts')).command,
  ),
  hold: entry('keeps a channel where it is', async () => (await import('./hold.ts')).holdCommand),
  release: entry('lets a channel move again', async () => (await import('./hold.ts')).releaseCommand),
  doctor: entry(
    'checks all that a channel needs to move, and says what to mend',
    async () => (await import('./doctor.ts')).command,
  ),
  'create-app': entry(
    'creates the GitHub App from a local page, and stores its key',
    async () => (await import('./create-app.ts')).command,
  ),
}

const names = Object.keys(COMMANDS)
const column = Math.max(...names.map(name => name.length)) + 2

export const command: Command = {
  name: 'hydra-channels',
  operands: 'COMMAND [OPTION…] [CHANNEL…]',
  about: `
GitHub branches that only ever move to commits that Hydra has built.

${names.map(name => `  ${name.padEnd(column)}${COMMANDS[name]?.summary}`).join('\n')}

CHANNEL is a branch; OWNER/REPO:BRANCH if several repositories have it; the name of its job; or what
the rule's groups make of the branch (router for nixos-tested-router), if that fits only one.
hydra-channels help COMMAND says more of each.
`,
  options: {},
  more: `
Exit status: 0 done, or nothing to do; 1 something failed, or somebody has to act; 2 the arguments,
the configuration or the key file cannot be used.
`,
  logTo: 'stdout',
  async run({ positionals }) {
    const [name] = positionals
    if (name === undefined) throw new UsageError('which command?', { hint: SEE })
    const { kinship, nearest } = await import('../base/nearest.ts')
    const [best] = nearest(
      name,
      [...names, 'help'].filter(each => kinship(name, each)),
      1,
    )
    throw new UsageError(`there is no command “${name}”`, {
      hint: [...(best === undefined ? [] : [`did you mean ${best}?`]), SEE],
    })
  },
}

const SEE = 'see hydra-channels --help'

export async function start(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const [name = '', ...rest] = args
  if (name === 'help') {
    const [about] = rest
    const isCommand = about === undefined || Object.hasOwn(COMMANDS, about)
    return start(isCommand ? [...rest.slice(0, 1), '--help'] : rest)
  }
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (found) return main(await found.load(), rest)
  const given = args.find(each => Object.hasOwn(COMMANDS, each))
  if (name.startsWith('-') && given !== undefined) {
    return main({ ...command, run: () => Promise.reject(optionFirst(name, given)) }, [])
  }
  // --help after a word that is no command would say nothing of it
  return main(command, name === '' || name.startsWith('-') ? args : [name])
}

function optionFirst(option: string, given: string): UsageError {
  return new UsageError(`${option} stands before the command`, {
    hint: `write it after: hydra-channels ${given} ${option}`,
  })
}
