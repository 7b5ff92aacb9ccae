// Waits for what another process does: as long as a busy machine needs, but not without end.
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 10
const GIVE_UP_MS = 300_000

/** `what` is for the error: `systemctl was called`. A condition that costs something is asked less often. */
export async function until(
  what: string,
  condition: () => unknown,
  { pollMs = POLL_MS } = {},
): Promise<void> {
  const giveUp = performance.now() + GIVE_UP_MS
  while (!(await condition())) {
    if (performance.now() > giveUp) throw new Error(`waited ${GIVE_UP_MS / 1000} s in vain until ${what}`)
    await sleep(pollMs)
  }
}
