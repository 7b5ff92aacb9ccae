// hydra-channels status

import { join } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { DEFAULT_CONFIG_FILE } from '../base/defaults.ts'
import { lineOfError, messageOf, OperatorError, UsageError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import { count, printable } from '../base/log.ts'
import { writeAtomically } from '../base/write-atomically.ts'
import { createLook } from '../cache/narinfo.ts'
import { findCacheClient } from '../cache/options.ts'
import { type Config, readConfig } from '../config.ts'
import { expectedHosts, webUrlFor } from '../github/config.ts'
import { findFacts, type LookOptions } from '../status/find-facts.ts'
import { statusOfFleet } from '../status/find-status.ts'
import type { Published } from '../status/publish-pointers.ts'
import { type FleetStatus, isTroubling } from '../status/shape.ts'
import type { TableOptions } from '../status/table.ts'
import { CONFIG, type Options } from './arguments.ts'
import { withClients } from './look.ts'
import { type Command, configFile } from './run.ts'

const about = `
Says of every channel (or of those that are named) what commit it is at, how many commits it is
behind the branch that its jobset follows, since when, and why it is not further:

  held               somebody keeps it where it is: hydra-channels release
  withdrawn          its commit, or its candidate, was taken back: main was reset
  not-on-branch      its candidate is not on the branch that its jobset follows
  diverged           somebody else moved it: it has commits that Hydra never built
  ambiguous          several jobs lead to it
  abandoned          no job leads to it: the rule was changed, say
  no-permission      GitHub does not let the App move it
  job-gone           its job is no longer in the jobset
  evaluation-failed  Hydra could not evaluate its job, or nothing at all
  not-evaluated      the tracked branch has commits that Hydra has not looked at for 30 minutes
  unusable-flakeref  the eval names no commit of this repository
  build-failed, build-timed-out, dependency-failed, build-aborted
                     its newest build did not succeed
  not-cached         its candidate is not in the binary cache
  failed             the last reconcile could not move it
  building           its newest build is queued or running
  behind             the next reconcile moves it, or Hydra has still to evaluate a new commit
  up-to-date         it is at the newest commit
  unknown            GitHub or the database is away, or its rule is in trouble

With dryRun in the configuration nothing is moved, and the summary says so.
`

const more = `
Several of --json, --metrics and --page are of one look.

Exit status: 0 whatever the channels are like; 1 neither Hydra nor GitHub could be asked, or FILE or
DIR cannot be written; 2 the arguments, the configuration or the key file cannot be used.
`

const options = {
  json: { type: 'boolean', about: 'one line of JSON instead of the table (docs/status.md)' },
  metrics: {
    type: 'string',
    value: 'FILE',
    about: "write metrics for node_exporter's textfile collector (-: to standard output), and print no table",
  },
  page: {
    type: 'string',
    value: 'DIR',
    about:
      'write a page for browsers, index.html, status.json and (with cache.url) pointers for hosts, and print no table',
  },
  config: CONFIG,
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'hydra-channels status',
  operands: '[CHANNEL…]',
  about,
  options,
  more,
  logTo: 'stderr',
  async run({ values, positionals, env, log, report, print, progress }) {
    if (values.json && values.metrics === '-') {
      throw new UsageError('--json and --metrics - both write to standard output', {
        hint: 'leave one of them out, or name a file: --metrics FILE',
      })
    }
    if (values.page !== undefined && positionals.length > 0) {
      throw new UsageError('--page DIR is of all channels, and takes no CHANNEL', {
        hint: `leave out ${positionals.join(' ')}, or --page`,
      })
    }
    const config = readConfig(configFile(values.config, env) ?? DEFAULT_CONFIG_FILE)
    progress('asking Hydra and GitHub…')
    return withClients({ config, env }, async ({ http, database, openGitHub }) => {
      const problems: string[] = []
      const options: LookOptions = {
        ...lookOptionsOf(config, { http, env }),
        report(error) {
          report(error)
          problems.push(lineOfError(error))
        },
        only: positionals,
        ...{ database, openGitHub, now: new Date(systemClock.now()) },
      }
      const there = values.page === undefined ? undefined : await readPointersIn(values.page)
      const fleet = await findFacts(options)
      const status = statusOfFleet(fleet, options)
      const json = () => `${printable(JSON.stringify(status))}\n`
      let ended: 'ok' | 'failed' = 'ok'
      // trouble with one file is none of the others
      const write = (content: Content) => {
        try {
          writeForAll(content)
          log.line(`wrote ${content.file}: ${summaryOf(status)}`)
        } catch (error) {
          report(error)
          ended = 'failed'
        }
      }
      if (values.json) print(json())
      else if (values.metrics === undefined && values.page === undefined) {
        const { renderTable } = await import('../status/table.ts')
        // escaped already, and coloured
        for (const line of renderTable(status, await tableOptionsFor(env))) print(`${line}\n`)
      }
      if (values.metrics !== undefined) {
        const { renderMetrics } = await import('../status/metrics.ts')
        const text = renderMetrics(status)
        if (values.metrics === '-') print(text)
        else write({ what: 'the metrics', file: values.metrics, text })
      }
      if (values.page !== undefined) {
        const [{ findPage }, { renderPage }] = await Promise.all([
          import('../status/find-page.ts'),
          import('../status/page.ts'),
        ])
        write({ what: 'the page', file: join(values.page, 'status.json'), text: json() })
        const text = renderPage(await findPage(fleet, options, problems))
        write({ what: 'the page', file: join(values.page, 'index.html'), text })
        const look = lookOf(config, { http, env })
        if (there && (look || there.size > 0)) {
          const { publishPointers } = await import('../status/publish-pointers.ts')
          try {
            const published = await publishPointers(fleet, values.page, { ...options, there, look })
            log.line(`wrote ${join(values.page, 'channels')}: ${pointersIn(published)}`)
          } catch (error) {
            report(error)
            ended = 'failed'
          }
        }
      }
      return ended
    })
  },
}

/** How text for people is written to this standard output. */
export async function tableOptionsFor(
  env: Readonly<Record<string, string | undefined>>,
): Promise<TableOptions> {
  const { stdout } = process
  const { default: supportsHyperlinks } = await import('supports-hyperlinks')
  return {
    now: new Date(systemClock.now()),
    width: stdout.isTTY ? stdout.columns : undefined,
    colour: stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb',
    links: supportsHyperlinks.stdout,
  }
}

/** What status needs of the configuration. */
export function lookOptionsOf(
  { channels, github, hydraUrl, stateDirectory, dryRun, cache, reconcile }: Config,
  using: { http: Http; env: Readonly<Record<string, string | undefined>> },
): Omit<LookOptions, 'report' | 'openGitHub' | 'only' | 'database' | 'now'> {
  const [hosts, webUrl] = [expectedHosts(github), webUrlFor(github)]
  return {
    rules: channels,
    hosts,
    webUrl,
    hydraUrl,
    stateDirectory,
    dryRun,
    copies: cache?.unit !== undefined,
    intervalMs: reconcile.interval,
    look: lookOf({ cache }, using),
  }
}

/** Its time begins with its first look. */
function lookOf(
  { cache }: Pick<Config, 'cache'>,
  using: { http: Http; env: Readonly<Record<string, string | undefined>> },
): LookOptions['look'] {
  const client = cache && findCacheClient(cache, using)
  return client && createLook(cache, client)
}

async function readPointersIn(folder: string) {
  const { readPointers } = await import('../status/publish-pointers.ts')
  return readPointers(folder)
}

function summaryOf({ channels }: FleetStatus): string {
  const troubles = channels.filter(({ reason }) => isTroubling(reason)).length
  return `${count(channels.length, 'channel')}, ${troubles} in trouble`
}

function pointersIn({ pointers, withPath }: Published): string {
  return `${count(pointers, 'pointer')}, ${withPath} with a store path`
}

interface Content {
  /** `the metrics` */
  what: string
  file: string
  text: string
}

/** Other users read it: node_exporter's, the web server's. */
function writeForAll({ what, file, text }: Content): void {
  try {
    writeAtomically(file, text, 0o644)
  } catch (error) {
    throw new OperatorError(`cannot write ${what} ${file}: ${messageOf(error)}`, {
      hint: 'its folder must exist and be writable for this user: the file is replaced as a whole',
      cause: error,
    })
  }
}
