// Evals and jobsets name the repository as it was called then, and it may have been renamed since: only GitHub knows.

import { OperatorError, operatorErrorOf } from '../base/errors.ts'
import type { Forge } from './forge.ts'
import type { PlannedChannel } from './plan.ts'

/** Whether GitHub has to be asked at all. */
export function hasOtherNames({ candidate, tracked }: PlannedChannel): boolean {
  const ofCandidate = candidate && !(candidate instanceof OperatorError) && candidate.otherNames
  return Boolean(ofCandidate || (tracked.kind === 'other repository' && tracked.named))
}

/** The channel as it is if those other names are its repository's too, or with the error that says which is not. */
export async function resolveNames(
  planned: PlannedChannel,
  forge: Pick<Forge, 'isCalled'>,
): Promise<PlannedChannel> {
  const { candidate, tracked } = planned
  try {
    for (const { repository, error } of candidate instanceof OperatorError
      ? []
      : (candidate?.otherNames ?? [])) {
      if (!(await forge.isCalled(repository))) return { ...planned, candidate: error }
    }
    const isOurs =
      tracked.kind === 'other repository' && tracked.named && (await forge.isCalled(tracked.named.repository))
    return isOurs && tracked.named ? { ...planned, tracked: tracked.named.follows } : planned
  } catch (error) {
    return { ...planned, candidate: operatorErrorOf(error) }
  }
}
