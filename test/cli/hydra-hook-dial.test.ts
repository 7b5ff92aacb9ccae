// The connection that a hook begins before all of it is loaded: it is the one that all requests go through, and a hook that has
// nothing to ask begins none.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createServer } from 'node:tls'
import { selfSigned } from '../helpers/certificate.ts'
import { CHANNEL, type Stage, stageFor } from '../helpers/stage.ts'

/** The stage's GitHub behind TLS, and how many connections were made to it. */
async function behindTls(t: TestContext, stage: Stage): Promise<() => number> {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const cert = selfSigned('localhost', keys)
  const { port } = new URL(stage.github.apiUrl)
  const server = createServer(
    { cert, key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) },
    socket => {
      const plain = connect(Number(port), '127.0.0.1')
      socket.pipe(plain).pipe(socket)
      for (const end of [socket, plain]) end.on('error', () => {})
    },
  )
  let connections = 0
  server.on('connection', () => connections++)
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  stage.config.github.apiUrl = `https://localhost:${(server.address() as AddressInfo).port}`
  const file = join(stage.directory, 'ca.pem')
  writeFileSync(file, cert)
  stage.env.NODE_EXTRA_CA_CERTS = file
  return () => connections
}

for (const [name, cache] of [
  ['at its beginning', undefined],
  ['when the outputs are copied', { unit: 'copy-cache@.service' }],
  ['when the outputs were looked for', { url: '' }],
] as const) {
  test(`all requests of a hook go through the connection that it begins ${name}`, async t => {
    const stage = await stageFor(t)
    const connections = await behindTls(t, stage)
    if (cache) stage.config.cache = 'url' in cache ? { url: stage.cache.url } : cache
    const [sha = ''] = await stage.repository.history(1)
    await stage.repository.setBranch('main', sha)
    const build = await stage.built(sha)
    const [output] = await stage.hydra.sql<
      { path: string }[]
    >`select path from buildoutputs where build = ${build}`
    stage.cache.paths.add(output?.path ?? '')
    const { log, status } = await stage.hook(build)
    assert.equal(status, 0, log)
    assert.equal(await stage.repository.branch(CHANNEL), sha)
    assert.equal(connections(), 1)
  })
}

test('a host whose first address answers nobody is reached at its second one', async t => {
  const stage = await stageFor(t)
  await behindTls(t, stage)
  // TLS over a handle that Node has given up for the next address is no error, but the end of the process
  const file = join(stage.directory, 'lookup.cjs')
  writeFileSync(
    file,
    `require('node:dns').lookup = (host, options, done) =>
      setImmediate(done, null, ['127.0.0.2', '127.0.0.1'].map(address => ({ address, family: 4 })))`,
  )
  stage.env.NODE_OPTIONS = `--require ${file}`
  const [sha = ''] = await stage.repository.history(1)
  await stage.repository.setBranch('main', sha)
  const { log, status } = await stage.hook(await stage.built(sha))
  assert.equal(status, 0, log)
  assert.equal(await stage.repository.branch(CHANNEL), sha)
})

test('a hook that asks nobody begins no connection', async t => {
  const stage = await stageFor(t)
  const connections = await behindTls(t, stage)
  const [sha = ''] = await stage.repository.history(1)
  await stage.hook(await stage.built(sha, { status: 1 }))
  await stage.hook(await stage.built(sha, { job: 'tests.x86_64-linux' }))
  await stage.hook({ event: 'buildStarted' })
  stage.config.hook = { mode: 'detached', kickFile: join(stage.directory, 'kick') }
  await stage.hook(await stage.built(sha))
  assert.equal(connections(), 0)
})
