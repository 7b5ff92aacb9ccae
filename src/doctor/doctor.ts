// What has to be in place for a channel to move, looked at piece by piece: what does not depend on each other side by
// side, and what cannot be looked at because something else is missing says so. Nothing is written anywhere.

import { Deadline } from '../base/deadline.ts'
import { OperatorError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import { count } from '../base/log.ts'
import { sameRepository } from '../base/repository-name.ts'
import { channelKey } from '../channels/channel.ts'
import { END_DRY_RUN, NOTHING_MOVES } from '../channels/dry-run.ts'
import { hasOtherNames, resolveNames } from '../channels/other-name.ts'
import type { PlannedChannel } from '../channels/plan.ts'
import { type Config, readConfig } from '../config.ts'
import { checkCache, checkCachePath } from './cache.ts'
import {
  type Answer,
  after,
  both,
  CHECK_NAMES,
  type Check,
  type Checked,
  check,
  type Note,
  notChecked,
} from './check.ts'
import { checkGitHub, type OpenedRepository } from './github.ts'
import { notesOnGitHub } from './github-offline.ts'
import { checkHydra, type Fleet } from './hydra.ts'
import { checkCacheUnit, checkPolkit } from './machine.ts'
import { checkRules } from './rules.ts'
import { checkHolds, checkKick, checkReconcile } from './state.ts'

export type { Check } from './check.ts'

/** Somebody waits for the answer: a GitHub that is away is not asked again and again. */
const MAX_GITHUB_SECONDS = 30

export interface DoctorOptions {
  configFile: string
  /** `offline` looks at the file alone */
  mode: 'offline' | 'online'
  env: Readonly<Record<string, string | undefined>>
  /** the user that this runs as; undefined on a system without user ids */
  uid: number | undefined
  now: number
  http: Http
  /** each check as soon as it and all before it are made */
  onCheck: (check: Check) => void
  /** those that were not made, all for the same reason */
  onUnchecked: (checks: readonly Check[]) => void
}

export async function examine(options: DoctorOptions): Promise<Check[]> {
  const { configFile, mode, env, onCheck, onUnchecked } = options
  const configuration = check('configuration', () => checkConfiguration(configFile, mode, env))
  const rules = after('rules', configuration, config => checkRules(config.channels, mode))
  const config = (await configuration).found
  if (!config) {
    const { found: _, ...first } = await configuration
    onCheck(first)
    const unchecked = await Promise.all(notMade(configuration, mode))
    onUnchecked(unchecked)
    return [first, ...unchecked]
  }
  const online = mode === 'offline' ? undefined : checkOnline(config, options)
  const made: Check[] = []
  try {
    for (const each of [configuration, rules, ...(online?.checks ?? [])]) {
      const { name, result, message, hint } = await each
      made.push({ name, result, message, hint })
      onCheck({ name, result, message, hint })
    }
    return made
  } finally {
    await online?.close()
  }
}

interface Online {
  checks: Promise<Check>[]
  close(): Promise<void>
}

/** What the file alone tells. */
function checkConfiguration(
  file: string,
  mode: DoctorOptions['mode'],
  env: DoctorOptions['env'],
): Answer<Config> {
  const config = readConfig(file)
  const rules = config.channels.length
  const notes: Note[] = [
    ...(rules === 0 ? [{ words: 'no channel ever moves', hint: 'write some (docs/configuration.md)' }] : []),
    ...(config.dryRun ? [{ words: NOTHING_MOVES, hint: END_DRY_RUN }] : []),
    // online, the checks of GitHub say more
    ...(mode === 'offline' ? notesOnGitHub(config.github, env) : []),
  ]
  const has = rules === 0 ? `${file} has no rules (channels)` : `${file} has ${count(rules, 'rule')}`
  return {
    result: notes.length > 0 ? 'note' : 'ok',
    message: [has, ...notes.map(({ words }) => words)].join('; '),
    hint: notes.map(({ hint }) => hint),
    found: config,
  }
}

/** Without a configuration there is nothing to ask, and nobody. */
function notMade(configuration: Promise<Checked<Config>>, mode: DoctorOptions['mode']): Promise<Check>[] {
  const names = mode === 'offline' ? (['rules'] as const) : CHECK_NAMES.slice(1)
  return names.map(async name => {
    const { found: _, ...made } = await after(name, configuration, () =>
      notChecked('it needs a configuration'),
    )
    return made
  })
}

function checkOnline(config: Config, { env, uid, http, now }: DoctorOptions): Online {
  const { deadlineSeconds } = config.github
  const deadline = new Deadline(Math.min(deadlineSeconds, MAX_GITHUB_SECONDS))
  const github = checkGitHub({ config, env, http, deadline })
  const resolve = async (planned: PlannedChannel) => {
    if (!hasOtherNames(planned)) return planned
    const found = (await Promise.all(github.repositories)).flatMap(each => each.found ?? [])
    const opened = found.find(({ name }) => sameRepository(name, planned.channel.repository))
    return opened ? resolveNames(planned, opened.repository) : planned
  }
  const hydra = checkHydra({ config, env, resolve })
  const machine = { config, env, uid }
  const cache = check('cache', () => checkCache(config, { http, env }))
  return {
    checks: [
      ...github.checks,
      ...hydra.checks,
      ...github.repositories.map(repository =>
        after('default-branch', both(hydra.fleet, repository), ([fleet, opened]) =>
          checkDefaultBranch(fleet, opened),
        ),
      ),
      check('cache-unit', () => checkCacheUnit(machine)),
      check('polkit', () => checkPolkit(machine)),
      cache,
      after('cache-path', both(cache, hydra.fleet), async ([cache, fleet]) => {
        const opened = await Promise.all(github.repositories)
        const repositories = opened.flatMap(({ found }) => found ?? [])
        return checkCachePath({ cache, fleet, repositories })
      }),
      check('reconcile', () => checkReconcile(config, now)),
      check('holds', () => checkHolds(config, now)),
      check('kick', () => checkKick(config, now)),
    ],
    close: () => hydra.close(),
  }
}

function checkDefaultBranch({ channels }: Fleet, { name, facts }: OpenedRepository): Answer<never> {
  const { defaultBranch } = facts
  const key = channelKey({ repository: name, branch: defaultBranch })
  if (!channels.some(({ channel }) => channelKey(channel) === key)) {
    return { message: `${name}: no channel is the default branch, ${defaultBranch}` }
  }
  throw new OperatorError(
    `${name}: a rule makes a channel of ${defaultBranch}, the default branch: it never moves`,
    { hint: 'give the channel another name in the rule (branch), or make its job leave this one out' },
  )
}
