// Fleets as the page shows them, of the facts of channel-facts.ts: nothing is asked.
import { OperatorError } from '../../src/base/errors.ts'
import { statusOf } from '../../src/status/find-status.ts'
import { findGates } from '../../src/status/gates.ts'
import { EVALS_SHOWN, type EvalOfChannel, type Page, type PageChannel } from '../../src/status/page.ts'
import { REASONS, type Reason } from '../../src/status/shape.ts'
import type { DescribedCommit } from '../../src/status/survey.ts'
import {
  AROUND,
  C3,
  C4,
  FACTS_OF,
  factsOf,
  minutesAgo,
  NOW,
  ONE_BEHIND,
  type Spec,
  UP_TO_DATE,
} from './channel-facts.ts'

const DAY = 24 * 60

export const COMMITS = new Map<string, DescribedCommit>([
  [C3, { subject: 'flake: update nixpkgs', author: 'Bob' }],
  [C4, { subject: 'router: nftables rewrite', author: 'Alice' }],
])

export interface ChannelSpec {
  facts: Spec
  /** newest first: g good, f failed, b building, a without the job; the last one goes on to the thirtieth */
  evals?: string
  /** at which of them the channel is */
  here?: number | undefined
  /** minutes */
  since?: number
}

const STATES = { g: 'good', f: 'failed', b: 'building', a: 'absent' } as const

function evalsOf(
  states: string,
  { here, sha }: { here: number | undefined; sha: string | null },
): EvalOfChannel[] {
  return Array.from({ length: EVALS_SHOWN }, (_, at) => ({
    eval: 991 - at,
    time: minutesAgo(120 + at * 60),
    sha: at === here ? (sha ?? undefined) : undefined,
    state: STATES[(states[at] ?? states.at(-1)) as keyof typeof STATES],
  }))
}

export function channelOf({ facts: spec, evals, here, since }: ChannelSpec): PageChannel {
  const facts = factsOf(spec)
  const around = { ...AROUND, commits: COMMITS }
  const status = statusOf(
    {
      facts,
      committedAt: facts.tip === undefined ? undefined : minutesAgo(2 * DAY),
      since: since === undefined ? undefined : minutesAgo(since),
      compareFrom: undefined,
      candidateOnTracked: undefined,
    },
    around,
  )
  return {
    ...status,
    gates: findGates(
      {
        facts,
        rule: { branch: 'nixos-tested-{host}' },
        databaseAway: undefined,
        cache: 'known',
        onTracked: { candidate: 'contained', newestEval: 'contained' },
        candidateTime: undefined,
      },
      around,
    ),
    evals: evals === undefined ? undefined : evalsOf(evals, { here, sha: status.sha }),
  }
}

export function pageOf(channels: readonly ChannelSpec[], more: Partial<Page> = {}): Page {
  return {
    generatedAt: NOW.toISOString(),
    lastReconcile: minutesAgo(1),
    nextReconcile: minutesAgo(-14),
    dryRun: false,
    commits: COMMITS,
    webUrl: AROUND.webUrl,
    hydraUrl: AROUND.hydraUrl,
    intervalMs: 15 * 60_000,
    problems: [],
    ...more,
    channels: channels.map(channelOf),
  }
}

const HOSTS =
  'router nas web mail backup cam desk door dns git hydra irc kiosk lab music office pi print proxy radio'.split(
    ' ',
  )
const hostAt = (at: number) => HOSTS[at] ?? `host-${String(at).padStart(3, '0')}`

/** What the strip of a channel with this reason may look like. */
const EVALS_OF: Partial<Record<Reason, string>> = {
  withdrawn: 'gggggggfg',
  diverged: 'gggggggggggggggfffg',
  'no-permission': 'gggfgggggggggfg',
  held: 'ggggggffffffg',
  'build-failed': 'ffffgggggfggggg',
  'build-timed-out': 'fgggg',
  'dependency-failed': 'ffgfg',
  'build-aborted': 'fg',
  building: 'bg',
  'job-gone': 'aag',
  'evaluation-failed': 'ag',
}

/** One channel of each reason, the first facts of each; and some more that are up to date. */
export function everyReasonPage(): Page {
  const troubled = REASONS.filter(reason => reason !== 'up-to-date').map(
    (reason, at): ChannelSpec => ({
      facts: { ...ONE_BEHIND, ...FACTS_OF[reason][0], branch: `nixos-tested-${hostAt(at)}` },
      ...(reason === 'ambiguous' || reason === 'abandoned'
        ? {}
        : { evals: EVALS_OF[reason] ?? 'g', here: 5 }),
      since: 90 + at * at * 40,
    }),
  )
  const fine = ['terminal', 'tv', 'vpn', 'wiki'].map(
    (host, at): ChannelSpec => ({
      facts: { ...UP_TO_DATE, branch: `nixos-tested-${host}` },
      evals: ['g', 'gggfg', 'ggggggggggaaffg', 'g'][at] ?? 'g',
      here: 0,
    }),
  )
  return pageOf([...troubled, ...fine])
}

/** As fleets are: one of ten channels is in trouble, for one of the reasons. */
export function largePage(channels: number): Page {
  const reasons = REASONS.filter(reason => reason !== 'up-to-date')
  const specs = Array.from({ length: channels }, (_, at): ChannelSpec => {
    const reason = at % 10 === 0 ? (reasons[(at / 10) % reasons.length] as Reason) : 'up-to-date'
    const facts = reason === 'up-to-date' ? UP_TO_DATE : { ...ONE_BEHIND, ...FACTS_OF[reason][0] }
    // no two strips are alike
    const evals = Array.from({ length: EVALS_SHOWN }, (_, n) =>
      (at * 31 + n * n * 7) % 11 === 0 ? 'f' : 'g',
    ).join('')
    return { facts: { ...facts, branch: `nixos-tested-${hostAt(at)}` }, evals, here: at % 4, since: 60 + at }
  })
  return pageOf(specs)
}

/** Texts that would be something else than text, each in a way of its own. */
export const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</title></style><style>body{display:none}</style>',
  '<!--',
  ']]>&lt;&amp;&#x3c;',
  '\u202egnp.exe\u2066',
  'a\u0000b\u001b[31m\r\n\u2028c',
  '\ud83d half',
  '🎉 日本語 العربية',
  'x'.repeat(300),
  '{{7*7}}<%= 7*7 %>',
]

/** In every field that has a text, each of the hostile ones. */
export function hostilePage(): Page {
  const page = everyReasonPage()
  const channels = HOSTILE.flatMap((text, at) => {
    const channel = page.channels[at % page.channels.length] as PageChannel
    const answer = { state: 'shut', text, url: `javascript:alert(${at})` } as const
    return {
      ...channel,
      repository: `alice/${text}`,
      branch: `${text}${at}`,
      project: text,
      jobset: text,
      job: text,
      reason: 'build-failed' as const,
      message: text,
      url:
        ['javascript:alert(1)', 'data:text/html,x', `https://hydra.example.org/${text}`, text][at % 4] ??
        null,
      gates: channel.gates.map(gate => ({
        ...gate,
        candidate: answer,
        newestEval: { ...answer, text: `${text} 2` },
      })),
      hold: { reason: text, since: minutesAgo(9), until: null, by: text, scope: 'channel' as const },
      sha: C4,
    }
  })
  const commits = new Map([[C4, { subject: HOSTILE.join(' '), author: HOSTILE[0] }]])
  return { ...page, channels, commits }
}

export const AWAY = new OperatorError('GitHub could not be asked', { hint: 'the next run tries again' })
