// A systemctl of the test's own, first in PATH; systemd-escape is the machine's.
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** How `systemctl start` ends: in systemd's own words, read off systemd 252. */
const ENDINGS = {
  ok: 'exit 0',
  failed: `echo "Job for $unit failed because the control process exited with error code." >&2
echo "See \\"systemctl status $unit\\" and \\"journalctl -xeu $unit\\" for details." >&2
exit 1`,
  unknown: 'echo "Failed to start $unit: Unit $unit not found." >&2; exit 5',
  denied: 'echo "Failed to start $unit: Interactive authentication required." >&2; exit 1',
  'access denied': `echo "Failed to start $unit: Access denied" >&2
echo "See system logs and 'systemctl status $unit' for details." >&2
exit 4`,
  killed: 'kill -KILL $$',
  'never stops talking': 'exec yes all work and no play',
  // two megabytes
  'talks a lot': 'yes "$unit is not done yet" | head -c 2000000; exit 1',
  hangs: 'sleep 600',
  'waits for a file': 'while [ ! -e "$0.go" ]; do sleep 0.05; done',
  'control characters': 'printf "Failed to start \\033[31m$unit\\033[0m\\n" >&2; exit 1',
} as const

export type Ending = keyof typeof ENDINGS

/** How `systemd-escape` ends, where it is not the machine's own. */
const ESCAPES = {
  'one name': 'echo copy-cache@one.service',
  failed: 'echo "Input is not a valid unit name template." >&2; exit 1',
  hangs: 'exec sleep 600',
  killed: 'kill -KILL $$',
  'no name': 'exit 0',
  'a name too many': 'echo copy-cache@one.service; echo copy-cache@two.service',
} as const

/** What `systemctl cat` says of a unit. */
const UNIT_FILES = {
  known: 'echo "# /etc/systemd/system/$3"; exit 0',
  unknown: 'echo "No files found for $3." >&2; exit 1',
  'no systemd': `echo "System has not been booted with systemd as init system (PID 1). Can't operate." >&2
echo "Failed to connect to bus: Host is down" >&2
exit 1`,
} as const

export interface TestSystemd {
  /** for PATH */
  bin: string
  /** how `systemctl start` ends from now on; of units whose name has `only`, the others succeed */
  ends(ending: Ending, only?: string): void
  /** how `systemd-escape` ends from now on */
  escapes(ending: keyof typeof ESCAPES): void
  /** what `systemctl cat` says of units from now on; at first it knows all */
  unitFiles(say: keyof typeof UNIT_FILES): void
  /** `systemctl show` of hydra-notify, which does not run at first */
  notify(running: { pid: number; user: string }): void
  /** how pkcheck ends, and what it says; before, it is the machine's own */
  pkcheck(status: number, words?: string): void
  /** ends the waiting for a file */
  release(): void
  /** the arguments of every systemctl so far; of pkcheck, with its name before them */
  calls(): string[][]
}

export function createSystemd(directory: string): TestSystemd {
  const bin = join(directory, 'bin')
  const log = join(directory, 'systemctl.log')
  mkdirSync(bin)
  const write = (name: string, script: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}`)
    chmodSync(join(bin, name), 0o755)
  }
  const systemd: TestSystemd = {
    bin,
    ends(ending, only = '') {
      write(
        'systemctl',
        `printf '%s\\n' "$@" END >> '${log}'
case "$1" in
  cat) . '${bin}/systemctl.cat' ;;
  show) exec cat '${bin}/systemctl.show' ;;
esac
for unit in "$@"; do
  case "$unit" in *@*'${only}'*)
${ENDINGS[ending]}
  ;; esac
done
`,
      )
    },
    escapes: ending => write('systemd-escape', `${ESCAPES[ending]}\n`),
    unitFiles: say => writeFileSync(join(bin, 'systemctl.cat'), UNIT_FILES[say]),
    notify: ({ pid, user }) => writeFileSync(join(bin, 'systemctl.show'), `MainPID=${pid}\nUser=${user}\n`),
    pkcheck: (status, words = '') =>
      write('pkcheck', `printf '%s\\n' pkcheck "$@" END >> '${log}'\necho '${words}' >&2\nexit ${status}\n`),
    release: () => writeFileSync(join(bin, 'systemctl.go'), ''),
    calls() {
      if (!existsSync(log)) return []
      const calls: string[][] = [[]]
      for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
        if (line === 'END') calls.push([])
        else calls.at(-1)?.push(line)
      }
      return calls.slice(0, -1)
    },
  }
  systemd.ends('ok')
  systemd.unitFiles('known')
  systemd.notify({ pid: 0, user: '' })
  bringEscape(bin)
  return systemd
}

/** A machine without systemd has no systemd-escape: then one that does what the manual says of it, and says so. */
function bringEscape(bin: string): void {
  try {
    execFileSync('systemd-escape', ['--version'], { stdio: 'ignore' })
  } catch {
    process.stderr.write('# no systemd-escape on this machine: the tests bring one of their own\n')
    const script = `#!${process.execPath}
const template = process.argv[2].replace('--template=', '')
const escape = text => [...Buffer.from(text)].map((byte, index) => {
  const char = String.fromCharCode(byte)
  if (char === '/') return '-'
  return /[A-Za-z0-9:_]/.test(char) || (char === '.' && index > 0) ? char : '\\\\x' + byte.toString(16).padStart(2, '0')
}).join('')
console.log(process.argv.slice(4).map(text => template.replace('@', '@' + escape(text))).join(' '))
`
    writeFileSync(join(bin, 'systemd-escape'), script)
    chmodSync(join(bin, 'systemd-escape'), 0o755)
  }
}
