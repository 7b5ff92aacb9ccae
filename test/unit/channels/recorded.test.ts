// The channels that earlier reconciles knew: which of them are still there, and what the next one has to know.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as z from 'zod/mini'
import { NotInstalledError, OperatorError, PermissionError } from '../../../src/base/errors.ts'
import { listTips, strayBranches } from '../../../src/channels/branches.ts'
import { type Plan, planFleet, prefixesOf } from '../../../src/channels/plan.ts'
import { findRecorded, knownChannels, type Recorded } from '../../../src/channels/recorded.ts'
import { ruleSchema } from '../../../src/channels/rule.ts'
import { foundJobset } from '../../helpers/found-jobset.ts'

const SHA = 'a'.repeat(40)
const AWAY = new OperatorError('GitHub could not be asked')
const NOT_INSTALLED = new NotInstalledError('the GitHub App is not installed on this repository')
const REFUSED = new PermissionError("GitHub refuses the App's key")

const rule = (more: object = {}) =>
  z.parse(ruleSchema, {
    ...{ project: 'dotfiles', jobset: 'main', repository: 'alice/dotfiles' },
    ...{ job: 'nixos-(?<host>[^/]*)\\.(?<system>.*)', branch: 'nixos-{host}' },
    ...more,
  })

/** `alice/dotfiles:old-nas` of a rule whose branches began with `old-` */
function recordedAt(names: readonly string[]): Recorded[] {
  return names.map(name => {
    const [repository = '', branch = ''] = name.split(':')
    return { repository, branch, prefix: `${branch.split('-')[0]}-` }
  })
}

interface World {
  rules?: object[]
  /** jobs of the newest eval */
  jobs?: string[]
  /** jobs that were good once, and are not there any more */
  gone?: string[]
  /** by repository */
  branches: Record<string, string[] | Error | 'too-many'>
  /** what too many branches are asked for by their names */
  byName?: string[]
  /** by old name, the new one */
  renamed?: Record<string, string>
  recorded: string[]
}

/** What status shows without a job, and what is recorded next. */
async function look(world: World): Promise<{ strays: string[]; known: string[] }> {
  const rules = (world.rules ?? [{}]).map(rule)
  const asked = (name: string) => {
    const listed = world.branches[name.toLowerCase()] ?? []
    return {
      async listBranches(prefix: string) {
        if (listed instanceof Error) throw listed
        if (listed === 'too-many') return listed
        return new Map(listed.filter(branch => branch.startsWith(prefix)).map(branch => [branch, SHA]))
      },
      findBranch: async (branch: string) => (world.byName?.includes(branch) ? SHA : undefined),
      async findNewName() {
        if (listed instanceof Error) throw listed
        return world.renamed?.[name.toLowerCase()]
      },
    }
  }
  const before = recordedAt(world.recorded)
  const candidate = { build: 7, eval: { id: 9, flake: `github:alice/dotfiles/${SHA}` } }
  const found = foundJobset({
    newestEval: { id: 9, flake: `github:alice/dotfiles/${SHA}`, timestamp: 1_760_000_000, error: '' },
    jobs: [
      ...(world.jobs ?? []).map(job => ({ job, newest: { build: 7, finished: true, status: 0 }, candidate })),
      ...(world.gone ?? []).map(job => ({ job, newest: undefined, candidate })),
    ],
  })
  const jobsets = ['main', 'other'].map(jobset => ({ project: 'dotfiles', jobset, found }))
  const plan: Plan = planFleet(rules, jobsets, ['github.com'])
  const tips = await listTips({ repository: asked }, prefixesOf(rules, before))
  const recorded = await findRecorded(before, { tips, rules, repository: asked })
  const show = ({ repository, branch }: { repository: string; branch: string }) => `${repository}:${branch}`
  return {
    strays: strayBranches(plan, tips, rules, recorded).map(
      ({ channel, tip }) => `${show(channel)}${tip instanceof Error ? `: ${tip.message}` : ''}`,
    ),
    known: (await knownChannels(plan, { tips, rules, recorded })).map(
      channel => `${show(channel)} (${channel.prefix})`,
    ),
  }
}

const NAS = 'nixos-nas.x86_64-linux'
const A = (branch: string) => `alice/dotfiles:${branch}`

describe('what earlier reconciles knew', () => {
  const CASES: { what: string; world: World; strays: string[]; known: string[] }[] = [
    {
      what: 'the first one: nothing is known, and each channel is recorded, with a branch or without',
      world: {
        jobs: [NAS, 'nixos-web.x86_64-linux'],
        branches: { 'alice/dotfiles': ['nixos-nas'] },
        recorded: [],
      },
      strays: [],
      known: [`${A('nixos-nas')} (nixos-)`, `${A('nixos-web')} (nixos-)`],
    },
    {
      what: 'a job that is gone counts while its branch is there',
      world: {
        jobs: [NAS],
        gone: ['nixos-web.x86_64-linux', 'nixos-old.x86_64-linux'],
        branches: { 'alice/dotfiles': ['nixos-nas', 'nixos-web'] },
        recorded: [],
      },
      strays: [],
      known: [`${A('nixos-nas')} (nixos-)`, `${A('nixos-web')} (nixos-)`],
    },
    {
      what: 'the template has changed: what it made before is still known, and found by what that began with',
      world: {
        jobs: [NAS],
        branches: { 'alice/dotfiles': ['nixos-nas', 'old-nas', 'old-web'] },
        recorded: [A('old-nas')],
      },
      strays: [A('old-nas')],
      known: [`${A('old-nas')} (old-)`, `${A('nixos-nas')} (nixos-)`],
    },
    {
      what: 'a branch that is not there any more is forgotten',
      world: { jobs: [NAS], branches: { 'alice/dotfiles': [] }, recorded: [A('old-nas'), A('nixos-web')] },
      strays: [],
      known: [`${A('nixos-nas')} (nixos-)`],
    },
    {
      what: 'the template is as before again',
      world: { jobs: [NAS], branches: { 'alice/dotfiles': ['nixos-nas'] }, recorded: [A('nixos-nas')] },
      strays: [],
      known: [`${A('nixos-nas')} (nixos-)`],
    },
    {
      what: 'GitHub does not answer: the branch may be there',
      world: { branches: { 'alice/dotfiles': AWAY }, recorded: [A('old-nas')] },
      strays: [`${A('old-nas')}: ${AWAY.message}`],
      known: [`${A('old-nas')} (old-)`],
    },
    {
      what: 'the App may not see the repository, which a rule names: that passes, or is to be mended',
      world: { branches: { 'alice/dotfiles': NOT_INSTALLED }, recorded: [A('old-nas')] },
      strays: [`${A('old-nas')}: ${NOT_INSTALLED.message}`],
      known: [`${A('old-nas')} (old-)`],
    },
    {
      what: 'no rule names the repository, which the App still sees',
      world: { branches: { 'alice/other': ['old-nas'] }, recorded: ['alice/other:old-nas'] },
      strays: ['alice/other:old-nas'],
      known: ['alice/other:old-nas (old-)'],
    },
    {
      what: 'no rule names the repository, and GitHub does not answer',
      world: { branches: { 'alice/other': AWAY }, recorded: ['alice/other:old-nas'] },
      strays: [`alice/other:old-nas: ${AWAY.message}`],
      known: ['alice/other:old-nas (old-)'],
    },
    {
      what: 'no rule names the repository, and GitHub refuses the key or the installation: that may pass',
      world: { branches: { 'alice/other': REFUSED }, recorded: ['alice/other:old-nas'] },
      strays: [`alice/other:old-nas: ${REFUSED.message}`],
      known: ['alice/other:old-nas (old-)'],
    },
    {
      what: 'no rule names the repository, and the App is not installed there any more: it is forgotten',
      world: { branches: { 'alice/other': NOT_INSTALLED }, recorded: ['alice/other:old-nas'] },
      strays: [`alice/other:old-nas: ${NOT_INSTALLED.message}`],
      known: [],
    },
    {
      what: 'too many branches: each recorded one is asked for by its name',
      world: {
        branches: { 'alice/dotfiles': 'too-many' },
        byName: ['old-nas'],
        recorded: [A('old-nas'), A('old-web')],
      },
      strays: [A('old-nas')],
      known: [`${A('old-nas')} (old-)`],
    },
    {
      what: 'an ignored one is not shown, and not forgotten, so that it comes back',
      world: {
        rules: [{ ignore: ['old-*'] }],
        branches: { 'alice/dotfiles': ['old-nas'] },
        recorded: [A('old-nas')],
      },
      strays: [],
      known: [`${A('old-nas')} (old-)`],
    },
    {
      what: 'the repository was renamed, and its rule with it: its channels are no others',
      world: {
        rules: [{ repository: 'alice/nixos' }],
        jobs: [NAS],
        branches: {
          'alice/dotfiles': ['nixos-nas', 'nixos-old'],
          'alice/nixos': ['nixos-nas', 'nixos-old'],
        },
        renamed: { 'alice/dotfiles': 'Alice/NixOS' },
        recorded: [A('nixos-nas'), A('nixos-old')],
      },
      strays: ['alice/nixos:nixos-old'],
      known: ['alice/nixos:nixos-nas (nixos-)', 'alice/nixos:nixos-old (nixos-)'],
    },
    {
      what: 'the rule has the old name of a repository whose new name was recorded',
      world: {
        jobs: [NAS],
        branches: { 'alice/dotfiles': ['nixos-nas'], 'alice/nixos': ['nixos-nas'] },
        renamed: { 'alice/dotfiles': 'alice/nixos' },
        recorded: ['alice/nixos:nixos-nas'],
      },
      strays: [],
      known: [`${A('nixos-nas')} (nixos-)`],
    },
    {
      what: 'a branch whose name Nix does not accept is known while it is there, by its job or without',
      world: {
        jobs: ['nixos-"a.b".x', 'nixos-"c.d".x'],
        branches: { 'alice/dotfiles': ['nixos-"a.b"', 'nixos-"e.f"'] },
        recorded: [A('nixos-"e.f"'), A('nixos-"g.h"')],
      },
      strays: [A('nixos-"e.f"'), A('nixos-"a.b"')],
      known: ['nixos-"e.f"', 'nixos-"a.b"', 'nixos-a.b', 'nixos-c.d'].map(each => `${A(each)} (nixos-)`),
    },
    {
      what: 'too many branches: one whose name Nix does not accept is asked for by its name',
      world: {
        jobs: ['nixos-"a.b".x'],
        branches: { 'alice/dotfiles': 'too-many' },
        byName: ['nixos-"a.b"'],
        recorded: [A('nixos-"a.b"')],
      },
      strays: [A('nixos-"a.b"')],
      known: [`${A('nixos-"a.b"')} (nixos-)`, `${A('nixos-a.b')} (nixos-)`],
    },
    {
      what: 'one whose name Nix does not accept, and that is ignored, is not shown',
      world: {
        rules: [{ ignore: ['nixos-"a.b"'] }],
        jobs: ['nixos-"a.b".x'],
        branches: { 'alice/dotfiles': ['nixos-"a.b"'] },
        recorded: [],
      },
      strays: [],
      known: [`${A('nixos-"a.b"')} (nixos-)`, `${A('nixos-a.b')} (nixos-)`],
    },
    {
      what: 'another spelling of the repository is no other',
      world: {
        jobs: [NAS],
        branches: { 'alice/dotfiles': ['nixos-nas'] },
        recorded: ['Alice/DotFiles:nixos-nas'],
      },
      strays: [],
      known: [`${A('nixos-nas')} (nixos-)`],
    },
  ]
  for (const { what, world, strays, known } of CASES) {
    test(what, async () => assert.deepEqual(await look(world), { strays, known }))
  }
})

describe('an empty prefix', () => {
  const CASES: { what: string; rules: object[]; recorded: string[]; strays: string[] }[] = [
    { what: 'makes no branch a channel', rules: [{ branch: '{host}' }], recorded: [], strays: [] },
    {
      what: 'leaves those that were recorded',
      rules: [{ branch: '{host}' }],
      recorded: [A('old-nas')],
      strays: [A('old-nas')],
    },
    {
      what: 'beside a rule with a prefix: what that one could make, and what was recorded',
      rules: [{ branch: '{host}' }, { branch: 'nixos-{host}', jobset: 'other' }],
      recorded: [A('old-nas')],
      strays: [A('old-nas'), A('nixos-old')],
    },
    {
      what: 'beside a rule without a group: the branch of that one',
      rules: [{ branch: '{host}' }, { branch: 'old', job: 'iso' }],
      recorded: [],
      strays: [A('old')],
    },
  ]
  for (const { what, rules, recorded, strays } of CASES) {
    test(what, async () => {
      const branches = { 'alice/dotfiles': ['main', 'feature', 'nixos-old', 'old', 'old-nas', 'old-web'] }
      const found = await look({ rules, jobs: ['nixos-x.y'], branches, recorded })
      assert.deepEqual(found.strays, strays)
    })
  }
})

test('a recorded channel of a rule that is in trouble has that trouble, also if the rule has no prefix', async () => {
  const rules = [rule({ branch: '{host}', jobset: 'nothing' })]
  const plan = planFleet(rules, [], ['github.com'])
  const recorded = [{ channel: { repository: 'alice/dotfiles', branch: 'nas' }, tip: SHA }]
  assert.deepEqual(
    strayBranches(plan, new Map(), rules, recorded).map(({ ruleTrouble }) => ruleTrouble?.message),
    ['Hydra has no jobset dotfiles:nothing, which a rule names'],
  )
})
