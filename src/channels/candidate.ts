// Which commit a job's channel should be at, judged from what Hydra's database says. Pure: facts in, a verdict out.

import { OperatorError } from '../base/errors.ts'
import { cut, listSome } from '../base/log.ts'
import { isRepository, sameRepository, showRepository } from '../base/repository-name.ts'
import type { BuildFinished } from '../hydra/event.ts'
import { type ExpectedRepository, parseFlakeref, showFlakeref } from '../hydra/flakeref.ts'

/** A host in a message. */
const MAX_HOST = 100

/** The part of the rows of hydra/queries that decides. */
export interface EvalFacts {
  id: number
  flake: string | null
}

export interface JobFacts {
  jobsetType: 'flake' | 'legacy'
  candidate: { build: number; eval: EvalFacts } | undefined
  /** the jobset's newest eval, whatever came of it */
  newestEval: EvalFacts | undefined
}

/** `dotfiles:main:nixos-nas.x86_64-linux` */
export interface JobName {
  project: string
  jobset: string
  job: string
}

export interface Candidate {
  /** 40 digits */
  sha: string
  build: number
  eval: number
  /** the jobset's newest eval, if that is another one: a candidate that is not on the tracked branch was then taken back */
  newest: { eval: number; sha: string } | undefined
  /** what else the evals call the repository, and the error if GitHub says that it is another one (other-name.ts) */
  otherNames?: readonly OtherName[]
}

/** Of a channel that can be judged. */
export function candidateOf(
  planned: { candidate: Candidate | undefined | OperatorError } | undefined,
): Candidate | undefined {
  return planned?.candidate instanceof OperatorError ? undefined : planned?.candidate
}

export interface OtherName {
  /** `alice/nixos` */
  repository: string
  error: OperatorError
}

export function showJob({ project, jobset, job }: JobName): string {
  return `${project}:${jobset}:${job}`
}

/**
 * The event is a file that Hydra wrote some time ago, and the database is the truth: they must be of one build.
 *
 * @param renamedTo the name that the event's jobset has now
 * @throws OperatorError if the build is unknown or another one, or if its jobset was renamed since
 */
export function checkBuild(
  event: BuildFinished,
  build: JobName | undefined,
  renamedTo?: string | undefined,
): asserts build is JobName {
  if (!build) {
    throw new OperatorError(`Hydra's database has no build ${event.build}`, {
      hint: 'is this the database of the Hydra that runs this hook?',
    })
  }
  if (renamedTo !== undefined && showJob(build) === showJob({ ...event, jobset: renamedTo })) {
    throw missingJobset(event, renamedTo)
  }
  if (showJob(build) !== showJob(event)) {
    throw new OperatorError(
      `event and database disagree: build ${event.build} is ${showJob(event)} in the event, and ${showJob(build)} in Hydra's database`,
      { hint: 'is this the database of the Hydra that runs this hook?' },
    )
  }
}

/**
 * The candidate of a job for a rule's repository; undefined if the job has no good build.
 *
 * @throws OperatorError if the jobset is no flake, or a flakeref is unusable or of another host
 */
export function judgeCandidate(
  { project, jobset }: JobName,
  { jobsetType, candidate, newestEval }: JobFacts,
  expected: ExpectedRepository,
): Candidate | undefined {
  if (jobsetType === 'legacy') {
    throw new OperatorError(`the jobset ${project}:${jobset} is no flake, so its evals name no commit`, {
      hint: 'a channel needs a flake jobset (jobset settings, Type: Flake)',
    })
  }
  if (!candidate) return undefined
  const of = commitOf(candidate.eval, `eval ${candidate.eval.id}`, expected)
  const newest =
    newestEval && newestEval.id !== candidate.eval.id
      ? commitOf(newestEval, `eval ${newestEval.id}, the newest of ${project}:${jobset},`, expected)
      : undefined
  const otherNames = [of.otherName, newest?.otherName].filter(each => each !== undefined)
  return {
    ...{ sha: of.sha, build: candidate.build, eval: candidate.eval.id },
    newest: newest && newestEval && { eval: newestEval.id, sha: newest.sha },
    ...(otherNames.length > 0 && { otherNames }),
  }
}

function commitOf(
  { flake }: EvalFacts,
  which: string,
  expected: ExpectedRepository,
): { sha: string; otherName: OtherName | undefined } {
  if (flake === null) throw new OperatorError(`${which} has no flakeref, so it names no commit`)
  const flakeref = parseFlakeref(flake)
  if (flakeref.kind === 'unusable') {
    throw new OperatorError(
      `the flakeref of ${which} cannot be used: ${showFlakeref(flake)}: ${flakeref.why}`,
      {
        hint: `the jobset's flake should be github:${expected.repository} or a git+https or git+ssh URL of that repository`,
      },
    )
  }
  const { host, repository, rev } = flakeref
  const isOurHost = expected.hosts.includes(host)
  const isSame = sameRepository(repository, expected.repository)
  if (isOurHost && isSame) {
    return { sha: rev, otherName: undefined }
  }
  const error = new OperatorError(
    `the flakeref of ${which} is of another repository: ${showFlakeref(flake)} is not ${showRepository(expected.hosts, expected.repository)}`,
    {
      hint: [
        ...(isSame ? aliasHint(host, expected) : []),
        'correct the rule (repository, github.host), or the flake of the jobset',
      ],
    },
  )
  if (!isOurHost || !isRepository(repository)) throw error
  return { sha: rev, otherName: { repository, error } }
}

/** With a deploy key for each repository, people give GitHub a name for each in ssh's configuration: `github.com-dotfiles`. */
function aliasHint(host: string, { hosts }: ExpectedRepository): string[] {
  const mayBeAlias = (name: string) => !name.includes('.') || name.includes('github')
  if (!mayBeAlias(host) || (host === 'github.com' && !hosts.every(mayBeAlias))) return []
  const shown = cut(host, MAX_HOST)
  const list = [...hosts, shown].map(each => JSON.stringify(each)).join(', ')
  return [
    `if ${shown} leads to the same GitHub, as an alias in ssh's configuration: set github.host to [${list}]`,
  ]
}

export function ambiguous(jobs: readonly JobName[]): OperatorError {
  const names = jobs.map(showJob).sort()
  return new OperatorError(`ambiguous: ${names.length} jobs lead to this channel: ${listSome(names)}`, {
    hint: [
      'a channel follows one job: put {system} (or another group) into the branch, make job narrower, or let one aggregate job stand for all of them',
      'if that gives the branch another name, the old one stays where it is, and so do the hosts that follow it: let them follow the new one',
    ],
  })
}

/** A jobset that is not there, or is not called so any more. */
export function missingJobset(
  { project, jobset }: Pick<JobName, 'project' | 'jobset'>,
  renamedTo: string | undefined,
): OperatorError {
  return renamedTo === undefined
    ? new OperatorError(`Hydra has no jobset ${project}:${jobset}, which a rule names`, {
        hint: 'correct project and jobset in the rule',
      })
    : new OperatorError(`the jobset ${project}:${jobset} is called ${project}:${renamedTo} now`, {
        hint: `put ${renamedTo} into the rule`,
      })
}
