// The words for `dryRun` in the configuration, with which hook and reconcile only look.

/** The first line of such a run. */
export const DRY_RUN = 'dry run (dryRun in the configuration): nothing is copied, nothing is moved'

/** The same, of the time until then. */
export const NOTHING_MOVES = 'nothing is copied or moved, because dryRun is set in the configuration'

/** What a person does when all looks right. */
export const END_DRY_RUN =
  'to start, remove dryRun from the configuration (NixOS: services.hydra-channels.dryRun)'

/** A sentence about what moves a channel. With dryRun it is not true as it is: `without dryRun, the next reconcile moves it`. */
export function ifMoving(sentence: string, { dryRun }: { dryRun: boolean }): string {
  return dryRun ? `without dryRun, ${sentence}` : sentence
}
