// The event: every file that Hydra itself wrote, and the message for everything else.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { UsageError } from '../../../src/base/errors.ts'
import {
  type BuildFinished,
  isBuildFinished,
  parseEvent,
  readEvent,
  summarize,
} from '../../../src/hydra/event.ts'
import { codesOnly } from '../../helpers/words.ts'

const FIXTURES = fileURLToPath(new URL('../../../fixtures/events/', import.meta.url))
const fixture = (name: string) => readFileSync(join(FIXTURES, name), 'utf8')

const directory = mkdtempSync(join(tmpdir(), 'hc-event-'))
after(() => rmSync(directory, { recursive: true }))

const PARTIAL = /^the event event\.json \(HYDRA_JSON\) is not JSON, or only a part of it \(\d+ bytes\): ./
const UNUSABLE = 'the event event.json (HYDRA_JSON) cannot be used: '

function refusal(work: () => unknown): UsageError {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error))
    return error
  }
  throw new Error('it was taken')
}

function parse(content: string): { event: BuildFinished; shown: string } {
  const { event, shown } = parseEvent(content, 'event.json')
  assert.ok(isBuildFinished(event))
  return { event, shown }
}

/** What no schema names is kept nevertheless. */
const field = (event: object, name: string) => (event as Record<string, unknown>)[name]

const EVENT = {
  event: 'buildFinished',
  build: 4123,
  finished: true,
  buildStatus: 0,
  project: 'dotfiles',
  jobset: 'main',
  job: 'nixos-nas.x86_64-linux',
  outputs: [{ name: 'out', path: '/nix/store/00000000000000000000000000000001-nixos-system-nas' }],
}

/** A build's event with another field; the value is text, so that it can be what is not JSON. */
const withField = (name: string, value: string) =>
  JSON.stringify(EVENT).replace(/\}$/, `,${JSON.stringify(name)}:${value}}`)

describe('what Hydra wrote', () => {
  const EVENTS: Record<string, string> = {
    'aggregate.json': 'build 1006 dotfiles:main:all-hosts succeeded',
    'cached-success.json': 'build 1010 dotfiles:main:nixos-cachedok.x86_64-linux succeeded',
    'cancelled.json': 'build 1008 dotfiles:main:nixos-cancelled.x86_64-linux was cancelled',
    'depfailed.json':
      'build 1007 dotfiles:main:nixos-depfail.x86_64-linux failed because a dependency failed',
    'failed-with-output.json':
      'build 1014 dotfiles:main:package-failedwithoutput.x86_64-linux failed with output',
    'failure-with-dependents.json': 'build 1015 dotfiles:main:package-root-cause.x86_64-linux failed',
    'failure.json': 'build 1002 dotfiles:main:nixos-nuc.x86_64-linux failed',
    'git-https.json': 'build 2001 dotfiles:git-https:nixos-fsn0.x86_64-linux succeeded',
    'legacy.json': 'build 3001 dotfiles:legacy:hello.x86_64-linux succeeded',
    'metrics-nan-inf-jsonxs.json': 'build 1010 dotfiles:main:nixos-cachedok.x86_64-linux succeeded',
    'metrics-nan-inf.json': 'build 1010 dotfiles:main:nixos-cachedok.x86_64-linux succeeded',
    'multi-outputs.json': 'build 1004 dotfiles:main:package-multi.x86_64-linux succeeded',
    'null-output-path-failed.json': 'build 1005 dotfiles:main:package-ca.x86_64-linux failed',
    'nullfields.json': 'build 1003 dotfiles:main:nixos-hkg0.x86_64-linux succeeded',
    'products-metrics.json': 'build 1013 dotfiles:main:iso.x86_64-linux succeeded',
    'success.json': 'build 1001 dotfiles:main:nixos-fsn0.x86_64-linux succeeded',
    'timeout.json': 'build 1009 dotfiles:main:nixos-timeout.x86_64-linux timed out',
    'unfinished.json': 'build 1011 dotfiles:main:nixos-queued.x86_64-linux is not finished',
    'unicode.json': 'build 1012 dotfiles:main:package-uni.x86_64-linux succeeded',
  }

  test('is all in this table', () => {
    assert.deepEqual(readdirSync(FIXTURES).sort(), Object.keys(EVENTS))
  })

  for (const [file, summary] of Object.entries(EVENTS)) {
    test(`${file}: ${summary}`, () => {
      const { event, shown } = readEvent(join(FIXTURES, file))
      assert.ok(isBuildFinished(event))
      assert.equal(summarize(event), summary)
      // all of it, the fields that no schema names included
      assert.deepEqual(JSON.parse(shown), event)
      assert.equal(Object.keys(event).length, 19)
    })
  }

  test('outputs have their names and paths, and null where there is no path yet', () => {
    assert.deepEqual(
      parse(fixture('multi-outputs.json')).event.outputs.map(({ name }) => name),
      ['out', 'dev', 'man'],
    )
    assert.deepEqual(parse(fixture('null-output-path-failed.json')).event.outputs, [
      { name: 'out', path: null },
      { name: 'dev', path: null },
    ])
  })

  test('a metric that is no number is null, from the backend that writes no JSON as from the one that does', () => {
    const { event, shown } = parse(fixture('metrics-nan-inf-jsonxs.json'))
    assert.deepEqual(field(event, 'metrics'), [
      { name: 'nan', value: null, unit: null },
      { name: 'inf', value: null, unit: null },
      { name: 'big', value: 1e300, unit: null },
    ])
    assert.match(shown, /"value":1e\+300/)
  })

  test('text is as it was: quotes, backslashes, other scripts, and what a shell would run', () => {
    const { event } = parse(fixture('unicode.json'))
    assert.equal(
      field(event, 'description'),
      "Übergröße “quotes” \\ back/slash \t tab 日本語 🎉 $(touch /tmp/x) `id` 'q'",
    )
  })
})

describe('a number that is none', () => {
  const BARE = ['nan', 'inf', '-inf', '-nan', 'NaN', 'Inf', '-Inf', 'NAN', 'INF']
  for (const token of BARE) {
    test(`${token} becomes null`, () => {
      assert.deepEqual(field(parse(withField('x', `[${token}, ${token} ,1]`)).event, 'x'), [null, null, 1])
    })
  }

  const STRINGS = [
    'nan',
    '-inf',
    'a nan, an inf: nan',
    '" nan',
    '\\" nan \\',
    'nan\nan\rinf\\nan',
    '\\',
    '\\\\nan',
    '":nan,"',
    '\u2028nan',
  ]
  for (const text of STRINGS) {
    test(`in a string is text: ${JSON.stringify(text)}`, () => {
      const { event } = parse(withField('x', `[nan,${JSON.stringify(text)},inf]`))
      assert.deepEqual(field(event, 'x'), [null, text, null])
    })
  }

  test('as the name of a field is text', () => {
    assert.deepEqual(field(parse(withField('x', '{"nan":nan,"inf":-inf}')).event, 'x'), {
      nan: null,
      inf: null,
    })
  })

  for (const token of [
    'nanx',
    'xnan',
    'infinity',
    '1nan',
    'nan1',
    '--nan',
    '+inf',
    'nan nan',
    '"nan',
    'nan"',
  ]) {
    test(`${token} is not JSON, and stays so`, () => {
      assert.match(refusal(() => parse(withField('x', token))).message, PARTIAL)
    })
  }

  test('wherever it stands, and whatever the strings, everything else is as it was', () => {
    const HERE = '\u0000here'
    const text = fc.string({
      unit: fc.constantFrom('nan', 'inf', '-', '"', '\\', '\n', ' ', ',', ':', 'é', '{', ']'),
    })
    const { tree } = fc.letrec(tie => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.constant(HERE),
        text,
        fc.integer(),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(text, tie('tree'), { maxKeys: 4 }),
      ),
    }))
    fc.assert(
      fc.property(tree, fc.constantFrom(...BARE), (value, token) => {
        const placed = JSON.stringify([value, HERE])
        const [bare, nulls] = [token, 'null'].map(other => placed.replaceAll(JSON.stringify(HERE), other))
        assert.ok(bare !== undefined && nulls !== undefined)
        assert.deepEqual(field(parse(withField('x', bare)).event, 'x'), JSON.parse(nulls))
      }),
      { numRuns: 300 },
    )
  })
})

describe('the file', () => {
  for (const unset of [undefined, '']) {
    test(`that HYDRA_JSON does not name (${unset})`, () => {
      const { message, hint } = refusal(() => readEvent(unset))
      assert.equal(message, 'HYDRA_JSON is not set: there is no event to read')
      assert.deepEqual(hint, [
        'Hydra sets it for a RunCommand hook; to try by hand: HYDRA_JSON=event.json hydra-hook',
      ])
    })
  }

  test('that is not there', () => {
    const file = join(directory, 'none.json')
    const { message, hint } = refusal(() => readEvent(file))
    assert.equal(codesOnly(message), `cannot read the event ${file} (HYDRA_JSON): ENOENT '${file}'`)
    assert.deepEqual(hint, ['Hydra removes the file as soon as the hooks of its build have ended'])
  })

  test('that is a folder', () => {
    const { message, hint } = refusal(() => readEvent(directory))
    assert.equal(codesOnly(message), `cannot read the event ${directory} (HYDRA_JSON): EISDIR`)
    assert.deepEqual(hint, [])
  })

  test('that may not be read', { skip: process.getuid?.() === 0 && 'root may read every file' }, () => {
    const file = join(directory, 'secret.json')
    writeFileSync(file, fixture('success.json'), { mode: 0 })
    assert.equal(
      codesOnly(refusal(() => readEvent(file)).message),
      `cannot read the event ${file} (HYDRA_JSON): EACCES '${file}'`,
    )
  })

  test('that cannot be used is named', () => {
    const file = join(directory, 'bad.json')
    writeFileSync(file, '{"event":7}')
    assert.equal(
      refusal(() => readEvent(file)).message,
      `the event ${file} (HYDRA_JSON) cannot be used: event: is 7, expected a string`,
    )
  })

  for (const name of ['success.json', 'metrics-nan-inf-jsonxs.json', 'unicode.json']) {
    test(`${name}, cut at any byte, is said to be a part of it`, () => {
      const bytes = readFileSync(join(FIXTURES, name))
      for (let length = 0; length < bytes.length; length++) {
        const { message } = refusal(() => parseEvent(bytes.subarray(0, length).toString(), 'event.json'))
        assert.match(message, PARTIAL, `${length} bytes`)
      }
    })
  }

  test('that is cut behind a metric that is no number: what is said is of the end, not of that number', () => {
    const { message } = refusal(() => parse('{"metrics":[{"value":nan},'))
    assert.match(message, PARTIAL)
    assert.doesNotMatch(message, /nan/)
  })
})

describe('an event of another shape names the field, what it holds and what was expected', () => {
  const CASES: { what: string; content: unknown; problems: string[] }[] = [
    { what: 'a list', content: [], problems: ['it is a list, expected an object'] },
    { what: 'null', content: null, problems: ['it is null, expected an object'] },
    { what: 'a string', content: 'x', problems: ['it is "x", expected an object'] },
    { what: 'no kind', content: {}, problems: ['event: missing, expected a string'] },
    {
      what: 'a kind that is none',
      content: { event: null },
      problems: ['event: is null, expected a string'],
    },
    {
      what: 'nothing but the kind',
      content: { event: 'buildFinished' },
      problems: [
        'build: missing, expected an id',
        'finished: missing, expected true or false',
        'buildStatus: missing, expected a number or null',
        'project: missing, expected a string',
        'jobset: missing, expected a string',
        'job: missing, expected a string',
        'outputs: missing, expected a list of outputs',
      ],
    },
    ...[0, -1, 1.5, 2 ** 31, '4123', null, true].map(build => ({
      what: `the build ${JSON.stringify(build)}`,
      content: { ...EVENT, build },
      problems: [`build: is ${JSON.stringify(build)}, expected an id`],
    })),
    ...[1, 0, 'true', null].map(finished => ({
      what: `finished: ${JSON.stringify(finished)}`,
      content: { ...EVENT, finished },
      problems: [`finished: is ${JSON.stringify(finished)}, expected true or false`],
    })),
    ...['0', 0.5, false].map(buildStatus => ({
      what: `the status ${JSON.stringify(buildStatus)}`,
      content: { ...EVENT, buildStatus },
      problems: [`buildStatus: is ${JSON.stringify(buildStatus)}, expected a number or null`],
    })),
    ...['project', 'jobset', 'job'].flatMap(name => [
      {
        what: `${name} is null`,
        content: { ...EVENT, [name]: null },
        problems: [`${name}: is null, expected a string`],
      },
      {
        what: `${name} is a list`,
        content: { ...EVENT, [name]: ['x'] },
        problems: [`${name}: is a list, expected a string`],
      },
    ]),
    {
      what: 'outputs by their names',
      content: { ...EVENT, outputs: { out: '/nix/store/x' } },
      problems: ['outputs: is an object, expected a list of outputs'],
    },
    {
      what: 'an output that is a path',
      content: { ...EVENT, outputs: [...EVENT.outputs, '/nix/store/x'] },
      problems: ['outputs[1]: is "/nix/store/x", expected an object with name and path'],
    },
    {
      what: 'an output of which nothing is known',
      content: { ...EVENT, outputs: [{}, { name: 7, path: 7 }] },
      problems: [
        'outputs[0].name: missing, expected a string',
        'outputs[0].path: missing, expected a string or null',
        'outputs[1].name: is 7, expected a string',
        'outputs[1].path: is 7, expected a string or null',
      ],
    },
  ]
  for (const { what, content, problems } of CASES) {
    test(what, () => {
      const { message, hint } = refusal(() => parseEvent(JSON.stringify(content), 'event.json'))
      assert.deepEqual([message, ...hint], [`${UNUSABLE}${problems[0]}`, ...problems.slice(1)])
    })
  }

  test('a field that Hydra adds one day is no trouble', () => {
    const outputs = [{ ...EVENT.outputs[0], size: 7 }]
    const content = { ...EVENT, outputs, eval: 991 }
    assert.deepEqual(parse(JSON.stringify(content)).event, content)
  })

  test('an event of another kind is told apart, whatever else is in it', () => {
    for (const content of [{ event: 'buildStarted', build: 'x' }, { event: 'evalAdded' }, { event: '' }]) {
      const { event, shown } = parseEvent(JSON.stringify(content), 'event.json')
      assert.equal(isBuildFinished(event), false)
      assert.deepEqual(event, { event: content.event })
      assert.equal(shown, JSON.stringify(content))
    }
  })
})

describe('the summary of a build', () => {
  const STATES: [status: number | null, state: string][] = [
    [0, 'succeeded'],
    [1, 'failed'],
    [2, 'failed because a dependency failed'],
    [3, 'was aborted'],
    [4, 'was cancelled'],
    [5, 'ended with status 5'],
    [6, 'failed with output'],
    [7, 'timed out'],
    [8, 'ended with status 8'],
    [9, 'was aborted: no builder has its system'],
    [10, 'failed: its log is larger than the limit'],
    [11, 'failed: its output is larger than the limit'],
    [12, 'failed: it is not deterministic'],
    [99, 'ended with status 99'],
    [-1, 'ended with status -1'],
    [null, 'ended without a status'],
  ]
  for (const [buildStatus, state] of STATES) {
    test(`status ${buildStatus}: ${state}`, () => {
      assert.equal(
        summarize({ ...EVENT, event: 'buildFinished', buildStatus }),
        `build 4123 dotfiles:main:nixos-nas.x86_64-linux ${state}`,
      )
    })
  }

  test('a build that is being built again keeps its status, and is not finished', () => {
    assert.equal(
      summarize({ ...EVENT, event: 'buildFinished', finished: false }),
      'build 4123 dotfiles:main:nixos-nas.x86_64-linux is not finished',
    )
  })
})

describe('an event that is made to do harm', () => {
  const SIZE = 400_000
  const HARMFUL: [what: string, content: string][] = [
    ['escaped quotes in a string that does not end', `{"x":nan,"y":"${'\\"'.repeat(SIZE / 2)}`],
    ['the same, and half an escape at the end', `{"x":nan,"y":"${'\\"'.repeat(SIZE / 2)}\\`],
    ['escaped quotes outside of a string', '\\"'.repeat(SIZE / 2)],
    ['quotes', '"'.repeat(SIZE + 1)],
    ['backslashes', `"${'\\'.repeat(SIZE + 1)}`],
    ['a string that does not end', `{"x":"${'a'.repeat(SIZE)}`],
    ['many numbers that are none', `[${'nan,'.repeat(SIZE / 4)}`],
    ['minus signs', '-'.repeat(SIZE)],
    ['letters', 'n'.repeat(SIZE)],
    ['lists in lists', '['.repeat(SIZE / 10)],
    ['lists in lists that end', `{"event":"x","x":${'['.repeat(SIZE / 20)}${']'.repeat(SIZE / 20)}}`],
    ['many colons in a field of another type', withField('build', JSON.stringify(['://'.repeat(SIZE / 3)]))],
    ['an “@” behind many colons', withField('build', JSON.stringify(`${'://'.repeat(SIZE / 3)}@`))],
  ]
  for (const [what, content] of HARMFUL) {
    test(`is refused as fast as it is read: ${what}`, () => {
      const start = process.cpuUsage()
      assert.ok(refusal(() => parseEvent(content, 'event.json')).message.length < 500)
      // a guard, no measurement: what is quadratic takes far longer
      assert.ok(process.cpuUsage(start).user < 5_000_000)
    })
  }

  test('is nested more deeply than Hydra can write it, in lists or in objects', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"x":', '}'],
    ] as const) {
      // the event itself is one level
      const nested = (levels: number) =>
        `{"event":"x","x":${open.repeat(levels - 1)}7${close.repeat(levels - 1)}}`
      assert.equal(parseEvent(nested(512), 'event.json').shown, nested(512))
      for (const levels of [513, 5_000, 100_000]) {
        const { message, hint } = refusal(() => parseEvent(nested(levels), 'event.json'))
        assert.equal(message, `${UNUSABLE}it is nested more than 512 levels deep`)
        assert.deepEqual(hint, [])
      }
    }
  })

  const never = (content: string) => {
    try {
      parseEvent(content, 'event.json')
    } catch (error) {
      assert.ok(error instanceof UsageError, String(error))
    }
  }

  test('whatever the bytes, it is taken or refused by a UsageError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => never(Buffer.from(bytes).toString())),
      { numRuns: 500 },
    )
  })

  test('whatever the tokens, it is taken or refused by a UsageError', () => {
    const unit = fc.constantFrom(
      ...'{}[],:"\\',
      'nan',
      '-inf',
      '1',
      'null',
      '"event"',
      '"buildFinished"',
      ' ',
      'e',
    )
    fc.assert(fc.property(fc.string({ unit, maxLength: 30 }), never), { numRuns: 1000 })
  })

  test('whatever the JSON, it is taken or refused by a UsageError', () => {
    const fields = [
      'build',
      'finished',
      'buildStatus',
      'project',
      'jobset',
      'job',
      'outputs',
      '__proto__',
      'x',
    ]
    const event = fc.dictionary(fc.constantFrom(...fields), fc.jsonValue(), { maxKeys: 9 })
    fc.assert(fc.property(fc.json(), never), { numRuns: 300 })
    fc.assert(
      fc.property(event, more => never(JSON.stringify({ ...EVENT, ...more }))),
      { numRuns: 500 },
    )
  })
})
