// One attempt over node:https: the whole answer, or an error that says what was wrong.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import net, { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { type ConnectingHttp, createHttp } from '../../../src/base/http.ts'
import { HttpError } from '../../../src/base/http-error.ts'
import { selfSigned } from '../../helpers/certificate.ts'

const MB = 1024 * 1024
/** Long enough for a busy machine; `SHORT` is for attempts that the time ends. */
const LONG = { timeoutMs: 20_000 }
const SHORT = { timeoutMs: 80 }

interface TestServer {
  origin: string
  server: Server
  port: number
  /** `GET /path`, in the order of arrival */
  requests: string[]
  sockets: Socket[]
}

async function listen(t: TestContext, server: Server, scheme = 'http'): Promise<TestServer> {
  const sockets: Socket[] = []
  const requests: string[] = []
  server.on('connection', socket => sockets.push(socket))
  server.on('request', ({ method, url }) => requests.push(`${method} ${url}`))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return { origin: `${scheme}://127.0.0.1:${port}`, server, port, requests, sockets }
}

const serve = (t: TestContext, handle: RequestListener) => listen(t, createServer(handle))

/** A server that says just this to every connection, and then closes it or keeps silent. */
async function say(t: TestContext, text: string, end: 'close' | 'reset' | 'silence'): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createNetServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(text, () => {
        if (end === 'close') socket.end()
        if (end === 'reset') socket.resetAndDestroy()
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function open(t: TestContext, env: Record<string, string> = {}): ConnectingHttp {
  const http = createHttp(env)
  t.after(() => http.close())
  return http
}

async function failure(promise: Promise<unknown>): Promise<HttpError> {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof HttpError, `${error}`)
    return error
  }
  return assert.fail('there was an answer')
}

/** What Node calls it: a code of the system, OpenSSL, zlib or the HTTP parser. Their words differ from version to version. */
const codeOf = ({ cause }: HttpError) => (cause as NodeJS.ErrnoException | undefined)?.code

async function readBody(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

/** Cuts its connection only when all of it has come, so that the client has what there is. */
const chunked = (headers: string, body: string) => `HTTP/1.1 200 OK\r\n${headers}\r\n\r\n${body}`

test('an answer comes with status, URL, headers in lower case, and text', async t => {
  const { origin } = await serve(t, async (request, response) => {
    const body = await readBody(request)
    response.writeHead(201, { 'X-Thing': 'a', 'Set-Cookie': ['b', 'c'] })
    response.end(`${request.method} ${request.headers['content-length']} ${request.headers.accept} ${body} ü`)
  })
  const sent = { method: 'PATCH', body: 'ä', headers: { accept: 'x/y' }, ...LONG }
  const answer = await open(t).fetch(`${origin}/a?b`, sent)
  assert.equal(answer.status, 201)
  assert.equal(answer.url, `${origin}/a?b`)
  assert.equal(answer.headers.get('x-thing'), 'a')
  assert.equal(answer.headers.get('set-cookie'), 'b,c')
  assert.equal(await answer.text(), 'PATCH 2 x/y ä ü')
})

test('an answer is unzipped', async t => {
  const { origin } = await serve(t, (request, response) => {
    assert.equal(request.headers['accept-encoding'], 'gzip')
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":"ä"}'))
  })
  assert.equal(await (await open(t).fetch(origin, LONG)).text(), '{"a":"ä"}')
})

test('an answer whose zipped body ends early is an error', async t => {
  const { origin } = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":"ä"}').subarray(0, 15))
  })
  assert.equal(codeOf(await failure(open(t).fetch(origin, LONG))), 'Z_BUF_ERROR')
})

test('a large answer arrives whole', async t => {
  const text = 'x'.repeat(8 * MB)
  const { origin } = await serve(t, (_, response) => void response.end(text))
  assert.equal((await (await open(t).fetch(origin, LONG)).text()).length, 8 * MB)
})

const RESETS = /^the connection was closed before an answer$|\b(ECONNRESET|EPIPE)\b/
const CUT = /^the connection was closed in the middle of the answer$/

interface Broken {
  what: string
  text: string
  end: 'close' | 'reset'
  message?: RegExp
  code?: RegExp
}

const BROKEN: Broken[] = [
  { what: 'closed before it', text: '', end: 'close', message: RESETS },
  { what: 'reset before it', text: '', end: 'reset', message: RESETS },
  { what: 'closed among the headers', text: 'HTTP/1.1 200 OK\r\nx: ', end: 'close', message: RESETS },
  {
    what: 'closed in the middle of the body',
    text: chunked('content-length: 10', '{"a":'),
    end: 'close',
    message: CUT,
  },
  {
    what: 'reset in the middle of the body',
    text: chunked('content-length: 10', '{"a":'),
    end: 'reset',
    message: /^the connection was closed in the middle of the answer$|\bECONNRESET\b/,
  },
  {
    what: 'closed in the middle of chunks',
    text: chunked('transfer-encoding: chunked', '5\r\n{"a":\r\n'),
    end: 'close',
    message: CUT,
  },
  { what: 'no HTTP', text: 'SSH-2.0-OpenSSH\r\n', end: 'close', code: /^HPE_/ },
]

for (const { what, text, end, message = /./, code = /^(ECONNRESET|EPIPE)$/ } of BROKEN) {
  test(`an answer that is ${what} is an error`, async t => {
    const error = await failure(open(t).fetch(await say(t, text, end), LONG))
    assert.match(error.message, message)
    assert.match(codeOf(error) ?? '', code)
    assert.equal(error.retry, 'worthwhile')
  })
}

test('a host that is not there is an error with the reason', async t => {
  const { server, origin } = await serve(t, () => {})
  server.close()
  await once(server, 'close')
  const error = await failure(open(t).fetch(origin, LONG))
  assert.equal(codeOf(error), 'ECONNREFUSED')
  assert.match(error.message, /ECONNREFUSED.*127\.0\.0\.1:\d+/)
  const unknown = await failure(open(t).fetch('http://nowhere.invalid/', LONG))
  assert.match(unknown.message, /(ENOTFOUND|EAI_AGAIN).*nowhere\.invalid/)
})

test('time ends an attempt that is silent, before or after the headers', async t => {
  const http = open(t)
  for (const text of ['', chunked('content-length: 10', '{"a":')]) {
    const error = await failure(http.fetch(await say(t, text, 'silence'), SHORT))
    assert.equal(error.message, 'no answer within 1 s')
    assert.equal(error.retry, 'worthwhile')
  }
})

test('time ends an attempt as a whole, though something arrives all the time', async t => {
  const { origin } = await serve(t, (_, response) => {
    const timer = setInterval(() => response.write('.'), 10)
    response.on('close', () => clearInterval(timer))
  })
  assert.equal((await failure(open(t).fetch(origin, SHORT))).message, 'no answer within 1 s')
})

test('time goes on over redirects', async t => {
  const { origin, requests } = await serve(t, async (request, response) => {
    await sleep(60)
    response.writeHead(302, { location: `${request.url}x` }).end()
  })
  assert.equal(
    (await failure(open(t).fetch(`${origin}/`, { timeoutMs: 150 }))).message,
    'no answer within 1 s',
  )
  assert.ok(requests.length <= 3)
})

for (const method of ['GET', 'POST', 'PATCH']) {
  for (const status of [301, 302, 307, 308]) {
    test(`${status} keeps ${method}, its body and its headers`, async t => {
      const { origin, requests } = await serve(t, async (request, response) => {
        if (request.url === '/old') response.writeHead(status, { location: '/new?x=1' }).end('moved')
        else response.end(`${request.headers.authorization} ${await readBody(request)}`)
      })
      const body = method === 'GET' ? undefined : 'data'
      const answer = await open(t).fetch(`${origin}/old`, {
        method,
        body,
        headers: { authorization: 'a' },
        ...LONG,
      })
      assert.equal(await answer.text(), `a ${body ?? ''}`)
      assert.equal(answer.url, `${origin}/new?x=1`)
      assert.deepEqual(requests, [`${method} /old`, `${method} /new?x=1`])
    })
  }
}

test('a redirect without an address is an answer like any other', async t => {
  const { origin } = await serve(t, (_, response) => void response.writeHead(301).end())
  assert.equal((await open(t).fetch(origin, LONG)).status, 301)
})

test('a redirect loop ends after five redirects, and is not worth another attempt', async t => {
  const { origin, requests } = await serve(t, ({ url }, response) => {
    response.writeHead(301, { location: url ?? '' }).end()
  })
  const error = await failure(open(t).fetch(origin, LONG))
  assert.match(error.message, /^127\.0\.0\.1:\d+ redirects more than 5 times$/)
  assert.equal(error.retry, 'useless')
  assert.equal(requests.length, 6)
})

test('a redirect to nonsense is an error', async t => {
  const { origin } = await serve(t, (_, response) => {
    response.writeHead(301, { location: 'http://[' }).end()
  })
  assert.match((await failure(open(t).fetch(origin, LONG))).message, / redirects to no URL$/)
})

test('a redirect to another host loses the authorization, and a write does not follow it', async t => {
  const other = await serve(t, (request, response) => {
    response.end(`${request.headers.authorization} ${request.headers.accept}`)
  })
  const { origin } = await serve(t, (_, response) => {
    response.writeHead(307, { location: `${other.origin}/` }).end()
  })
  const http = open(t)
  const headers = { Authorization: 'Bearer secret', accept: 'x' }
  assert.equal(await (await http.fetch(origin, { headers, ...LONG })).text(), 'undefined x')
  const error = await failure(http.fetch(origin, { method: 'POST', body: '{}', headers, ...LONG }))
  assert.match(error.message, /^127\.0\.0\.1:\d+ redirects to another host$/)
  assert.equal(error.retry, 'useless')
  assert.deepEqual(other.requests, ['GET /'])
})

test('a request may want less than 32 MB: more is refused, zipped or not', async t => {
  const { origin } = await serve(t, (request, response) => {
    const size = Number(request.url?.slice('/zip/'.length))
    const body = Buffer.alloc(size)
    if (request.url?.startsWith('/zip/')) {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body))
    } else response.end(body)
  })
  const http = open(t)
  for (const kind of ['all', 'zip']) {
    const ask = (size: number) => http.fetch(`${origin}/${kind}/${size}`, { ...LONG, maxBytes: 256 * 1024 })
    assert.equal((await (await ask(256 * 1024)).text()).length, 256 * 1024)
    assert.equal((await failure(ask(256 * 1024 + 1))).message, 'the answer is larger than 256 kB')
  }
})

test('more than 32 MB are refused, zipped or not, and not asked for again', async t => {
  let sent = 0
  const { origin } = await serve(t, (request, response) => {
    if (request.url === '/zip') {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(32 * MB + 1)))
      return
    }
    const pump = () => {
      while (!response.destroyed && sent < 256 * MB) {
        sent += MB
        if (!response.write(Buffer.alloc(MB))) return void response.once('drain', pump)
      }
      response.end()
    }
    pump()
  })
  const http = open(t)
  for (const path of ['/plain', '/zip']) {
    const error = await failure(http.fetch(origin + path, LONG))
    assert.equal(error.message, 'the answer is larger than 32 MB')
    assert.equal(error.retry, 'useless')
  }
  assert.ok(sent < 128 * MB)
})

test('requests share a connection, and close() leaves none open', async t => {
  const { origin, sockets } = await serve(t, (_, response) => void response.end('ok'))
  const http = createHttp({})
  for (let n = 0; n < 5; n++) await http.fetch(origin, { method: n % 2 ? 'GET' : 'POST', body: 'x', ...LONG })
  assert.equal(sockets.length, 1)
  assert.equal(sockets[0]?.closed, false)
  http.close()
  if (sockets[0]) await once(sockets[0], 'close')
})

test('close() ends what is still under way', async t => {
  const { origin, server } = await serve(t, () => {})
  const http = createHttp({})
  const pending = failure(http.fetch(origin, LONG))
  await once(server, 'request')
  http.close()
  assert.match((await pending).message, RESETS)
})

// TLS and proxies. `proxy-from-env` reads the environment of the process, so that is set too.

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const cert = selfSigned('github.test', keys)
const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' })

async function serveTls(t: TestContext, handle: RequestListener): Promise<TestServer> {
  return listen(t, createTlsServer({ key, cert }, handle) as Server, 'https')
}

function setEnvironment(t: TestContext, env: Record<string, string>): Record<string, string> {
  for (const name of ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'no_proxy', 'NO_PROXY']) {
    const before = process.env[name]
    delete process.env[name]
    t.after(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  Object.assign(process.env, env)
  return env
}

/** Our certificate is on no list; what is tested here is the way to the host. */
function trustAll(t: TestContext): void {
  t.mock.method(process, 'emitWarning', () => {})
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  t.after(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED)
}

/** A proxy that leads every host to one port. */
async function serveProxy(t: TestContext, port: number) {
  const connects: { url: string | undefined; authorization: string | undefined }[] = []
  const server = createServer((_, response) => void response.writeHead(500).end())
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    connects.push({ url: request.url, authorization: request.headers['proxy-authorization'] })
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    for (const each of [socket, onward]) each.on('error', () => {})
    t.after(() => onward.destroy())
  })
  return { ...(await listen(t, server)), connects }
}

/** A proxy that answers every CONNECT with this. */
async function serveRefusal(t: TestContext, answer: string | undefined): Promise<TestServer> {
  const server = createServer()
  server.on('connect', (_: IncomingMessage, socket: Socket) => {
    socket.on('error', () => {})
    if (answer !== undefined) socket.end(answer)
  })
  return listen(t, server)
}

test('a certificate that nobody signed is refused', async t => {
  setEnvironment(t, {})
  const { origin, requests } = await serveTls(t, (_, response) => void response.end('ok'))
  const error = await failure(open(t).fetch(origin, LONG))
  assert.equal(codeOf(error), 'DEPTH_ZERO_SELF_SIGNED_CERT')
  assert.match(error.message, /certificate/)
  assert.equal(error.retry, 'useless')
  assert.match(error.hint.join('\n'), /NODE_EXTRA_CA_CERTS/)
  assert.deepEqual(requests, [])
})

test('connections that were opened early serve the first requests', async t => {
  setEnvironment(t, {})
  trustAll(t)
  const { origin, sockets, server } = await serveTls(t, (_, response) => void response.end('ok'))
  const http = open(t)
  await http.connect(origin, 2)
  await once(server, 'secureConnection')
  const fetch = async () => (await http.fetch(`${origin}/a`, LONG)).text()
  assert.deepEqual(await Promise.all([fetch(), fetch()]), ['ok', 'ok'])
  assert.equal(sockets.length, 2)
  assert.deepEqual(await Promise.all([fetch(), fetch(), fetch()]), ['ok', 'ok', 'ok'])
  assert.equal(sockets.length, 3)
})

test('a request does not wait for a connection that was opened early and lost', async t => {
  setEnvironment(t, {})
  trustAll(t)
  const plain = await serve(t, (_, response) => void response.end('ok'))
  const { origin, sockets, server } = await serveTls(t, (_, response) => void response.end('ok'))
  const http = open(t)
  await http.connect(origin, 1)
  const [socket] = await once(server, 'secureConnection')
  socket.destroy()
  await once(socket, 'close')
  // what came after the end has been read, so the end has, too
  await http.fetch(plain.origin, LONG)
  assert.equal(await (await http.fetch(origin, LONG)).text(), 'ok')
  assert.equal(sockets.length, 2)
})

test('an early connection that never comes about ends with the others', async t => {
  setEnvironment(t, {})
  const { origin, sockets } = await serveTls(t, () => {})
  // what TCP does if every packet is lost
  const silent: net.Socket[] = []
  t.mock.method(net, 'connect', () => {
    const socket = new net.Socket()
    silent.push(socket)
    return socket
  })
  const http = open(t)
  await http.connect(origin, 2)
  const error = await failure(http.fetch(origin, SHORT))
  assert.match(error.message, /^no answer within/)
  const closed = silent.map(socket => once(socket, 'close'))
  http.close()
  await Promise.all(closed)
  assert.equal(silent.length, 2)
  // a request that has ended dials no more
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(sockets, [])
})

test('an early connection to nobody is the error of the request', async t => {
  setEnvironment(t, {})
  const http = open(t)
  await http.connect('https://127.0.0.1:9', 2)
  const error = await failure(http.fetch('https://127.0.0.1:9', LONG))
  assert.match(error.message, /ECONNREFUSED/)
})

test('an early connection trusts nobody more than a request does', async t => {
  setEnvironment(t, {})
  const { origin, requests } = await serveTls(t, (_, response) => void response.end('ok'))
  const http = open(t)
  await http.connect(origin, 1)
  const error = await failure(http.fetch(origin, LONG))
  assert.equal(codeOf(error), 'DEPTH_ZERO_SELF_SIGNED_CERT')
  assert.deepEqual(requests, [])
})

test('an early connection that nobody needs is closed with the others', async t => {
  setEnvironment(t, {})
  trustAll(t)
  const { origin, server } = await serveTls(t, () => {})
  const http = open(t)
  await http.connect(origin, 1)
  const [socket] = await once(server, 'secureConnection')
  const closed = once(socket, 'close')
  http.close()
  await closed
})

test('there is no early connection through a proxy, or without TLS', async t => {
  const plain = await serve(t, (_, response) => void response.end('ok'))
  const proxy = await serveProxy(t, plain.port)
  setEnvironment(t, { https_proxy: proxy.origin })
  const http = createHttp({ https_proxy: proxy.origin })
  t.after(() => http.close())
  await http.connect('https://github.invalid', 2)
  await http.connect(plain.origin, 2)
  assert.equal(await (await http.fetch(plain.origin, LONG)).text(), 'ok')
  assert.deepEqual([proxy.connects, plain.sockets.length], [[], 1])
})

test('https does not lead to http', async t => {
  setEnvironment(t, {})
  trustAll(t)
  const plain = await serve(t, (_, response) => void response.end('ok'))
  const { origin } = await serveTls(t, (_, response) => {
    response.writeHead(301, { location: plain.origin }).end()
  })
  const error = await failure(open(t).fetch(origin, LONG))
  assert.match(error.message, /^127\.0\.0\.1:\d+ redirects to http:$/)
  assert.equal(error.retry, 'useless')
  assert.deepEqual(plain.requests, [])
})

for (const [name, prefix] of [
  ['https_proxy', 'http://me:se%20cret@'],
  ['HTTPS_PROXY', 'http://me:se%20cret@'],
  ['all_proxy', 'http://me:se%20cret@'],
  // curl and everybody else mean http, also for https_proxy
  ['https_proxy', 'me:se%20cret@'],
] as const) {
  test(`${name}=${prefix}… is gone through, once for several requests`, async t => {
    trustAll(t)
    const host = await serveTls(t, (request, response) => void response.end(`${request.headers.host}`))
    const proxy = await serveProxy(t, host.port)
    const http = open(t, setEnvironment(t, { [name]: `${prefix}127.0.0.1:${proxy.port}` }))
    for (const path of ['/a', '/b']) {
      const answer = await http.fetch(`https://github.test:8443${path}`, LONG)
      assert.equal(await answer.text(), 'github.test:8443')
    }
    assert.deepEqual(host.requests, ['GET /a', 'GET /b'])
    const authorization = `Basic ${Buffer.from('me:se cret').toString('base64')}`
    assert.deepEqual(proxy.connects, [{ url: 'github.test:8443', authorization }])
    http.close()
    await Promise.all(host.sockets.map(socket => socket.closed || once(socket, 'close')))
  })
}

test('no_proxy goes past the proxy', async t => {
  trustAll(t)
  const host = await serveTls(t, (_, response) => void response.end('ok'))
  const proxy = await serveProxy(t, host.port)
  const env = { https_proxy: `http://127.0.0.1:${proxy.port}`, no_proxy: 'example.org,127.0.0.1' }
  const answer = await open(t, setEnvironment(t, env)).fetch(host.origin, LONG)
  assert.equal(await answer.text(), 'ok')
  assert.deepEqual(proxy.connects, [])
})

test('http on this machine goes past the proxy', async t => {
  const { origin } = await serve(t, (_, response) => void response.end('ok'))
  const env = setEnvironment(t, { https_proxy: 'http://127.0.0.1:9', all_proxy: 'http://127.0.0.1:9' })
  assert.equal((await open(t, env).fetch(origin, LONG)).status, 200)
})

for (const [answer, retry, hint] of [
  ['403 Forbidden', 'useless', /no_proxy/],
  ['404 Not Found', 'useless', /no_proxy/],
  ['407 Who are you', 'useless', /^it wants a login: https_proxy=/],
  ['502 Bad Gateway', 'worthwhile', /^the next run tries again$/],
] as const) {
  test(`the proxy of https_proxy refuses: ${answer}: not taken for an answer of the host`, async t => {
    const proxy = await serveRefusal(t, `HTTP/1.1 ${answer}\r\n\r\n`)
    const env = setEnvironment(t, { https_proxy: `http://127.0.0.1:${proxy.port}` })
    const error = await failure(open(t, env).fetch('https://github.test/', LONG))
    assert.equal(error.message, `the proxy of https_proxy refuses: ${answer}`)
    assert.equal(error.retry, retry)
    assert.match(error.hint.join('\n'), hint)
  })
}

test('a proxy that says nothing is given up in time', async t => {
  const proxy = await serveRefusal(t, undefined)
  const env = setEnvironment(t, { https_proxy: `http://127.0.0.1:${proxy.port}` })
  assert.equal(
    (await failure(open(t, env).fetch('https://github.test/', SHORT))).message,
    'no answer within 1 s',
  )
})

for (const proxy of ['socks5://user:geheim@127.0.0.1:1080', 'http://', 'http://[geheim']) {
  test(`${proxy} is no proxy for us, and is not shown`, async t => {
    const http = open(t, setEnvironment(t, { https_proxy: proxy }))
    const error = await failure(http.fetch('https://github.test/', LONG))
    assert.equal(error.message, 'https_proxy is no URL of an http or https proxy')
    assert.equal(error.retry, 'useless')
    http.close()
    // an unhandled rejection would end the process here
    await sleep(1)
  })
}
