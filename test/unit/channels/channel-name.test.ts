// CHANNEL, as somebody types it: which channel it means, and what is wrong with it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  findMakeableChannel,
  nameChannel,
  parseChannelName,
  selectChannels,
} from '../../../src/channels/channel-name.ts'
import { ruleSchema } from '../../../src/channels/rule.ts'

const rule = (repository: string, branch: string) =>
  ruleSchema.parse({ project: 'p', jobset: 'j', job: 'nixos-(?<host>.*)', repository, branch })

describe('a name', () => {
  for (const [name, repository, branch] of [
    ['nixos-tested-nas', undefined, 'nixos-tested-nas'],
    ['alice/dotfiles:nixos-tested-nas', 'alice/dotfiles', 'nixos-tested-nas'],
    ['alice/dotfiles:a:b', 'alice/dotfiles', 'a:b'],
    [':x', '', 'x'],
    ['', undefined, ''],
  ] as const) {
    test(`“${name}”`, () => assert.deepEqual(parseChannelName(name), { repository, branch }))
  }
})

describe('the channels that are selected', () => {
  const entries = ['alice/dotfiles:nas', 'alice/dotfiles:web', 'bob/dotfiles:web'].map(name => {
    const { repository = '', branch } = parseChannelName(name)
    return { channel: { repository, branch } }
  })
  const CASES: { names: string[]; selected?: string[]; error?: string; hint?: string[] }[] = [
    { names: [], selected: ['alice/dotfiles:nas', 'alice/dotfiles:web', 'bob/dotfiles:web'] },
    { names: ['nas'], selected: ['alice/dotfiles:nas'] },
    { names: ['Bob/Dotfiles:web'], selected: ['bob/dotfiles:web'] },
    { names: ['nas', 'alice/dotfiles:nas'], selected: ['alice/dotfiles:nas'] },
    {
      names: ['web'],
      error: 'web is a channel in 2 repositories',
      hint: ['alice/dotfiles:web', 'bob/dotfiles:web'],
    },
    { names: ['nas', 'nan'], error: 'there is no channel nan', hint: ['did you mean nas, web?'] },
    {
      names: ['carol/dotfiles:web'],
      error: 'there is no channel carol/dotfiles:web',
      hint: ['did you mean web, nas?'],
    },
    { names: ['NAS'], error: 'there is no channel NAS', hint: ['did you mean nas, web?'] },
  ]
  for (const { names, selected, error, hint } of CASES) {
    test(names.join(' ') || 'no name', () => {
      const select = () => selectChannels(entries, names).map(({ channel }) => nameChannel(channel))
      if (selected) assert.deepEqual(select(), selected)
      else assert.throws(select, { name: 'UsageError', message: error, ...(hint && { hint }) })
    })
  }

  test('there is none at all', () => {
    assert.throws(() => selectChannels([], ['nas']), { hint: ['the rules make no channel at all'] })
  })
})

describe('a channel that the rules could make', () => {
  const rules = [
    rule('alice/dotfiles', 'tested-{host}'),
    rule('Alice/Dotfiles', '{host}-nas'),
    rule('bob/dotfiles', 'tested-web'),
  ]
  const CASES: { name: string; channel?: string; error?: string; hint?: string[] }[] = [
    { name: 'tested-nas', channel: 'alice/dotfiles:tested-nas' },
    { name: 'x-nas', channel: 'Alice/Dotfiles:x-nas' },
    { name: 'BOB/dotfiles:tested-web', channel: 'bob/dotfiles:tested-web' },
    {
      name: 'tested-web',
      error: 'tested-web is a channel in 2 repositories',
      hint: ['alice/dotfiles:tested-web', 'bob/dotfiles:tested-web'],
    },
    {
      name: 'bob/dotfiles:tested-nas',
      error: 'no rule makes a channel “bob/dotfiles:tested-nas”',
      hint: ['alice/dotfiles:tested-{host}', 'Alice/Dotfiles:{host}-nas', 'bob/dotfiles:tested-web'],
    },
    { name: 'a..b', error: 'CHANNEL “a..b” cannot be used: it contains “..”' },
    { name: 'alice/dotfiles:', error: 'CHANNEL “alice/dotfiles:” cannot be used: it is empty' },
  ]
  for (const { name, channel, error, hint } of CASES) {
    test(name, () => {
      if (channel) assert.equal(nameChannel(findMakeableChannel(rules, name)), channel)
      else {
        const expected = { name: 'UsageError', message: error, ...(hint && { hint }) }
        assert.throws(() => findMakeableChannel(rules, name), expected)
      }
    })
  }
})
