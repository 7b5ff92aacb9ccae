import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { UsageError } from '../../../src/base/errors.ts'
import { allCommands } from '../../../src/commands/all-commands.ts'
import { CONFIG, type Options, parseArguments } from '../../../src/commands/arguments.ts'
import { COMMANDS_DOCUMENT, renderDocument } from '../../helpers/commands-document.ts'

const OPTIONS = {
  json: { type: 'boolean', about: 'as JSON' },
  'dry-run': { type: 'boolean', about: 'only look' },
  until: { type: 'string', value: 'TIME', about: 'when it ends' },
  config: CONFIG,
} as const satisfies Options

const parse = (args: string[]) => parseArguments('hydra-channels status', OPTIONS, args)
const SEE = 'see hydra-channels status --help'

describe('arguments that can be used', () => {
  const CASES: [args: string[], values: object, positionals: string[]][] = [
    [[], {}, []],
    [['nas', '--json', 'web'], { json: true }, ['nas', 'web']],
    [['--until', '3d'], { until: '3d' }, []],
    [['--until=--json'], { until: '--json' }, []],
    [['--until', '-'], { until: '-' }, []],
    [['-h'], { help: true }, []],
    [['-v'], { version: true }, []],
    [['-hv'], { help: true, version: true }, []],
    [['--', '--json'], {}, ['--json']],
    [['--until', '1h', '--until', '2h'], { until: '2h' }, []],
  ]
  for (const [args, values, positionals] of CASES) {
    test(args.join(' ') || 'none', async () => {
      const parsed = await parse(args)
      assert.deepEqual([{ ...parsed.values }, parsed.positionals], [values, positionals])
    })
  }
})

describe('arguments that cannot', () => {
  const CASES: [args: string[], message: string, hint: string[]][] = [
    [['--jsn'], 'there is no option --jsn', ['did you mean --json?', SEE]],
    [['--dryrun'], 'there is no option --dryrun', ['did you mean --dry-run?', SEE]],
    [['--conf', 'x'], 'there is no option --conf', ['did you mean --config?', SEE]],
    [['--hlep'], 'there is no option --hlep', ['did you mean --help?', SEE]],
    [['--quux'], 'there is no option --quux', [SEE]],
    [['-x'], 'there is no option -x', [SEE]],
    [['--no-json'], 'there is no option --no-json', ['did you mean --json?', SEE]],
    [['--toString'], 'there is no option --toString', [SEE]],
    [['--until'], '--until needs a value: --until TIME', [SEE]],
    [['--until='], '--until needs a value: --until TIME', [SEE]],
    [
      ['--until', '--json'],
      '--until needs a value, but is followed by --json',
      ['if that is the value: --until=--json', SEE],
    ],
    [['--json=yes'], '--json takes no value, but got “yes”', [SEE]],
  ]
  for (const [args, message, hint] of CASES) {
    test(args.join(' '), async () => {
      const error = await parse(args).catch((error: unknown) => error)
      assert.ok(error instanceof UsageError)
      assert.deepEqual([error.message, error.hint], [message, hint])
    })
  }
})

describe('the tables of all commands', async () => {
  for (const { name, options } of await allCommands()) {
    test(`${name}: an option has words, and one with a value a name for it`, () => {
      for (const [option, { type, value, about }] of Object.entries(options as Options)) {
        assert.equal(type === 'string', value !== undefined, option)
        assert.match(about, /^\S.*\S$/, option)
        assert.doesNotMatch(about, /\.$/, option)
      }
    })
  }

  test('docs/commands.md is what they say; npm run docs', async () => {
    const document = await renderDocument()
    assert.equal(readFileSync(COMMANDS_DOCUMENT, 'utf8'), document)
    for (const line of document.split('\n')) assert.ok(line.length <= 100, line)
  })
})
