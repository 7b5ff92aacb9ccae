// What systemd and polkit of this machine say of the copies to the cache.

import { messageOf, OperatorError } from '../base/errors.ts'
import { describeEnd, type ProgramRun, runProgram } from '../base/run-program.ts'
import type { Config } from '../config.ts'
import { type Answer, notChecked } from './check.ts'

const TIMEOUT_MS = 10_000

const NOTIFY = 'hydra-notify.service'

/** As systemd-escape writes a store path: what a rule that is exact about paths lets through. */
const INSTANCE = '-nix-store-00000000000000000000000000000000\\x2ddoctor'

export interface MachineOptions {
  config: Config
  env: Readonly<Record<string, string | undefined>>
  /** the user that this runs as; undefined on a system without user ids */
  uid: number | undefined
}

export async function checkCacheUnit({ config, env }: MachineOptions): Promise<Answer<never>> {
  const unit = config.cache?.unit
  if (unit === undefined) return notChecked('there is no cache.unit in the configuration')
  const shown = await ask('systemctl', ['cat', '--', unit], env)
  if (typeof shown === 'string') return notChecked(shown)
  if (shown.how === 0) return { message: `systemd knows ${unit}` }
  throw new OperatorError(`systemd does not know ${unit}: systemctl cat ${describeEnd(shown.how)}`, {
    hint: [...shown.lines.slice(0, 3), 'correct cache.unit, or write the unit (docs/install.md)'],
  })
}

/** Whether polkit lets hydra-notify start the unit. Only root may ask on behalf of another process. */
export async function checkPolkit({ config, env, uid }: MachineOptions): Promise<Answer<never>> {
  const template = config.cache?.unit
  if (template === undefined) return notChecked('there is no cache.unit in the configuration')
  if (uid !== 0) return notChecked('needs root')
  const shown = await ask('systemctl', ['show', '-p', 'MainPID,User', '--', NOTIFY], env)
  if (typeof shown === 'string') return notChecked(shown)
  const pid = /^MainPID=([1-9]\d*)$/m.exec(shown.stdout)?.[1]
  if (pid === undefined) return notChecked(`${NOTIFY} does not run`)
  const user = /^User=(.+)$/m.exec(shown.stdout)?.[1] ?? 'root'
  const unit = template.replace('@.', `@${INSTANCE}.`)
  const manage = ['--action-id', 'org.freedesktop.systemd1.manage-units', '--process', pid]
  const details = ['--detail', 'unit', unit, '--detail', 'verb', 'start']
  const answer = await ask('pkcheck', [...manage, ...details], env)
  if (typeof answer === 'string') return notChecked(answer)
  if (answer.how === 0) return { message: `hydra-notify (process ${pid}, user ${user}) may start ${unit}` }
  // pkcheck(1): 1 no; 2 and 3 only with a password; everything else: it could not ask
  const denied = answer.how === 1 || answer.how === 2 || answer.how === 3
  throw new OperatorError(
    denied
      ? `polkit does not let hydra-notify (process ${pid}, user ${user}) start ${unit}`
      : `polkit could not be asked whether hydra-notify may start ${unit}: pkcheck ${describeEnd(answer.how)}`,
    {
      hint: [
        ...answer.lines.slice(0, 3),
        denied
          ? `let a rule of polkit answer YES to ${user} for org.freedesktop.systemd1.manage-units, the verb start, and units ${template.replace('@.', '@*.')}`
          : 'is polkit running (NixOS: security.polkit.enable)?',
      ],
    },
  )
}

/** What a program answers, or why it cannot be asked. */
async function ask(
  program: string,
  args: readonly string[],
  env: MachineOptions['env'],
): Promise<Extract<ProgramRun, { kind: 'ended' }> | string> {
  const ran = await runProgram(program, args, { env, timeoutMs: TIMEOUT_MS })
  if (ran.kind === 'not-started') {
    return ran.why === 'missing' ? `there is no ${program} in PATH` : messageOf(ran.why)
  }
  // a container or a build has a systemctl, but no systemd that it could ask
  const withoutSystemd = ran.lines.some(line =>
    /not been booted with systemd|Failed to connect to bus/.test(line),
  )
  return ran.how !== 0 && withoutSystemd ? `${program}: ${ran.lines[0]}` : ran
}
