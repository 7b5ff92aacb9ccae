// A channel's pointer: the store path that was built for the commit that the channel is at, for hosts that switch to what was
// built instead of evaluating it (docs/hosts.md). Pure: what is known of the channel goes in, the next pointer comes out.
import * as z from 'zod/mini'
import { cut, short } from '../base/log.ts'
import type { Look, Output } from '../base/output.ts'
import type { Channel } from '../channels/channel.ts'

/** In this order in the file. */
const pointerSchema = z.object({
  version: z.literal(1),
  /** `alice/dotfiles`, as the rule spells it */
  repository: z.string(),
  branch: z.string(),
  /** the commit that the channel is at, 40 digits; null: there is no such branch */
  sha: z.nullable(z.string()),
  /** Hydra's eval and build that the path is from; null without a path */
  eval: z.nullable(z.int()),
  build: z.nullable(z.int()),
  /** `/nix/store/<32>-nixos-system-nas-26.05`; null: hosts stay as they are */
  storePath: z.nullable(z.string()),
  /** Grows with every change. A host refuses one that is smaller than the one it had. */
  serial: z.int().check(z.gte(0)),
  /** ISO 8601: when it was last changed */
  publishedAt: z.string(),
  /** why there is no path; null if there is one */
  why: z.nullable(z.string()),
})

export type Pointer = z.output<typeof pointerSchema>

/** What the commit of a channel was built to. */
interface System {
  kind: 'system'
  sha: string
  eval: number
  build: number
  /** of its output `out` */
  storePath: string
  /** all of them must be in the cache */
  outputs: readonly Output[]
}

/** Nothing that a host could switch to. */
interface NoSystem {
  kind: 'none'
  sha: string | null
  why: string
  /** a path that was found at this commit earlier still holds */
  unlessFound?: true
}

/** Hydra or GitHub could not be asked. */
interface Unknown {
  kind: 'unknown'
}

export type FoundSystem = System | NoSystem | Unknown

export interface PointerFacts {
  /** the commit that the channel is at; null: GitHub has no such branch; undefined: GitHub could not be asked */
  tip: string | null | undefined
  /** the jobs that lead to it, `nixos-nas.x86_64-linux`; undefined: Hydra could not be asked, or its rule is in trouble */
  jobs: readonly string[] | undefined
  /**
   * the good build of the one job in the newest eval of that commit; null: there is none; `no eval`: none of the newest is of that
   * commit; undefined: Hydra could not be asked
   */
  build: { build: number; eval: number; outputs: readonly Output[] } | null | 'no eval' | undefined
}

/** The form that Nix gives to store paths, and the name that NixOS gives to a system. */
const SYSTEM = /^\/nix\/store\/[0-9a-df-np-sv-z]{32}-nixos-system-[A-Za-z0-9+._?=-]{1,190}$/

/** What is shown of texts that others write. */
const MAX_SHOWN = 200
const MAX_WHY = 1000

export function findSystem({ tip, jobs, build }: PointerFacts): FoundSystem {
  if (tip === undefined || jobs === undefined) return { kind: 'unknown' }
  const none = (why: string): NoSystem => ({ kind: 'none', sha: tip, why })
  if (tip === null) return none('there is no such branch')
  const [job, ...others] = jobs
  if (job === undefined) return none('no job leads to this channel')
  if (others.length > 0) return none(`several jobs lead to this channel: ${jobs.length}`)
  if (build === undefined) return { kind: 'unknown' }
  if (build === 'no eval') {
    // of a channel that is held for long
    return { ...none(`none of the newest evals that Hydra has is of ${short(tip)}`), unlessFound: true }
  }
  if (build === null) return none(`Hydra has no good build of ${job} at ${short(tip)}`)
  const { outputs } = build
  const lost = outputs.find(({ path }) => path === null)
  const out = outputs.find(({ name }) => name === 'out')?.path
  if (lost) return none(`Hydra knows no path of output ${lost.name} of build ${build.build}`)
  if (out === undefined || out === null) return none(`build ${build.build} has no output “out”`)
  if (!SYSTEM.test(out)) {
    return none(`build ${build.build} of ${job} is no NixOS system: ${cut(out, MAX_SHOWN)}`)
  }
  return { kind: 'system', sha: tip, eval: build.eval, build: build.build, storePath: out, outputs }
}

/** Whether a pointer was written when the same build's outputs were seen. They need not be looked for again. */
export function wasSeen(
  { build, storePath }: Pick<System, 'build' | 'storePath'>,
  before: Pointer | undefined,
): boolean {
  return before?.build === build && before.storePath === storePath
}

/**
 * The pointer that is to be written; undefined: the one before stays.
 *
 * @param looked what the cache said of the system's outputs; not needed if they were seen already
 * @param before the pointer that is there, if one can be read
 * @param nowMs Unix time
 */
export function nextPointer(
  { repository, branch }: Channel,
  found: FoundSystem,
  { looked, before, nowMs }: { looked?: Look | undefined; before: Pointer | undefined; nowMs: number },
): Pointer | undefined {
  const content = contentOf(found, looked, before)
  if (!content) return undefined
  const pointer = { version: 1 as const, repository, branch, ...content }
  if (before && isSame(pointer, before)) return undefined
  // also greater if the clock was set back
  const serial = Math.max((before?.serial ?? 0) + 1, Math.floor(nowMs / 1000))
  const { why, ...most } = pointer
  return { ...most, serial, publishedAt: new Date(nowMs).toISOString(), why }
}

type Content = Omit<Pointer, 'version' | 'repository' | 'branch' | 'serial' | 'publishedAt'>

function contentOf(
  found: FoundSystem,
  looked: Look | undefined,
  before: Pointer | undefined,
): Content | undefined {
  if (found.kind === 'unknown') return undefined
  const none = (why: string) => ({
    ...{ sha: found.sha, eval: null, build: null, storePath: null },
    why: cut(why, MAX_WHY),
  })
  if (found.kind === 'none') {
    const stillHolds = found.unlessFound && before?.sha === found.sha && before.storePath !== null
    return stillHolds ? undefined : none(found.why)
  }
  const { sha, eval: id, build, storePath } = found
  if (wasSeen(found, before) || looked?.kind === 'seen') return { sha, eval: id, build, storePath, why: null }
  // silence is not seen, and a cache that cannot be asked says nothing of what it has
  return looked?.kind === 'missing' && !looked.away ? none(looked.why) : undefined
}

function isSame(pointer: Omit<Pointer, 'serial' | 'publishedAt'>, before: Pointer): boolean {
  return (Object.keys(pointer) as (keyof typeof pointer)[]).every(key => pointer[key] === before[key])
}

/**
 * @param file where it is, {@link pointerFile}
 * @returns undefined if it is no pointer, or one of another channel
 */
export function parsePointer(text: string, file: string): Pointer | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const pointer = pointerSchema.safeParse(value).data
  return pointer && pointerFile(pointer) === file ? pointer : undefined
}

export function formatPointer(pointer: Pointer): string {
  return `${JSON.stringify(pointer)}\n`
}

/** Where the pointer of a channel is below the page's folder: `channels/alice/dotfiles/nixos-tested-nas.json`. */
export function pointerFile({ repository, branch }: Channel): string {
  return `channels/${repository.toLowerCase()}/${encodeURIComponent(branch.toWellFormed())}.json`
}
