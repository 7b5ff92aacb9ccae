// All queries of src/hydra/queries, by their names: for the tests that must not forget one.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const DIRECTORY = join(import.meta.dirname, '../../src/hydra/queries')

/** What is put together from several is no query of its own. */
const COMPOSED = 'jobset-facts.ts'

/** `['findBuild', …]` */
export async function namesOfQueries(): Promise<string[]> {
  const files = readdirSync(DIRECTORY).filter(file => file !== COMPOSED)
  const modules = await Promise.all(files.map(file => import(pathToFileURL(join(DIRECTORY, file)).href)))
  return modules.flatMap(module => Object.keys(module)).filter(name => name.startsWith('find'))
}
