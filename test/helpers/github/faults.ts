// What can go wrong between a client and GitHub, scripted by the test.

import { setTimeout as sleep } from 'node:timers/promises'

export type Fault = {
  method?: string
  /** Looked for in the decoded path; a string may be any part of it. */
  path?: string | RegExp
  /** Default 1, and for a redirect loop no limit. */
  times?: number
  /** Lets the first n matching requests through. */
  skip?: number
} & (
  | {
      kind: 'status'
      status: number
      /** An object is sent as JSON, a string as text/html; the default is the status's own name, as JSON. */
      body?: unknown
      headers?: Record<string, string>
    }
  /** Cuts the connection, before or after the request took effect. */
  | { kind: 'drop'; when: 'before' | 'after' }
  /** Never answers, and nothing happens. */
  | { kind: 'silence' }
  | { kind: 'delay'; ms: number }
  /** It happens, but the connection is cut in the middle of the answer. */
  | { kind: 'truncate' }
  /** It happens, and its answer comes a byte at a time, quickly or far too slowly. */
  | { kind: 'trickle'; ends: 'in time' | 'late' }
  /** It happens, but the answer is no JSON although it says so. */
  | { kind: 'garbage' }
  /** It happens, but somebody in between answers 200 with a page. */
  | { kind: 'html' }
  | { kind: 'redirect-loop' }
  /**
   * Runs when the request arrives, or once it has been handled and before it is answered. How it ends is decided by the
   * fault that comes after it, if there is one.
   */
  | { kind: 'hook'; when?: 'on arrival' | 'before the answer'; run: () => Promise<void> | void }
)

export interface Met {
  /** What decides the end of the request, if anything does. */
  fault: FinalFault | undefined
  /** Plays the hooks that run before the answer. */
  beforeAnswer(): Promise<void>
}

export type FinalFault = Exclude<Fault, { kind: 'delay' } | { kind: 'hook' }>

interface Armed {
  fault: Fault
  skip: number
  left: number
}

export class Faults {
  #armed: Armed[] = []

  add(fault: Fault): void {
    const times = fault.times ?? (fault.kind === 'redirect-loop' ? Infinity : 1)
    this.#armed.push({ fault, skip: fault.skip ?? 0, left: times })
  }

  /** Plays the delays and hooks of a request that arrives. */
  async meet(method: string, path: string, closing: AbortSignal): Promise<Met> {
    // All is counted before anything is awaited: requests that arrive together take their faults in order.
    const due: Fault[] = []
    for (const armed of this.#armed) {
      if (armed.left <= 0 || !matches(armed.fault, method, path)) continue
      if (armed.skip > 0) {
        armed.skip--
        continue
      }
      armed.left--
      due.push(armed.fault)
      if (armed.fault.kind !== 'delay' && armed.fault.kind !== 'hook') break
    }
    let final: FinalFault | undefined
    const later: (() => Promise<void> | void)[] = []
    for (const fault of due) {
      if (fault.kind === 'delay') await sleep(fault.ms, undefined, { signal: closing })
      else if (fault.kind !== 'hook') final = fault
      else if (fault.when === 'before the answer') later.push(fault.run)
      else await Promise.race([fault.run(), aborted(closing)])
    }
    return {
      fault: final,
      async beforeAnswer() {
        for (const run of later) await Promise.race([run(), aborted(closing)])
      },
    }
  }
}

function matches(fault: Fault, method: string, path: string): boolean {
  if (fault.method !== undefined && fault.method !== method) return false
  if (fault.path === undefined) return true
  // search() starts at the beginning whatever the expression's flags and lastIndex are.
  return typeof fault.path === 'string' ? path.includes(fault.path) : path.search(fault.path) >= 0
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
