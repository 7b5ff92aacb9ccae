// What node_exporter reads of the status; the parser below is stricter than its own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printable } from '../../../src/base/log.ts'
import { renderMetrics } from '../../../src/status/metrics.ts'
import { type ChannelStatus, type FleetStatus, REASONS } from '../../../src/status/shape.ts'

const SHA = '3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'

const CHANNEL: ChannelStatus = {
  repository: 'alice/dotfiles',
  branch: 'nixos-tested-nas',
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-nas.x86_64-linux',
  sha: SHA,
  committedAt: '2026-11-22T12:00:00.000Z',
  candidate: { sha: SHA, eval: 991, build: 4123 },
  behindCandidate: 0,
  behindBranch: 0,
  reason: 'up-to-date',
  since: null,
  url: null,
  message: null,
  failing: null,
  hold: null,
}

function fleet(
  channels: Partial<ChannelStatus>[],
  lastReconcile: string | null = null,
  dryRun = false,
): FleetStatus {
  return {
    generatedAt: '2026-11-24T12:00:00.000Z',
    lastReconcile,
    nextReconcile: null,
    dryRun,
    channels: channels.map(facts => ({ ...CHANNEL, ...facts })),
  }
}

interface Sample {
  metric: string
  labels: Record<string, string>
  value: number
}

/** The samples, in order. Each metric has HELP, TYPE and samples, once and in one piece, and no sample is there twice. */
function parse(text: string): Sample[] {
  assert.ok(text.endsWith('\n'))
  const samples: Sample[] = []
  const seen = new Set<string>()
  let metric: string | undefined
  let expected: 'help' | 'type' | 'first sample' | 'sample or help' = 'help'
  for (const line of text.slice(0, -1).split('\n')) {
    const [, helpOf] = /^# HELP ([a-z_]+) [^\\]+$/.exec(line) ?? []
    const [, typeOf] = /^# TYPE ([a-z_]+) gauge$/.exec(line) ?? []
    if (helpOf !== undefined) {
      assert.ok(expected === 'help' || expected === 'sample or help', line)
      assert.ok(!seen.has(helpOf), line)
      seen.add(helpOf)
      metric = helpOf
      expected = 'type'
    } else if (typeOf !== undefined) {
      assert.ok(expected === 'type' && typeOf === metric, line)
      expected = 'first sample'
    } else {
      assert.ok(expected === 'first sample' || expected === 'sample or help', line)
      const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.+)\})? (-?[0-9]+(?:\.[0-9]+)?)$/.exec(line) ?? []
      assert.ok(name !== undefined && name === metric, line)
      const series = `${name}{${labels}}`
      assert.ok(!seen.has(series), line)
      seen.add(series)
      samples.push({ metric: name, labels: parseLabels(labels), value: Number(value) })
      expected = 'sample or help'
    }
  }
  assert.equal(expected, 'sample or help')
  return samples
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const [pair, name, value] = /^([a-z]+)="((?:[^"\\]|\\[\\"n])*)"(?:,(?=.)|$)/.exec(rest) ?? []
    assert.ok(pair !== undefined && name !== undefined && value !== undefined, rest)
    assert.ok(!(name in labels), rest)
    labels[name] = value.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char))
    rest = rest.slice(pair.length)
  }
  return labels
}

test('the samples of a fleet stand together by metric', () => {
  const status = fleet(
    [
      { behindBranch: 12, since: '2026-11-24T09:00:00.000Z', reason: 'build-failed' },
      { branch: 'nixos-tested-web', repository: 'bob/infra' },
    ],
    '2026-11-24T11:56:00.500Z',
  )
  assert.equal(
    renderMetrics(status),
    `# HELP hydra_channels_commits_behind Commits that the tracked branch has and the channel does not have.
# TYPE hydra_channels_commits_behind gauge
hydra_channels_commits_behind{repository="alice/dotfiles",branch="nixos-tested-nas"} 12
hydra_channels_commits_behind{repository="bob/infra",branch="nixos-tested-web"} 0
# HELP hydra_channels_since_timestamp_seconds Since when there is something newer than the channel's commit.
# TYPE hydra_channels_since_timestamp_seconds gauge
hydra_channels_since_timestamp_seconds{repository="alice/dotfiles",branch="nixos-tested-nas"} 1795510800
# HELP hydra_channels_reason Why the channel is not at the newest commit of the tracked branch; always 1.
# TYPE hydra_channels_reason gauge
hydra_channels_reason{repository="alice/dotfiles",branch="nixos-tested-nas",reason="build-failed"} 1
hydra_channels_reason{repository="bob/infra",branch="nixos-tested-web",reason="up-to-date"} 1
# HELP hydra_channels_commit The commit that the channel is at, to compare with what a host runs; always 1.
# TYPE hydra_channels_commit gauge
hydra_channels_commit{repository="alice/dotfiles",branch="nixos-tested-nas",sha="${SHA}"} 1
hydra_channels_commit{repository="bob/infra",branch="nixos-tested-web",sha="${SHA}"} 1
# HELP hydra_channels_last_reconcile_timestamp_seconds When the last reconcile ended.
# TYPE hydra_channels_last_reconcile_timestamp_seconds gauge
hydra_channels_last_reconcile_timestamp_seconds 1795521360.5
# HELP hydra_channels_dry_run Whether nothing is copied or moved, because dryRun is set in the configuration: 1 or 0.
# TYPE hydra_channels_dry_run gauge
hydra_channels_dry_run 0
`,
  )
})

test('a metric without samples is not there at all', () => {
  const status = fleet([{ behindBranch: null, since: null, reason: 'unknown', sha: null }])
  assert.equal(
    renderMetrics(status),
    `# HELP hydra_channels_reason Why the channel is not at the newest commit of the tracked branch; always 1.
# TYPE hydra_channels_reason gauge
hydra_channels_reason{repository="alice/dotfiles",branch="nixos-tested-nas",reason="unknown"} 1
# HELP hydra_channels_dry_run Whether nothing is copied or moved, because dryRun is set in the configuration: 1 or 0.
# TYPE hydra_channels_dry_run gauge
hydra_channels_dry_run 0
`,
  )
})

for (const [dryRun, value] of [
  [false, 0],
  [true, 1],
] as const) {
  test(`of a fleet without channels that was never reconciled, only dryRun is known: ${value}`, () => {
    assert.deepEqual(parse(renderMetrics(fleet([], null, dryRun))), [
      { metric: 'hydra_channels_dry_run', labels: {}, value },
    ])
  })
}

const VALUES: { what: string; branch: string; written: string }[] = [
  { what: 'a backslash', branch: 'a\\b', written: 'a\\\\b' },
  { what: 'a quote', branch: 'a"b', written: 'a\\"b' },
  { what: 'a line break, as the log writes it', branch: 'a\nb', written: 'a\\\\u000ab' },
  { what: 'a control character', branch: 'a\u001bb', written: 'a\\\\u001bb' },
  { what: 'a backslash before a quote', branch: 'a\\"b', written: 'a\\\\\\"b' },
  { what: 'half a surrogate pair, which UTF-8 has not', branch: 'a\ud83db', written: 'a\ufffdb' },
  {
    what: 'nothing of other scripts and braces',
    branch: '日本語{x="y",🎉}',
    written: '日本語{x=\\"y\\",🎉}',
  },
]

for (const { what, branch, written } of VALUES) {
  test(`in a label is escaped: ${what}`, () => {
    const line = renderMetrics(fleet([{ branch }])).split('\n')[2]
    assert.equal(line, `hydra_channels_commits_behind{repository="alice/dotfiles",branch="${written}"} 0`)
  })
}

const foreign = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\\', '"', '\n', '\r', 'n', '{', '}', ',', '=', ' ', '#', '\u001b', '\u2028', '\ud83d'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
})

const time = fc.date({ noInvalidDate: true }).map(date => date.toISOString())

const anyChannel = fc.record({
  repository: foreign,
  branch: foreign,
  behindBranch: fc.option(fc.nat()),
  reason: fc.constantFrom(...REASONS),
  since: fc.option(time),
  sha: fc.constantFrom(SHA, null),
})

/** What a reader gets of a name: itself, but for what is unprintable. */
function read(text: string): string {
  return printable(text.toWellFormed())
}

const anyFleet = fc.uniqueArray(anyChannel, {
  minLength: 1,
  selector: ({ repository, branch }) => JSON.stringify([read(repository), read(branch)]),
})

test('whatever the fleet, it parses, to all that is known of it and nothing else', () => {
  fc.assert(
    fc.property(anyFleet, fc.option(time), fc.boolean(), (channels, lastReconcile, dryRun) => {
      const text = renderMetrics(fleet(channels, lastReconcile, dryRun))
      assert.doesNotMatch(text.replaceAll('\n', ''), /\p{Bidi_Control}|\p{Cc}|\p{Zl}|\p{Zp}/u)
      assert.ok(text.isWellFormed())

      const labels = (channel: (typeof channels)[number]) => ({
        repository: read(channel.repository),
        branch: read(channel.branch),
      })
      const seconds = (iso: string) => new Date(iso).getTime() / 1000
      const expected: Sample[] = []
      for (const channel of channels) {
        if (channel.behindBranch === null) continue
        const metric = 'hydra_channels_commits_behind'
        expected.push({ metric, labels: labels(channel), value: channel.behindBranch })
      }
      for (const channel of channels) {
        if (channel.since === null) continue
        const metric = 'hydra_channels_since_timestamp_seconds'
        expected.push({ metric, labels: labels(channel), value: seconds(channel.since) })
      }
      for (const channel of channels) {
        const metric = 'hydra_channels_reason'
        expected.push({ metric, labels: { ...labels(channel), reason: channel.reason }, value: 1 })
      }
      for (const channel of channels) {
        if (channel.sha === null) continue
        const metric = 'hydra_channels_commit'
        expected.push({ metric, labels: { ...labels(channel), sha: channel.sha }, value: 1 })
      }
      if (lastReconcile !== null) {
        const metric = 'hydra_channels_last_reconcile_timestamp_seconds'
        expected.push({ metric, labels: {}, value: seconds(lastReconcile) })
      }
      expected.push({ metric: 'hydra_channels_dry_run', labels: {}, value: dryRun ? 1 : 0 })
      assert.deepEqual(parse(text), expected)
    }),
  )
})
