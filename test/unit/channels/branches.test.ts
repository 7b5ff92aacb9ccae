// Which branches look like channels that no job leads to: tables, nothing is asked of anybody.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as z from 'zod/mini'
import { lineOfError, OperatorError } from '../../../src/base/errors.ts'
import {
  describeUnlisted,
  findTip,
  listTips,
  possibleChannels,
  strayBranches,
  type Tips,
} from '../../../src/channels/branches.ts'
import { type Plan, planFleet, prefixesOf, prefixKey } from '../../../src/channels/plan.ts'
import { ruleSchema } from '../../../src/channels/rule.ts'
import { foundJobset } from '../../helpers/found-jobset.ts'

const SHA = 'a'.repeat(40)
const notAsked = () => assert.fail('no branch is asked for by its name')

const rule = (more: object = {}) =>
  z.parse(ruleSchema, {
    project: 'dotfiles',
    jobset: 'main',
    job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)',
    repository: 'alice/dotfiles',
    branch: 'nixos-tested-{host}',
    ...more,
  })

/** As GitHub lists them: of each prefix all branches that begin with it. */
function tipsOf(rules: readonly ReturnType<typeof rule>[], branches: string[]): Tips {
  return new Map(
    prefixesOf(rules).map(prefix => [
      prefixKey(prefix),
      {
        prefix,
        branches: new Map(
          branches.filter(branch => branch.startsWith(prefix.prefix)).map(branch => [branch, SHA]),
        ),
        findBranch: notAsked,
      },
    ]),
  )
}

const nothing: Plan = { channels: [], problems: [] }

/** `alice/dotfiles:nixos-tested-old` */
function straysOf(specs: object[], branches: string[], plan: Plan = nothing): string[] {
  const rules = specs.map(rule)
  return strayBranches(plan, tipsOf(rules, branches), rules).map(
    ({ channel: { repository, branch } }) => `${repository}:${branch}`,
  )
}

describe('a stray is a branch that a rule could make', () => {
  const CASES: { what: string; rules: object[]; branches: string[]; expected: string[] }[] = [
    {
      what: 'one with a host',
      rules: [{}],
      branches: ['nixos-tested-old', 'nixos-tested-', 'main'],
      expected: ['nixos-tested-old'],
    },
    {
      what: 'not one that only begins like the name of a rule',
      rules: [{ branch: 'tested' }],
      branches: ['tested', 'tested-my-feature', 'tested/x'],
      expected: ['tested'],
    },
    {
      what: 'not one that ends in another way',
      rules: [{ branch: 'nixos-{host}-tested' }],
      branches: ['nixos-nas-tested', 'nixos-nas-testing', 'nixos--tested', 'nixos-tested'],
      expected: ['nixos-nas-tested'],
    },
    {
      what: 'of two rules with one prefix, one that either could make',
      rules: [{ branch: 'nixos-{host}-a' }, { branch: 'nixos-{host}-b' }],
      branches: ['nixos-x-a', 'nixos-x-b', 'nixos-x-c'],
      expected: ['nixos-x-a', 'nixos-x-b'],
    },
    {
      what: 'one with two groups',
      rules: [{ branch: 'nixos-{host}.{system}' }],
      branches: ['nixos-nas', 'nixos-nas.x86_64-linux', 'nixos-.x', 'nixos-x.'],
      expected: ['nixos-nas.x86_64-linux'],
    },
    {
      what: 'not one that is ignored: it is somebody else’s',
      rules: [{ ignore: ['nixos-tested-web', 'nixos-tested-b-*'] }],
      branches: ['nixos-tested-old', 'nixos-tested-web', 'nixos-tested-b-nas', 'nixos-tested-b'],
      expected: ['nixos-tested-old', 'nixos-tested-b'],
    },
    {
      what: 'not one that another rule of the repository ignores',
      rules: [{}, { jobset: 'b', branch: 'b-{host}', ignore: ['nixos-tested-web'] }],
      branches: ['nixos-tested-old', 'nixos-tested-web'],
      expected: ['nixos-tested-old'],
    },
    {
      what: 'none of a rule without a prefix, of which every branch would be one',
      rules: [{ branch: '{host}' }],
      branches: ['main', 'feature'],
      expected: [],
    },
  ]
  for (const { what, rules, branches, expected } of CASES) {
    test(what, () => {
      assert.deepEqual(
        straysOf(rules, branches),
        expected.map(branch => `alice/dotfiles:${branch}`),
      )
    })
  }
})

test('trouble with a job of a rule is none of its other branches', () => {
  const rules = [rule()]
  const error = new OperatorError('dotfiles:main:nixos- x: cannot name a channel')
  const troubleOf = (of: 'the rule' | 'its jobs') => {
    const plan: Plan = { channels: [], problems: rules.map(each => ({ rule: each, of, error })) }
    return strayBranches(plan, tipsOf(rules, ['nixos-tested-old']), rules).map(stray => stray.ruleTrouble)
  }
  assert.deepEqual([troubleOf('its jobs'), troubleOf('the rule')], [[undefined], [error]])
})

test('two rules of one repository in different spellings: a stray is there once', () => {
  const spelt = { repository: 'Alice/DotFiles' }
  // with the same prefix, which is listed once, and with two that both list it
  for (const other of [
    { ...spelt, jobset: 'staging' },
    { ...spelt, branch: 'nixos-{host}' },
  ]) {
    const strays = straysOf([{}, other], ['nixos-tested-old'])
    assert.deepEqual(
      strays.map(stray => stray.toLowerCase()),
      ['alice/dotfiles:nixos-tested-old'],
    )
  }
})

test('a stray of a rule in trouble is said with that trouble, and the others are not', () => {
  const rules = [rule({ jobset: 'trunk' }), rule({ branch: 'iso-{host}' })]
  const plan = planFleet(
    rules,
    [{ project: 'dotfiles', jobset: 'trunk', found: undefined, renamedTo: 'main' }],
    ['github.com'],
  )
  // the second rule's jobset is not there at all
  const strays = strayBranches(plan, tipsOf(rules, ['nixos-tested-nas', 'iso-x', 'main']), rules)
  assert.deepEqual(
    strays.map(({ channel, ruleTrouble }) => [channel.branch, ruleTrouble?.message]),
    [
      ['nixos-tested-nas', 'the jobset dotfiles:trunk is called dotfiles:main now'],
      ['iso-x', 'Hydra has no jobset dotfiles:main, which a rule names'],
    ],
  )
  const fine = { ...plan, problems: plan.problems.slice(0, 1) }
  const [, iso] = strayBranches(fine, tipsOf(rules, ['nixos-tested-nas', 'iso-x']), rules)
  assert.equal(iso?.ruleTrouble, undefined)
})

describe('a branch with a name that Nix does not accept, which was a channel once', () => {
  const job = { newest: { build: 7, finished: true, status: 0 }, candidate: undefined }
  const QUOTED = 'hosts."web.example.org"'
  const REFUSED = 'hosts.a$b'
  const CASES: {
    what: string
    branch?: string
    job: string
    gone?: true
    stray: string
    expected: RegExp
  }[] = [
    {
      what: 'has a successor without its quotes',
      job: QUOTED,
      stray: 'nixos-tested-"web.example.org"',
      expected:
        /^successor: Nix does not accept its name in a flakeref, so dotfiles:main:hosts\."web\.example\.org" leads to nixos-tested-web\.example\.org now: let the hosts/,
    },
    {
      what: 'or is one that the rule cannot name any more',
      job: REFUSED,
      stray: 'nixos-tested-a$b',
      expected:
        /^trouble: dotfiles:main:hosts\.a\$b: cannot name a channel .*; if there is a branch nixos-tested-a\$b, it is not moved any more$/,
    },
    {
      what: 'also of a rule without a prefix, whose other branches are not looked at',
      branch: '{host}',
      job: QUOTED,
      stray: '"web.example.org"',
      expected: /^successor: .* leads to web\.example\.org now/,
    },
    {
      what: 'and has none if its job is gone',
      job: QUOTED,
      gone: true,
      stray: 'nixos-tested-"web.example.org"',
      expected: /^$/,
    },
  ]
  for (const { what, branch = 'nixos-tested-{host}', job: name, gone, stray, expected } of CASES) {
    test(what, () => {
      const rules = [rule({ job: 'hosts\\.(?<host>.*)', branch })]
      const found = foundJobset({ jobs: [{ ...job, ...(gone && { newest: undefined }), job: name }] })
      const plan = planFleet(rules, [{ project: 'dotfiles', jobset: 'main', found }], ['github.com'])
      const strays = strayBranches(plan, tipsOf(rules, [stray, 'main']), rules)
      assert.deepEqual(
        strays.map(each => each.channel.branch),
        [stray],
      )
      for (const { successor, ruleTrouble } of strays) {
        const said = [
          ...(successor === undefined ? [] : [`successor: ${successor}`]),
          ...(ruleTrouble ? [`trouble: ${lineOfError(ruleTrouble)}`] : []),
        ]
        assert.match(said.join('\n'), expected)
      }
    })
  }
})

test('a prefix that could not be listed has no strays', () => {
  const rules = [rule()]
  const [prefix] = prefixesOf(rules)
  assert.ok(prefix)
  for (const branches of [new OperatorError('away'), 'too-many' as const]) {
    const tips: Tips = new Map([[prefixKey(prefix), { prefix, branches, findBranch: notAsked }]])
    assert.deepEqual(possibleChannels(tips, rules), [])
    assert.equal(describeUnlisted(tips).length, branches === 'too-many' ? 1 : 0)
  }
})

test('a recorded branch that is ignored may have a job, so only a plan says that it is nothing to show', () => {
  const rules = [rule({ ignore: ['nixos-tested-*'] })]
  const [prefix] = prefixesOf(rules)
  assert.ok(prefix)
  const [recorded, other] = ['nixos-tested-a', 'nixos-tested-b'].map(branch => ({
    channel: { repository: 'alice/dotfiles', branch },
    tip: SHA,
  }))
  assert.ok(recorded && other)
  const branches = new Map([recorded, other].map(({ channel, tip }) => [channel.branch, tip]))
  const tips: Tips = new Map([[prefixKey(prefix), { prefix, branches, findBranch: notAsked }]])
  assert.deepEqual(possibleChannels(tips, rules, [recorded]), [recorded])
  assert.deepEqual(strayBranches({ channels: [], problems: [] }, tips, rules, [recorded]), [])
})

test('where there are too many branches to list, each channel is asked for by its name, ten at once', async () => {
  const [prefix] = prefixesOf([rule()])
  assert.ok(prefix)
  let [now, most] = [0, 0]
  const forge = {
    listBranches: async () => 'too-many' as const,
    async findBranch(branch: string) {
      most = Math.max(most, ++now)
      await new Promise(setImmediate)
      now--
      if (branch.endsWith('-7')) throw new OperatorError('away')
      return branch.endsWith('-8') ? undefined : SHA
    },
  }
  const tips = await listTips({ repository: () => forge }, [prefix])
  const hosts = Array.from({ length: 30 }, (_, n) => `nixos-tested-${n}`)
  const found = await Promise.all(
    hosts.map(branch => findTip(tips, { repository: 'alice/dotfiles', branch }, prefix.prefix)),
  )
  assert.deepEqual([found[6], found[7] instanceof OperatorError, found[8], most], [SHA, true, undefined, 10])
})
