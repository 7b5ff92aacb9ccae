// A command of the machine, without a shell, that only tells something.
import { execFile } from 'node:child_process'
import { codeOf } from '../errors.ts'
import { printableLines } from '../log.ts'

const TIMEOUT_MS = 10_000

export interface Told {
  /** 128 where it was ended, because it did not come to an end */
  status: number
  stdout: string
  /** what it said, standard output first */
  lines: string[]
}

/** `missing` where there is no such command in PATH. */
export function tell(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Told | 'missing'> {
  const options = {
    env: { ...env, LC_ALL: 'C.UTF-8', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' },
    timeout: TIMEOUT_MS,
  }
  return new Promise(resolve => {
    execFile(command, [...args], options, (error, stdout, stderr) => {
      if (codeOf(error) === 'ENOENT') return resolve('missing')
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 128
      resolve({ status, stdout, lines: printableLines(`${stdout}\n${stderr}`) })
    })
  })
}
