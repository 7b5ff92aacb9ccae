// A server of the bench is a process of its own, so that no measured process waits for the driver's event loop.
import { fork } from 'node:child_process'

export interface ServerProcess<Ready, Taken> {
  ready: Ready
  /** What happened since it was asked last. */
  take(): Promise<Taken>
  stop(): void
}

/** What a server's file hands to {@link serve}. */
export type Start<Options, Ready, Taken> = (
  options: Options,
) => Promise<{ ready: Ready; take: () => Taken | Promise<Taken> }>

/** @param file its name beside this one: `proxy.ts` */
export async function startServer<Options, Ready, Taken>(
  file: string,
  options: Options,
): Promise<ServerProcess<Ready, Taken>> {
  const child = fork(new URL(file, import.meta.url))
  const answer = <Answer>() =>
    new Promise<Answer>((resolve, reject) => {
      const gone = () => reject(new Error(`${file} ended`))
      child.once('exit', gone)
      child.once('message', message => {
        child.off('exit', gone)
        resolve(message as Answer)
      })
    })
  const ask = <Answer>(message: object) => {
    const answered = answer<Answer>()
    child.send(message)
    return answered
  }
  return {
    ready: await ask<Ready>({ start: options }),
    take: () => ask<Taken>({ take: true }),
    stop() {
      if (child.connected) child.disconnect()
    },
  }
}

/** The other side: starts with the options, and ends with the driver. */
export async function serve<Options, Ready, Taken>(start: Start<Options, Ready, Taken>): Promise<void> {
  process.once('disconnect', () => process.exit())
  const options = await new Promise<Options>(resolve =>
    process.once('message', message => resolve((message as { start: Options }).start)),
  )
  const { ready, take } = await start(options)
  process.on('message', async () => process.send?.(await take()))
  process.send?.(ready)
}
