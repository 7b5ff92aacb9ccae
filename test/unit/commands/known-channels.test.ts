// Which channel is held or released, by what Hydra and GitHub say, or by the rules alone.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LATER, OperatorError, UsageError } from '../../../src/base/errors.ts'
import { nameChannel, parseChannelName } from '../../../src/channels/channel-name.ts'
import { ruleSchema } from '../../../src/channels/rule.ts'
import { findNamedChannel, refuseUnknown } from '../../../src/commands/known-channels.ts'

const rule = (branch: string, repository = 'alice/dotfiles') =>
  ruleSchema.parse({ project: 'p', jobset: 'j', job: 'nixos-(?<host>.*)', repository, branch })

const channel = (name: string) => {
  const { repository = 'alice/dotfiles', branch } = parseChannelName(name)
  return { repository, branch }
}

const AWAY = new OperatorError('it is away', { hint: ['is it running?', 'the next run tries again'] })

interface Case {
  what: string
  name: string
  /** branches of channels that each knows */
  hydra?: string[] | 'away' | 'silent'
  github?: string[] | 'away' | 'silent'
  /** GitHub did not tell all */
  trouble?: OperatorError
  recorded?: string[]
  held?: string[]
  rules?: ReturnType<typeof rule>[]
  is?: string
  known?: 'known' | 'unknown' | { unasked: string[] }
  /** default: asked */
  gitHubIs?: 'not asked'
  error?: RegExp
}

const UNASKED = { unasked: ['it is away; is it running?'] }

const CASES: Case[] = [
  {
    what: 'Hydra has a job for it',
    name: 'tested-nas',
    hydra: ['tested-nas'],
    is: 'tested-nas',
    gitHubIs: 'not asked',
  },
  { what: 'its part', name: 'nas', hydra: ['tested-nas'], is: 'tested-nas', gitHubIs: 'not asked' },
  { what: 'GitHub has a branch', name: 'tested-nas', github: ['tested-nas'], is: 'tested-nas' },
  { what: 'its part', name: 'nas', github: ['tested-nas'], is: 'tested-nas' },
  {
    what: 'Hydra is away, and GitHub has it',
    name: 'tested-nas',
    hydra: 'away',
    github: ['tested-nas'],
    is: 'tested-nas',
  },
  {
    what: 'GitHub told only some, and has it',
    name: 'tested-nas',
    github: ['tested-nas'],
    trouble: AWAY,
    is: 'tested-nas',
  },
  {
    what: 'it is held already',
    name: 'tested-nas',
    held: ['tested-nas'],
    is: 'tested-nas',
    gitHubIs: 'not asked',
  },
  { what: 'its part', name: 'nas', held: ['tested-nas'], is: 'tested-nas', gitHubIs: 'not asked' },
  { what: 'neither has it', name: 'tested-nas', hydra: ['tested-web'], is: 'tested-nas', known: 'unknown' },
  {
    what: 'neither has it, and an earlier reconcile knew it',
    name: 'tested-nas',
    recorded: ['tested-nas'],
    is: 'tested-nas',
    known: 'unknown',
  },
  { what: 'Hydra is away', name: 'tested-nas', hydra: 'away', is: 'tested-nas', known: UNASKED },
  { what: 'GitHub is away', name: 'tested-nas', github: 'away', is: 'tested-nas', known: UNASKED },
  { what: 'GitHub told only some', name: 'tested-nas', trouble: AWAY, is: 'tested-nas', known: UNASKED },
  {
    what: 'both are silent',
    name: 'tested-nas',
    hydra: 'silent',
    github: 'silent',
    is: 'tested-nas',
    known: {
      unasked: ["Hydra's database did not answer within 0.001 s", 'GitHub did not answer within 0.001 s'],
    },
  },
  {
    what: 'Hydra is away, and the part is of one that an earlier reconcile knew',
    name: 'nas',
    hydra: 'away',
    recorded: ['tested-nas'],
    is: 'tested-nas',
    known: UNASKED,
  },
  {
    what: 'Hydra is away, and any word could be a part',
    name: 'nas',
    hydra: 'away',
    error: /^no rule makes a channel “nas”$/,
  },
  { what: 'no rule makes it', name: 'x', hydra: ['tested-web'], error: /^no rule makes a channel “x”$/ },
  {
    what: 'the part is of one, and the branch of that name is on GitHub',
    name: 'nas',
    rules: [rule('tested-{host}'), rule('{host}')],
    hydra: ['tested-nas'],
    github: ['nas'],
    is: 'nas',
  },
  {
    what: 'the part is of one, and a branch of that name could be made',
    name: 'nas',
    rules: [rule('tested-{host}'), rule('{host}')],
    hydra: ['tested-nas'],
    is: 'tested-nas',
  },
  {
    what: 'two fit',
    name: 'nas',
    rules: [rule('tested-{host}'), rule('vm-{host}')],
    hydra: ['tested-nas', 'vm-nas'],
    error: /^“nas” fits 2 channels/,
  },
  {
    what: 'both have it, in two spellings of the repository',
    name: 'nas',
    hydra: ['tested-web'],
    github: ['Alice/Dotfiles:tested-nas'],
    held: ['alice/dotfiles:tested-nas'],
    is: 'tested-nas',
    gitHubIs: 'not asked',
  },
]

describe('a channel to hold', () => {
  for (const { what, name, is, known = 'known', gitHubIs = 'asked', error, ...given } of CASES) {
    test(`${name}: ${what}`, async () => {
      let asked: Case['gitHubIs'] | 'asked' = 'not asked'
      const answer = (names: string[] | 'away' | 'silent' = []) => {
        if (names === 'away') return Promise.reject(AWAY)
        return names === 'silent' ? new Promise<never>(() => {}) : Promise.resolve(names.map(channel))
      }
      const find = findNamedChannel(name, {
        rules: given.rules ?? [rule('tested-{host}')],
        recorded: (given.recorded ?? []).map(channel),
        held: (given.held ?? []).map(channel),
        limitMs: 1,
        askHydra: async () => (await answer(given.hydra)).map(each => ({ channel: each, jobs: [] })),
        askGitHub: async () => {
          asked = 'asked'
          return { channels: await answer(given.github), trouble: given.trouble }
        },
      })
      if (error) return assert.rejects(find, { name: 'UsageError', message: error })
      const found = await find
      assert.deepEqual(
        [nameChannel(found.channel), found.known, asked],
        [nameChannel(channel(is ?? '')), known, gitHubIs],
      )
    })
  }

  test('a mistake of ours is none of theirs', async () => {
    const find = findNamedChannel('tested-nas', {
      ...{ rules: [rule('tested-{host}')], recorded: [], held: [], limitMs: 1000 },
      askHydra: () => Promise.reject(new TypeError('x is undefined')),
      askGitHub: async () => ({ channels: [], trouble: undefined }),
    })
    await assert.rejects(find, TypeError)
  })

  test('one that neither has is refused, with what may have been meant', async () => {
    const found = await findNamedChannel('tested-nass', {
      ...{ rules: [rule('tested-{host}')], recorded: [], held: [], limitMs: 1000 },
      askHydra: async () => [{ channel: channel('tested-nas') }, { channel: channel('tested-web') }],
      askGitHub: async () => ({ channels: [], trouble: undefined }),
    })
    assert.throws(() => refuseUnknown('tested-nass', found, ['--force']), {
      name: UsageError.name,
      message: 'neither Hydra nor GitHub has a channel “tested-nass”',
      hint: ['did you mean tested-nas, tested-web?', '--force'],
    })
    refuseUnknown('x', { ...found, known: 'known' }, [])
    refuseUnknown('x', { ...found, known: { unasked: [] } }, [])
  })
})

test('where nobody could be asked, a part of a name may be right, and the message says so', async () => {
  const away = async (): Promise<never> => {
    throw new OperatorError('it is away', { hint: ['is it running?', LATER] })
  }
  const options = { askHydra: away, askGitHub: away, recorded: [], held: [], limitMs: 1000 }
  const asked = findNamedChannel('nas', { ...options, rules: [rule('tested-{host}')] })
  await assert.rejects(asked, (error: OperatorError) => {
    assert.ok(error instanceof UsageError)
    assert.equal(error.message, 'no rule makes a channel “nas”')
    assert.deepEqual(error.hint.slice(-3), [
      'it is away; is it running?',
      'it is away; is it running?',
      'so a part of a name may not be known: give the whole name of the branch',
    ])
    return true
  })
})
