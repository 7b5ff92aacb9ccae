// The unit tests named as arguments, all in this process: to start one for each file takes longer than the tests.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

for (const file of process.argv.slice(2)) await import(pathToFileURL(resolve(file)).href)
