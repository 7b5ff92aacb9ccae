// What is wrong with a text that should be JSON, and where.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { jsonProblem } from '../../../src/base/json-problem.ts'

const CASES: [text: string, problem: string | undefined][] = [
  ['{ "channels": [] }', undefined],
  [' [true, false, null, -0.5e+3, "\\u00e9\\"\\/", {}, []]\r\n', undefined],
  // nothing
  ['', 'it is empty'],
  [' \n\t\r\n', 'it is empty'],
  ['\ufeff{}', 'line 1, column 1: found a byte order mark, which JSON does not have, expected a value'],
  ['\ufffd\ufffd{\0}\0', 'line 1, column 1: found what is not UTF-8, expected a value'],
  // commas
  ['{\n  "a": 1,\n}', 'line 2, column 9: found “,” before “}”, expected none after the last one'],
  ['[1, 2 , ]', 'line 1, column 7: found “,” before “]”, expected none after the last one'],
  ['{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3: found a string, expected “,” or “}”'],
  ['[1\n 2]', 'line 2, column 2: found a number, expected “,” or “]”'],
  ['[1,,2]', 'line 1, column 4: found “,”, expected a value'],
  ['{ , }', 'line 1, column 3: found “,”, expected a key in double quotes or “}”'],
  // comments
  ['// ours\n{}', 'line 1, column 1: found a comment, which JSON does not have, expected a value'],
  [
    '{\n  # ours\n}',
    'line 2, column 3: found a comment, which JSON does not have, expected a key in double quotes or “}”',
  ],
  ['{ "a": 1 /* b */ }', 'line 1, column 10: found a comment, which JSON does not have, expected “,” or “}”'],
  ['{}\n// end', 'line 2, column 1: found a comment, which JSON does not have, expected the end of the file'],
  ['[/]', 'line 1, column 2: found “/”, expected a value or “]”'],
  // quotes
  ['{ geheim: 1 }', 'line 1, column 3: found a word without quotes, expected a key in double quotes or “}”'],
  [
    '{ "a": 1, geheim: 1 }',
    'line 1, column 11: found a word without quotes, expected a key in double quotes',
  ],
  [
    "{ 'geheim': 1 }",
    'line 1, column 3: found a quote that is not “"”, expected a key in double quotes or “}”',
  ],
  ['{\n  "token": `geheim`\n}', 'line 2, column 12: found a quote that is not “"”, expected a value'],
  ['{ "token": “geheim” }', 'line 1, column 12: found a quote that is not “"”, expected a value'],
  ['{ "token": geheim }', 'line 1, column 12: found a word without quotes, expected a value'],
  ['{ "token": größe }', 'line 1, column 12: found a word without quotes, expected a value'],
  ['undefined', 'line 1, column 1: found a word without quotes, expected a value'],
  ['{ "dryRun": True }', 'line 1, column 13: found a word without quotes, expected a value'],
  ['[nullgeheim]', 'line 1, column 2: found a word without quotes, expected a value or “]”'],
  [
    '{ "token": "geheim }',
    'line 1, column 21: found the end of the file, expected the quote that ends the string of line 1, column 12',
  ],
  [
    '{ "token": "geheim,\n "a": 1 }',
    'line 1, column 20: found a line break in a string, expected the quote that ends it',
  ],
  ['["geheim\tgeheim"]', 'line 1, column 9: found a tab in a string, expected the quote that ends it'],
  ['["geheim\u0000"]', 'line 1, column 9: found U+0000 in a string, expected the quote that ends it'],
  ['{ "a" "b" }', 'line 1, column 7: found a string, expected “:” and a value'],
  ['{ "a": "b" c" }', 'line 1, column 12: found a word without quotes, expected “,” or “}”'],
  // backslashes
  [
    '{ "job": "nixos-(?<host>.*)\\.x86_64-linux" }',
    'line 1, column 28: found “\\” with a sign that cannot follow it, expected “\\\\” for a backslash',
  ],
  [
    '["\\u00g0"]',
    'line 1, column 3: found “\\” with a sign that cannot follow it, expected “\\\\” for a backslash',
  ],
  ['["\\', 'line 1, column 3: found “\\” with a sign that cannot follow it, expected “\\\\” for a backslash'],
  // brackets
  [
    '{ "channels": [ ',
    'line 1, column 17: found the end of the file, expected a value or “]” (“[” of line 1, column 15 is not closed)',
  ],
  [
    '{\n  "a": {}\n',
    'line 3, column 1: found the end of the file, expected “,” or “}” (“{” of line 1, column 1 is not closed)',
  ],
  ['{ "a": }', 'line 1, column 8: found “}”, expected a value'],
  ['{ "a" }', 'line 1, column 7: found “}”, expected “:” and a value'],
  ['{ "a": [1 }', 'line 1, column 11: found “}”, expected “,” or “]”'],
  ['{}}', 'line 1, column 3: found “}”, expected the end of the file'],
  ['{}\n{}', 'line 2, column 1: found “{”, expected the end of the file'],
  // numbers
  ['[01]', 'line 1, column 3: found a number, expected “,” or “]”'],
  ['[1.]', 'line 1, column 3: found “.”, expected “,” or “]”'],
  ['[-]', 'line 1, column 2: found “-”, expected a value or “]”'],
  // what counts as a line and as a column
  ['[\r\n\r\n  x]', 'line 3, column 3: found a word without quotes, expected a value or “]”'],
  ['[\r\rx]', 'line 3, column 1: found a word without quotes, expected a value or “]”'],
  ['["😀é", x]', 'line 1, column 8: found a word without quotes, expected a value'],
  ['[😀]', 'line 1, column 2: found U+1F600, expected a value or “]”'],
  ['[1,\u00a02]', 'line 1, column 4: found U+00A0, expected a value'],
]

describe('where a text is no JSON, and why', () => {
  for (const [text, problem] of CASES) {
    test(JSON.stringify(text), () => {
      assert.equal(jsonProblem(text), problem)
      assert.equal(isJson(text), problem === undefined)
    })
  }
})

test('it has a problem if JSON.parse has one, and quotes no more than a sign', () => {
  const pieces = fc.constantFrom(
    ...'{}[],:"\\-.+eE01un\n\t \u0000/#',
    '"a"',
    '"GEHEIM"',
    'GEHEIM',
    'true',
    'null',
  )
  const torn = fc.tuple(fc.json(), fc.nat(), fc.nat(3), pieces).map(([text, at, length, piece]) => {
    const start = at % (text.length + 1)
    return text.slice(0, start) + piece + text.slice(start + length)
  })
  const text = fc.oneof(
    torn,
    fc.json(),
    fc.array(pieces).map(all => all.join('')),
  )
  fc.assert(
    fc.property(text, text => {
      const problem = jsonProblem(text)
      assert.equal(problem === undefined, isJson(text))
      assert.doesNotMatch(problem ?? '', /GE|HEIM/)
    }),
    { numRuns: 5_000 },
  )
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
