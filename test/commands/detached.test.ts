// hook.mode "detached": the hook hands over by a file, and no event is lost on the way.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { blocksOf, readDocument } from '../helpers/documents.ts'
import { CHANNEL, type Stage, stageFor } from '../helpers/stage.ts'
import { until } from '../helpers/until.ts'

async function detached(t: TestContext): Promise<{ stage: Stage; kickFile: string; commits: string[] }> {
  const stage = await stageFor(t)
  const kickFile = join(stage.directory, 'kick', 'kick')
  mkdirSync(join(stage.directory, 'kick'))
  const commits = await stage.repository.history(2)
  await stage.repository.setBranch('main', commits[1] ?? '')
  stage.config.hook = { mode: 'detached', kickFile }
  stage.config.stateDirectory = join(stage.directory, 'state')
  stage.config.cache = { unit: 'copy-cache@.service' }
  return { stage, kickFile, commits }
}

test('starts the copies without waiting, kicks, and needs neither database nor GitHub nor key', async t => {
  const { stage, kickFile, commits } = await detached(t)
  const build = await stage.built(commits[0] ?? '')
  const { github, database } = stage.config
  stage.config.github = { apiUrl: 'http://127.0.0.1:1' }
  stage.config.database = { host: '/nonexistent' }
  const result = await stage.hook(build)
  assert.equal(result.status, 0, result.log)
  assert.deepEqual(result.log.trimEnd().split('\n').slice(2), [
    'dotfiles:main:nixos-nas.x86_64-linux: started to copy 1 output to the cache',
    `alice/dotfiles ${CHANNEL}: asked for a reconcile; the verdict is in its journal (journalctl -u hydra-channels-reconcile) and in hydra-channels status`,
  ])
  assert.deepEqual(stage.systemd.calls()[0]?.slice(0, 4), ['--no-ask-password', '--no-block', 'start', '--'])
  assert.ok(existsSync(kickFile))

  Object.assign(stage.config, { github, database })
  assert.equal((await stage.command('hydra-channels', ['reconcile'])).status, 0)
  assert.equal(existsSync(kickFile), false)
  assert.equal(await stage.repository.branch(CHANNEL), commits[0])
})

test('the logs in the README are those of a hook and of the reconcile that it asks for', async t => {
  const { stage, commits } = await detached(t)
  const [c1 = '', c2 = ''] = commits
  await stage.repository.setBranch(CHANNEL, c1)
  const hook = await stage.hook(await stage.built(c2))
  const reconcile = await stage.command('hydra-channels', ['reconcile'])
  // what differs from run to run; the event is cut in the README
  const plain = (log: string) =>
    log
      .replace(/^\{.*$/m, '{…}')
      .replaceAll(/\b[0-9a-f]{7}\b/g, 'SHA')
      .replaceAll(/build \d+/g, 'build N')
      .replace(/asks \S+ as GitHub App \S+/, 'asks API as GitHub App ID')
  const documented = blocksOf(readDocument('README.md')).map(({ text }) => plain(text))
  for (const { log } of [hook, reconcile]) assert.ok(documented.includes(plain(log)), plain(log))
})

test('a job without a rule is copied and kicks nothing; a dry run does neither', async t => {
  const { stage, kickFile, commits } = await detached(t)
  const build = await stage.built(commits[0] ?? '', { job: 'package-hello' })
  assert.equal((await stage.hook(build)).status, 0)
  assert.equal(stage.systemd.calls().length, 1)
  await stage.hook(await stage.built(commits[0] ?? ''), ['--dry-run'])
  assert.equal(stage.systemd.calls().length, 1)
  assert.equal(existsSync(kickFile), false)
})

test('a kick that cannot be made fails the hook', async t => {
  const { stage, commits } = await detached(t)
  stage.config.hook = { mode: 'detached', kickFile: '/nonexistent/kick' }
  const result = await stage.hook(await stage.built(commits[0] ?? ''))
  assert.equal(result.status, 1)
  assert.match(
    result.log,
    /^cannot ask for a reconcile: cannot write \/nonexistent\/kick \(hook\.kickFile\): ENOENT/m,
  )
})

test("a kick that is there already, and may be another user's, is left as it is", async t => {
  const { stage, kickFile, commits } = await detached(t)
  writeFileSync(kickFile, 'of another')
  assert.equal((await stage.hook(await stage.built(commits[0] ?? ''))).status, 0)
  assert.equal(readFileSync(kickFile, 'utf8'), 'of another')
})

test('an empty folder in the place of the kick counts as one', async t => {
  const { stage, kickFile, commits } = await detached(t)
  mkdirSync(kickFile)
  assert.equal((await stage.hook(await stage.built(commits[0] ?? ''))).status, 0)
  const { status, log } = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(status, 0, log)
  assert.equal(existsSync(kickFile), false)
  assert.equal(await stage.repository.branch(CHANNEL), commits[0])
})

test('a kick that cannot be removed is reported, and reconcile does its work all the same', async t => {
  const { stage, kickFile, commits } = await detached(t)
  const [c1 = ''] = commits
  await stage.built(c1)
  mkdirSync(join(kickFile, 'folder'), { recursive: true })
  const { status, log } = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(status, 1, log)
  const [message = '', ...lines] = log.trimEnd().split('\n')
  assert.ok(message.startsWith(`cannot remove ${kickFile} (hook.kickFile): ENOTEMPTY: `), message)
  assert.deepEqual(lines.slice(0, 2), [
    `while it is there, reconcile is started again and again: as root, rm -rf -- ${kickFile}`,
    'its folder must be writable for both hydra-notify and reconcile',
  ])
  assert.equal(lines.at(-1), '1 created')
  assert.equal(await stage.repository.branch(CHANNEL), c1)
})

test('a reconcile of one channel leaves the kick to a whole one', async t => {
  const { stage, kickFile, commits } = await detached(t)
  await stage.built(commits[0] ?? '')
  writeFileSync(kickFile, '')
  assert.equal((await stage.command('hydra-channels', ['reconcile', CHANNEL])).status, 0)
  assert.ok(existsSync(kickFile))
})

test('a kick while reconcile runs stays for the next run', async t => {
  const { stage, kickFile, commits } = await detached(t)
  await stage.built(commits[0] ?? '')
  stage.systemd.ends('waits for a file')
  writeFileSync(kickFile, '')
  const running = stage.command('hydra-channels', ['reconcile'])
  await until('systemctl is called', () => stage.systemd.calls().length > 0)
  assert.equal(existsSync(kickFile), false)
  writeFileSync(kickFile, '')
  stage.systemd.release()
  assert.equal((await running).status, 0)
  assert.ok(existsSync(kickFile))
})

test('a kick is taken also by a run that fails, and by one whose configuration is broken', async t => {
  const { stage, kickFile, commits } = await detached(t)
  await stage.built(commits[0] ?? '')
  writeFileSync(kickFile, '')
  stage.config.database = { host: '/nonexistent' }
  assert.equal((await stage.command('hydra-channels', ['reconcile'])).status, 1)
  assert.equal(existsSync(kickFile), false)

  writeFileSync(kickFile, '')
  stage.config.cahnnels = []
  assert.equal((await stage.command('hydra-channels', ['reconcile'])).status, 2)
  assert.equal(existsSync(kickFile), false)
})

test('sixty kicks in a second are one file, and the next run does the work of all', async t => {
  const { stage, kickFile, commits } = await detached(t)
  stage.config.cache = undefined
  const jobs = Array.from({ length: 60 }, (_, n) => ({ job: `nixos-h${n}.x86_64-linux`, id: 1000 + n }))
  await stage.eval(commits[1] ?? '', jobs)
  for (const { id } of jobs.slice(0, 6)) assert.equal((await stage.hook(id)).status, 0)
  for (const _ of jobs) writeFileSync(kickFile, '')
  const result = await stage.command('hydra-channels', ['reconcile'])
  assert.match(result.log, /^60 created$/m)
  assert.equal(existsSync(kickFile), false)
})
