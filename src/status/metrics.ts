// The status of the fleet as metrics, for alerts on a channel that stays behind.

import { printable } from '../base/log.ts'
import type { ChannelStatus, FleetStatus } from './shape.ts'

interface Metric {
  name: string
  help: string
  samples: { labels: Record<string, string>; value: number | null }[]
}

/**
 * For node_exporter's textfile collector, which refuses the whole file for one bad line, the same sample twice or
 * bytes that are not UTF-8: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function renderMetrics({ channels, lastReconcile, dryRun }: FleetStatus): string {
  const metrics: Metric[] = [
    {
      name: 'hydra_channels_commits_behind',
      help: 'Commits that the tracked branch has and the channel does not have.',
      samples: channels.map(channel => ({ labels: labelsOf(channel), value: channel.behindBranch })),
    },
    {
      name: 'hydra_channels_since_timestamp_seconds',
      help: "Since when there is something newer than the channel's commit.",
      samples: channels.map(channel => ({ labels: labelsOf(channel), value: unixSeconds(channel.since) })),
    },
    {
      name: 'hydra_channels_reason',
      help: 'Why the channel is not at the newest commit of the tracked branch; always 1.',
      samples: channels.map(channel => ({
        labels: { ...labelsOf(channel), reason: channel.reason },
        value: 1,
      })),
    },
    {
      name: 'hydra_channels_commit',
      help: 'The commit that the channel is at, to compare with what a host runs; always 1.',
      samples: channels.map(channel => ({
        labels: { ...labelsOf(channel), sha: channel.sha ?? '' },
        value: channel.sha === null ? null : 1,
      })),
    },
    {
      name: 'hydra_channels_last_reconcile_timestamp_seconds',
      help: 'When the last reconcile ended.',
      samples: [{ labels: {}, value: unixSeconds(lastReconcile) }],
    },
    {
      name: 'hydra_channels_dry_run',
      help: 'Whether nothing is copied or moved, because dryRun is set in the configuration: 1 or 0.',
      samples: [{ labels: {}, value: dryRun ? 1 : 0 }],
    },
  ]
  return `${metrics.flatMap(metricLines).join('\n')}\n`
}

function labelsOf({ repository, branch }: ChannelStatus): Record<string, string> {
  return { repository, branch }
}

function unixSeconds(time: string | null): number | null {
  return time === null ? null : Date.parse(time) / 1000
}

function metricLines({ name, help, samples }: Metric): string[] {
  const lines = samples
    .filter(({ value }) => value !== null)
    .map(({ labels, value }) => `${name}${renderLabels(labels)} ${value}`)
  return lines.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines]
}

/** `{repository="alice/dotfiles",branch="nixos-tested-nas"}`; nothing if there are none. */
function renderLabels(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeValue(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** The format knows three escapes, `\\`, `\"` and `\n`; `printable` leaves no line break, so two are needed. */
function escapeValue(value: string): string {
  return printable(value.toWellFormed()).replace(/[\\"]/g, '\\$&')
}
