// CHANNEL, as somebody types it: which channel it means, and what is wrong with it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OperatorError } from '../../../src/base/errors.ts'
import {
  findMakeableChannel,
  nameChannel,
  parseChannelName,
  selectChannels,
} from '../../../src/channels/channel-name.ts'
import { ruleSchema } from '../../../src/channels/rule.ts'

const rule = (repository: string, branch: string) =>
  ruleSchema.parse({ project: 'p', jobset: 'j', job: 'nixos-(?<host>.*)', repository, branch })

const ruleOfTwo = (repository: string, branch: string) =>
  ruleSchema.parse({
    ...{ project: 'p', jobset: 'j', job: '(?<host>.*)\\.(?<system>.*)' },
    ...{ repository, branch },
  })

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
      hint: ['did you mean alice/dotfiles:web, bob/dotfiles:web, alice/dotfiles:nas?'],
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

describe('a name that is no branch', () => {
  const entry = (branch: string, job: string, repository = 'alice/dotfiles') => ({
    channel: { repository, branch },
    jobs: [{ project: 'p', jobset: 'j', job }],
  })
  const RULES = [rule('alice/dotfiles', 'tested-{host}'), rule('alice/dotfiles', 'vm-{host}-tested')]
  const PAIR = [ruleOfTwo('alice/dotfiles', 'on-{host}-{system}')]
  const ENTRIES = [
    entry('tested-router', 'nixos-router.x86_64-linux'),
    entry('tested-web', 'nixos-web.x86_64-linux'),
    entry('vm-web-tested', 'vm-web.x86_64-linux'),
    entry('vm-mail-tested', 'nixos-router.aarch64-linux'),
    // named like a part of another
    entry('vm-x-tested', 'vm-x'),
    entry('tested-tested-router', 'nixos-tested-router.x86_64-linux'),
  ]
  const CASES: { name: string; is?: string; error?: string; hint?: string }[] = [
    { name: 'router', is: 'alice/dotfiles:tested-router' },
    { name: 'alice/dotfiles:router', is: 'alice/dotfiles:tested-router' },
    { name: 'mail', is: 'alice/dotfiles:vm-mail-tested' },
    { name: 'nixos-web.x86_64-linux', is: 'alice/dotfiles:tested-web' },
    { name: 'p:j:nixos-web.x86_64-linux', is: 'alice/dotfiles:tested-web' },
    { name: 'alice/dotfiles:nixos-web.x86_64-linux', is: 'alice/dotfiles:tested-web' },
    // the branch wins
    { name: 'tested-router', is: 'alice/dotfiles:tested-router' },
    {
      name: 'web',
      error: '“web” fits 2 channels: name one of them',
      hint: 'alice/dotfiles:tested-web, alice/dotfiles:vm-web-tested',
    },
    { name: 'bob/dotfiles:router', error: 'there is no channel bob/dotfiles:router' },
    // what contains it comes before what has fewer other letters
    {
      name: 'route',
      error: 'there is no channel route',
      hint: 'did you mean tested-router, tested-tested-router, vm-mail-tested?',
    },
    {
      name: 'weeb',
      error: 'there is no channel weeb',
      hint: 'did you mean tested-web, vm-web-tested, vm-mail-tested?',
    },
    { name: '', error: 'there is no channel ' },
    { name: 'toString', error: 'there is no channel toString' },
  ]
  for (const { name, is, error, hint } of CASES) {
    test(`“${name}”`, () => {
      const select = () => selectChannels(ENTRIES, [name], RULES).map(({ channel }) => nameChannel(channel))
      if (is !== undefined) assert.deepEqual(select(), [is])
      else assert.throws(select, { message: error, ...(hint !== undefined && { hint: [hint] }) })
    })
  }

  test('the entry of status has its jobs in its plan', () => {
    const [{ channel, jobs } = assert.fail()] = ENTRIES
    const entries = [
      { channel, planned: { jobs } },
      { channel: { ...channel, branch: 'x' }, planned: undefined },
    ]
    assert.deepEqual(selectChannels(entries, ['nixos-router.x86_64-linux']), [entries[0]])
  })

  test('one of several groups', () => {
    const entries = ['on-router-x86', 'on-web-x86', 'on-web-arm'].map(branch => entry(branch, branch))
    const select = (name: string) => selectChannels(entries, [name], PAIR)[0]?.channel.branch
    assert.equal(select('router'), 'on-router-x86')
    assert.equal(select('web-arm'), 'on-web-arm')
    assert.equal(select('arm'), 'on-web-arm')
    assert.throws(() => select('web'), { message: '“web” fits 2 channels: name one of them' })
    assert.throws(() => select('eb'), { message: 'there is no channel eb' })
  })

  test('many fit: the nearest ten are listed', () => {
    const entries = Array.from({ length: 14 }, (_, n) => entry(`on-web-${n}`, `on-web-${n}`))
    const select = () => selectChannels(entries, ['web'], PAIR)
    assert.throws(select, ({ hint }: OperatorError) => {
      assert.match(hint.join('\n'), /^alice\/dotfiles:on-web-0, .*, alice\/dotfiles:on-web-9 and 4 more$/)
      return true
    })
  })
})

describe('a channel that the rules could make', () => {
  const rules = [
    rule('alice/dotfiles', 'tested-{host}'),
    rule('Alice/Dotfiles', '{host}-nas'),
    rule('bob/dotfiles', 'tested-web'),
  ]
  const MADE =
    'the rules make alice/dotfiles:tested-{host}, Alice/Dotfiles:{host}-nas, bob/dotfiles:tested-web'
  const KNOWN = ['alice/dotfiles:tested-router', 'alice/dotfiles:old', 'carol/dotfiles:tested-web'].map(
    name => {
      const { repository = '', branch } = parseChannelName(name)
      return { repository, branch }
    },
  )
  const CASES: { name: string; known?: 'known'; channel?: string; error?: string; hint?: string[] }[] = [
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
      hint: ['did you mean alice/dotfiles:tested-nas?', MADE],
    },
    // any word could be a part of a branch: of what is known only
    {
      name: 'router',
      error: 'no rule makes a channel “router”',
      hint: ['did you mean tested-router, router-nas?', MADE],
    },
    { name: 'router', known: 'known', channel: 'alice/dotfiles:tested-router' },
    { name: 'nixos-router', known: 'known', channel: 'alice/dotfiles:tested-router' },
    { name: 'p:j:nixos-router', known: 'known', channel: 'alice/dotfiles:tested-router' },
    { name: 'old', known: 'known', channel: 'alice/dotfiles:old' },
    { name: 'carol/dotfiles:tested-web', known: 'known', channel: 'carol/dotfiles:tested-web' },
    { name: 'nixos-mail', known: 'known', error: 'no rule makes a channel “nixos-mail”' },
    { name: 'a..b', error: 'CHANNEL “a..b” cannot be used: it contains “..”' },
    { name: 'alice/dotfiles:', error: 'CHANNEL “alice/dotfiles:” cannot be used: it is empty' },
  ]
  for (const { name, known, channel, error, hint } of CASES) {
    test(known ? `${name}, of those that are known` : name, () => {
      const find = () => findMakeableChannel(rules, name, known && KNOWN)
      if (channel) assert.equal(nameChannel(find()), channel)
      else assert.throws(find, { name: 'UsageError', message: error, ...(hint && { hint }) })
    })
  }
})
