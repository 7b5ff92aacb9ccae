// `database` in the configuration.
import * as z from 'zod/mini'
import { port, text } from '../base/config-fields.ts'

export const databaseSchema = z.strictObject(
  {
    host: z._default(text('a host name, or the folder of a socket'), '/run/postgresql'),
    port: z._default(port, 5432),
    user: z._default(text('a database role'), 'hydra'),
    database: z._default(text('the name of a database'), 'hydra'),
    passFile: z.optional(text('the path of a file with the password')),
  },
  'an object',
)
