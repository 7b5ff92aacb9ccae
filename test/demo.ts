// A small fleet in one minute: a real PostgreSQL with Hydra's tables, a GitHub on this machine over a real git repository,
// and the built hydra-hook, started for one event after another as Hydra would.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createStage } from './helpers/stage.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url))
const bold = (text: string) => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text)
const say = (text: string) => process.stdout.write(`${text}\n`)

say('Starting PostgreSQL with the tables of a Hydra, and a GitHub over a bare git repository …')
const stage = await createStage()
const { repository, hydra, systemd } = stage
try {
  stage.config.cache = { unit: 'copy-cache-demo@.service' }

  // main: c1 - c2 - c3 - c4
  const flakeNix = (host: string) => ({ 'flake.nix': `{ outputs = _: { hosts = "nas${host}"; }; }\n` })
  const commits: string[] = []
  for (const [index, message] of ['one host', 'a second host', 'a broken module', 'mended'].entries()) {
    const parents = commits.slice(-1)
    commits.push(await repository.commit({ parents, message, files: flakeNix(' laptop'.repeat(index)) }))
  }
  const [c1 = '', c2 = '', c3 = '', c4 = ''] = commits
  await repository.setBranch('main', c4)

  async function show(what: string, event: number | string): Promise<void> {
    const { event: kind, ...rest } =
      typeof event === 'string' ? JSON.parse(readFileSync(event, 'utf8')) : await hydra.eventOf(event)
    say('')
    say(bold(`# ${what}`))
    say(
      `event: ${kind} build ${rest.build}, ${rest.project}:${rest.jobset}:${rest.job}, status ${rest.buildStatus}`,
    )
    const { log, status } = await stage.hook(event)
    // the event itself is in the log as well, on a line of its own
    for (const line of log.trimEnd().split('\n'))
      say(`  | ${line.startsWith('{') ? `${line.slice(0, 60)}…` : line}`)
    say(`  exit ${status}`)
  }

  const nas = { job: 'nixos-nas.x86_64-linux' }
  const first = await stage.built(c1, nas)
  await show('the first good build of a host creates its channel', first)

  const second = await stage.built(c2, nas)
  await show('the next one fast-forwards it', second)

  await show('a failed build moves nothing', join(FIXTURES, 'events/failure.json'))
  await stage.built(c3, { ...nas, status: 1 })

  await show('an older build that finishes late finds the channel further', first)

  // somebody pushed to the laptop's channel by hand
  const byHand = await repository.commit({ parents: [c1], message: 'by hand' })
  await repository.setBranch('nixos-tested-laptop', byHand)
  const laptop = await stage.built(c4, { job: 'nixos-laptop.x86_64-linux' })
  await show('a channel that has a commit of its own is refused, with the way out', laptop)

  systemd.ends('failed')
  const third = await stage.built(c4, nas)
  await show('a build that could not be copied to the cache moves nothing', third)

  systemd.ends('ok')
  await show('and moves as soon as the copy succeeds', third)

  say('')
  say(bold('# the branches, as git sees them'))
  say(
    execFileSync(
      'git',
      ['-C', repository.gitDir, 'log', '--graph', '--all', '--date-order', '--format=%h%d %s'],
      { encoding: 'utf8' },
    ).trimEnd(),
  )
} finally {
  await stage.close()
}
