// What systemd and polkit of this machine say of the copies to the cache.
import type { Config } from '../config.ts'
import { OperatorError } from '../errors.ts'
import { type Answer, notChecked } from './check.ts'
import { type Told, tell } from './command.ts'

const NOTIFY = 'hydra-notify.service'

/** As systemd-escape writes a store path: what a rule that is exact about paths lets through. */
const INSTANCE = '-nix-store-00000000000000000000000000000000\\x2ddoctor'

export interface MachineOptions {
  config: Config
  env: Readonly<Record<string, string | undefined>>
  /** whom this runs as; undefined where users have no numbers */
  uid: number | undefined
}

export async function checkCacheUnit({ config, env }: MachineOptions): Promise<Answer<never>> {
  const unit = config.cache?.unit
  if (unit === undefined) return notChecked('there is no cache.unit in the configuration')
  const told = await tell('systemctl', ['cat', '--', unit], env)
  if (told === 'missing') return notChecked('there is no systemctl in PATH')
  if (isWithoutSystemd(told)) return notChecked(`systemctl: ${told.lines[0]}`)
  if (told.status === 0) return { message: `systemd knows ${unit}` }
  throw new OperatorError(`systemd does not know ${unit}: systemctl cat ended with status ${told.status}`, {
    hint: [...told.lines.slice(0, 3), 'correct cache.unit, or write the unit (README: Configuration)'],
  })
}

/** Whether polkit lets hydra-notify start the unit. Only root may ask on behalf of another process. */
export async function checkPolkit({ config, env, uid }: MachineOptions): Promise<Answer<never>> {
  const template = config.cache?.unit
  if (template === undefined) return notChecked('there is no cache.unit in the configuration')
  if (uid !== 0) return notChecked('needs root')
  const shown = await tell('systemctl', ['show', '-p', 'MainPID,User', '--', NOTIFY], env)
  if (shown === 'missing') return notChecked('there is no systemctl in PATH')
  if (isWithoutSystemd(shown)) return notChecked(`systemctl: ${shown.lines[0]}`)
  const pid = /^MainPID=([1-9]\d*)$/m.exec(shown.stdout)?.[1]
  if (pid === undefined) return notChecked(`${NOTIFY} does not run`)
  const user = /^User=(.+)$/m.exec(shown.stdout)?.[1] ?? 'root'
  const unit = template.replace('@.', `@${INSTANCE}.`)
  const manage = ['--action-id', 'org.freedesktop.systemd1.manage-units', '--process', pid]
  const details = ['--detail', 'unit', unit, '--detail', 'verb', 'start']
  const told = await tell('pkcheck', [...manage, ...details], env)
  if (told === 'missing') return notChecked('there is no pkcheck in PATH')
  if (told.status === 0) return { message: `hydra-notify (process ${pid}, user ${user}) may start ${unit}` }
  // pkcheck(1): 1 no; 2 and 3 only with a password; everything else: it could not ask
  const denied = [1, 2, 3].includes(told.status)
  throw new OperatorError(
    denied
      ? `polkit does not let hydra-notify (process ${pid}, user ${user}) start ${unit}`
      : `polkit could not be asked whether hydra-notify may start ${unit}: pkcheck ended with status ${told.status}`,
    {
      hint: [
        ...told.lines.slice(0, 3),
        denied
          ? `let a rule of polkit answer YES to ${user} for org.freedesktop.systemd1.manage-units, the verb start, and units ${template.replace('@.', '@*.')}`
          : 'is polkit running (NixOS: security.polkit.enable)?',
      ],
    },
  )
}

/** A container, or a build: there is a systemctl, and nobody whom it could ask. */
function isWithoutSystemd({ status, lines }: Told): boolean {
  return (
    status !== 0 && lines.some(line => /not been booted with systemd|Failed to connect to bus/.test(line))
  )
}
