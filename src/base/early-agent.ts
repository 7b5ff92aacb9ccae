// node:https, with connections that are under way before there is a request for them.
import https from 'node:https'
import { connect, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * An agent that can connect before there is a request. TCP and TLS take a round trip each, and the first use of TLS reads all
 * the authorities that Node knows, for 50 ms: that happens while TCP is under way.
 */
export class EarlyAgent extends https.Agent {
  readonly #early: { tcp: Socket; secure: Promise<Duplex | null | undefined> }[] = []

  connect({ hostname, port }: URL, connections: number): void {
    // as https.request does it
    const host = hostname.replace(/^\[|\]$/g, '')
    const tls = { host, servername: isIP(host) ? '' : host, ALPNProtocols: ['http/1.1'] }
    for (let n = 0; n < connections; n++) {
      const tcp = connect(Number(port) || 443, host)
      // if it fails, its request connects anew, and learns why
      tcp.on('error', () => {})
      const secure = new Promise<Duplex | null | undefined>(resolve => {
        tcp.once('connect', () => {
          const options: https.AgentOptions & { socket: Socket } = { ...tls, socket: tcp }
          const socket = super.createConnection(options)
          socket?.on('error', () => {})
          resolve(socket)
        })
        tcp.once('close', () => resolve(undefined))
      })
      this.#early.push({ tcp, secure })
    }
  }

  override createConnection(...args: Parameters<https.Agent['createConnection']>) {
    const [options, created] = args
    const early = created && this.#early.shift()
    if (!early) return super.createConnection(...args)
    early.secure.then(socket => {
      const usable = socket && !socket.destroyed ? socket : super.createConnection(options)
      created(null, usable as Duplex)
    })
    return undefined
  }

  override destroy(): void {
    for (const { tcp } of this.#early) tcp.destroy()
    super.destroy()
  }
}
