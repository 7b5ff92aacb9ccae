// Evals and jobsets name the repository as it was called then, and it may have been renamed since: only GitHub knows.

import { operatorErrorOf, PermissionError } from '../base/errors.ts'
import { candidateOf } from './candidate.ts'
import type { Forge } from './forge.ts'
import type { PlannedChannel } from './plan.ts'

/** Whether GitHub has to be asked at all. */
export function hasOtherNames(planned: PlannedChannel): boolean {
  const { tracked } = planned
  return Boolean(candidateOf(planned)?.otherNames || (tracked.kind === 'other repository' && tracked.named))
}

/** The channel as it is if those other names are its repository's too, or with the error that says which is not. */
export async function resolveNames(
  planned: PlannedChannel,
  forge: Pick<Forge, 'isCalled'>,
): Promise<PlannedChannel> {
  const { tracked } = planned
  const names = candidateOf(planned)?.otherNames ?? []
  try {
    for (const { repository, error } of names) {
      if (!(await isCalled(forge, repository))) return { ...planned, candidate: error }
    }
    const own = names.length === 0 ? planned : { ...planned, alsoCalled: names.map(each => each.repository) }
    const named = tracked.kind === 'other repository' ? tracked.named : undefined
    return named && (await isCalled(forge, named.repository)) ? { ...own, tracked: named.follows } : own
  } catch (error) {
    return { ...planned, candidate: operatorErrorOf(error) }
  }
}

/** A repository that we may not even look at proves nothing: the names differ, and that is the trouble to mend first. */
async function isCalled(forge: Pick<Forge, 'isCalled'>, name: string): Promise<boolean> {
  try {
    return await forge.isCalled(name)
  } catch (error) {
    if (error instanceof PermissionError) return false
    throw error
  }
}
