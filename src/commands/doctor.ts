// hydra-channels doctor
import { styleText } from 'node:util'
import { systemClock } from '../base/clock.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { UsageError } from '../base/errors.ts'
import { createHttp } from '../base/http.ts'
import { count, printable } from '../base/log.ts'
import { type Check, examine } from '../doctor/doctor.ts'
import { CONFIG, type Options } from './arguments.ts'
import { type Command, configFile } from './run.ts'

const about = `
Looks at everything that has to be in place for a channel to move, and says under what is not how to
mend it. It writes nothing and moves nothing.

  ✓  as it should be
  ✗  to be mended
  !  worth knowing
  –  not checked, and why

  configuration   the file can be read, has rules and no dryRun; with --offline, also whether it
                  names the App, and an address of an API
  rules           no two are the same, or lead jobs of two jobsets to one branch; with --offline,
                  none leads many jobs to one branch
  key, app        the key can be read, and belongs to the App
  clock           it agrees with GitHub's to 30 seconds
  installation, permissions, repository
                  of each repository: the App is installed, not suspended, and may write (contents,
                  and workflows where the repository has some); neither archived nor renamed
  database, read-only, users, tables, schema
                  it answers; our role can write nothing and read no passwords; all tables and
                  columns are there that are asked for; which version of Hydra's schema it is
  lock            while one reconcile runs, a second one is kept out, also behind PgBouncer
  jobsets, jobs   each rule has its jobset, and matches jobs; which jobs no rule matches
  overlap, default-branch
                  no two jobs lead to one channel, and none to the default branch
  cache-unit, polkit
                  systemd knows the unit, and hydra-notify may start it (asked as root only)
  cache, cache-path
                  a binary cache is at cache.url, and has what a channel has moved to
  reconcile       the last one ended less than an hour ago
  holds           which channels are held; none past its end
  kick            a detached hook can ask for a reconcile, and reconcile comes

Run it as the user whom reconcile runs as, and once as root.
`

const more = `
Exit status: 0 nothing failed; 1 a check failed; 2 the arguments cannot be used.
`

const options = {
  offline: {
    type: 'boolean',
    about: 'only configuration and rules: needs no key, network or database, as in a Nix build',
  },
  json: {
    type: 'boolean',
    about:
      'one line of JSON: {"checks":[{"name","result","message","hint":[…]}]}, where result is ok, failed, note or not-checked',
  },
  config: CONFIG,
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'hydra-channels doctor',
  about,
  options,
  more,
  logTo: 'stdout',
  async run({ values, positionals, env, log, print, progress }) {
    const [extra] = positionals
    if (extra !== undefined) {
      throw new UsageError(`doctor checks everything, and takes no “${extra}”`, {
        hint: 'see hydra-channels doctor --help',
      })
    }
    const colour = process.stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb'
    const show = (check: Check) => {
      for (const line of render(check, colour)) print(`${line}\n`)
      progress('checking…')
    }
    const http = createHttp(env)
    progress('checking…')
    try {
      const checks = await examine({
        configFile: configFile(values.config, env) ?? DEFAULT_CONFIG_FILE,
        mode: values.offline ? 'offline' : 'online',
        env,
        uid: process.geteuid?.(),
        now: systemClock.now(),
        http,
        onCheck: values.json ? () => {} : show,
        onUnchecked(checks) {
          if (values.json) return
          print(
            `${markOf('not-checked', colour)} not checked: ${count(checks.length, 'check')} need${checks.length === 1 ? 's' : ''} the configuration\n`,
          )
        },
      })
      if (values.json) print(`${printable(JSON.stringify({ checks }))}\n`)
      else log.line(summarize(checks))
      return checks.some(({ result }) => result === 'failed') ? 'failed' : 'ok'
    } finally {
      http.close()
    }
  },
}

const MARKS = {
  ok: ['✓', 'green'],
  failed: ['✗', 'red'],
  note: ['!', 'yellow'],
  'not-checked': ['–', 'dim'],
} as const

function markOf(result: Check['result'], colour: boolean): string {
  const [mark, style] = MARKS[result]
  // whether there is to be colour is decided by the caller, not by what stdout happens to be
  return colour ? styleText(style, mark, { validateStream: false }) : mark
}

/** Escaped already, and coloured. */
function render({ name, result, message, hint }: Check, colour: boolean): string[] {
  return [
    `${markOf(result, colour)} ${name}: ${printable(message)}`,
    ...hint.map(line => `    ${printable(line)}`),
  ]
}

/** `18 ok, 1 failed, 2 not checked` */
function summarize(checks: readonly Check[]): string {
  const counts = [
    ['ok', 'ok'],
    ['failed', 'failed'],
    ['note', 'worth knowing'],
    ['not-checked', 'not checked'],
  ] as const
  return counts
    .map(([result, words]) => ({ n: checks.filter(check => check.result === result).length, words }))
    .filter(({ n }) => n > 0)
    .map(({ n, words }) => `${n} ${words}`)
    .join(', ')
}
