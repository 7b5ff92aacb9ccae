#!/usr/bin/env node
import { main } from './run.ts'

const help = `Usage: get-flake-commit [--config FILE] [BUILD]

Prints the commit of the newest eval that contains BUILD, as 40 hexadecimal digits, and nothing
else on standard output.

  BUILD  the id of a build of a flake jobset (default: the build of the event in HYDRA_JSON)

Options:
  --config FILE  a configuration, for "database" (default: $HYDRA_CHANNELS_CONFIG, else
                 /etc/hydra-channels/config.json where that exists)
  --help         this text
  --version      the version

Hydra's database, the first that is there: "database" in the configuration; HYDRA_DATABASE_URL;
HYDRA_DBI; the socket in /run/postgresql, database and role hydra.

Exit status: 0 printed; 1 no such build, no commit, or the database could not be asked; 2 the
arguments, the configuration or HYDRA_JSON cannot be used.
`

void main({
  name: 'get-flake-commit',
  help,
  options: { config: { type: 'string' } },
  logTo: 'stderr',
  async run(invocation) {
    const { printFlakeCommit } = await import('./run-get-flake-commit.ts')
    return printFlakeCommit(invocation)
  },
})
