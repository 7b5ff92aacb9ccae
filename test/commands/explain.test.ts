// `hydra-channels explain`, as a person and a script meet it: one channel, and all that stands between it and a build.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ChannelExplanation } from '../../src/status/find-explanation.ts'
import type { Gate } from '../../src/status/gates.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import {
  channel,
  evaluate,
  hold,
  job,
  loseDatabase,
  loseGitHub,
  NAS,
  requestsOf,
  WEB,
} from '../helpers/status.ts'

const short = (sha: string) => sha.slice(0, 7)
const MARKS = { open: '✓', shut: '✗', unknown: '–' } as const
const marksOf = (gates: Gate[], side: 'candidate' | 'newestEval') =>
  gates.map(gate => MARKS[gate[side].state]).join('')

const run = (stage: Stage, ...args: string[]) =>
  stage.command('hydra-channels', ['explain', ...args], { streams: 'apart' })

async function explained(stage: Stage, name: string): Promise<ChannelExplanation & { marks: string[] }> {
  const { status, stdout, stderr } = await run(stage, name, '--json')
  assert.equal(status, 0, stderr)
  const found: ChannelExplanation = JSON.parse(stdout)
  return { ...found, marks: [marksOf(found.gates, 'candidate'), marksOf(found.gates, 'newestEval')] }
}

/**
 *     main: c1 - c2 - c3 - c4     evals of all; nas is good at c1 only, web everywhere; both at c1
 */
async function failing(t: TestContext): Promise<{ stage: Stage; commits: string[] }> {
  const stage = await stageFor(t)
  stage.config.stateDirectory = join(stage.directory, 'state')
  stage.config.hydraUrl = 'https://hydra.example.org'
  const [c1 = ''] = await stage.repository.history(1)
  const commits = [c1]
  for (const [index, message] of ['nas: nftables', 'nas: kernel', 'web: nginx'].entries()) {
    commits.push(await stage.repository.commit({ parents: [commits[index] ?? ''], message }))
  }
  for (const [index, sha] of commits.entries()) {
    await evaluate(stage, sha, { nas: [0, 1, 2, 1][index] ?? 0, web: 0 })
  }
  await stage.repository.setBranches({ main: commits[3] ?? '', [NAS]: c1, [WEB]: c1 })
  return { stage, commits }
}

test('a channel whose job fails, as text', async t => {
  const { stage, commits } = await failing(t)
  const [c1 = '', c2 = '', c3 = '', c4 = ''] = commits.map(short)
  const { status, stdout, stderr } = await run(stage, NAS)
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  const [id] = await stage.hydra.sql<{ id: number }[]>`select max(id)::int as id from jobsetevals`
  const newest = id?.id ?? 0
  const builds = await stage.hydra.sql<
    { id: number }[]
  >`select id from builds where job = ${job('nas')} order by id`
  const [b1, b2, b3, b4] = builds.map(({ id }) => id)
  const hydra = 'https://hydra.example.org'
  const compare = `https://github.com/alice/dotfiles/compare/${commits[0]}...${commits[3]}`
  assert.equal(
    `\n${stdout
      .replace(/\d+ (min|h|days?|years?) ago|just now/g, 'AGO')
      .replace(/for \d+ \w+, since/g, 'for LONG, since')
      .replaceAll(stage.github.apiUrl, 'https://github.com')}`,
    `
alice/dotfiles ${NAS}: build-failed
    failing for LONG, since build ${b2} of commit ${c2} “nas: nftables” by Alice; build ${b4} failed; the channel moves with the next good build ${hydra}/build/${b4}

at            ${c1} “commit 1” by Alice, AGO
candidate     ${c1} “commit 1” by Alice: eval ${newest - 3}, build ${b1}
newest eval   ${newest}, AGO: ${c4} “web: nginx” by Alice

✓ rule          the rule for nixos-tested-{host} leads dotfiles:main:${job('nas')} to it
✓ job           candidate: it is in eval ${newest - 3} ${hydra}/eval/${newest - 3}
✓               newest eval: it is in eval ${newest} ${hydra}/eval/${newest}
✓ evaluation    candidate: eval ${newest - 3} is of ${c1}, AGO ${hydra}/eval/${newest - 3}
✓               newest eval: eval ${newest} is of ${c4}, AGO ${hydra}/eval/${newest}
✓ build         candidate: build ${b1} succeeded ${hydra}/build/${b1}
✗               newest eval: failing for LONG, since build ${b2} of commit ${c2} “nas: nftables” by Alice; build ${b4} failed; the channel moves with the next good build ${hydra}/build/${b4}
– cache         not asked: the configuration has no cache.url
✓ branch        candidate: ${c1} is in the history of main, 3 commits before its tip ${compare}
✓               newest eval: ${c4} is the tip of main
✓ hold          nobody holds it
✓ permission    GitHub names nothing that keeps us from writing to it in alice/dotfiles
✓ fast-forward  candidate: the channel is at ${c1}
✓               newest eval: ${c4} is 3 commits ahead of the channel ${compare}

✓ open, ✗ shut, – not asked or not known

evals after the candidate that did not become it, newest first, without the newest:
  eval ${newest - 1}, AGO, ${c3} “nas: kernel” by Alice: build ${b3} failed because a dependency failed ${hydra}/build/${b3}
  eval ${newest - 2}, AGO, ${c2} “nas: nftables” by Alice: build ${b2} failed ${hydra}/build/${b2}
`,
  )
})

test('the shape that docs/status.md promises', async t => {
  const { stage, commits } = await failing(t)
  const found = await explained(stage, NAS)
  assert.deepEqual(found.marks, ['✓✓✓✓–✓✓✓✓', '✓✓✓✗–✓✓✓✓'])
  assert.deepEqual(
    found.between?.map(({ sha, subject }) => [sha, subject]),
    [
      [commits[2], 'nas: kernel'],
      [commits[1], 'nas: nftables'],
    ],
  )
  assert.match(found.newestEval?.evaluatedAt ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
  const document = readFileSync(new URL('../../docs/status.md', import.meta.url), 'utf8')
  const example = JSON.parse(
    /```json\n(\{\n {2}"generatedAt"[^`]*?"gates".*?)```/s.exec(document)?.[1] ?? '{}',
  )
  const { marks, ...shape } = found
  assert.deepEqual(keysOf(shape), keysOf(example))
})

test('a job that has failed for more evals than are told of', async t => {
  const stage = await stageFor(t)
  stage.config.stateDirectory = join(stage.directory, 'state')
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await evaluate(stage, c1, { nas: 0 })
  for (let at = 0; at < 35; at++) await evaluate(stage, c2, { nas: 1 })
  await stage.repository.setBranches({ main: c2, [NAS]: c1 })
  const found = await explained(stage, NAS)
  assert.deepEqual([found.between?.length, found.moreBetween], [30, true])
  assert.match(found.candidate?.evaluatedAt ?? '', /^\d{4}-/)
})

/** Of everything in it; of a list, those of its first entry. */
function keysOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [keysOf(value[0])]
  if (typeof value !== 'object' || value === null) return null
  const entries: [string, unknown][] = Object.entries(value)
  return Object.fromEntries(entries.map(([key, each]) => [key, keysOf(each)]).sort())
}

test('one channel asks GitHub about itself alone, however large the fleet', async t => {
  const stage = await stageFor(t)
  stage.config.stateDirectory = join(stage.directory, 'state')
  const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
  const hosts = Array.from({ length: 30 }, (_, at) => `h${at}`)
  for (const sha of [c1, c2]) await evaluate(stage, sha, Object.fromEntries(hosts.map(host => [host, 0])))
  const tips = Object.fromEntries(hosts.map(host => [channel(host), c1]))
  await stage.repository.setBranches({ main: c3, ...tips })
  const found = await explained(stage, channel('h7'))
  assert.deepEqual(found.marks, ['✓✓✓✓–✓✓✓✓', '✓✓✗✓–✓✓✓✓'])
  assert.deepEqual(requestsOf(stage, { c2, c3 }), [
    'GET /repos/alice/dotfiles/compare/c2...refs/heads/main',
    'GET /repos/alice/dotfiles/git/matching-refs/heads/nixos-tested-',
    'GET /repos/alice/dotfiles/installation',
    'POST /app/installations/ID/access_tokens',
    // main, the channel, and what the commits are called
    'POST /graphql',
    'POST /graphql',
    'POST /graphql',
  ])
  const asked = stage.github.records.map(({ body }) => JSON.stringify(body ?? '')).join('')
  assert.ok(asked.includes(channel('h7')))
  assert.ok(!asked.includes(channel('h8')))
})

test('up to date, newborn, abandoned, ambiguous, held, and one that there is not', async t => {
  const stage = await stageFor(t)
  const { repository } = stage
  stage.config.stateDirectory = join(stage.directory, 'state')
  const [c1 = '', c2 = ''] = await repository.history(2)
  await evaluate(stage, c1, { nas: 0, web: 0 })
  await stage.hydra.eval({
    jobset: stage.jobset,
    flake: `github:alice/dotfiles/${c2}`,
    builds: [
      ...['nas', 'web', 'two'].map(host => ({ job: job(host) })),
      { job: 'nixos-two.aarch64-linux' },
      { job: job('born'), status: null },
    ],
  })
  await repository.setBranches({ main: c2, [NAS]: c2, [WEB]: c1, [channel('old')]: c1, [channel('two')]: c1 })
  await hold(stage, WEB)
  const cases: Record<string, { reason: string; marks: [string, string] }> = {
    nas: { reason: 'up-to-date', marks: ['✓✓✓✓–✓✓✓✓', '✓✓✓✓–✓✓✓✓'] },
    born: { reason: 'building', marks: ['✓–––––✓✓–', '✓✓✓––✓✓✓✓'] },
    old: { reason: 'abandoned', marks: ['✗–––––✓✓–', '✗–––––✓✓–'] },
    two: { reason: 'ambiguous', marks: ['✗–––––✓✓–', '✗–––––✓✓–'] },
    web: { reason: 'held', marks: ['✓✓✓✓–✓✗✓✓', '✓✓✓✓–✓✗✓✓'] },
  }
  for (const [host, { reason, marks }] of Object.entries(cases)) {
    const found = await explained(stage, channel(host))
    assert.deepEqual([found.reason, ...found.marks], [reason, ...marks], host)
    assert.equal(found.at === null, host === 'born')
  }
  const none = await run(stage, 'nixos-tested-naz')
  assert.equal(none.status, 2)
  assert.match(none.stderr, /^there is no channel nixos-tested-naz\ndid you mean nixos-tested-nas/)
  for (const names of [[], [NAS, WEB]]) {
    const { status, stderr } = await run(stage, ...names)
    assert.deepEqual(
      [status, stderr],
      [2, `expected one CHANNEL, but got ${names.length}\nhydra-channels status lists the channels\n`],
    )
  }
})

test('in the cache, and not there', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await stage.repository.setBranches({ main: c2, [NAS]: c1 })
  const path = '/nix/store/cccccccccccccccccccccccccccccccc-nixos-system-nas'
  await stage.built(c2, { outputs: { out: path } })
  stage.config.cache = { url: stage.cache.url }
  assert.deepEqual((await explained(stage, NAS)).marks, ['✓✓✓✓✗✓✓✓✓', '✓✓✓✓✗✓✓✓✓'])
  stage.cache.paths.add(path)
  assert.deepEqual((await explained(stage, NAS)).marks, ['✓✓✓✓✓✓✓✓✓', '✓✓✓✓✓✓✓✓✓'])
})

test('GitHub is away: what Hydra says is there', async t => {
  const { stage } = await failing(t)
  loseGitHub(stage)
  const found = await explained(stage, NAS)
  assert.equal(found.reason, 'unknown')
  assert.deepEqual(found.marks, ['✓✓✓✓––✓––', '✓✓✓✗––✓––'])
  assert.equal(found.between?.length, 2)
  assert.equal(found.at, null)
})

test('the database is away: what GitHub says is there', async t => {
  const { stage, commits } = await failing(t)
  loseDatabase(stage)
  const found = await explained(stage, NAS)
  assert.equal(found.reason, 'unknown')
  assert.deepEqual(found.marks, ['––––––✓✓–', '––––––✓✓–'])
  assert.equal(found.between, null)
  assert.deepEqual([found.at?.sha, found.at?.subject], [commits[0], 'commit 1'])
})

test('neither can be asked', async t => {
  const { stage } = await failing(t)
  loseDatabase(stage)
  loseGitHub(stage)
  const { status, stderr } = await run(stage, NAS)
  assert.equal(status, 1)
  assert.match(stderr, /^neither Hydra nor GitHub could be asked$/m)
})
