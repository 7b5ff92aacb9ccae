// A cache that wants a login, as each command meets it: with none, with the right one, and with one that it refuses.
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { keepSecrets } from '../helpers/command.ts'
import { CHANNEL, type Stage, stageFor } from '../helpers/stage.ts'
import { verdictOf } from '../helpers/verdict.ts'

const PASSWORD = 'correct-horse-battery'
const WANTS = `nix-user:${PASSWORD}`

interface Scene {
  stage: Stage
  /** the build of main's newest commit, which is not in a channel yet */
  build: number
  sha: string
}

/** A build whose output the cache has, and shows to those who log in. */
async function scene(t: TestContext): Promise<Scene> {
  const stage = await stageFor(t)
  keepSecrets([PASSWORD, Buffer.from(WANTS).toString('base64')])
  const [sha = ''] = await stage.repository.history(1)
  await stage.repository.setBranch('main', sha)
  const build = await stage.built(sha)
  const [output] = await stage.hydra.sql<
    { path: string }[]
  >`select path from buildoutputs where build = ${build}`
  stage.cache.paths.add(output?.path ?? '')
  stage.cache.wants = WANTS
  stage.config.cache = { url: stage.cache.url }
  return { stage, build, sha }
}

function giveLogin({ directory, config, env }: Stage, netrc: string): string {
  const file = join(directory, 'cache-netrc')
  writeFileSync(file, netrc, { mode: 0o600 })
  Object.assign(config.cache as object, { netrcFile: 'cache-netrc' })
  env.CREDENTIALS_DIRECTORY = directory
  return file
}

async function statusOf(stage: Stage): Promise<{ reason: string; message: string }> {
  const { stdout } = await stage.command('hydra-channels', ['status', '--json'], { streams: 'apart' })
  return JSON.parse(stdout).channels[0]
}

test('without a login: nothing moves, and nothing is said of what the cache has', async t => {
  const { stage, build } = await scene(t)
  const hook = await stage.hook(build)
  assert.equal(hook.status, 1)
  assert.match(
    hook.log,
    /\nthe cache wants a login, so \/nix\/store\/\S+ cannot be seen there: \S+ answers 401\n/,
  )

  const reconcile = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(reconcile.status, 1)
  assert.match(verdictOf(reconcile.log).said, /: the cache wants a login, so /)

  const { reason, message } = await statusOf(stage)
  assert.equal(reason, 'not-cached')
  assert.match(message, /^the cache wants a login, so .* answers 401; name a netrc file in cache\.netrcFile /)
  for (const text of [hook.log, reconcile.log, message]) assert.doesNotMatch(text, /does not have/)
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})

test('with the login that systemd hands over, the channel moves', async t => {
  const { stage, build, sha } = await scene(t)
  giveLogin(stage, `# the cache\nmachine 127.0.0.1\n  login nix-user\n  password "${PASSWORD}"\n`)
  assert.equal((await statusOf(stage)).reason, 'behind')
  assert.equal(verdictOf((await stage.hook(build)).log).kind, 'created')
  assert.equal(await stage.repository.branch(CHANNEL), sha)
})

test('with a login that the cache refuses: its file is named', async t => {
  const { stage, build } = await scene(t)
  const file = giveLogin(stage, 'machine 127.0.0.1 login nix-user password stale-horse-battery')
  const hook = await stage.hook(build)
  assert.equal(hook.status, 1)
  const said = `the cache refuses the login in ${file} (cache.netrcFile), so `
  assert.ok(hook.log.includes(said), hook.log)
  assert.ok((await statusOf(stage)).message.startsWith(said))
})

test('a netrc file that is not there ends a hook with 2, and a detached hook does without it', async t => {
  const { stage, build } = await scene(t)
  rmSync(giveLogin(stage, ''))
  const inline = await stage.hook(build)
  assert.equal(inline.status, 2)
  assert.match(inline.log, /\ncannot read the cache's login in \S+\/cache-netrc \(cache\.netrcFile\): ENOENT/)
  assert.match((await statusOf(stage)).message, /^cannot read the cache's login in /)
  assert.deepEqual(stage.cache.requests, [])

  delete stage.env.CREDENTIALS_DIRECTORY
  stage.config.hook = { mode: 'detached', kickFile: join(stage.directory, 'kick') }
  assert.equal((await stage.hook(build)).status, 0)
})
