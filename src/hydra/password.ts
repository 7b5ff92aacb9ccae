// The file with the password of our role, for a PostgreSQL that is asked over TCP: as libpq's `passfile`.
// https://www.postgresql.org/docs/current/libpq-pgpass.html
import { Readable } from 'node:stream'
import pgpass from 'pgpass'
import { getPassword } from 'pgpass/lib/helper.js'
import { refuseMissing } from '../base/credential-file.ts'
import { messageOf, UsageError } from '../base/errors.ts'
import { readSmallFile } from '../base/read-small-file.ts'
import { type Connection, PASS_FILE } from './connection.ts'

const MISSING = { what: PASS_FILE.what, put: 'put the file with the password there' }

/**
 * Reads `database.passFile` at once, and looks for the connection's line when the server asks: without that file, in the one
 * that PGPASSFILE names, which Hydra sets, or in ~/.pgpass, unless PGPASSWORD is set. '' if there is none.
 *
 * @throws UsageError if `database.passFile` cannot be read
 */
export function readPassword(connection: Connection): () => Promise<string> {
  const { passFile } = connection
  if (passFile === undefined) {
    return () =>
      new Promise(resolve =>
        pgpass(connection, password => resolve(password ?? process.env.PGPASSWORD ?? '')),
      )
  }
  let lines: string
  try {
    lines = readSmallFile(passFile.path, { links: 'follow' })
  } catch (error) {
    // what follows in Node's message is the path
    const [why] = messageOf(error).split(', ')
    throw new UsageError(
      `cannot read the password of Hydra's database in ${passFile.shown} (${PASS_FILE.key}): ${why}`,
      {
        hint: 'let the user read it whom this runs as, or let systemd hand it over (LoadCredential=)',
        cause: error,
      },
    )
  }
  refuseMissing(lines, MISSING)
  return () =>
    new Promise(resolve =>
      getPassword(connection, Readable.from([lines]), password => resolve(password ?? '')),
    )
}
