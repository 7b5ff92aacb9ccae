// Rules that change, over random histories: the real reconcile and status, on Hydra's real schema in PostgreSQL and the test
// GitHub. No channel that a reconcile has known disappears from status while its branch exists, nothing is said of branches
// of another Hydra that are ignored or that no rule could make, and no message suggests deleting a branch.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { Deadline } from '../../src/base/deadline.ts'
import { OperatorError } from '../../src/base/errors.ts'
import type { Http } from '../../src/base/http.ts'
import { lookOptionsOf } from '../../src/commands/status.ts'
import { type Config, parseConfig } from '../../src/config.ts'
import { openRepository } from '../../src/github/repository.ts'
import { findConnection } from '../../src/hydra/connection.ts'
import { openDatabase } from '../../src/hydra/database.ts'
import { reconcile } from '../../src/reconcile.ts'
import { readStamp, writeChannels, writeStamp } from '../../src/state/last-reconcile.ts'
import { findStatus } from '../../src/status/find-status.ts'
import { SUGGESTS_DELETING } from '../helpers/channel-facts.ts'
import { startGitHub, type TestGitHub } from '../helpers/github/github.ts'
import { MemoryGraph } from '../helpers/github/memory-graph.ts'
import { createHydra, flakeOf } from '../helpers/hydra.ts'
import { seedFor } from '../helpers/seed.ts'

const HISTORIES = Math.ceil(Number(process.env.HYDRA_CHANNELS_TEST_HISTORIES ?? 500) / 10)
const SHA = 'a'.repeat(40)
const TOKEN = 'ghp_rules'

const JOBS = ['nas.x86', 'nas.arm', 'web.x86', 'pi.arm'] as const
const TEMPLATES = [
  'nixos-tested-{host}',
  'nixos-tested-{host}-{system}',
  'channels/{host}',
  '{host}',
  '{system}/{host}',
] as const
/** What another Hydra has in the repository, whose hosts have other names. */
const OTHERS = ['nixos-tested-b-ci', 'channels/b-ci', 'b-ci', 'x86/b-ci', 'other/web'] as const
const IGNORES = [[], ['nixos-tested-b-*', 'channels/b-ci'], ['nixos-tested-*'], ['channels/nas', 'nas']]

interface Rule {
  branch: (typeof TEMPLATES)[number]
  job: string
  ignore: string[]
}

const rule = fc.record({
  branch: fc.constantFrom(...TEMPLATES),
  job: fc.constantFrom('(?<host>.*)\\.(?<system>.*)', '(?<host>.*)\\.(?<system>x86)'),
  ignore: fc.constantFrom(...IGNORES),
})
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ rules: fc.array(rule, { minLength: 1, maxLength: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ jobs: fc.subarray([...JOBS]) }) },
  { weight: 4, arbitrary: fc.record({ run: fc.constantFrom('whole', 'whole', 'some', 'look') }) },
  { weight: 1, arbitrary: fc.record({ deleted: fc.nat(99) }) },
)
type Step = typeof step extends fc.Arbitrary<infer Each> ? Each : never
const steps = fc.array(step, { minLength: 4, maxLength: 14 })

const prefixOf = ({ branch }: Rule) => branch.slice(0, branch.indexOf('{'))
const isIgnored = (rules: readonly Rule[], branch: string) =>
  rules.some(({ ignore }) =>
    ignore.some(name => (name.endsWith('*') ? branch.startsWith(name.slice(0, -1)) : branch === name)),
  )
const madeOf = (rules: readonly Rule[], jobs: readonly string[]) =>
  rules.flatMap(({ branch, job }) =>
    jobs
      .filter(name => new RegExp(`^${job}$`).test(name))
      .map(name => {
        const [host = '', system = ''] = name.split('.')
        return branch.replace('{host}', host).replace('{system}', system)
      }),
  )

test(`${HISTORIES} random histories of rules that change`, async t => {
  const hydra = await createHydra()
  const { sql } = hydra
  const jobset = await hydra.jobset({ project: 'dotfiles', name: 'main', flake: 'github:alice/dotfiles' })
  const database = openDatabase(findConnection(hydra.config, {}))
  const github = await startGitHub()
  github.addToken(TOKEN)
  const directory = mkdtempSync(join(tmpdir(), 'hc-rules-'))
  t.after(async () => {
    await github.close()
    await database.close()
    await hydra.close()
    assert.deepEqual(github.violations, [])
    rmSync(directory, { recursive: true })
  })
  const seed = seedFor(t)
  const seen = new Set<string>()

  let number = 0
  const play = async (script: readonly Step[]) => {
    await sql`delete from jobsetevals`
    await sql`delete from builds`
    const stateDirectory = join(directory, String(++number))
    const graph = new MemoryGraph()
    graph.add({ sha: SHA, parents: [], date: 1_760_000_000 })
    for (const branch of ['main', ...OTHERS]) graph.setBranch(branch, SHA)
    await github.createRepository('alice/dotfiles', { graph })
    let rules: Rule[] = [{ branch: 'nixos-tested-{host}', job: '(?<host>.*)\\.(?<system>.*)', ignore: [] }]
    let jobs: string[] = []
    /** a whole reconcile ended while they existed and had a job */
    const known = new Set<string>()
    const told: string[] = []
    const evaluate = async (names: string[]) => {
      jobs = names
      await hydra.eval({ jobset, flake: flakeOf(SHA), builds: names.map(job => ({ job })) })
    }
    const exists = (branch: string) => graph.branch(branch) !== undefined

    /** What was said must not speak of what is somebody else's. */
    const check = (said: readonly string[]) => {
      for (const line of said) assert.doesNotMatch(line, SUGGESTS_DELETING)
      for (const other of OTHERS) {
        const isPossible = rules.some(each => prefixOf(each) !== '' && other.startsWith(prefixOf(each)))
        const about = said.filter(line => line.split(/[\s:,]+/).includes(other))
        if (!isPossible || isIgnored(rules, other)) assert.deepEqual(about, [])
        for (const line of about) assert.doesNotMatch(line, /gone/)
      }
    }
    const run = async (kind: string) => {
      const made = madeOf(rules, jobs)
      const some = made.slice(0, 1)
      if (kind === 'some' && some.length === 0) return
      const { options, said } = optionsFor(github, stateDirectory, rules)
      const reconciled = await reconcile({
        ...options,
        mode: kind === 'look' ? 'look' : 'move',
        only: kind === 'some' ? some : [],
        database,
        lock: undefined,
        recorded: readStamp(stateDirectory)?.channels ?? [],
        ...(kind === 'whole' && { record: channels => writeChannels(stateDirectory, channels) }),
        progress: () => {},
      })
      if (kind === 'whole') {
        writeStamp(stateDirectory, reconciled, options.log)
        for (const branch of made.filter(exists)) known.add(branch)
      }
      check(said)
    }
    const lookAtStatus = async () => {
      const { options, said } = optionsFor(github, stateDirectory, rules)
      const { channels } = await findStatus({
        ...options,
        ...lookOptionsOf(options.config, options),
        ...{ only: [], database, now: new Date() },
      })
      check([...said, ...channels.map(({ branch, reason, message }) => `${branch}: ${reason}: ${message}`)])
      const made = madeOf(rules, jobs)
      const shown = new Map(channels.map(each => [each.branch, each]))
      for (const branch of known) {
        const isShown = made.includes(branch) || (exists(branch) && !isIgnored(rules, branch))
        if (!isShown) continue
        const found = shown.get(branch)
        assert.ok(found, `status does not show ${branch}`)
        if (!made.includes(branch)) {
          assert.ok(
            ['abandoned', 'job-gone', 'unknown', 'not-evaluated'].includes(found.reason),
            found.reason,
          )
          seen.add(found.reason)
          const isMakeable = rules.some(each => prefixOf(each) !== '' && branch.startsWith(prefixOf(each)))
          if (found.reason === 'abandoned') seen.add(isMakeable ? 'makeable' : 'only recorded')
        }
      }
    }
    try {
      await evaluate([...JOBS])
      for (const step of script) {
        told.push(JSON.stringify(step))
        if ('rules' in step) rules = step.rules
        else if ('jobs' in step) await evaluate(step.jobs)
        else if ('run' in step) await run(step.run)
        else {
          const branch = [...known][step.deleted % Math.max(known.size, 1)]
          if (branch === undefined) continue
          graph.setBranch(branch, undefined)
          known.delete(branch)
        }
        await lookAtStatus()
      }
      for (const other of OTHERS) assert.equal(graph.branch(other), SHA)
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.stack : error}\n${told.join('\n')}`)
    }
  }
  await fc.assert(fc.asyncProperty(steps, play), { seed, numRuns: HISTORIES })
  // else these histories prove less than they seem to
  for (const what of ['abandoned', 'job-gone', 'makeable', 'only recorded']) {
    assert.ok(seen.has(what), `never seen: ${what}`)
  }
})

function configFor(stateDirectory: string, rules: readonly Rule[]): Config {
  const channels = rules.map(each => ({
    ...{ project: 'dotfiles', jobset: 'main', repository: 'alice/dotfiles' },
    ...each,
  }))
  return parseConfig(JSON.stringify({ stateDirectory, channels }), 'the test')
}

function optionsFor(github: TestGitHub, stateDirectory: string, rules: readonly Rule[]) {
  const said: string[] = []
  const api = github.inProcess()
  const http: Http = { fetch: (url, request) => api.fetch(url, request), close: () => {} }
  const deadline = new Deadline(90)
  const repository = openRepository({
    ...{ http, deadline, apiUrl: github.apiUrl, attemptTimeoutMs: 20_000, secondMs: 0 },
    repository: 'alice/dotfiles',
    credentials: { kind: 'token', token: TOKEN, source: 'GITHUB_TOKEN' },
    cacheDirectory: undefined,
  })
  const options = {
    config: configFor(stateDirectory, rules),
    log: { line: (text: string) => void said.push(text) },
    report(error: unknown) {
      if (!(error instanceof OperatorError)) throw error
      said.push(error.message, ...error.hint)
    },
    env: {},
    http,
    secondMs: 0,
    openGitHub: async () => ({ deadline, repository: () => repository }),
  }
  return { options, said }
}
