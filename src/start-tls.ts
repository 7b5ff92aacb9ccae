// TLS over a connection that is there or on its way. A file of its own, because node:tls takes 10 ms to load.
import { isIP, type Socket } from 'node:net'
import { connect } from 'node:tls'

/** As node:https has it: the certificate must be the host's, and HTTP/1.1 is what will be spoken. */
export function startTls(host: string, socket: Socket): Socket {
  const name = isIP(host) ? {} : { servername: host }
  return connect({ socket, host, ...name, ALPNProtocols: ['http/1.1'] })
}
