// npm run docs: writes the documents that are made of the code. A test compares them.
import { writeFileSync } from 'node:fs'
import { COMMANDS_DOCUMENT, renderDocument } from './helpers/commands-document.ts'

writeFileSync(COMMANDS_DOCUMENT, await renderDocument())
