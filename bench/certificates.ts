// An authority of the bench's own, and a chain of two below it that is as long as they usually are, 1.9 kB: its size is
// among what a process receives. openssl makes it.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificates {
  /** the authority's certificate */
  caFile: string
  /** the server's certificate and the one between it and the authority, as PEM */
  cert: string
  key: string
}

/** Real ones are larger for what is in them beside the names: policies, addresses, proofs of transparency. */
const FILLER_CHARACTERS = 504

export function createCertificates(directory: string): Certificates {
  const file = (name: string) => join(directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const filler = `nsComment=${'bench '.repeat(FILLER_CHARACTERS / 6)}`

  const authority = (name: string, path: string) => [
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${name}`],
    ...['-keyout', `${path}.key`, '-out', `${path}.pem`],
  ]
  openssl(...authority('hydra-channels bench: root', 'root'))
  openssl(
    ...authority('hydra-channels bench: between', 'between'),
    '-CA',
    'root.pem',
    '-CAkey',
    'root.key',
    '-addext',
    filler,
  )
  openssl(
    ...authority('localhost', 'leaf'),
    ...['-CA', 'between.pem', '-CAkey', 'between.key', '-addext', filler],
    ...['-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE'],
  )
  const read = (name: string) => readFileSync(file(name), 'utf8')
  return { caFile: file('root.pem'), cert: read('leaf.pem') + read('between.pem'), key: read('leaf.key') }
}
