// GitHub's own JSON Schemas (fixtures/openapi-slice.json) hold the test GitHub to what GitHub would say.

import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

interface Slice {
  operations: Record<string, { request?: object; responses: Record<string, object | boolean> }>
  $defs: Record<string, object>
}

const slice: Slice = JSON.parse(
  readFileSync(new URL('../../../fixtures/openapi-slice.json', import.meta.url), 'utf8'),
)
const ajv = new Ajv2020({ strict: false, validateFormats: true, allErrors: true })
// The package is CommonJS: under NodeNext its default export sits one step further in the types.
const withFormats = addFormats as unknown as (ajv: Ajv2020) => void
withFormats(ajv)
ajv.addFormat('int64', true)
// One copy of the definitions, so that each is compiled once however many operations name it.
ajv.addSchema({ $id: 'github', $defs: slice.$defs })

const compiled = new Map<string, ValidateFunction>()

function compile(key: string, schema: object | boolean): ValidateFunction {
  const known = compiled.get(key)
  if (known) return known
  const shared = JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"github#/$defs/'))
  const validate = ajv.compile(shared)
  compiled.set(key, validate)
  return validate
}

function check(key: string, schema: object | boolean, value: unknown): string[] {
  const validate = compile(key, schema)
  if (validate(value)) return []
  return (validate.errors ?? []).map(error => `${key}: ${error.instancePath || '/'} ${error.message}`)
}

/** `operation` as in the slice, e.g. `GET /repos/{owner}/{repo}/git/ref/{ref}`. */
export function checkRequest(operation: string, body: unknown): string[] {
  const schema = slice.operations[operation]?.request
  return schema ? check(`${operation} request`, schema, body) : []
}

/** A status that the description does not list for the operation must at least look like an error. */
export function checkAnswer(operation: string, status: number, body: unknown): string[] {
  const listed = slice.operations[operation]?.responses[status]
  if (listed !== undefined) return check(`${operation} ${status}`, listed, body)
  if (status >= 300) return check('any error', { $ref: '#/$defs/basic-error' }, body)
  return [`${operation} ${status}: not in the description`]
}
