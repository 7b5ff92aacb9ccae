// Everything that GitHub may answer instead of moving a branch: what the command says, and how it ends.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { evaluate, NAS, statusOf, WEB } from '../helpers/status.ts'

interface Case {
  what: string
  /** changes GitHub, or the arguments; `c1 - c2` is main, and the channel is at c1 */
  given: (stage: Stage, commits: { c1: string; c2: string }) => unknown
  args?: (commits: { c1: string; c2: string }) => string[]
  status: 0 | 1
  /** the lines after the first, which says as whom GitHub is asked; API and SHA1, SHA2 stand for the real ones */
  says: (string | RegExp)[]
  /** where the channel is afterwards */
  ends?: 'c1' | 'c2' | 'missing'
}

const LATER = 'the next run tries again'

const TOO_MUCH = {
  kind: 'status',
  status: 500,
  body: { message: 'Server Error: Sorry, this diff is taking too long to generate.' },
  times: Number.POSITIVE_INFINITY,
} as const

const TABLE: Case[] = [
  {
    what: 'the App is not installed',
    given: ({ repository }) => {
      repository.installed = false
    },
    status: 1,
    says: [
      'alice/dotfiles tested: cannot be moved: the GitHub App is not installed on this repository, or there is no such repository',
      /^install it at https:\/\/github\.com\/apps\/[\w-]+\/installations\/new$/,
    ],
  },
  {
    what: 'the installation is suspended',
    given: ({ repository }) => {
      repository.suspended = true
    },
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: the installation of the GitHub App is suspended since \d{4}-\d\d-\d\dT/,
      'the owner of the repository can unsuspend it: Settings, Applications, Installed GitHub Apps',
    ],
  },
  {
    what: 'the App may only read',
    given: ({ repository }) => {
      repository.permissions = { contents: 'read', metadata: 'read' }
    },
    status: 1,
    says: [
      'alice/dotfiles tested: cannot be moved: the GitHub App lacks the permission contents: write',
      'give the App contents: write (App settings, Permissions), then accept it in the installation',
    ],
  },
  {
    what: 'the commit has workflows that no branch has, and the App may not write those',
    given: async ({ repository }, { c1 }) => {
      repository.permissions = { contents: 'write', metadata: 'read' }
      const files = { '.github/workflows/ci.yml': 'on: push\n' }
      await repository.setBranch('main', await repository.commit({ parents: [c1], files }))
      return repository.branch('main').then(async main => {
        // main goes on without that workflow, so that it is on no tip
        await repository.setBranch(
          'main',
          await repository.commit({
            parents: [main ?? ''],
            files: { '.github/workflows/ci.yml': 'on: pull_request\n' },
          }),
        )
        return [main]
      })
    },
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: GitHub refuses the write: the commit has files in \.github\/workflows that no branch has, and the App lacks the permission workflows: write \(PATCH /,
      'give the App workflows: write (App settings, Permissions), then accept it in the installation',
    ],
  },
  {
    what: 'a ruleset forbids it',
    given: ({ repository }) => repository.protect('tested', 'Changes must be made through a pull request.'),
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: a rule of the repository forbids it: Changes must be made through a pull request\. \(PATCH API\/repos\/alice\/dotfiles\/git\/refs\/heads%2Ftested\)$/,
      'let the App bypass the ruleset or branch protection, or let the rule leave this branch out',
    ],
  },
  {
    what: 'the commit is unknown',
    given: () => ['0123456789012345678901234567890123456789'],
    status: 1,
    says: [
      'alice/dotfiles tested: cannot be moved: GitHub has no commit 0123456789012345678901234567890123456789 in this repository',
      'Hydra may have fetched it from another repository, or it was removed since: was it pushed there?',
    ],
  },
  {
    what: 'the commit is unknown and the branch missing',
    given: async ({ repository }) => {
      await repository.deleteBranch('tested')
      return ['0123456789012345678901234567890123456789']
    },
    status: 1,
    ends: 'missing',
    says: [
      /^alice\/dotfiles tested: cannot be moved: GitHub has no (such )?commit/,
      'Hydra may have fetched it from another repository, or it was removed since: was it pushed there?',
    ],
  },
  {
    what: 'the repository is empty',
    given: async ({ repository }) => {
      await repository.deleteBranch('tested')
      await repository.deleteBranch('main')
    },
    status: 1,
    ends: 'missing',
    says: [
      /^alice\/dotfiles tested: cannot be moved: the repository is empty \(GET /,
      'push a first commit to it',
    ],
  },
  {
    what: 'the repository is archived',
    given: ({ repository }) => {
      repository.archived = true
    },
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: the repository is archived, so it is read-only/,
      'unarchive it in its settings, or remove its rule',
    ],
  },
  {
    what: 'the repository was renamed',
    given: ({ repository }) => repository.rename('alice/nix-config'),
    status: 0,
    ends: 'c2',
    says: [
      'alice/dotfiles is called alice/nix-config now, and GitHub redirects: write the new name in the configuration and the jobset',
      'alice/dotfiles tested: fast-forwarded SHA1..SHA2 (1 commit)',
    ],
  },
  {
    what: 'a branch is in the way as a folder',
    given: async ({ repository }, { c1 }) => {
      await repository.deleteBranch('tested')
      await repository.setBranch('tested/a', c1)
    },
    status: 1,
    ends: 'missing',
    says: [
      'alice/dotfiles tested: cannot be moved: the branch tested/a is in the way: git cannot have both tested/a and tested',
      'choose another name for the channel (branch in its rule): hosts may follow the branch that is in the way',
    ],
  },
  {
    what: 'a rate limit that ends after the deadline',
    given: ({ github }) =>
      github.fault({
        kind: 'status',
        status: 403,
        method: 'PATCH',
        body: { message: 'API rate limit exceeded for installation ID 1.' },
        headers: {
          'x-ratelimit-remaining': '0',
          'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + 1800),
        },
      }),
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: GitHub's rate limit is reached \(API rate limit exceeded for installation ID 1\.\): it asks to wait \d+ s, longer than the time left$/,
      LATER,
    ],
  },
  {
    what: 'a secondary limit that ends before the deadline',
    given: ({ github }) =>
      github.fault({
        kind: 'status',
        status: 429,
        method: 'PATCH',
        body: { message: 'You have exceeded a secondary rate limit.' },
        headers: { 'retry-after': '1' },
      }),
    status: 0,
    ends: 'c2',
    says: ['alice/dotfiles tested: fast-forwarded SHA1..SHA2 (1 commit)'],
  },
  {
    what: 'the key is of another App',
    given: ({ directory }) => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      writeFileSync(join(directory, 'app.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    },
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: GitHub refuses the App's key: A JSON web token could not be decoded \(GET /,
      /^check that App id and key belong to the same App/,
    ],
  },
  {
    what: 'unrelated histories',
    given: async ({ repository }) => [await repository.commit({ parents: [] })],
    status: 1,
    says: [
      /^alice\/dotfiles tested: diverged, not moved: it is at SHA1, the candidate is [0-9a-f]{7}$/,
      'it is at SHA1',
      /^the candidate is [0-9a-f]{40}$/,
      'they have no common history',
      /^see https:\/\/github\.com\/alice\/dotfiles\/compare\//,
      /^to give up what only the channel has: gh api -X PATCH repos\/alice\/dotfiles\/git\/refs\/heads\/tested -f sha=[0-9a-f]{40} -F force=true$/,
    ],
  },
  {
    what: 'the answer to the PATCH is lost after its effect',
    given: ({ github }) => github.fault({ kind: 'drop', when: 'after', method: 'PATCH' }),
    status: 0,
    ends: 'c2',
    says: ["alice/dotfiles tested: fast-forwarded SHA1..SHA2 (1 commit) (GitHub's answer was lost)"],
  },
  {
    what: 'the answer to the POST is lost after its effect',
    given: async ({ github, repository }) => {
      await repository.deleteBranch('tested')
      github.fault({ kind: 'drop', when: 'after', method: 'POST', path: '/git/refs' })
    },
    status: 0,
    ends: 'c2',
    says: ["alice/dotfiles tested: created at SHA2 (GitHub's answer was lost)"],
  },
  {
    what: 'the comparison is too much for REST',
    given: ({ github }) => github.fault({ ...TOO_MUCH, path: '/compare/' }),
    status: 0,
    ends: 'c2',
    says: ['alice/dotfiles tested: fast-forwarded SHA1..SHA2 (1 commit)'],
  },
  {
    what: 'the comparison is too much for REST, and the App may not ask GraphQL',
    given: ({ github }) => {
      github.fault({ ...TOO_MUCH, path: '/compare/' })
      github.fault({ kind: 'status', status: 403, path: '/graphql', times: Number.POSITIVE_INFINITY })
    },
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: GitHub cannot compare the two commits: Server Error: Sorry, this diff is taking too long to generate\. \(GET API\/repos\/alice\/dotfiles\/compare\/\S+\)$/,
      LATER,
      /^if it lasts, .* git push origin COMMIT:refs\/heads\/CHANNEL, which only goes forward; COMMIT must be one between the two that Hydra has built$/,
    ],
  },
  {
    what: 'GitHub is down until the deadline',
    given: ({ github, config }) => {
      // one retry begins after a second, and the next one would be beyond it
      config.github.deadlineSeconds = 5
      github.fault({ kind: 'status', status: 503, times: Number.POSITIVE_INFINITY })
    },
    status: 1,
    says: [
      /^alice\/dotfiles tested: cannot be moved: GitHub answered 503.* \(GET API\/repos\/alice\/dotfiles\/installation\)$/,
      LATER,
      'https://www.githubstatus.com says how GitHub is',
    ],
  },
]

for (const { what, given, status, says, ends = 'c1' } of TABLE) {
  test(`${what}: exit ${status}`, { concurrency: true }, async t => {
    const stage = await stageFor(t)
    const [c1 = '', c2 = ''] = await stage.repository.history(2)
    await stage.repository.setBranch('main', c2)
    await stage.repository.setBranch('tested', c1)
    const other = await given(stage, { c1, c2 })
    const commit = Array.isArray(other) ? String(other[0]) : c2

    const result = await stage.command('channel-update', ['alice', 'dotfiles', 'tested', commit])
    const lines = result.log
      .trimEnd()
      .split('\n')
      .slice(1)
      .map(text => text.replaceAll(stage.github.apiUrl, 'API'))
    for (const line of lines) assert.match(line, /^alice\/dotfiles (?:tested: |is called )/, result.log)
    for (const [index, expected] of says.entries()) {
      // each line has the channel's name, which the table has once
      const isNamed = /^\^?alice/.test(typeof expected === 'string' ? expected : expected.source)
      const line = lines[index]?.replace(isNamed ? '' : 'alice/dotfiles tested: ', '') ?? ''
      if (typeof expected === 'string') {
        const full = expected
          .replace('SHA1', line.includes(c1) ? c1 : c1.slice(0, 7))
          .replace('SHA2', c2.slice(0, 7))
        assert.equal(line, full, result.log)
      } else assert.match(line.replace(c1.slice(0, 7), 'SHA1'), expected, result.log)
    }
    assert.equal(lines.length, says.length, result.log)
    assert.equal(result.status, status)
    assert.equal(await stage.repository.branch('tested'), { c1, c2, missing: undefined }[ends])
  })
}

// main: c1 - c2 - c3     evals of c1 and c2, and the channels at c1
describe('a comparison that is too much for REST makes no channel unknown to status', () => {
  const FOLLOWED = [
    { what: 'a branch', flakeOf: () => 'github:alice/dotfiles', reasons: ['not-evaluated', 2, 1] },
    {
      what: 'a rev',
      flakeOf: (c3: string) => `github:alice/dotfiles/${c3}`,
      reasons: ['not-evaluated', 2, 1],
    },
  ]
  for (const { what, flakeOf, reasons } of FOLLOWED) {
    test(`the jobset follows ${what}`, async t => {
      const stage = await stageFor(t)
      const [c1 = '', c2 = '', c3 = ''] = await stage.repository.history(3)
      for (const sha of [c1, c2]) await evaluate(stage, sha, { nas: 0, web: 0 })
      await stage.repository.setBranches({ main: c3, [NAS]: c1, [WEB]: c1 })
      await stage.hydra.sql`update jobsets set flake = ${flakeOf(c3)}`
      stage.github.fault({ ...TOO_MUCH, path: '/compare/' })
      const { channels } = await statusOf(stage)
      assert.deepEqual(
        channels.map(({ reason, behindBranch, behindCandidate }) => [reason, behindBranch, behindCandidate]),
        [reasons, reasons],
      )
    })
  }
})
