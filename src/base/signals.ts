/** Signals that end a process unless it says otherwise. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Cleans up if a signal ends this process, which then ends by that signal. Only while there is something to clean up:
 * signals are the system's otherwise, and it ends also a process that is busy or hangs.
 *
 * @returns ends that
 */
export function onEnd(cleanUp: () => void): () => void {
  const handle = (signal: NodeJS.Signals) => {
    stop()
    cleanUp()
    process.kill(process.pid, signal)
  }
  const stop = () => {
    for (const signal of SIGNALS) process.off(signal, handle)
  }
  for (const signal of SIGNALS) process.on(signal, handle)
  return stop
}

/** Whether the signal that ended a program ends this process as well, if it was sent to both. */
export function endsUsToo(signal: NodeJS.Signals | null): boolean {
  return SIGNALS.some(each => each === signal)
}
