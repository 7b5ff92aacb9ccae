// node:https, with connections that are under way before there is a request for them.
import https from 'node:https'
import net from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * An agent that can connect before there is a request. TCP and TLS take a round trip each, and the first use of TLS reads all
 * the authorities that Node knows, for 50 ms: that happens while TCP is under way.
 */
export class EarlyAgent extends https.Agent {
  readonly #dialled: net.Socket[] = []
  /** not taken by a request yet */
  readonly #early: Promise<Duplex | null | undefined>[] = []
  #isDestroyed = false

  connect({ hostname, port }: URL, connections: number): void {
    // as https.request does it
    const host = hostname.replace(/^\[|\]$/g, '')
    const tls = { host, servername: net.isIP(host) ? '' : host, ALPNProtocols: ['http/1.1'] }
    for (let n = 0; n < connections; n++) {
      const tcp = net.connect(Number(port) || 443, host)
      // if it fails, its request connects anew, and learns why
      tcp.on('error', () => {})
      const secure = new Promise<Duplex | null | undefined>(resolve => {
        tcp.once('connect', () => {
          const options: https.AgentOptions & { socket: net.Socket } = { ...tls, socket: tcp }
          const socket = super.createConnection(options)
          socket?.on('error', () => {})
          resolve(socket)
        })
        tcp.once('close', () => resolve(undefined))
      })
      this.#dialled.push(tcp)
      this.#early.push(secure)
    }
  }

  override createConnection(...args: Parameters<https.Agent['createConnection']>) {
    const [options, created] = args
    const early = created && this.#early.shift()
    if (!early) return super.createConnection(...args)
    early.then(socket => {
      // its request has ended, too
      if (this.#isDestroyed) return
      const usable = socket && !socket.destroyed ? socket : super.createConnection(options)
      created(null, usable as Duplex)
    })
    return undefined
  }

  override destroy(): void {
    this.#isDestroyed = true
    // also those that a request waits for: until TCP gives up, they would keep the process alive
    for (const tcp of this.#dialled) tcp.destroy()
    super.destroy()
  }
}
