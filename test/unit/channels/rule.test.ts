// Rules applied to the names of jobs, and what may stand in a rule.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod/mini'
import {
  isRepository,
  ownerProblem,
  repositoryNameProblem,
  sameRepository,
} from '../../../src/base/repository-name.ts'
import { explainIssues } from '../../../src/base/schema.ts'
import { branchProblem } from '../../../src/channels/branch-name.ts'
import { channelKey } from '../../../src/channels/channel.ts'
import { channelOfJob, isIgnored, type Rule, ruleSchema } from '../../../src/channels/rule.ts'

const RULE = {
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-{host}',
}

const rule = (more: Partial<typeof RULE> = {}): Rule => z.parse(ruleSchema, { ...RULE, ...more })

/** `refRegexS` of Nix, src/libutil/url-parts.hh */
const NIX_REF = /^[a-zA-Z0-9@][a-zA-Z0-9_./@+-]*$/

type Made = ReturnType<typeof channelOfJob>
const channel = (branch: string): Made => ({ kind: 'channel', branch })
const invalid = (why: string): Made => ({ kind: 'invalid', why })
/** the branch that it was until names were refused that Nix does not accept */
const formerly = (branch: string, made: Made): Made => made && { ...made, formerly: branch }

describe('the channel that a rule makes of a job', () => {
  const CASES: { what: string; rule?: Partial<typeof RULE>; job?: string; made: Made }[] = [
    { what: 'the group goes into the branch', made: channel('nixos-tested-nas') },
    { what: 'a job that does not match leads nowhere', job: 'package-x.x86_64-linux', made: undefined },
    { what: 'the beginning is anchored', job: 'x-nixos-nas.x86_64-linux', made: undefined },
    { what: 'the end is anchored', rule: { job: 'nixos-(?<host>nas)' }, made: undefined },
    {
      what: 'every alternative is anchored at its end',
      rule: { job: 'nixos|all', branch: 'x' },
      made: undefined,
    },
    {
      what: 'every alternative is anchored at its beginning',
      rule: { job: 'all|x86_64-linux', branch: 'x' },
      made: undefined,
    },
    { what: 'a line break at the end is part of the name', job: 'nixos-nas.x86_64-linux\n', made: undefined },
    { what: 'small letters are not capitals', job: 'NIXOS-nas.x86_64-linux', made: undefined },
    {
      what: 'two groups',
      rule: { branch: '{host}/{system}' },
      made: channel('nas/x86_64-linux'),
    },
    { what: 'one group twice', rule: { branch: '{host}/{host}' }, made: channel('nas/nas') },
    {
      what: 'no group: one job, one branch',
      rule: { job: 'all', branch: 'tested' },
      job: 'all',
      made: channel('tested'),
    },
    {
      what: 'what means something to String.replace is nothing but text',
      job: "nixos-$&$1$'.x86_64-linux",
      made: formerly(
        "nixos-tested-$&$1$'",
        invalid(
          "“nixos-tested-$&$1$'” is no valid branch name: it contains “$”, which Nix does not accept in a flakeref",
        ),
      ),
    },
    {
      what: 'braces in the name of a job are no group',
      rule: { branch: '{host}-{system}' },
      job: 'nixos-{system}.x',
      made: formerly(
        '{system}-x',
        invalid(
          '“{system}-x” is no valid branch name: it contains “{”, which Nix does not accept in a flakeref',
        ),
      ),
    },
    {
      what: 'a group that is one quoted attribute is what stands between the quotes',
      rule: { job: 'hosts\\.(?<host>.*)' },
      job: 'hosts."web.example.org"',
      made: formerly('nixos-tested-"web.example.org"', channel('nixos-tested-web.example.org')),
    },
    {
      what: 'also beside another group',
      rule: { job: 'hosts\\.(?<host>.*)\\.(?<system>[^.]*)', branch: '{host}/{system}' },
      job: 'hosts."web.example.org".x86_64-linux',
      made: formerly('"web.example.org"/x86_64-linux', channel('web.example.org/x86_64-linux')),
    },
    {
      what: 'a group that is more than one quoted attribute is what it is',
      rule: { job: 'hosts\\.(?<host>.*)' },
      job: 'hosts."web.example.org"."a.b"',
      made: formerly(
        'nixos-tested-"web.example.org"."a.b"',
        invalid(
          '“nixos-tested-"web.example.org"."a.b"” is no valid branch name: it contains “"”, which Nix does not accept in a flakeref',
        ),
      ),
    },
    {
      what: 'nor are half of the quotes, or escaped ones',
      rule: { job: 'hosts\\.(?<host>.*)' },
      job: 'hosts."a\\"b"',
      made: invalid('“nixos-tested-"a\\"b"” is no valid branch name: it contains “\\”'),
    },
    {
      what: 'between the quotes there may be nothing',
      rule: { job: 'hosts\\.(?<host>.*)' },
      job: 'hosts.""',
      made: invalid('the group host of the rule “hosts\\.(?<host>.*)” is empty for this job'),
    },
    {
      what: 'or what git refuses, with and without quotes',
      rule: { job: 'hosts\\.(?<host>.*)' },
      job: 'hosts."a b"',
      made: invalid('“nixos-tested-a b” is no valid branch name: it contains a space'),
    },
    {
      what: 'a name that starts as no ref of a flakeref may',
      rule: { branch: '{host}' },
      job: 'nixos-_nas.x86_64-linux',
      made: formerly(
        '_nas',
        invalid(
          '“_nas” is no valid branch name: it starts with “_”, which Nix does not accept there in a flakeref',
        ),
      ),
    },
    {
      what: 'an empty group is refused',
      job: 'nixos-.x86_64-linux',
      made: invalid(
        'the group host of the rule “nixos-(?<host>[^/]*)\\.(?<system>.*)” is empty for this job',
      ),
    },
    {
      what: 'a group that is absent is refused',
      rule: { job: 'nixos-(?<host>a)?x' },
      job: 'nixos-x',
      made: invalid('the group host of the rule “nixos-(?<host>a)?x” is empty for this job'),
    },
    {
      what: 'a group that is named twice and empty is said once',
      rule: { job: '(?<a>.*),(?<b>.*)', branch: 'x{a}{b}{a}' },
      job: ',',
      made: invalid('the group a, b of the rule “(?<a>.*),(?<b>.*)” is empty for this job'),
    },
    {
      what: 'a name that git refuses is refused',
      job: 'nixos-a..b.x86_64-linux',
      made: invalid('“nixos-tested-a..b” is no valid branch name: it contains “..”'),
    },
    {
      what: 'a job cannot lead out of refs/heads',
      rule: { branch: '{host}', job: '(?<host>.*)' },
      job: 'refs/heads/main',
      made: invalid(
        '“refs/heads/main” is no valid branch name: it starts with “refs/”: a branch is named without that',
      ),
    },
    {
      what: 'a name of 255 characters is looked at',
      rule: { job: '(?<host>a)a*', branch: '{host}' },
      job: 'a'.repeat(255),
      made: channel('a'),
    },
    {
      what: 'a longer one matches no rule',
      rule: { job: '(?<host>a)a*', branch: '{host}' },
      job: 'a'.repeat(256),
      made: undefined,
    },
  ]

  for (const { what, rule: more, job = 'nixos-nas.x86_64-linux', made } of CASES) {
    test(what, () => {
      assert.deepEqual(channelOfJob(rule(more), job), made)
    })
  }

  test('whatever a job is called, the channel is a valid branch, and the same every time', () => {
    const wide = rule({ job: '(?<host>[^.]*)\\.?(?<system>.*)', branch: '{host}/{system}' })
    const plain = ['a', 'b', '7', '.', '/', '-', '_', '@', '+']
    const odd = ['..', '@{', '{host}', '~', ' ', '\n', 'ü', '$&', 'refs', '"', '\\']
    const unit = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...plain) }, fc.constantFrom(...odd))
    const kinds = new Set<string | undefined>()
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 8 }), job => {
        const made = channelOfJob(wide, job)
        if (made?.kind === 'channel') {
          assert.match(made.branch, NIX_REF)
          assert.equal(branchProblem(made.branch), undefined)
        }
        if (made?.formerly !== undefined) assert.doesNotMatch(made.formerly, NIX_REF)
        assert.deepEqual(channelOfJob(wide, job), made)
        kinds.add(made?.kind)
      }),
      { numRuns: 1000 },
    )
    assert.deepEqual(kinds, new Set(['channel', 'invalid', undefined]))
  })
})

describe('a rule that cannot be used says which key, what it holds and what was expected', () => {
  const CASES: { what: string; rule: Record<string, unknown>; problems: string[] }[] = [
    {
      what: 'nothing is there',
      rule: {
        project: undefined,
        jobset: undefined,
        job: undefined,
        repository: undefined,
        branch: undefined,
      },
      problems: [
        'project: missing, expected the name of a project',
        'jobset: missing, expected the name of a jobset',
        'job: missing, expected a regular expression',
        'repository: missing, expected owner/repository',
        'branch: missing, expected a branch such as nixos-tested-{host}',
      ],
    },
    {
      what: 'everything is a number',
      rule: { project: 1, jobset: 2, job: 3, repository: 4, branch: 5 },
      problems: [
        'project: is 1, expected the name of a project',
        'jobset: is 2, expected the name of a jobset',
        'job: is 3, expected a regular expression',
        'repository: is 4, expected owner/repository',
        'branch: is 5, expected a branch such as nixos-tested-{host}',
      ],
    },
    {
      what: 'empty names',
      rule: { project: '', jobset: '' },
      problems: [
        'project: is "", expected the name of a project',
        'jobset: is "", expected the name of a jobset',
      ],
    },
    { what: 'an unknown key', rule: { brnach: 'x' }, problems: ['brnach: unknown key'] },
    ...(
      [
        ['(', 'Unterminated group'],
        ['[', 'Unterminated character class'],
        ['*', 'Nothing to repeat'],
        ['a\\', '\\ at end of pattern'],
        ['(?<1>a)', 'Invalid capture group name'],
        ['(?<a>b)(?<a>c)', 'Duplicate capture group name'],
        ['(?P<host>a)', 'Invalid group'],
        ['a)|(b', "Unmatched ')'"],
        [')(', "Unmatched ')'"],
        ['a)|(?<host>b', "Unmatched ')'"],
        ['a/: b(', 'Unterminated group'],
      ] as const
    ).map(([job, why]) => ({
      what: `the job ${job}`,
      rule: { job },
      problems: [`job: is ${JSON.stringify(job)}, expected a valid JavaScript regular expression (${why})`],
    })),
    ...[
      'dotfiles',
      'alice/',
      '/dotfiles',
      'alice/dotfiles/x',
      'https://github.com/alice/dotfiles',
      'alice/dotfiles.git',
      'al ice/dotfiles',
      'alice/..',
      '',
    ].map(repository => ({
      what: `the repository “${repository}”`,
      rule: { repository },
      problems: [
        `repository: is ${JSON.stringify(repository)}, expected owner/repository, as in alice/dotfiles`,
      ],
    })),
    ...(
      [
        ['', 'a valid branch name (it is empty)'],
        ['refs/heads/{host}', 'a valid branch name (it starts with “refs/”: a branch is named without that)'],
        ['HEAD', 'a valid branch name (git means something else by it)'],
        ['-{host}', 'a valid branch name (it starts with “-”)'],
        ['a b', 'a valid branch name (it contains a space)'],
        [
          'nixos-"tested"-{host}',
          'a valid branch name (it contains “"”, which Nix does not accept in a flakeref)',
        ],
        ['größe-{host}', 'a valid branch name (it contains “ö”, which Nix does not accept in a flakeref)'],
        [
          'nixos-🎉-{host}',
          'a valid branch name (it contains “🎉”, which Nix does not accept in a flakeref)',
        ],
        [
          '_{host}',
          'a valid branch name (it starts with “_”, which Nix does not accept there in a flakeref)',
        ],
        [`nixos-tested-\${host}`, '{host} without “$” before it, which Nix does not accept in a flakeref'],
        [`{host}-$\${system}`, '{system} without “$” before it, which Nix does not accept in a flakeref'],
        ['nixos-$-{host}', 'a valid branch name (it contains “$”, which Nix does not accept in a flakeref)'],
        [`\${hots}`, 'only named groups of job between braces (there are host, system)'],
        ['{host}.lock', 'a valid branch name (its part “x.lock” ends with “.lock”)'],
        ['{hots}', 'only named groups of job between braces (there are host, system)'],
        ['{}', 'only named groups of job between braces (there are host, system)'],
        ['{ host }', 'only named groups of job between braces (there are host, system)'],
        ['{toString}', 'only named groups of job between braces (there are host, system)'],
        ['{host', 'braces only around the name of a group'],
        ['host}', 'braces only around the name of a group'],
        ['{{host}}', 'braces only around the name of a group'],
        ['{host}}', 'braces only around the name of a group'],
      ] as const
    ).map(([branch, expected]) => ({
      what: `the branch “${branch}”`,
      rule: { branch },
      problems: [`branch: is ${JSON.stringify(branch)}, expected ${expected}`],
    })),
    {
      what: 'a job with one group',
      rule: { job: '(?<name>.*)' },
      problems: [
        'branch: is "nixos-tested-{host}", expected only named groups of job between braces (there is name)',
      ],
    },
    {
      what: 'a job without groups',
      rule: { job: 'nixos-(.*)' },
      problems: [
        'branch: is "nixos-tested-{host}", expected only named groups of job between braces (there is none)',
      ],
    },
  ]

  for (const { what, rule: more, problems } of CASES) {
    test(what, () => {
      const result = z.safeParse(ruleSchema, { ...RULE, ...more }, { reportInput: true })
      assert.deepEqual(result.success ? [] : explainIssues(result.error.issues), problems)
    })
  }

  test('a rule that is no object', () => {
    const result = z.safeParse(ruleSchema, 'nixos-tested-nas', { reportInput: true })
    assert.deepEqual(result.success ? [] : explainIssues(result.error.issues), [
      'it is "nixos-tested-nas", expected an object with project, jobset, job, repository and branch',
    ])
  })

  test('the groups of a job are told apart whatever else is in the pattern', () => {
    for (const job of [
      '(?<host>a)|(?<system>b)',
      '[(](?<host>x)\\(?<no>',
      '(?:(?<host>.))*?',
      '(?=(?<host>a)).*',
    ])
      assert.equal(rule({ job, branch: '{host}' }).job, job)
  })
})

describe('names of GitHub', () => {
  const OWNER = 'an owner has letters, digits and “-”, and starts with a letter or a digit'
  const REPOSITORY = 'a repository has letters, digits, “.”, “_” and “-”, at most 100'

  const OWNERS: [owner: string, problem: string | undefined][] = [
    ['alice', undefined],
    ['Alice-2', undefined],
    ['7', undefined],
    ['alice_company', undefined],
    ['a'.repeat(64), undefined],
    ['a'.repeat(65), 'an owner has at most 64 characters'],
    ['', OWNER],
    ['-alice', OWNER],
    ['_alice', OWNER],
    ['al.ice', OWNER],
    ['al ice', OWNER],
    ['al/ice', OWNER],
    ['älice', OWNER],
    ['..', OWNER],
    ['alice\n', OWNER],
  ]
  for (const [owner, problem] of OWNERS) {
    test(`the owner ${JSON.stringify(owner)} ${problem ? 'is refused' : 'is taken'}`, () => {
      assert.equal(ownerProblem(owner), problem)
    })
  }

  const REPOSITORIES: [name: string, problem: string | undefined][] = [
    ['dotfiles', undefined],
    ['.github', undefined],
    ['a.b_c-D', undefined],
    ['-', undefined],
    ['...', undefined],
    ['git', undefined],
    ['a'.repeat(100), undefined],
    ['a'.repeat(101), REPOSITORY],
    ['', REPOSITORY],
    ['.', REPOSITORY],
    ['..', REPOSITORY],
    ['a b', REPOSITORY],
    ['a/b', REPOSITORY],
    ['a%2Fb', REPOSITORY],
    ['dotfiles\n', REPOSITORY],
    ['dotfiles.git', 'a repository is named without “.git”'],
  ]
  for (const [name, problem] of REPOSITORIES) {
    test(`the repository ${JSON.stringify(name)} ${problem ? 'is refused' : 'is taken'}`, () => {
      assert.equal(repositoryNameProblem(name), problem)
    })
  }

  test('a repository has exactly an owner and a name', () => {
    assert.equal(isRepository('alice/dotfiles'), true)
    for (const name of ['', '/', 'alice', 'alice/', '/dotfiles', 'alice/dotfiles/', 'alice//dotfiles'])
      assert.equal(isRepository(name), false, name)
  })

  test('repositories are the same in any spelling, branches are not', () => {
    assert.equal(sameRepository('Alice/Dotfiles', 'alice/dotFiles'), true)
    assert.equal(sameRepository('alice/dotfiles', 'alice/dotfiles2'), false)
    assert.equal(channelKey({ repository: 'Alice/Dotfiles', branch: 'Nas' }), 'alice/dotfiles:Nas')
  })
})

describe('a branch of somebody else', () => {
  const ignoring = (ignore: string[], repository = 'alice/dotfiles') =>
    z.parse(ruleSchema, { ...RULE, repository, ignore })
  const CASES: { what: string; rules: Rule[]; ignored: string[]; ours: string[] }[] = [
    {
      what: 'there is none unless it is named',
      rules: [rule()],
      ignored: [],
      ours: ['web', 'nixos-tested-web'],
    },
    {
      what: 'an exact name',
      rules: [ignoring(['nixos-tested-web'])],
      ignored: ['nixos-tested-web'],
      ours: ['nixos-tested-web2', 'nixos-tested-we', 'Nixos-tested-web', 'x-nixos-tested-web'],
    },
    {
      what: 'what it begins with',
      rules: [ignoring(['nixos-tested-b-*'])],
      ignored: ['nixos-tested-b-web', 'nixos-tested-b-'],
      ours: ['nixos-tested-b', 'nixos-tested-a', 'x-nixos-tested-b-web'],
    },
    {
      what: 'a dot is a dot',
      rules: [ignoring(['a.b', 'c.d*'])],
      ignored: ['a.b', 'c.d', 'c.dx'],
      ours: ['aXb', 'cXd', 'a.bc'],
    },
    { what: 'every branch', rules: [ignoring(['*'])], ignored: ['main', 'x/y'], ours: [] },
    {
      what: 'any rule of the repository may name it, however that spells the repository',
      rules: [rule(), ignoring(['web'], 'Alice/DotFiles'), ignoring(['other'], 'alice/other')],
      ignored: ['web'],
      ours: ['other'],
    },
  ]
  for (const { what, rules, ignored, ours } of CASES) {
    test(what, () => {
      const isNamed = (branch: string) => isIgnored(rules, { repository: 'alice/dotfiles', branch })
      assert.deepEqual(ignored.filter(isNamed), ignored)
      assert.deepEqual(ours.filter(isNamed), [])
    })
  }
})
