// Loaded before the program (node --require): its TLS connections trust the bench's authority too. What that costs is in
// the program's time. NODE_EXTRA_CA_CERTS would read and parse all root certificates once more than Node does without it.
// BENCH_USAGE names a file for the peak memory, in bytes.
const { readFileSync, writeFileSync } = require('node:fs')
const Module = require('node:module')

const load = Module._load
Module._load = function (request, ...rest) {
  if (request === 'node:tls' || request === 'node:https') {
    Module._load = load
    const tls = require('node:tls')
    const { createSecureContext } = tls
    const ca = readFileSync(process.env.BENCH_CA)
    tls.createSecureContext = options => createSecureContext({ ...options, ca })
  }
  return load.call(this, request, ...rest)
}

if (process.env.BENCH_USAGE) {
  process.once('exit', () => {
    writeFileSync(process.env.BENCH_USAGE, String(process.resourceUsage().maxRSS * 1024))
  })
}
