// Where a text is not JSON, and why. JSON.parse gives the place in some versions of Node only, and quotes what is around it,
// where a secret may be. Here only single characters are quoted. The grammar is that of RFC 8259.

/** `line 3, column 12: found “}”, expected a value`; undefined if the text is JSON. Lines and columns begin with 1. */
export function jsonProblem(text: string): string | undefined {
  if (/^[ \t\r\n]*$/.test(text)) return 'it is empty'
  const problem = findProblem(text)
  return problem && `${place(text, problem.at)}: found ${problem.what}`
}

interface Problem {
  /** index in the text */
  at: number
  /** what is there, and what should be */
  what: string
}

const EXPECTED = {
  value: 'a value',
  item: 'a value',
  'first item': 'a value or “]”',
  key: 'a key in double quotes',
  'first key': 'a key in double quotes or “}”',
  colon: '“:” and a value',
  'more of {': '“,” or “}”',
  'more of [': '“,” or “]”',
  end: 'the end of the file',
} as const

const CLOSES = { '{': '}', '[': ']' } as const

function findProblem(text: string): Problem | undefined {
  const open: { sign: '{' | '['; at: number }[] = []
  let expected = 'value' as keyof typeof EXPECTED
  let at = 0
  let comma = 0

  const afterValue = () => {
    const last = open.at(-1)
    return last ? (`more of ${last.sign}` as const) : 'end'
  }
  const unexpected = (): Problem => {
    const last = at >= text.length ? open.at(-1) : undefined
    const where = last ? ` (“${last.sign}” of ${place(text, last.at)} is not closed)` : ''
    return { at, what: `${describe(text, at)}, expected ${EXPECTED[expected]}${where}` }
  }

  for (;;) {
    at = endOf(/[ \t\r\n]*/y, text, at) ?? at
    const sign = text[at]
    const last = open.at(-1)
    if (expected === 'end') return sign === undefined ? undefined : unexpected()

    if (last && sign === CLOSES[last.sign] && expected !== 'colon' && expected !== 'value') {
      if (expected === 'key' || expected === 'item') {
        return { at: comma, what: `“,” before “${sign}”, expected none after the last one` }
      }
      open.pop()
      at++
      expected = afterValue()
    } else if (expected === 'more of {' || expected === 'more of [') {
      if (sign !== ',') return unexpected()
      comma = at++
      expected = expected === 'more of {' ? 'key' : 'item'
    } else if (expected === 'colon') {
      if (sign !== ':') return unexpected()
      at++
      expected = 'value'
    } else if (sign === '"') {
      const end = endOfString(text, at)
      if (typeof end !== 'number') return end
      at = end
      expected = expected === 'key' || expected === 'first key' ? 'colon' : afterValue()
    } else if (expected === 'key' || expected === 'first key') {
      return unexpected()
    } else if (sign === '{' || sign === '[') {
      open.push({ sign, at })
      at++
      expected = sign === '{' ? 'first key' : 'first item'
    } else {
      const end = endOf(WORD, text, at) ?? endOf(NUMBER, text, at)
      if (end === undefined) return unexpected()
      at = end
      expected = afterValue()
    }
  }
}

const WORD = /(?:true|false|null)(?![\w$])/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y

/** Where a match that begins at `at` ends. */
function endOf(sticky: RegExp, text: string, at: number): number | undefined {
  sticky.lastIndex = at
  return sticky.test(text) ? sticky.lastIndex : undefined
}

function endOfString(text: string, start: number): number | Problem {
  const special = /["\\\u0000-\u001f]/g
  special.lastIndex = start + 1
  for (let match = special.exec(text); match; match = special.exec(text)) {
    const [sign] = match
    const at = match.index
    if (sign === '"') return at + 1
    if (sign !== '\\') {
      const what = sign === '\n' || sign === '\r' ? 'a line break' : sign === '\t' ? 'a tab' : code(sign)
      return { at, what: `${what} in a string, expected the quote that ends it` }
    }
    const end = endOf(ESCAPE, text, at)
    // as in `"\."` of a regular expression
    if (end === undefined)
      return { at, what: '“\\” with a sign that cannot follow it, expected “\\\\” for a backslash' }
    special.lastIndex = end
  }
  return {
    at: text.length,
    what: `the end of the file, expected the quote that ends the string of ${place(text, start)}`,
  }
}

/** What is at the place, without quoting more than one character of it. */
function describe(text: string, at: number): string {
  const codePoint = text.codePointAt(at)
  if (codePoint === undefined) return 'the end of the file'
  const sign = String.fromCodePoint(codePoint)
  if (sign === '#' || /^\/[/*]/.test(text.slice(at, at + 2))) return 'a comment, which JSON does not have'
  if (sign === '"') return 'a string'
  if (/['`\u00ab\u00bb\u2018-\u201f]/.test(sign)) return 'a quote that is not “"”'
  if (/\d/.test(sign)) return 'a number'
  if (/[\p{L}_$]/u.test(sign)) return 'a word without quotes'
  if (/[!-~]/.test(sign)) return `“${sign}”`
  if (sign === '\ufeff') return 'a byte order mark, which JSON does not have'
  if (sign === '\ufffd') return 'what is not UTF-8'
  return code(sign)
}

/** `U+00A0` */
function code(sign: string): string {
  return `U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** Columns count code points, as editors do. */
function place(text: string, at: number): string {
  const lines = text.slice(0, at).split(/\r\n|\n|\r/)
  return `line ${lines.length}, column ${[...(lines.at(-1) ?? '')].length + 1}`
}
