// What the rules make of Hydra's jobs, as tables: nothing is asked of anybody.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as z from 'zod/mini'
import { OperatorError } from '../../../src/base/errors.ts'
import { showJob } from '../../../src/channels/candidate.ts'
import { planFleet } from '../../../src/channels/plan.ts'
import { ruleSchema } from '../../../src/channels/rule.ts'
import type { JobFacts } from '../../../src/hydra/queries/candidates.ts'
import type { JobsetFacts } from '../../../src/hydra/queries/jobset-facts.ts'
import { foundJobset } from '../../helpers/found-jobset.ts'

const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
const FLAKE = `github:alice/dotfiles/${SHA}?narHash=sha256-x`
const NAS = 'nixos-nas.x86_64-linux'
const ARM = 'nixos-nas.aarch64-linux'
const WEB = 'nixos-web.x86_64-linux'

const rule = (more: object = {}) =>
  z.parse(ruleSchema, {
    project: 'dotfiles',
    jobset: 'main',
    job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
    repository: 'alice/dotfiles',
    branch: 'nixos-tested-{host}',
    ...more,
  })

const candidate = { build: 7, eval: { id: 9, flake: FLAKE } }
const present = (job: string): JobFacts => ({
  job,
  newest: { build: 7, finished: true, status: 0 },
  candidate,
})
/** good once, and not in the newest build set */
const absent = (job: string, good = candidate): JobFacts => ({ job, newest: undefined, candidate: good })
const goodIn = (evalId: number, build: number) => ({ build, eval: { id: evalId, flake: FLAKE } })

interface JobsetSpec {
  project?: string
  jobset?: string
  jobs?: JobFacts[]
  error?: string
}

function jobset({ project = 'dotfiles', jobset = 'main', jobs = [], error = '' }: JobsetSpec): JobsetFacts {
  return {
    project,
    jobset,
    found: foundJobset({
      newestEval: { id: 9, flake: FLAKE, timestamp: 1_760_000_000, error },
      jobs,
    }),
  }
}

/** `nixos-tested-nas: dotfiles:main:nixos-nas.x86_64-linux`, and what is wrong with it */
function plan(rules: object[], jobsets: JobsetSpec[]): string[] {
  const { channels, problems } = planFleet(rules.map(rule), jobsets.map(jobset), ['github.com'])
  return [
    ...channels.map(({ channel, job, presence, candidate, ignored }) => {
      const of = `${channel.repository === 'alice/dotfiles' ? '' : `${channel.repository}:`}${channel.branch}`
      const how = presence === 'present' ? '' : ` (${presence}${ignored ? ', ignored' : ''})`
      return candidate instanceof OperatorError
        ? `${of}${how}: ${candidate.message}`
        : `${of}${how}: ${showJob(job)}`
    }),
    ...problems.map(({ error }) => error.message),
  ]
}

const nas = `nixos-tested-nas: dotfiles:main:${NAS}`
const web = `nixos-tested-web: dotfiles:main:${WEB}`
const ambiguous = (...jobs: string[]) =>
  `nixos-tested-nas: ambiguous: ${jobs.length} jobs lead to this channel: ${jobs.sort().join(', ')}`

describe('the channels of a fleet', () => {
  const CASES: { what: string; rules?: object[]; jobsets?: JobsetSpec[]; expected: string[] }[] = [
    { what: 'one job, one channel', expected: [nas, web] },
    {
      what: 'two systems of a host are ambiguous, and the other hosts are not',
      jobsets: [{ jobs: [present(NAS), present(ARM), present(WEB)] }],
      expected: [ambiguous(`dotfiles:main:${NAS}`, `dotfiles:main:${ARM}`), web],
    },
    {
      what: 'but not while one of them cannot be evaluated: a name in the text of an error blocks no channel',
      jobsets: [{ jobs: [present(NAS), absent(ARM)], error: `in job ‘${ARM}’:\nerror: no\n` }],
      expected: [nas],
    },
    {
      what: 'nor where everything cannot be evaluated, in whose name ever',
      jobsets: [{ jobs: [present(NAS), absent(ARM)], error: 'at top-level:\nerror: no\n' }],
      expected: [nas],
    },
    {
      what: 'of two that cannot be evaluated, one that was good counts, in whatever order they come',
      jobsets: [
        {
          jobs: [absent(NAS), { job: ARM, newest: undefined, candidate: undefined }],
          error: `in job ‘${ARM}’:\nerror: no\nin job ‘${NAS}’:\nerror: no\n`,
        },
      ],
      expected: [`nixos-tested-nas (evaluation-failed): dotfiles:main:${NAS}`],
    },
    {
      what: 'a name in the text of an error, and nowhere else, blocks no channel',
      jobsets: [{ jobs: [present(NAS)], error: `in job ‘${ARM}’:\nerror: no\n` }],
      expected: [nas],
    },
    {
      what: 'also while the job that was built cannot be evaluated',
      jobsets: [{ jobs: [absent(NAS)], error: `in job ‘${ARM}’:\nerror: no\nin job ‘${NAS}’:\nerror: no\n` }],
      expected: [`nixos-tested-nas (evaluation-failed): dotfiles:main:${NAS}`],
    },
    {
      what: 'but of a host that changed its system it says why it stands still',
      jobsets: [{ jobs: [absent(NAS)], error: `in job ‘${ARM}’:\nerror: no\n` }],
      expected: [`nixos-tested-nas (evaluation-failed): dotfiles:main:${ARM}`],
    },
    {
      what: 'two systems with a branch each',
      rules: [{ branch: 'nixos-tested-{host}-{system}' }],
      jobsets: [{ jobs: [present(NAS), present(ARM)] }],
      expected: [
        `nixos-tested-nas-x86_64-linux: dotfiles:main:${NAS}`,
        `nixos-tested-nas-aarch64-linux: dotfiles:main:${ARM}`,
      ],
    },
    {
      what: 'two rules and one job',
      rules: [{}, { job: 'nixos-nas\\..*', branch: 'nixos-tested-nas' }],
      expected: [nas, web],
    },
    {
      what: 'two rules and two jobs',
      rules: [{}, { job: 'all', branch: 'nixos-tested-nas' }],
      jobsets: [{ jobs: [present(NAS), present('all')] }],
      expected: [ambiguous(`dotfiles:main:${NAS}`, 'dotfiles:main:all')],
    },
    {
      what: 'two jobsets',
      rules: [{}, { jobset: 'staging' }],
      jobsets: [{ jobs: [present(NAS)] }, { jobset: 'staging', jobs: [present(NAS)] }],
      expected: [ambiguous(`dotfiles:main:${NAS}`, `dotfiles:staging:${NAS}`)],
    },
    {
      what: 'the same branch of another repository',
      rules: [{}, { jobset: 'staging', repository: 'alice/other' }],
      jobsets: [{ jobs: [present(NAS)] }, { jobset: 'staging', jobs: [] }],
      expected: [
        nas,
        'the rule for nixos-tested-{host} matches no job of dotfiles:staging: “nixos-(?<host>[^/]*)\\.(?<system>.*)”',
      ],
    },
    {
      what: 'the same repository in another spelling',
      rules: [{}, { jobset: 'staging', repository: 'Alice/DotFiles' }],
      jobsets: [{ jobs: [present(NAS)] }, { jobset: 'staging', jobs: [present(NAS)] }],
      expected: [ambiguous(`dotfiles:main:${NAS}`, `dotfiles:staging:${NAS}`)],
    },
    {
      what: 'a host that changed its system: the job that has gone does not count',
      jobsets: [{ jobs: [absent(ARM), present(NAS)] }],
      expected: [nas],
    },
    {
      what: 'a job that has gone and has no successor keeps its channel',
      jobsets: [{ jobs: [absent(ARM)] }],
      expected: [`nixos-tested-nas (gone): dotfiles:main:${ARM}`],
    },
    {
      what: 'two systems of a host that have gone: the one that was good last counts',
      jobsets: [{ jobs: [absent(NAS, goodIn(8, 70)), absent(ARM, goodIn(9, 80))] }],
      expected: [`nixos-tested-nas (gone): dotfiles:main:${ARM}`],
    },
    {
      what: 'the same, in the other order',
      jobsets: [{ jobs: [absent(ARM, goodIn(9, 80)), absent(NAS, goodIn(8, 70))] }],
      expected: [`nixos-tested-nas (gone): dotfiles:main:${ARM}`],
    },
    {
      what: 'of two that have gone the one with the newer eval counts, although its build did not change for long',
      jobsets: [{ jobs: [absent(NAS, goodIn(5, 80)), absent(ARM, goodIn(9, 70))] }],
      expected: [`nixos-tested-nas (gone): dotfiles:main:${ARM}`],
    },
    {
      what: 'two that have gone beside one that cannot be evaluated: that one counts',
      jobsets: [
        {
          jobs: [absent('nixos-nas.riscv64-linux'), absent(ARM), absent(NAS)],
          error: `in job ‘${NAS}’:\nerror: no\n`,
        },
      ],
      expected: [`nixos-tested-nas (evaluation-failed): dotfiles:main:${NAS}`],
    },
    {
      what: 'a job that cannot be evaluated, and was good once',
      jobsets: [{ jobs: [absent(NAS)], error: `in job ‘${NAS}’:\nerror: no\n` }],
      expected: [`nixos-tested-nas (evaluation-failed): dotfiles:main:${NAS}`],
    },
    {
      what: 'a job that cannot be evaluated, and never was good',
      jobsets: [{ jobs: [present(WEB)], error: `in job ‘${NAS}’:\nerror: no\n` }],
      expected: [web, `nixos-tested-nas (evaluation-failed): dotfiles:main:${NAS}`],
    },
    {
      what: 'a job that has gone, and whose branch is ignored: it is somebody else’s by now',
      rules: [{ ignore: ['nixos-tested-nas'] }],
      jobsets: [{ jobs: [absent(NAS), absent(WEB)] }],
      expected: [
        `nixos-tested-nas (gone, ignored): dotfiles:main:${NAS}`,
        `nixos-tested-web (gone): dotfiles:main:${WEB}`,
      ],
    },
    {
      what: 'jobs that are there, or that cannot be evaluated, have their channels also if those are ignored',
      rules: [{ ignore: ['*'] }],
      jobsets: [{ jobs: [absent(NAS), present(WEB)], error: `in job ‘${NAS}’:\nerror: no\n` }],
      expected: [`nixos-tested-nas (evaluation-failed): dotfiles:main:${NAS}`, web],
    },
    {
      what: 'an error of the whole names no job: one that is not there stays ignored, and the others do not',
      rules: [{ ignore: ['nixos-tested-nas'] }],
      jobsets: [{ jobs: [absent(NAS), absent(WEB)], error: 'at top-level:\nerror: no\n' }],
      expected: [
        `nixos-tested-nas (gone, ignored): dotfiles:main:${NAS}`,
        `nixos-tested-web (evaluation-failed): dotfiles:main:${WEB}`,
      ],
    },
    {
      what: 'beside an error of the whole, one that an error names has its channel, whatever was good last',
      rules: [{ ignore: ['*'] }],
      jobsets: [
        {
          jobs: [absent(ARM, goodIn(9, 80)), absent(NAS, goodIn(8, 70))],
          error: `at top-level:\nerror: no\nin job ‘${NAS}’:\nerror: no\n`,
        },
      ],
      expected: [`nixos-tested-nas (evaluation-failed): dotfiles:main:${NAS}`],
    },
    {
      what: 'an error of what many names begin with names none of them',
      rules: [{ job: 'hosts\\.(?<host>[^.]*)\\..*', ignore: ['*'] }],
      jobsets: [{ jobs: [absent('hosts.nas.x')], error: 'in job ‘hosts’:\nerror: no\n' }],
      expected: ['nixos-tested-nas (gone, ignored): dotfiles:main:hosts.nas.x'],
    },
    {
      what: 'a job of which no branch can be made',
      rules: [{ job: 'nixos-(?<host>.*?)(?:\\.x86_64-linux)?' }],
      jobsets: [{ jobs: [present('nixos-'), present(NAS)] }],
      expected: [
        nas,
        'dotfiles:main:nixos-: cannot name a channel in alice/dotfiles: the group host of the rule “nixos-(?<host>.*?)(?:\\.x86_64-linux)?” is empty for this job',
      ],
    },
    {
      what: 'a quoted attribute and one without quotes, which would be the same host',
      rules: [{ job: 'hosts\\.(?<host>.*)' }],
      jobsets: [{ jobs: [present('hosts.nas'), present('hosts."nas"')] }],
      expected: [ambiguous('dotfiles:main:hosts.nas', 'dotfiles:main:hosts."nas"')],
    },
    {
      what: 'a job with a name that Nix does not accept',
      jobsets: [{ jobs: [present('nixos-$nas.x86_64-linux'), present(NAS)] }],
      expected: [
        nas,
        'dotfiles:main:nixos-$nas.x86_64-linux: cannot name a channel in alice/dotfiles: “nixos-tested-$nas” is no valid branch name: it contains “$”, which Nix does not accept in a flakeref',
      ],
    },
    {
      what: 'and which is gone: Hydra remembers it, and that is no trouble',
      jobsets: [{ jobs: [absent('nixos-$nas.x86_64-linux'), present(NAS)] }],
      expected: [nas],
    },
    {
      what: 'a jobset that is not there',
      rules: [{ jobset: 'nothing' }, {}],
      expected: [nas, web, 'Hydra has no jobset dotfiles:nothing, which a rule names'],
    },
  ]
  for (const { what, rules = [{}], jobsets = [{ jobs: [present(NAS), present(WEB)] }], expected } of CASES) {
    test(what, () => assert.deepEqual(plan(rules, jobsets), expected))
  }
})

test('a problem is said of its own rule', () => {
  const rules = [rule({ jobset: 'nothing' }), rule(), rule({ job: 'iso', branch: 'iso' })]
  const { problems } = planFleet(rules, [jobset({ jobs: [present(NAS)] })], ['github.com'])
  assert.deepEqual(
    problems.map(({ rule: its }) => rules.indexOf(its)),
    [0, 2],
  )
})

test('of a rule that has trouble with many jobs, ten are named and the others counted', () => {
  const jobs = Array.from({ length: 5_000 }, (_, n) => present(`nixos-a b${n}.x86_64-linux`))
  const said = plan([{}], [{ jobs }])
  assert.equal(said.length, 11)
  assert.match(
    said[0] ?? '',
    /^dotfiles:main:nixos-a b0\.x86_64-linux: cannot name a channel in alice\/dotfiles: /,
  )
  assert.equal(
    said[10],
    'the rule for nixos-tested-{host} has such trouble with 4990 more jobs of dotfiles:main',
  )
  const refs = plan(
    [{}, { ref: 'main' }],
    [{ jobs: jobs.map((_, n) => present(`nixos-h${n}.x86_64-linux`)) }],
  )
  assert.equal(refs.filter(line => /: two rules make it,/.test(line)).length, 10)
})
