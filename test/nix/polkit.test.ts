// nix/polkit.rules as polkit runs it: who may start what, and twenty ways around it.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { evaluate, NIX_DIRECTORY, nix, withoutNix } from './nix.ts'

const ACTION = 'org.freedesktop.systemd1.manage-units'
const HASH = '0123456789abcdfghijklmnpqrsvwxyz'
const USERS = ['hydra-queue-runner', 'hydra-channels']
const unitOf = (name: string) => `copy-cache-example@-nix-store-${HASH}\\x2d${name}.service`
const UNIT = unitOf('nixos\\x2dsystem\\x2dnas\\x2d26.05')

/** As nix/render.nix does, for machines without Nix; that both are the same is tested below. */
function render(unit: string, users: string[], store: string): string {
  return readFileSync(`${NIX_DIRECTORY}polkit.rules`, 'utf8')
    .replace('["@USERS@"]', () => JSON.stringify(users))
    .replace('"@TEMPLATE@"', () => JSON.stringify(unit.replace('.service', '')))
    .replace('"@STORE@"', () => JSON.stringify(store))
}

const RULE = render('copy-cache-example@.service', USERS, '-nix-store-')

interface Question {
  id?: string
  user?: string
  /** what systemd says of the request; undefined: nothing of it */
  details?: Record<string, string> | undefined
}

/** The rule's answer: `yes`, or undefined, and then other rules and the defaults decide. */
function ask(question: Question, rule = RULE): unknown {
  const { id = ACTION, user = 'hydra-queue-runner' } = question
  const details = 'details' in question ? (question.details ?? {}) : { unit: UNIT, verb: 'start' }
  const rules: ((action: object, subject: object) => unknown)[] = []
  const polkit = {
    Result: { YES: 'yes', NO: 'no' },
    addRule: (added: (action: object, subject: object) => unknown) => rules.push(added),
  }
  runInNewContext(rule, { polkit })
  assert.equal(rules.length, 1)
  return rules[0]?.({ id, lookup: (key: string) => details[key] }, { user })
}

const start = (unit: string, more: Record<string, string> = {}): Question => ({
  details: { unit, verb: 'start', ...more },
})

test('Hydra’s notifier and hydra-channels may start a copy of a store path', () => {
  for (const user of USERS) assert.equal(ask({ user }), 'yes')
  const message = "Authentication is required to start '$(unit)'."
  assert.equal(ask(start(UNIT, { 'polkit.message': message })), 'yes')
})

test('every name of a store path that systemd-escape writes is one', () => {
  for (const name of ['a', 'hello\\x2d2.12', 'gtk\\x2b\\x2b', 'a_b.drv', 'x\\x3fy\\x3d1', '..', '.hidden']) {
    assert.equal(ask(start(unitOf(name))), 'yes', name)
  }
  const long = `${'a'.repeat(254 - UNIT.length)}`
  assert.equal(ask(start(unitOf(`nixos\\x2dsystem\\x2dnas\\x2d26.05${long}`))), 'yes')
})

const HOSTILE: Record<string, string> = {
  'another template': UNIT.replace('copy-cache-example', 'container'),
  'a template that begins like ours': UNIT.replace('copy-cache-example@', 'copy-cache-example-root@'),
  'a template that ends like ours': `evil-${UNIT}`,
  'ours behind another': `getty@${UNIT}`,
  'ours behind another line': `getty@tty1.service\n${UNIT}`,
  'another behind ours': `${UNIT}\ngetty@tty1.service`,
  'a line break at the end': `${UNIT}\n`,
  'a line break in the name': unitOf('nixos\nsystem'),
  'a blank, as of two units': `${UNIT} getty@tty1.service`,
  'a NUL at the end': `${UNIT}\0`,
  'the template itself': 'copy-cache-example@.service',
  'no store path': 'copy-cache-example@-etc-shadow.service',
  'the store': 'copy-cache-example@-nix-store.service',
  'a path in a store path': unitOf('a-etc-shadow'),
  'a slash that is escaped': unitOf('a\\x2fetc'),
  'up and out of the store': 'copy-cache-example@-nix-store-..-..-etc-shadow.service',
  'up from a store path': `copy-cache-example@-nix-store-${HASH}\\x2da-..-..-..-etc.service`,
  'a relative path': UNIT.replace('@-nix', '@nix'),
  'another store': UNIT.replace('-nix-store-', '-tmp-store-'),
  'a hash that is short': UNIT.replace(HASH, HASH.slice(1)),
  'a hash with a letter that Nix has not': UNIT.replace('0123', 'e123'),
  'a hash in capitals': UNIT.replace(HASH, HASH.toUpperCase()),
  'no name behind the hash': unitOf(''),
  'a blank that is escaped': unitOf('a\\x20--option'),
  'a quote': unitOf('a\\x27'),
  'half of an escape': unitOf('a\\x2'),
  'capitals in an escape': unitOf('a\\x2D'),
  'a bare backslash': unitOf('a\\'),
  'letters that look like ours': UNIT.replace('copy-cache', 'сopy-cache'),
  'a socket': UNIT.replace('.service', '.socket'),
  'two endings': UNIT.replace('.service', '.service.mount'),
  'a name that systemd has no room for': unitOf('a'.repeat(300)),
  'the empty name': '',
}

for (const [how, unit] of Object.entries(HOSTILE)) {
  test(`not allowed: ${how}`, () => assert.equal(ask(start(unit)), undefined))
}

test('not allowed: another verb', () => {
  const verbs = [
    'stop restart try-restart reload reload-or-restart reload-or-try-restart kill reset-failed set-property',
    'clean freeze thaw Start start\n',
  ].flatMap(line => line.split(' '))
  for (const verb of [...verbs, '']) assert.equal(ask({ details: { unit: UNIT, verb } }), undefined, verb)
  assert.equal(ask({ details: { unit: UNIT } }), undefined)
})

test('not allowed: a request that names no unit', () => {
  assert.equal(ask({ details: { verb: 'start' } }), undefined)
  assert.equal(ask({ details: undefined }), undefined)
})

test('not allowed: a transient unit of that name, which is any command as root', () => {
  const message = "Authentication is required to start transient unit '$(unit)'."
  assert.equal(ask(start(UNIT, { 'polkit.message': message })), undefined)
})

test('not allowed: another user', () => {
  for (const user of ['hydra', 'hydra-www', 'nobody', 'hydra-channels2', 'Hydra-channels', '', '0']) {
    assert.equal(ask({ user }), undefined, user)
  }
})

test('not allowed: another action', () => {
  for (const id of [
    `${ACTION}-x`,
    'org.freedesktop.systemd1.manage-unit-files',
    'org.freedesktop.systemd1.reload-daemon',
    'org.freedesktop.policykit.exec',
  ]) {
    assert.equal(ask({ id }), undefined, id)
  }
})

test('what is allowed is what systemd-escape makes of a store path', t => {
  const path = `/nix/store/${HASH}-nixos-system-nas-26.05+g?=_`
  let unit: string
  try {
    unit = execFileSync('systemd-escape', ['--template=copy-cache-example@.service', '--', path], {
      encoding: 'utf8',
    }).trimEnd()
  } catch {
    t.skip('systemd-escape is not installed')
    return
  }
  assert.equal(ask(start(unit)), 'yes')
})

test('ECMAScript 5 has no arrow functions, let, const or template strings', () => {
  const code = RULE.replace(/\/\/.*$/gm, '')
  assert.doesNotMatch(code, /=>|\blet\b|\bconst\b|`|\.includes\(|\.startsWith\(/)
})

test('nix/render.nix writes the same rule', { skip: withoutNix }, () => {
  const rule = (unit: string, users: string[], storeDir: string) =>
    evaluate<string>(`render.polkitRule ${nix({ unit, users, storeDir })}`)
  assert.equal(rule('copy-cache-example@.service', USERS, '/nix/store'), RULE)
  const other = rule('copy.x@.service', ['hydra-notify'], '/mnt/my-nix/store')
  assert.equal(other, render('copy.x@.service', ['hydra-notify'], '-mnt-my\\x2dnix-store-'))
  const unit = `copy.x@-mnt-my\\x2dnix-store-${HASH}\\x2da.service`
  assert.equal(ask({ ...start(unit), user: 'hydra-notify' }, other), 'yes')
  assert.equal(ask({ ...start(unit.replace('copy.x', 'copyyx')), user: 'hydra-notify' }, other), undefined)
})
