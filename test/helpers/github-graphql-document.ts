// What a GraphQL request asks for: one operation of fields, arguments and variables, and the part of an
// object that it selects. Fragments are `... on Type { }` only, and directives are left out:
// https://spec.graphql.org/October2021/

import { Refusal } from './github-auth.ts'

/** The client asked for what GitHub's schema does not have; nobody but its author can help that. */
export class DocumentError extends Error {
  override name = 'DocumentError'
}

export interface Field {
  /** Of a fragment `... on Type`, which is no name of a field. */
  name: string
  /** The alias, or the name. */
  key: string
  /** Literals, and variables already in their place. */
  args: Record<string, unknown>
  fields: Field[] | undefined
  location: { line: number; column: number }
}

export interface Operation {
  kind: 'query' | 'mutation'
  fields: Field[]
}

/** Throws a DocumentError where GitHub would refuse the document before it runs any of it. */
export function parseOperation(text: string, variables: Record<string, unknown>): Operation {
  return new Reader(text, variables).operation()
}

interface Lexeme {
  text: string
  at: number
}

const LEXEME = /[\s,]+|#.*|("(?:\\.|[^"\\\n])*"|\$?[A-Za-z_]\w*|-?\d+|\.{3}|[!:={}()[\]])/y

function split(text: string): Lexeme[] {
  const lexemes: Lexeme[] = []
  for (let at = 0; at < text.length; ) {
    LEXEME.lastIndex = at
    const match = LEXEME.exec(text)
    if (!match) throw new DocumentError(`Expected a token at ${JSON.stringify(text.slice(at, at + 20))}`)
    if (match[1] !== undefined) lexemes.push({ text: match[1], at })
    at = LEXEME.lastIndex
  }
  return lexemes
}

class Reader {
  readonly #text: string
  readonly #lexemes: Lexeme[]
  readonly #variables: Record<string, unknown>
  readonly #declared = new Map<string, unknown>()
  readonly #used = new Set<string>()
  #next = 0

  constructor(text: string, variables: Record<string, unknown>) {
    this.#text = text
    this.#lexemes = split(text)
    this.#variables = variables
  }

  operation(): Operation {
    const kind = this.#peek() === '{' ? 'query' : this.#take()
    if (kind !== 'query' && kind !== 'mutation') throw new DocumentError(`Expected an operation, not ${kind}`)
    if (/^\w/.test(this.#peek())) this.#take()
    if (this.#skip('(')) while (!this.#skip(')')) this.#declare()
    const fields = this.#selection()
    if (this.#peek() !== '') throw new DocumentError(`Expected one operation, then came ${this.#peek()}`)
    for (const name of this.#declared.keys()) {
      if (!this.#used.has(name)) throw new DocumentError(`Variable ${name} is declared but not used`)
    }
    return { kind, fields }
  }

  #peek = (): string => this.#lexemes[this.#next]?.text ?? ''

  #take(expected?: string): string {
    const text = this.#peek()
    if (text === '' || (expected ?? text) !== text) {
      throw new DocumentError(`Expected ${expected ?? 'more'}, not ${text || 'the end'}`)
    }
    this.#next++
    return text
  }

  #skip(text: string): boolean {
    const skipped = this.#peek() === text
    if (skipped) this.#next++
    return skipped
  }

  #name(): string {
    const name = this.#take()
    if (!/^[A-Za-z_]/.test(name)) throw new DocumentError(`Expected a name, not ${name}`)
    return name
  }

  /** `$refUpdates: [RefUpdate!]! = …` */
  #declare(): void {
    const name = this.#take()
    this.#take(':')
    let type = ''
    while (/^[\w[\]!]/.test(this.#peek())) type += this.#take()
    const fallback = this.#skip('=') ? this.#value() : undefined
    const value = this.#variables[name.slice(1)] ?? fallback
    if (type.endsWith('!') && value == null) {
      throw new DocumentError(`Variable ${name} of type ${type} was provided invalid value`)
    }
    this.#declared.set(name, value)
  }

  #selection(): Field[] {
    this.#take('{')
    const fields: Field[] = []
    while (!this.#skip('}')) fields.push(this.#field())
    return fields
  }

  #field(): Field {
    const before = this.#text.slice(0, this.#lexemes[this.#next]?.at).split('\n')
    const location = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
    if (this.#skip('...')) return this.#fragment(location)
    const key = this.#name()
    const name = this.#skip(':') ? this.#name() : key
    const args = this.#skip('(') ? this.#pairs(')') : {}
    const fields = this.#peek() === '{' ? this.#selection() : undefined
    return { name, key, args, fields, location }
  }

  #fragment(location: Field['location']): Field {
    this.#take('on')
    const name = `... on ${this.#name()}`
    return { name, key: name, args: {}, fields: this.#selection(), location }
  }

  #pairs(end: string): Record<string, unknown> {
    const pairs: Record<string, unknown> = {}
    while (!this.#skip(end)) {
      const name = this.#name()
      this.#take(':')
      const value = this.#value()
      // A variable that was not given leaves its argument out.
      if (value !== undefined) pairs[name] = value
    }
    return pairs
  }

  #value(): unknown {
    const text = this.#take()
    if (text === '{') return this.#pairs('}')
    if (text === '[') {
      const items: unknown[] = []
      while (!this.#skip(']')) items.push(this.#value())
      return items
    }
    if (text.startsWith('$')) {
      if (!this.#declared.has(text)) throw new DocumentError(`Variable ${text} is used but not declared`)
      this.#used.add(text)
      return this.#declared.get(text)
    }
    // Numbers, booleans, null and all but a few rare strings are written as in JSON; the rest is enums.
    return /^(["\d-]|(?:true|false|null)$)/.test(text) ? JSON.parse(text) : text
  }
}

export interface GraphError {
  type: string
  path: (string | number)[]
  locations: Field['location'][]
  message: string
}

const TYPES: Record<number, string> = { 403: 'FORBIDDEN', 404: 'NOT_FOUND', 409: 'STALE_DATA' }

/**
 * Takes the fields out of `source`; a function there is called with the field's arguments. A Refusal that it
 * throws makes the field null and is added to `errors`. A fragment takes from what is at `... on Type`: that is
 * there for each type that GitHub allows, and undefined unless the object is of it.
 */
export async function select(
  source: object,
  fields: Field[],
  errors: GraphError[],
  path: (string | number)[] = [],
): Promise<Record<string, unknown>> {
  const result: Record<string, unknown> = {}
  for (const field of fields) {
    const isFragment = field.name.startsWith('...')
    if (!Object.hasOwn(source, field.name)) {
      if (isFragment) throw new DocumentError(`Fragment '${field.name}' can't be spread at ${path.join('.')}`)
      throw new DocumentError(`Field '${field.name}' doesn't exist at ${[...path, field.name].join('.')}`)
    }
    if (isFragment) {
      const object = source[field.name as keyof typeof source] as object | undefined
      if (object) Object.assign(result, await select(object, field.fields ?? [], errors, path))
      continue
    }
    const at = [...path, field.key]
    try {
      const value = source[field.name as keyof typeof source] as unknown
      const found = typeof value === 'function' ? await value(field.args) : value
      result[field.key] = await complete(found, field, errors, at)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const type = TYPES[error.status] ?? 'UNPROCESSABLE'
      errors.push({ type, path: at, locations: [field.location], message: error.message })
      result[field.key] = null
    }
  }
  return result
}

async function complete(
  value: unknown,
  field: Field,
  errors: GraphError[],
  path: (string | number)[],
): Promise<unknown> {
  if (value === null || value === undefined) return null
  if (Array.isArray(value)) {
    return Promise.all(value.map((item, index) => complete(item, field, errors, [...path, index])))
  }
  if (typeof value === 'object' && field.fields) return select(value, field.fields, errors, path)
  if (typeof value !== 'object' && !field.fields) return value
  const wrong = field.fields ? 'is a scalar' : 'must have selections'
  throw new DocumentError(`Field '${field.name}' ${wrong}`)
}
