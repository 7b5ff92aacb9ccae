// Types of two libraries that bring none.

declare module 'pgpass' {
  /** Looks a password up in PGPASSFILE or ~/.pgpass; undefined if there is none. */
  export default function pgpass(
    connection: { host: string; port: number; user: string; database: string },
    callback: (password: string | undefined) => void,
  ): void
}

declare module 'pgpass/lib/helper.js' {
  /** Looks a password up in what such a file holds. */
  export function getPassword(
    connection: { host: string; port: number; user: string; database: string },
    lines: import('node:stream').Readable,
    callback: (password: string | undefined) => void,
  ): void
}

declare module 'proxy-from-env' {
  /** The proxy of `https_proxy` and its kin for a URL, unless `no_proxy` has its host; '' for none. */
  export function getProxyForUrl(url: string): string
}
