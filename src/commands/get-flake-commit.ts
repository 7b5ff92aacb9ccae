import { CONFIG, type Options } from './arguments.ts'
import { type Command, main } from './run.ts'

const options = {
  config: {
    ...CONFIG,
    about:
      'a configuration, for "database" (default: $HYDRA_CHANNELS_CONFIG, else /etc/hydra-channels/config.json where that exists)',
  },
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'get-flake-commit',
  operands: '[BUILD]',
  about: `
Prints the commit of the newest eval that contains BUILD, as 40 hexadecimal digits, and nothing
else on standard output.

  BUILD  the id of a build of a flake jobset (default: the build of the event in HYDRA_JSON)
`,
  options,
  more: `
Hydra's database, the first that is there: "database" in the configuration; HYDRA_DATABASE_URL;
HYDRA_DBI; the socket in /run/postgresql, database and role hydra.

Exit status: 0 printed; 1 no such build, no commit, or the database could not be asked; 2 the
arguments, the configuration or HYDRA_JSON cannot be used.
`,
  logTo: 'stderr',
  async run(invocation) {
    const { printFlakeCommit } = await import('./run-get-flake-commit.ts')
    return printFlakeCommit(invocation)
  },
}

export const start = () => main(command)
