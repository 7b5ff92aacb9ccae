// Where Hydra's database is: as the configuration says, else as Hydra itself says in its environment.
// The `postgres` client takes neither of Hydra's two forms as it is.
import { findCredentialFile, refuseSecret } from '../base/credential-file.ts'
import { UsageError } from '../base/errors.ts'

export interface Connection {
  /** a host name, or the folder of a unix socket: `/run/postgresql` */
  host: string
  port: number
  user: string
  database: string
  /** only if Hydra's connection string has one; never printed */
  password?: string
  /** where `database.passFile` of the configuration is, and what a message may say of it */
  passFile?: { path: string; shown: string }
  /** `require`, `verify-full`, …: libpq's sslmode, where the connection string has one */
  sslMode?: string
  /** where this was found: `configuration`, `HYDRA_DATABASE_URL`, `HYDRA_DBI` or `default` */
  source: string
}

export const PASS_FILE = { what: "file with the password of Hydra's database", key: 'database.passFile' }
/** As libpq has it, `HOST:PORT:DATABASE:ROLE:PASSWORD`, or one of Hydra's connection strings. */
const LINE_ITSELF = { what: 'a password', pattern: /^(?:[^/:=;@]*[:=;@]|\/(?:[^:]*:){4})/ }

const DEFAULT: Connection = {
  host: '/run/postgresql',
  port: 5432,
  user: 'hydra',
  database: 'hydra',
  source: 'default',
}

/**
 * The first of: the configuration, `HYDRA_DATABASE_URL`, `HYDRA_DBI`, the socket in `/run/postgresql`.
 *
 * @throws UsageError for a connection string that cannot be read, and never quotes it; or if `passFile` is no path
 */
export function findConnection(
  configured: (Omit<Connection, 'source' | 'passFile'> & { passFile?: string | undefined }) | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Connection {
  if (configured) {
    const { passFile, ...connection } = configured
    return {
      ...connection,
      ...(passFile !== undefined && { passFile: findPassFile(passFile, env) }),
      source: 'configuration',
    }
  }
  if (env.HYDRA_DATABASE_URL) return fromUrl(env.HYDRA_DATABASE_URL)
  if (env.HYDRA_DBI) return fromDbi(env.HYDRA_DBI)
  return DEFAULT
}

function findPassFile(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): NonNullable<Connection['passFile']> {
  const { what, key } = PASS_FILE
  refuseSecret(file, key, LINE_ITSELF)
  const path = findCredentialFile(file, { what: `the ${what}`, key, isSecretLike: true }, env)
  return { path, shown: path === file ? path : 'its file in $CREDENTIALS_DIRECTORY' }
}

/** The connection for a log: everything but the password. */
export function showConnection({ host, port, user, database, source }: Connection): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}, database ${database}, role ${user} (${source})`
}

/** `postgres://hydra@%2Frun%2Fpostgresql:5432/hydra?application_name=…` (libpq's connection URI) */
function fromUrl(connectionString: string): Connection {
  const source = 'HYDRA_DATABASE_URL'
  // Not `new URL`: it refuses a host that is a percent-encoded folder. A second “@” ends a password with “/” or “?” in it,
  // or a part of it would be taken for the database, and shown. Only application_name may contain one.
  const match =
    /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?(\[[^\]]*\]|[^:/?#@]*)(?::(\d*))?(?:\/([^?#@]*))?(?:\?([^#]*))?$/.exec(
      connectionString,
    )
  const isPassword = (pair: string) => pair.includes('@') && !pair.startsWith('application_name=')
  if (!match || match[6]?.split('&').some(isPassword)) {
    throw unreadable(source, 'postgres://USER@HOST:PORT/DATABASE')
  }
  const parameters = new URLSearchParams(match[6]?.replaceAll('+', '%2B'))
  const part = (index: number, name: string) => parameters.get(name) || decode(match[index] ?? '', source)
  return connection(source, {
    host: part(3, 'host').replace(/^\[|\]$/g, ''),
    port: part(4, 'port'),
    user: part(1, 'user'),
    password: part(2, 'password'),
    database: part(5, 'dbname'),
    sslMode: parameters.get('sslmode') ?? '',
  })
}

/** `dbi:Pg:dbname=hydra;user=hydra;;application_name=…` (DBD::Pg) */
function fromDbi(dbi: string): Connection {
  const source = 'HYDRA_DBI'
  const parameters = /^dbi:Pg(?:\([^)]*\))?:(.*)$/is.exec(dbi)?.[1]
  if (parameters === undefined) throw unreadable(source, 'dbi:Pg:dbname=DATABASE;user=USER')
  const values = new Map(
    parameters.split(';').map(pair => {
      const [name = '', ...value] = pair.split('=')
      return [
        name.trim().toLowerCase(),
        value
          .join('=')
          .trim()
          .replace(/^'(.*)'$/s, '$1'),
      ]
    }),
  )
  const first = (...names: string[]) => names.map(name => values.get(name)).find(Boolean) ?? ''
  return connection(source, {
    host: first('host', 'hostaddr'),
    port: first('port'),
    user: first('user'),
    password: first('password'),
    database: first('dbname', 'database', 'db'),
    sslMode: first('sslmode'),
  })
}

type Parts = Record<'host' | 'port' | 'user' | 'password' | 'database' | 'sslMode', string>

/** What is left out is as on a machine that runs Hydra; the database is called like the role, as libpq has it. */
function connection(source: string, parts: Parts): Connection {
  const user = parts.user || DEFAULT.user
  const port = parts.port === '' ? DEFAULT.port : Number(parts.port)
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw unreadable(source, 'a port from 1 to 65535')
  return {
    host: parts.host || DEFAULT.host,
    port,
    user,
    database: parts.database || user,
    ...(parts.password && { password: parts.password }),
    ...(parts.sslMode && { sslMode: parts.sslMode }),
    source,
  }
}

function decode(part: string, source: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw unreadable(source, 'a percent-encoded connection URI')
  }
}

function unreadable(source: string, expected: string): UsageError {
  return new UsageError(
    `cannot read ${source}: expected ${expected} (its value may hold a password and is not shown)`,
  )
}
