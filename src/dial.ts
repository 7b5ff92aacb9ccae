// The first connection to GitHub, begun before the program itself is loaded: what the network takes, the program has for
// that. So this file needs node:net alone, and node:tls only while the name is looked up.
import { connect, type Socket } from 'node:net'

/** A connection on its way. */
export interface Dialled {
  origin: string
  tcp: Socket
  /** TLS over it, begun but not yet agreed; undefined where the host could not be reached. Never rejects. */
  secure: Promise<Socket | undefined>
}

/**
 * Begins the connection that the first request to an https URL will use; undefined where a proxy may be in between, even if
 * `no_proxy` leads past it. Never fails: a request whose connection could not be made says why by itself.
 */
export function dial(url: string, env: Readonly<Record<string, string | undefined>>): Dialled | undefined {
  const { protocol, origin, hostname, port } = new URL(url)
  if (protocol !== 'https:' || findProxy(env) !== undefined) return undefined
  // an IPv6 address stands between brackets in a URL
  const host = hostname.replace(/^\[|\]$/g, '')
  const tcp = connect({ host, port: Number(port || 443) })
  // whoever wanted it makes another one, and learns from that what is wrong
  tcp.on('error', () => {})
  return {
    origin,
    tcp,
    secure: underway(tcp)
      .then(() => greet(host, tcp))
      .catch(() => undefined),
  }
}

/**
 * Resolves when the network is at work and the socket will stay what it is: where a host has several addresses, Node tries
 * one after the other and gives the socket another handle for each, which TLS must not have taken hold of.
 */
function underway(tcp: Socket): Promise<void> {
  return new Promise(resolve => {
    let addresses = 0
    // told once for each address, all in one turn
    tcp.on('lookup', () => {
      if (addresses++ === 0) queueMicrotask(() => addresses === 1 && resolve())
    })
    for (const event of ['connect', 'close']) tcp.once(event, () => resolve())
  })
}

/** What TLS needs for its greeting is computed while TCP is on its way. */
async function greet(host: string, tcp: Socket): Promise<Socket | undefined> {
  const { startTls } = await import('./start-tls.ts')
  if (tcp.destroyed) return undefined
  const secure = startTls(host, tcp)
  secure.on('error', () => {})
  return secure
}

/** Lets the event loop go round once: what has arrived is handled, and what was due is begun. */
export function round(): Promise<void> {
  return new Promise(resolve => setImmediate(() => setImmediate(resolve)))
}

/** The proxy for https URLs; whether it is used for a host says `no_proxy`. */
export function findProxy(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return env.https_proxy || env.HTTPS_PROXY || env.all_proxy || env.ALL_PROXY || undefined
}
