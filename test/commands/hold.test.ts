// hold and release as a person types them: which channel is meant, who asked, until when, and what holds all of them.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { ALL, holdFile, listHolds, readHold, writeHold } from '../../src/channels/holds.ts'
import { CHANNEL, type Stage, stageFor } from '../helpers/stage.ts'
import { find, loseDatabase, loseGitHub, statusOf } from '../helpers/status.ts'

const WEB = 'nixos-tested-web'
const ARCH = 'x86_64-linux'

interface Scene {
  stage: Stage
  state: string
  c1: string
  c2: string
  /** newest good build of nas */
  build: number
  /** what a command says; `TIME` and `EXACT` stand for times */
  say(args: string[], env?: Record<string, string>): Promise<{ log: string; status: number | string }>
}

// main: c1 - c2, both channels at c1, and a good build of each host at c2
async function scene(t: TestContext): Promise<Scene> {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await stage.repository.setBranches({ main: c2, [CHANNEL]: c1, [WEB]: c1 })
  await stage.eval(c2, [{ job: `nixos-nas.${ARCH}` }, { job: `nixos-web.${ARCH}` }])
  const [row] = await stage.hydra.sql<{ id: number }[]>`select id from builds where job like 'nixos-nas%'`
  return {
    stage,
    ...{ c1, c2, build: row?.id ?? 0, state: join(stage.directory, 'state') },
    async say(args, env = {}) {
      const given = { HYDRA_CHANNELS_ASKED_BY: 'alice', ...env }
      const { log, status } = await stage.command('hydra-channels', args, { env: given })
      const exact = log.replaceAll(/\(\d{4}-\d\d-\d\dT[\d:]{8}Z\)/g, '(EXACT)')
      return {
        log: exact.replaceAll(/until (?:\w{3} |\d{4}-\d\d-\d\d )?\d\d:\d\d/g, 'until TIME'),
        status,
      }
    },
  }
}

const NAS = `alice/dotfiles ${CHANNEL}`

test('who held it is written down, and said by hold, release and status', async t => {
  const { stage, say, state } = await scene(t)
  assert.deepEqual(await say(['hold', CHANNEL, '--reason', ' kernel ', '--until', '3d']), {
    log: `${NAS}: held by alice until TIME (EXACT): kernel\n`,
    status: 0,
  })
  const { hold, message } = find(await statusOf(stage), CHANNEL)
  assert.deepEqual([hold?.by, hold?.scope, hold?.reason], ['alice', 'channel', 'kernel'])
  assert.match(message ?? '', /^held for 0 min by alice, until .*, because “kernel”: hydra-channels release /)

  const again = await say(['hold', CHANNEL, '--reason', 'disk'], {
    HYDRA_CHANNELS_ASKED_BY: '',
    SUDO_USER: 'bob\u001b[2J',
  })
  assert.equal(
    again.log,
    `the hold before: for 0 min by alice, until TIME, because “kernel”\n${NAS}: held by bob\\u001b[2J until it is released: disk\n`,
  )
  assert.equal(
    (await say(['release', CHANNEL])).log,
    `${NAS}: released; it was held for 0 min by bob\\u001b[2J, until it is released, because “disk”\n`,
  )
  assert.equal((await say(['release', CHANNEL])).log, `${NAS}: was not held\n`)

  await say(['hold', CHANNEL, '--reason', 'x'], { HYDRA_CHANNELS_ASKED_BY: '' })
  assert.match(readHold(state, { repository: 'alice/dotfiles', branch: CHANNEL })?.by ?? '', /^\S+$/)
  // a file of somebody else's
  writeHold(
    state,
    { repository: 'alice/dotfiles', branch: CHANNEL },
    { reason: 'old', since: '2026-01-01T00:00:00Z', until: null },
  )
  assert.equal(find(await statusOf(stage), CHANNEL).hold?.by, null)
  const ended = { reason: 'old', since: '2026-01-01T00:00:00Z', until: '2026-01-02T00:00:00Z' }
  writeHold(state, { repository: 'alice/dotfiles', branch: CHANNEL }, ended)
  assert.match(
    (await say(['release', CHANNEL])).log,
    /nixos-tested-nas: released, but the hold had ended \d+ (days|years?) ago\n$/,
  )
  writeFileSync(holdFile(state, { repository: 'alice/dotfiles', branch: CHANNEL }), '{')
  assert.equal((await say(['release', CHANNEL])).log, `${NAS}: released; the hold could not be read\n`)
})

test('a channel goes by its branch, its job and its part, and reconcile and status know it too', async t => {
  const { stage, say, c2 } = await scene(t)
  const names = [
    CHANNEL,
    `alice/dotfiles:${CHANNEL}`,
    'nas',
    `nixos-nas.${ARCH}`,
    `dotfiles:main:nixos-nas.${ARCH}`,
  ]
  for (const name of names) {
    assert.equal(
      (await say(['hold', name, '--reason', 'x'])).log.split('\n').at(-2),
      `${NAS}: held by alice until it is released: x`,
    )
    assert.match((await say(['release', name])).log, /nixos-tested-nas: released; /)
    const { channels } = await statusOf(stage, name)
    assert.deepEqual(
      channels.map(({ branch }) => branch),
      [CHANNEL],
    )
  }
  const reconciled = await say(['reconcile', 'web'])
  assert.equal(reconciled.status, 0, reconciled.log)
  assert.deepEqual(
    [await stage.repository.branch(WEB), (await stage.repository.branch(CHANNEL)) === c2],
    [c2, false],
  )
})

test('Hydra alone is asked where it has the channel', async t => {
  const { stage, say } = await scene(t)
  stage.github.clearRequests()
  await say(['hold', 'nas', '--reason', 'x'])
  assert.deepEqual(stage.github.requests, [])
})

describe('a channel that there is not', () => {
  test('is refused, with what may have been meant, unless it is to come', async t => {
    const { stage, say, state } = await scene(t)
    for (const [args, log] of [
      [
        ['hold', 'nixos-tested-nass', '--reason', 'x'],
        'neither Hydra nor GitHub has a channel “nixos-tested-nass”\ndid you mean nixos-tested-nas, nixos-tested-web?\n--force holds it all the same, if it is to come\n',
      ],
      [
        ['release', 'nixos-tested-nass'],
        'neither Hydra nor GitHub has a channel “nixos-tested-nass”\ndid you mean nixos-tested-nas, nixos-tested-web?\n',
      ],
      [
        ['hold', 'na', '--reason', 'x'],
        'no rule makes a channel “na”\ndid you mean nixos-tested-nas, nixos-tested-web?\nthe rules make alice/dotfiles:nixos-tested-{host}\n',
      ],
    ] as const) {
      assert.deepEqual(await say([...args]), { log, status: 2 })
    }
    assert.deepEqual(listHolds(state), [])
    const forced = await say(['hold', 'nixos-tested-new', '--reason', 'x', '--force'])
    assert.equal(forced.log, 'alice/dotfiles nixos-tested-new: held by alice until it is released: x\n')
    // it is held, so it is known
    assert.match((await say(['hold', 'new', '--reason', 'y'])).log, /^the hold before: /)
    stage.github.clearRequests()
    assert.match((await say(['release', 'nixos-tested-new'])).log, /new: released; /)
    assert.deepEqual(stage.github.requests, [])
  })

  test('GitHub has a branch that Hydra has no job for', async t => {
    const { stage, say, c1 } = await scene(t)
    await stage.repository.setBranch('nixos-tested-old', c1)
    const held = await say(['hold', 'old', '--reason', 'x'])
    assert.equal(held.log, 'alice/dotfiles nixos-tested-old: held by alice until it is released: x\n')
  })
})

describe('Hydra or GitHub cannot be asked', () => {
  const NOT_KNOWN =
    'so it is not known whether there is such a channel: it has the name that the rules make\n'

  test('Hydra is away, and GitHub has it', async t => {
    const { stage, say } = await scene(t)
    loseDatabase(stage)
    assert.equal(
      (await say(['hold', 'nas', '--reason', 'x'])).log,
      `${NAS}: held by alice until it is released: x\n`,
    )
  })

  test('both are away: the rules alone decide', async t => {
    const { stage, say } = await scene(t)
    loseDatabase(stage)
    loseGitHub(stage)
    const { log, status } = await say(['hold', CHANNEL, '--reason', 'x'])
    assert.equal(status, 0)
    assert.match(log, /^cannot ask Hydra's database at \/nonexistent.*\n.*GitHub.*\n/)
    assert.ok(log.endsWith(`${NOT_KNOWN}${NAS}: held by alice until it is released: x\n`), log)
    assert.match((await say(['release', CHANNEL])).log, /^\S+ \S+: released; /)
    // any word could be a part
    assert.match(
      (await say(['hold', 'nas', '--reason', 'x'])).log,
      /^no rule makes a channel “nas”\ndid you mean nixos-tested-nas\?\n/,
    )
    assert.match((await say(['hold', 'x..y', '--reason', 'x'])).log, /^CHANNEL “x\.\.y” cannot be used/)
  })

  test('there is no key: GitHub is not asked, and a hold needs none', async t => {
    const { stage, say } = await scene(t)
    delete stage.config.github.appId
    delete stage.config.github.privateKeyFile
    assert.equal(
      (await say(['hold', 'nas', '--reason', 'x'])).log,
      `${NAS}: held by alice until it is released: x\n`,
    )
    const other = await say(['hold', 'nixos-tested-old', '--reason', 'x'])
    assert.match(other.log, /^GitHub was not asked: there are no credentials of a GitHub App\n/)
    assert.ok(other.log.includes(NOT_KNOWN), other.log)
    assert.equal(other.status, 0)
  })
})

describe('all channels', () => {
  test('none moves, whoever wants to, until release --all', async t => {
    const { stage, say, state, c1, c2, build } = await scene(t)
    assert.deepEqual(await say(['hold', '--all', '--reason', 'moving house', '--until', '1h30m']), {
      log: 'all channels: held by alice until TIME (EXACT): moving house\n',
      status: 0,
    })
    assert.deepEqual(listHolds(state), [ALL])
    await say(['hold', WEB, '--reason', 'disk'])

    const hook = await stage.hook(build)
    assert.equal(hook.status, 0)
    assert.match(hook.log, /nixos-tested-nas: all channels are held, not moved to \S+: moving house \(until /)
    const fleet = await say(['reconcile'])
    assert.match(fleet.log, /^2 held$/m)
    // one to come is not made either
    await stage.eval(
      c2,
      ['nas', 'web', 'new'].map(host => ({ job: `nixos-${host}.${ARCH}` })),
    )
    assert.match((await say(['reconcile'])).log, /^3 held$/m)
    const branches = await stage.repository.branches()
    assert.deepEqual(branches, { main: c2, [CHANNEL]: c1, [WEB]: c1 })

    const { message, hold } = find(await statusOf(stage), CHANNEL)
    assert.equal(hold?.scope, 'all')
    assert.match(
      message ?? '',
      /^all channels are held for .* by alice, until .*: hydra-channels release --all lets/,
    )
    const { checks } = JSON.parse((await say(['doctor', '--json'])).log)
    const { message: holds } = checks.find(({ name }: { name: string }) => name === 'holds')
    assert.match(
      holds,
      /^2 holds: .*nixos-tested-web for 0 min by alice, until it is released, because “disk”; all channels for 0 min by alice, until /,
    )

    // a single release says so, and ends nothing else
    assert.match(
      (await say(['release', CHANNEL])).log,
      /^alice\/dotfiles nixos-tested-nas: was not held\nbut all channels are held for \d min by alice, until TIME, because “moving house”: hydra-channels release --all ends that\n$/,
    )
    assert.match(
      (await say(['release', '--all'])).log,
      /^all channels: released; they were held for .*\nstill held by themselves: alice\/dotfiles:nixos-tested-web\n$/,
    )
    assert.equal((await say(['release', '--all'])).log.split('\n')[0], 'all channels: were not held')
    await say(['reconcile'])
    assert.deepEqual([await stage.repository.branch(CHANNEL), await stage.repository.branch(WEB)], [c2, c1])
  })

  test('a hold of all that cannot be read is one', async t => {
    const { stage, say, state, c1 } = await scene(t)
    await say(['hold', '--all', '--reason', 'x'])
    writeFileSync(holdFile(state, ALL), '{')
    const fleet = await say(['reconcile'])
    assert.equal(fleet.status, 1)
    assert.match(
      fleet.log,
      /the hold \S+all\.json is not JSON\n.*remove the file, or hold all channels again/,
    )
    assert.equal(await stage.repository.branch(CHANNEL), c1)
    assert.match((await say(['release', CHANNEL])).log, /all channels may be held, but that cannot be read/)
    assert.equal(
      (await say(['release', '--all'])).log,
      'all channels: released; the hold could not be read\n',
    )
  })

  test('nobody is asked', async t => {
    const { stage, say, state } = await scene(t)
    loseDatabase(stage)
    loseGitHub(stage)
    assert.equal(
      (await say(['hold', '--all', '--reason', 'x'])).log,
      'all channels: held by alice until it is released: x\n',
    )
    assert.equal(JSON.parse(readFileSync(holdFile(state, ALL), 'utf8')).by, 'alice')
  })
})

describe('what cannot be used', () => {
  test('exit 2, and nothing is held', async t => {
    const { say, state } = await scene(t)
    const CASES: [args: string[], log: string][] = [
      [['hold'], 'expected one CHANNEL, but got 0\nhydra-channels hold --all is for every channel\n'],
      [['release'], 'expected one CHANNEL, but got 0\nhydra-channels release --all is for every channel\n'],
      [
        ['hold', 'a', 'b'],
        'expected one CHANNEL, but got 2\nhydra-channels hold --all is for every channel\n',
      ],
      [
        ['hold', '--all', '--force', '--reason', 'x'],
        '--all holds every channel, also those to come: --force is for one of them\n',
      ],
      [
        ['hold', '--all', 'nas'],
        '--all is for every channel, and takes no CHANNEL, but got “nas”\nhydra-channels hold --all, or hydra-channels hold nas\n',
      ],
      [['hold', 'nas'], '--reason is missing: say why the channel is held\nsee hydra-channels hold --help\n'],
      [
        ['hold', '--all', '--reason', ' '],
        '--reason is missing: say why the channel is held\nsee hydra-channels hold --help\n',
      ],
      [
        ['hold', 'nas', '--reason', 'x', '--until', '90'],
        '--until “90” cannot be used: it has a number without a unit\nwrite 90m, 90h or 90d\n',
      ],
      [
        ['hold', 'nas', '--reason', 'x', '--until', 'tomorrow'],
        '--until “tomorrow” cannot be used: it is neither a span from now nor a date\nwrite 90m, 1h30m, 3d, 2w, 2026-12-24 or 2026-12-24T18:00:00+01:00\n',
      ],
      [['release', 'a..b'], 'CHANNEL “a..b” cannot be used: it contains “..”\n'],
    ]
    for (const [args, log] of CASES) assert.deepEqual(await say(args), { log, status: 2 })
    const past = await say(['hold', 'nas', '--reason', 'x', '--until', '2020-01-01'])
    assert.match(
      past.log,
      /^--until “2020-01-01” cannot be used: 2020-01-01T00:00:00Z has passed: it is 2\S+Z now\n/,
    )
    assert.deepEqual(listHolds(state), [])
  })
})
