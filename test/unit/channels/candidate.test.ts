// What Hydra's database says of a job, judged: the commit of its channel, or why there is none.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OperatorError, UsageError } from '../../../src/base/errors.ts'
import {
  ambiguous,
  type Candidate,
  checkBuild,
  type EvalFacts,
  type JobFacts,
  type JobName,
  judgeCandidate,
} from '../../../src/channels/candidate.ts'
import type { BuildFinished } from '../../../src/hydra/event.ts'

const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'
const NEWER = '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d'

const JOB: JobName = { project: 'dotfiles', jobset: 'main', job: 'nixos-nas.x86_64-linux' }

/** Trouble, not wrong usage: status 1. */
function refusal(work: () => unknown): OperatorError {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof OperatorError && !(error instanceof UsageError), String(error))
    return error
  }
  throw new Error('nothing was refused')
}

describe('the build of the event', () => {
  const EVENT: BuildFinished = {
    event: 'buildFinished',
    build: 4123,
    finished: true,
    buildStatus: 0,
    ...JOB,
    outputs: [],
  }
  const SAME_HYDRA = ['is this the database of the Hydra that runs this hook?']

  test('is of a jobset that was renamed since', () => {
    const { message, hint } = refusal(() => checkBuild(EVENT, { ...JOB, jobset: 'trunk' }, 'trunk'))
    assert.equal(message, 'the jobset dotfiles:main is called dotfiles:trunk now')
    assert.deepEqual(hint, ['put trunk into the rule'])
  })

  test('is the one of the database', () => {
    assert.doesNotThrow(() => checkBuild(EVENT, { ...JOB }))
  })

  test('is unknown', () => {
    const { message, hint } = refusal(() => checkBuild(EVENT, undefined))
    assert.equal(message, "Hydra's database has no build 4123")
    assert.deepEqual(hint, SAME_HYDRA)
  })

  const OTHERS: [other: Partial<JobName>, name: string][] = [
    [{ project: 'other' }, 'other:main:nixos-nas.x86_64-linux'],
    [{ jobset: 'other' }, 'dotfiles:other:nixos-nas.x86_64-linux'],
    [{ job: 'other' }, 'dotfiles:main:other'],
    [{ job: 'Nixos-nas.x86_64-linux' }, 'dotfiles:main:Nixos-nas.x86_64-linux'],
  ]
  for (const [other, name] of OTHERS) {
    test(`is ${name} in the database`, () => {
      const { message, hint } = refusal(() => checkBuild(EVENT, { ...JOB, ...other }))
      assert.equal(
        message,
        `event and database disagree: build 4123 is dotfiles:main:nixos-nas.x86_64-linux in the event, and ${name} in Hydra's database`,
      )
      assert.deepEqual(hint, SAME_HYDRA)
    })
  }
})

describe('the candidate', () => {
  const eval991: EvalFacts = { id: 991, flake: `github:alice/dotfiles/${SHA}?narHash=sha256-a/b%3D` }
  const eval993: EvalFacts = { id: 993, flake: `github:alice/dotfiles/${NEWER}` }
  const FACTS: JobFacts = {
    jobsetType: 'flake',
    candidate: { build: 4123, eval: eval991 },
    newestEval: eval991,
  }
  const EXPECTED = { repository: 'alice/dotfiles', hosts: ['github.com'] }
  const CANDIDATE: Candidate = { sha: SHA, build: 4123, eval: 991, newest: undefined }

  const GOOD: {
    what: string
    facts?: Partial<JobFacts>
    flake?: string
    expected?: Partial<typeof EXPECTED>
    candidate?: Partial<Candidate> | undefined
  }[] = [
    { what: 'is in the newest eval, which has to be asked nothing', candidate: {} },
    {
      what: 'is in an older eval, whose commit must be in the history of the newest',
      facts: { newestEval: eval993 },
      candidate: { newest: { eval: 993, sha: NEWER } },
    },
    {
      what: 'is in an older eval of the same commit',
      facts: { newestEval: { ...eval991, id: 993 } },
      candidate: { newest: { eval: 993, sha: SHA } },
    },
    {
      what: 'is none where the job has no good build',
      facts: { candidate: undefined },
      candidate: undefined,
    },
    {
      what: 'is none where the job has no good build, whatever the newest eval is',
      facts: { candidate: undefined, newestEval: { id: 993, flake: null } },
      candidate: undefined,
    },
    {
      what: 'is of the repository in any spelling',
      flake: `git+https://GitHub.com/Alice/DotFiles.git?ref=refs/heads/main&rev=${SHA.toUpperCase()}`,
      candidate: {},
    },
    {
      what: 'is of an Enterprise Server',
      flake: `github:alice/dotfiles/${SHA}?host=ghe.example.org`,
      expected: { hosts: ['ghe.example.org'] },
      candidate: {},
    },
    ...['github.com-dotfiles', 'ssh.github.com:443', 'GitHub.com'].map(host => ({
      what: `is of GitHub by one of the names that it has here: ${host}`,
      flake: `git+ssh://git@${host}/alice/dotfiles?ref=refs/heads/main&rev=${SHA}`,
      expected: { hosts: ['github.com', 'github.com-dotfiles'] },
      candidate: {},
    })),
  ]
  for (const { what, facts, flake, expected, candidate } of GOOD) {
    test(what, () => {
      const ofEval = flake === undefined ? eval991 : { id: 991, flake }
      const base = { ...FACTS, candidate: { build: 4123, eval: ofEval }, newestEval: ofEval }
      assert.deepEqual(
        judgeCandidate(JOB, { ...base, ...facts }, { ...EXPECTED, ...expected }),
        candidate && { ...CANDIDATE, ...candidate },
      )
    })
  }

  const FLAKE_HINT =
    "the jobset's flake should be github:alice/dotfiles or a git+https or git+ssh URL of that repository"
  const RULE_HINT = 'correct the rule (repository, github.host), or the flake of the jobset'

  const REFUSED: {
    what: string
    facts?: Partial<JobFacts>
    /** of the candidate's eval */
    flake?: string | null
    expected?: Partial<typeof EXPECTED>
    message: string
    hint?: string | string[]
  }[] = [
    {
      what: 'a jobset that is no flake',
      facts: { jobsetType: 'legacy' },
      message: 'the jobset dotfiles:main is no flake, so its evals name no commit',
      hint: 'a channel needs a flake jobset (jobset settings, Type: Flake)',
    },
    {
      what: 'a jobset that is no flake, without a good build',
      facts: { jobsetType: 'legacy', candidate: undefined },
      message: 'the jobset dotfiles:main is no flake, so its evals name no commit',
      hint: 'a channel needs a flake jobset (jobset settings, Type: Flake)',
    },
    {
      what: 'an eval without a flakeref',
      flake: null,
      message: 'eval 991 has no flakeref, so it names no commit',
    },
    {
      what: 'a newest eval without a flakeref',
      facts: { newestEval: { id: 993, flake: null } },
      message: 'eval 993, the newest of dotfiles:main, has no flakeref, so it names no commit',
    },
    {
      what: 'a flakeref that cannot be used, with the user information left out',
      flake: 'git+https://alice:geheim@github.com/alice/dotfiles?ref=main',
      message:
        'the flakeref of eval 991 cannot be used: git+https://github.com/alice/dotfiles?ref=main: it has no rev: a working tree with uncommitted changes was evaluated',
      hint: FLAKE_HINT,
    },
    {
      what: 'a flakeref of the newest eval that cannot be used',
      facts: { newestEval: { id: 993, flake: 'path:/srv/dotfiles' } },
      message:
        'the flakeref of eval 993, the newest of dotfiles:main, cannot be used: path:/srv/dotfiles: “path:” names no commit of a git repository on a forge',
      hint: FLAKE_HINT,
    },
    {
      what: 'another repository, with the user information left out',
      flake: `git+ssh://geheim@github.com/mallory/dotfiles?rev=${SHA}`,
      message: `the flakeref of eval 991 is of another repository: git+ssh://github.com/mallory/dotfiles?rev=${SHA} is not github.com/alice/dotfiles`,
      hint: RULE_HINT,
    },
    {
      what: 'another host',
      flake: `gitlab:alice/dotfiles/${SHA}`,
      message: `the flakeref of eval 991 is of another repository: gitlab:alice/dotfiles/${SHA} is not github.com/alice/dotfiles`,
      hint: RULE_HINT,
    },
    {
      what: 'github.com where an Enterprise Server is expected',
      expected: { hosts: ['ghe.example.org'] },
      message: `the flakeref of eval 991 is of another repository: ${eval991.flake} is not ghe.example.org/alice/dotfiles`,
      hint: RULE_HINT,
    },
    {
      what: 'another host than one of a list',
      flake: `gitlab:alice/dotfiles/${SHA}`,
      expected: { hosts: ['github.com', 'gh-nas'] },
      message: `the flakeref of eval 991 is of another repository: gitlab:alice/dotfiles/${SHA} is not alice/dotfiles on github.com, gh-nas`,
      hint: RULE_HINT,
    },
    ...['gh-nas', 'github.com-dotfiles'].map(alias => ({
      what: `what looks like an alias of ssh: ${alias}`,
      flake: `git+ssh://git@${alias}/alice/dotfiles?rev=${SHA}`,
      message: `the flakeref of eval 991 is of another repository: git+ssh://${alias}/alice/dotfiles?rev=${SHA} is not github.com/alice/dotfiles`,
      hint: [
        `if ${alias} leads to the same GitHub, as an alias in ssh's configuration: set github.host to ["github.com", "${alias}"]`,
        RULE_HINT,
      ],
    })),
    {
      what: 'github.com where only an alias is expected',
      expected: { hosts: ['gh-nas'] },
      message: `the flakeref of eval 991 is of another repository: ${eval991.flake} is not gh-nas/alice/dotfiles`,
      hint: [
        `if github.com leads to the same GitHub, as an alias in ssh's configuration: set github.host to ["gh-nas", "github.com"]`,
        RULE_HINT,
      ],
    },
    {
      what: 'another repository of such an alias',
      flake: `git+ssh://git@gh-nas/mallory/dotfiles?rev=${SHA}`,
      message: `the flakeref of eval 991 is of another repository: git+ssh://gh-nas/mallory/dotfiles?rev=${SHA} is not github.com/alice/dotfiles`,
      hint: RULE_HINT,
    },
    {
      what: 'a group of the same name',
      flake: `github:x%2Falice/dotfiles/${SHA}`,
      message: `the flakeref of eval 991 is of another repository: github:x%2Falice/dotfiles/${SHA} is not github.com/alice/dotfiles`,
      hint: RULE_HINT,
    },
    {
      what: 'a newest eval of another repository',
      facts: { newestEval: { id: 993, flake: `github:mallory/dotfiles/${NEWER}` } },
      message: `the flakeref of eval 993, the newest of dotfiles:main, is of another repository: github:mallory/dotfiles/${NEWER} is not github.com/alice/dotfiles`,
      hint: RULE_HINT,
    },
  ]
  for (const { what, facts, flake, expected, message, hint } of REFUSED) {
    test(`refused: ${what}`, () => {
      const candidate = flake === undefined ? FACTS.candidate : { build: 4123, eval: { id: 991, flake } }
      const error = refusal(() => {
        const judged = judgeCandidate(JOB, { ...FACTS, candidate, ...facts }, { ...EXPECTED, ...expected })
        // if GitHub says so
        if (judged?.otherNames) throw judged.otherNames[0]?.error
      })
      assert.equal(error.message, message)
      assert.deepEqual(error.hint, hint === undefined ? [] : [hint].flat())
    })
  }
})

test('another name of the repository is kept with the candidate: it may be what it was called once', () => {
  const facts = (of: string, newest: string): JobFacts => ({
    jobsetType: 'flake',
    candidate: { build: 4123, eval: { id: 991, flake: `github:${of}/${SHA}` } },
    newestEval: { id: 993, flake: `github:${newest}/${NEWER}` },
  })
  const namesOf = (of: string, newest: string) =>
    judgeCandidate(JOB, facts(of, newest), {
      repository: 'alice/dotfiles',
      hosts: ['github.com'],
    })?.otherNames?.map(each => each.repository)
  assert.equal(namesOf('alice/dotfiles', 'Alice/Dotfiles'), undefined)
  assert.deepEqual(namesOf('alice/old', 'alice/dotfiles'), ['alice/old'])
  assert.deepEqual(namesOf('alice/dotfiles', 'alice/new'), ['alice/new'])
  assert.deepEqual(namesOf('alice/old', 'alice/new'), ['alice/old', 'alice/new'])
})

test('several jobs of a channel are refused, by their names and with the ways out', () => {
  const { message, hint } = ambiguous([JOB, { ...JOB, job: 'nixos-nas.aarch64-linux' }])
  assert.equal(
    message,
    `ambiguous: 2 jobs lead to this channel: dotfiles:main:nixos-nas.aarch64-linux, dotfiles:main:nixos-nas.x86_64-linux`,
  )
  assert.deepEqual(hint, [
    'a channel follows one job: put {system} (or another group) into the branch, make job narrower, or let one aggregate job stand for all of them',
    'if that gives the branch another name, the old one stays where it is, and so do the hosts that follow it: let them follow the new one',
  ])
})
