// A long way to a server: TCP, passed on in both directions with half of a round trip's delay. The kernel accepts a
// connection at once, so what a real handshake would have cost is waited for before the client's first byte goes on.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { serve } from './server-process.ts'

export interface Route {
  port: number
  roundTripMs: number
}

export interface ProxyOptions {
  routes: Route[]
}

/** The ports, in the order of the routes. */
export type ProxyReady = number[]

export interface Traffic {
  connections: number
  /** by the clients, TLS included */
  bytesReceived: number
}

await serve<ProxyOptions, ProxyReady, Traffic>(async ({ routes }) => {
  let traffic: Traffic = { connections: 0, bytesReceived: 0 }

  function carry(client: Socket, { port, roundTripMs }: Route): void {
    traffic.connections++
    const established = performance.now() + roundTripMs
    const server = connect(port, 'localhost')
    pass(client, server, () => Math.max(performance.now(), established) + roundTripMs / 2)
    pass(server, client, () => performance.now() + roundTripMs / 2)
    server.on('data', chunk => {
      traffic.bytesReceived += chunk.length
    })
  }

  const ready = await Promise.all(
    routes.map(async route => {
      const proxy = createServer({ allowHalfOpen: true }, client => carry(client, route))
      await new Promise<void>(resolve => proxy.listen(0, 'localhost', resolve))
      return (proxy.address() as AddressInfo).port
    }),
  )
  return {
    ready,
    take() {
      const taken = traffic
      traffic = { connections: 0, bytesReceived: 0 }
      return taken
    },
  }
})

/** @param due when what arrives now comes out at the other end, in milliseconds of `performance.now()` */
function pass(from: Socket, to: Socket, due: () => number): void {
  const later = createQueue()
  from.setNoDelay(true)
  from.on('data', chunk => later(due(), () => to.write(chunk)))
  from.on('end', () => later(due(), () => to.end()))
  // a connection that was cut is cut at its other end, and no more
  from.on('error', () => later(due(), () => to.destroy()))
}

/** Runs each at its time, and in the order of their coming. */
function createQueue(): (due: number, run: () => void) => void {
  const waiting: { due: number; run: () => void }[] = []
  const drain = () => {
    for (let next = waiting[0]; next; next = waiting[0]) {
      const left = next.due - performance.now()
      // a timer is late by up to 2 ms, which four round trips would have eight times
      if (left > 2.5) return void setTimeout(drain, left - 2)
      if (left > 0.05) return void setImmediate(drain)
      waiting.shift()
      next.run()
    }
  }
  return (due, run) => {
    waiting.push({ due, run })
    if (waiting.length === 1) drain()
  }
}
