// What the members of the group of openCliTo may type: the script that sudo runs as root for them (fixtures/machines has
// it), held against the tables from which the program reads its arguments.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { shellWord } from '../../src/base/links.ts'
import { type Options, parseArguments } from '../../src/commands/arguments.ts'
import { COMMANDS } from '../../src/commands/hydra-channels.ts'
import { fixtureOf, parseFiles } from './machines.ts'

const STORE = '/nix/store/00000000000000000000000000000000-hydra-channels'
const SCRIPT = parseFiles(fixtureOf('detached'))[`${STORE.slice(1)}-for-group`] ?? ''

interface Answer {
  status: number
  /** what is handed on: the unit, who asks, and the arguments; undefined: it was refused */
  handedOn: string[] | undefined
  said: string
}

/** What comes of `run 7 ARGUMENTS…`, as sudo runs it for alice; all in one shell. */
function ask(all: readonly (readonly string[])[]): Answer[] {
  const body = SCRIPT.replace(`exec ${STORE}-as-hydra-channels `, 'handed_on ')
  assert.notEqual(body, SCRIPT)
  const lines = all.map(args => `ask run 7 ${args.map(shellWord).join(' ')}; printf '%s\\1' "$?"`)
  const input = `handed_on() { printf '%s\\2' "$@"; exit 0; }\nask() ( ${body}\n) 2>&1\n${lines.join('\n')}\n`
  const env = { SUDO_UID: '1000', SUDO_USER: 'alice', PATH: process.env.PATH }
  const output = execFileSync('bash', { input, env, encoding: 'utf8' })
  return output
    .split('\u0001')
    .slice(0, -1)
    .map(answer => {
      const end = /\d+$/.exec(answer)?.[0] ?? ''
      const text = answer.slice(0, answer.length - end.length)
      const parts = text.split('\u0002')
      return { status: Number(end), handedOn: parts.length > 1 ? parts.slice(0, -1) : undefined, said: text }
    })
}

const HANDED_ON = [
  'status',
  'status nas router',
  'status --json nas',
  'status nas --json',
  'status --metrics -',
  'status --metrics=-',
  'status --help',
  'status -h',
  'status -v',
  // all of them are channels
  'status -- --config=x --metrics x -x',
  'status -',
  'status --',
  'explain nas --json',
  'history nas --since 3w --json',
  'history --since=-3w nas',
  'reconcile --dry-run --wait nas',
  'hold nas --reason broken --until 3d',
  'hold nas --reason - --force',
  'hold --all --reason=x',
  // the value of another option, for the program as well
  'hold nas --reason=--config=x',
  'hold nas --reason=',
  'release --all',
  'doctor --json --offline',
  // the program itself says what is wrong
  'hold nas --reason',
  'status --json=x',
]

const REFUSED: [typed: string, said: RegExp][] = [
  ['', /^hydra-channels: only doctor, explain, history, hold, reconcile, release and status$/],
  ['create-app', /^hydra-channels: only /],
  ['--config x status', /^hydra-channels: only /],
  ['status --config x', /^hydra-channels: status --config is for root, or there is no such option: see /],
  ['status --config=x', /^hydra-channels: status --config is for root/],
  ['status --metrics x', /^hydra-channels: --metrics FILE is for root; --metrics - is not$/],
  ['status --metrics=x', /^hydra-channels: --metrics FILE is for root/],
  ['status --metrics=-x', /^hydra-channels: --metrics FILE is for root/],
  ['status --metrics=', /^hydra-channels: --metrics FILE is for root/],
  ['status --page x', /^hydra-channels: status --page is for root/],
  ['status --page=x', /^hydra-channels: status --page is for root/],
  ['status --yet-to-come', /^hydra-channels: status --yet-to-come is for root, or there is no such option/],
  // of another command
  ['status --all', /^hydra-channels: status --all is for root/],
  ['doctor --metrics -', /^hydra-channels: doctor --metrics is for root/],
  ['explain --config=x', /^hydra-channels: explain --config is for root/],
  // what looks like an option is none of a value, wherever it stands
  [
    'hold nas --reason --config=x',
    /^hydra-channels: --reason needs a value, but is followed by --config=x \(if that is the value: --reason=--config=x\)$/,
  ],
  ['hold nas --reason -- --config=x', /^hydra-channels: --reason needs a value, but is followed by -- /],
  ['hold nas --reason --until --config x', /^hydra-channels: --reason needs a value, /],
  ['hold nas --reason - --config x', /^hydra-channels: hold --config is for root/],
  ['status --metrics --config', /^hydra-channels: --metrics needs a value, /],
  ['status --metrics - --config=x', /^hydra-channels: status --config is for root/],
  ['status --json --config=x', /^hydra-channels: status --config is for root/],
  ['status -c', /^hydra-channels: status -c is for root/],
  ['status -hc', /^hydra-channels: status -hc is for root/],
  ['status -h=x', /^hydra-channels: status -h is for root/],
]

const words = (typed: string) => typed.split(' ').filter(word => word !== '')

test('what the group may type is handed on as it is, with who asks', () => {
  for (const [index, { status, handedOn, said }] of ask(HANDED_ON.map(words)).entries()) {
    const typed = HANDED_ON[index] ?? ''
    assert.deepEqual(handedOn, ['hydra-channels-shell-1000-7.service', 'alice', ...words(typed)], said)
    assert.equal(status, 0, typed)
  }
})

test('all else is for root, and a message says so', () => {
  for (const [index, { status, handedOn, said }] of ask(REFUSED.map(([typed]) => words(typed))).entries()) {
    const [typed, expected] = REFUSED[index] ?? ['', /^$/]
    assert.deepEqual([typed, handedOn, status], [typed, undefined, 2])
    assert.match(said.trimEnd(), expected)
  }
})

/** Those that name a file or a folder. */
const FOR_ROOT = new Set(['config', 'metrics', 'page'])
const FOR_GROUP = ['status', 'explain', 'history', 'reconcile', 'hold', 'release', 'doctor']

/** They need neither the key nor our state, so nobody has to start a unit for them. */
const WITHOUT_UNIT = ['create-app']

test('each command of the program is one for the group, or needs no unit', () => {
  assert.deepEqual(Object.keys(COMMANDS).sort(), [...FOR_GROUP, ...WITHOUT_UNIT].sort())
})

/** The tables of the program, by command. */
async function tables(): Promise<{ command: string; options: Options }[]> {
  const found = FOR_GROUP.flatMap(command => COMMANDS[command] ?? [])
  const loaded = await Promise.all(found.map(({ load }) => load()))
  return loaded.map(({ name, options }) => ({ command: name.replace('hydra-channels ', ''), options }))
}

test('each option of the program is for the group or for root, and both know whether it takes a value', async () => {
  const all = (await tables()).flatMap(({ command, options }) =>
    Object.entries(options).map(([name, { type }]) => ({ command, name, type })),
  )
  const plain = ask(
    all.map(({ command, name, type }) => [command, `--${name}`, ...(type === 'string' ? ['x'] : [])]),
  )
  // after “--” there are channels, unless that is the value of the option before it
  const ended = ask(all.map(({ command, name }) => [command, `--${name}`, '--', '--config=x']))
  for (const [index, { command, name, type }] of all.entries()) {
    const isOpen = !FOR_ROOT.has(name)
    const where = `groupOptions in nix/command.nix: ${command} --${name}`
    assert.equal(plain[index]?.handedOn !== undefined, isOpen, where)
    assert.equal(ended[index]?.handedOn !== undefined, isOpen && type === 'boolean', where)
  }
})

const TRICKY = [
  ...['x', '-', '--', '--json', '--reason', '--reason=--config', '--metrics', '--metrics=-', '--config=x'],
  ...['--config', '-h'],
]

test('whatever is handed on, the program finds no option in it that is for root', async () => {
  const two = TRICKY.flatMap(a => [[a], ...TRICKY.map(b => [a, b])])
  const typed = [...two, ...two.flatMap(some => (some.length === 2 ? TRICKY.map(c => [...some, c]) : []))]
  for (const { command, options } of await tables()) {
    if (command !== 'hold' && command !== 'status') continue
    let accepted = 0
    for (const [index, { handedOn }] of ask(typed.map(args => [command, ...args])).entries()) {
      if (!handedOn) continue
      const args = typed[index] ?? []
      const parsed = await parseArguments(command, options, args).catch(() => undefined)
      if (!parsed) continue
      accepted++
      const { metrics, help: _help, version: _version, ...values } = parsed.values as Record<string, unknown>
      assert.ok(metrics === undefined || metrics === '-', args.join(' '))
      for (const name of Object.keys(values)) assert.ok(!FOR_ROOT.has(name), args.join(' '))
    }
    assert.ok(accepted > 50, `${accepted}`)
  }
})
