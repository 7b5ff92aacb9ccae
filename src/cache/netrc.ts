// The login of a host in a netrc file, as curl reads it, which is what Nix asks caches with (nix.conf: netrc-file):
// https://everything.curl.dev/usingcurl/netrc. Stricter than curl where curl would take another word for the password.

export interface Login {
  /** '' where the file has a password alone, as attic and Cachix write it */
  login: string
  password: string
}

export type FoundLogin =
  | { kind: 'login'; login: Login }
  | { kind: 'none' }
  /** `why` quotes nothing */
  | { kind: 'invalid'; line: number; why: string }

interface Token {
  /** the first one is 1 */
  line: number
  kind: 'word' | 'quoted' | 'comment' | 'blank line' | 'unclosed quote'
  text: string
}

/** The first entry that is of the host, `cache.example.org` or `::1`, or `default`. Each character is looked at once. */
export function findLogin(netrc: string, host: string): FoundLogin {
  let entry: Partial<Login> | undefined
  /** the keyword whose value comes next */
  let keyword: string | undefined
  let keywordLine = 0
  let isMacro = false
  for (const { line, kind, text } of tokensOf(netrc)) {
    if (isMacro) {
      isMacro = kind !== 'blank line'
      continue
    }
    if (kind === 'blank line') continue
    if (kind === 'unclosed quote') return { kind: 'invalid', line, why: 'a quote has no end on its line' }
    if (kind === 'comment') {
      if (keyword === undefined) continue
      return {
        kind: 'invalid',
        line,
        why: `“${keyword}” is followed by a comment: a value that begins with # needs quotes`,
      }
    }
    const word = text.toLowerCase()
    if (keyword !== undefined) {
      // curl takes it for the value, and what comes then for this host's
      if (kind === 'word' && line !== keywordLine && (word === 'default' || KEYWORDS.includes(word))) {
        return { kind: 'invalid', line: keywordLine, why: `“${keyword}” has no value` }
      }
      if (keyword === 'machine') entry = text.toLowerCase() === host.toLowerCase() ? {} : undefined
      // of two, the first one counts
      else if (keyword === 'login' && entry) entry.login ??= text
      else if (keyword === 'password' && entry) entry.password ??= text
      else if (keyword === 'macdef') isMacro = true
      keyword = undefined
      continue
    }
    const begins = word === 'machine' || word === 'default'
    if (begins && isOfUse(entry)) break
    if (word === 'default') entry = {}
    else if (KEYWORDS.includes(word)) [keyword, keywordLine] = [word, line]
  }
  return isOfUse(entry)
    ? { kind: 'login', login: { login: entry.login ?? '', password: entry.password ?? '' } }
    : { kind: 'none' }
}

const KEYWORDS = ['machine', 'login', 'password', 'account', 'macdef']

function isOfUse(entry: Partial<Login> | undefined): entry is Partial<Login> {
  return entry?.login !== undefined || entry?.password !== undefined
}

/** What is in quotes may have blanks, and `\"`, `\n`, `\r`, `\t`; a comment goes to the end of its line. */
const TOKEN = /(#.*)|"((?:[^"\\]|\\.)*)("?)|[^\s"#]\S*/g

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function* tokensOf(netrc: string): Generator<Token> {
  for (const [index, text] of netrc
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = index + 1
    if (text.trim() === '') yield { line, kind: 'blank line', text: '' }
    for (const [word, comment, quoted, end] of text.matchAll(TOKEN)) {
      if (comment !== undefined) yield { line, kind: 'comment', text: '' }
      else if (quoted === undefined) yield { line, kind: 'word', text: word }
      else if (end === '') yield { line, kind: 'unclosed quote', text: '' }
      else {
        const value = quoted.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter)
        yield { line, kind: 'quoted', text: value }
      }
    }
  }
}
