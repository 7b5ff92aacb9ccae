// Nothing that others wrote reaches the log raw: not as a line of its own, not as a colour, not in another direction.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  count,
  createLog,
  lineOf,
  listSome,
  printable,
  printableLines,
  short,
} from '../../../src/base/log.ts'

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => String.fromCharCode(from + index))

const CONTROLS: [what: string, chars: string[]][] = [
  ['C0', range(0x00, 0x1f)],
  ['DEL', ['\u007f']],
  ['C1', range(0x80, 0x9f)],
  ['the line and the paragraph separator', ['\u2028', '\u2029']],
  // all that has the property Bidi_Control
  ['bidirectional', ['\u061c', '\u200e', '\u200f', ...range(0x202a, 0x202e), ...range(0x2066, 0x2069)]],
]

for (const [what, chars] of CONTROLS) {
  test(`control characters are escaped as JSON would, wherever they stand: ${what} (${chars.length})`, () => {
    for (const char of chars) {
      const escaped = `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
      assert.equal(printable(`${char}a${char}${char}b${char}`), `${escaped}a${escaped}${escaped}b${escaped}`)
      assert.equal(JSON.parse(`"${printable(char)}"`), char)
    }
  })
}

test('every character of the property Bidi_Control and of the categories Cc, Zl and Zp is escaped, and no other', () => {
  for (let code = 0; code <= 0xffff; code++) {
    const char = String.fromCharCode(code)
    const control = /\p{Bidi_Control}|\p{Cc}|\p{Zl}|\p{Zp}/u.test(char)
    assert.equal(printable(char) !== char, control, code.toString(16))
  }
})

test('what is no control character stays: quotes, backslashes, other scripts, emoji', () => {
  const text = 'Übergröße “quotes” \\ back/slash \\u001b 日本語 🎉 \u00a0 $(touch /tmp/x)'
  assert.equal(printable(text), text)
})

const dirty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...CONTROLS.flatMap(([, chars]) => chars), '\r\n', '\u001b[2J', '\\', '\ud800'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
})

test('whatever the text, what is printable is one line without control characters, and stays as it is', () => {
  fc.assert(
    fc.property(dirty, text => {
      const shown = printable(text)
      assert.doesNotMatch(shown, /\p{Bidi_Control}|\p{Cc}|\p{Zl}|\p{Zp}/u)
      assert.equal(shown.split(/[\n\r\v\f\u0085\u2028\u2029]/).length, 1)
      assert.equal(printable(shown), shown)
    }),
  )
})

test('a line of the log ends with the only line break that is in it', () => {
  fc.assert(
    fc.property(dirty, text => {
      const written: string[] = []
      createLog(line => written.push(line)).line(text)
      assert.equal(written.length, 1)
      assert.match(written[0] ?? '', /^\P{Cc}*\n$/u)
    }),
  )
})

const OUTPUTS: [what: string, output: string, lines: string[]][] = [
  ['nothing', '', []],
  ['a line without its end', 'failed', ['failed']],
  ['two lines', 'one\ntwo\n', ['one', 'two']],
  ['line ends of Windows', 'one\r\ntwo\r\n', ['one', 'two']],
  ['blank lines', '\n  \none\n\t\n\n', ['one']],
  ['indentation', 'one\n  two  \n', ['one', '  two']],
  ['a progress bar', '10%\r20%\r30%\n', ['10%\\u000d20%\\u000d30%']],
  ['colours', '\u001b[31mred\u001b[0m\n', ['\\u001b[31mred\\u001b[0m']],
  ['a line separator', 'one\u2028two', ['one\\u2028two']],
]

for (const [what, output, lines] of OUTPUTS) {
  test(`the lines of another program's output: ${what}`, () => {
    assert.deepEqual(printableLines(output), lines)
  })
}

const COUNTS: [n: number, counted: string][] = [
  [0, '0 commits'],
  [1, '1 commit'],
  [2, '2 commits'],
  [12, '12 commits'],
]

for (const [n, counted] of COUNTS) {
  test(`counted: ${counted}`, () => {
    assert.equal(count(n, 'commit'), counted)
  })
}

test('a commit is seven digits short', () => {
  assert.equal(short('3f2c9d1e5a7b8c6d4e3f2a1b0c9d8e7f6a5b4c3d'), '3f2c9d1')
})

test('a long line is cut, and says how long it was', () => {
  assert.equal(lineOf('a'.repeat(8_000)), 'a'.repeat(8_000))
  assert.equal(lineOf('a'.repeat(8_001)), `${'a'.repeat(8_000)}… (cut: 8001 characters)`)
  // each of these takes six characters
  const escaped = lineOf('\u0007'.repeat(2_000_000))
  assert.equal(
    escaped,
    `${'\\u0007'.repeat(8_000 / 6)}${'\\u0007'.slice(0, 8_000 % 6)}… (cut: 2000000 characters)`,
  )
})

test('a list is cut, and says how many names are left out', () => {
  const names = Array.from({ length: 12 }, (_, n) => `h${n}`)
  assert.equal(listSome([]), '')
  assert.equal(listSome(names.slice(0, 2)), 'h0, h1')
  // “and 1 more” would be no shorter
  assert.equal(listSome(names.slice(0, 11)), names.slice(0, 11).join(', '))
  assert.equal(listSome(names), `${names.slice(0, 10).join(', ')} and 2 more`)
})

test('a log is cut in its middle: its last lines have the verdict', () => {
  const written: string[] = []
  const log = createLog(text => written.push(text))
  const lines = 1_000
  for (let n = 0; n < lines; n++) log.line(`${n} ${'a'.repeat(7_000)}`)
  log.line('the verdict')
  assert.match(
    written.at(-1) ?? '',
    /^… \(the log is full: the last 50 of the other lines follow at the end\)\n$/,
  )
  const shown = written.length
  log.end()
  assert.ok(written.join('').length < 2_500_000)
  assert.match(written[shown] ?? '', /^… \(\d+ lines left out\)\n$/)
  assert.equal(written.at(-1), 'the verdict\n')
  const omitted = Number(/\d+/.exec(written[shown] ?? ''))
  assert.equal(written.length - shown - 1, 50)
  assert.equal(written.length - 2 + omitted, lines + 1)
  // once
  log.end()
  assert.equal(written.at(-1), 'the verdict\n')
})
