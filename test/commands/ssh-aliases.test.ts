// A deploy key for each repository needs a name for GitHub of its own in ssh's configuration, and the flakerefs have that name:
// what moves, what is said of another name, and that links lead to GitHub's pages all the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'
import { verdictOf } from '../helpers/verdict.ts'

const ALIAS = 'github.com-dotfiles'
const SSH = `git+ssh://git@${ALIAS}/alice/dotfiles`

/** A build of the job, of an eval whose flakeref has the alias. */
async function builtByAlias({ hydra, jobset }: Stage, sha: string): Promise<number> {
  await hydra.sql`update jobsets set flake = ${SSH} where id = ${jobset}`
  const flake = `${SSH}?ref=refs/heads/main&rev=${sha}`
  const evalId = await hydra.eval({ jobset, flake, builds: [{ job: JOB }] })
  const [row] = await hydra.sql<
    { build: number }[]
  >`select build from jobsetevalmembers where eval = ${evalId}`
  return row?.build ?? assert.fail()
}

for (const host of [ALIAS, ['github.com', ALIAS]]) {
  test(`with github.host ${JSON.stringify(host)}, a channel moves, and links lead to github.com`, async t => {
    //  c1 - c2 (main)     then the channel has a commit of its own
    //    \- x
    const stage = await stageFor(t)
    const [c1 = '', c2 = ''] = await stage.repository.history(2)
    await stage.repository.setBranch('main', c2)
    stage.config.github.host = host
    const build = await builtByAlias(stage, c2)

    const moved = await stage.hook(build)
    assert.equal(verdictOf(moved.log).kind, 'created')
    assert.match(
      moved.log,
      new RegExp(`\\ndotfiles:main:\\S+: eval 1: github:alice/dotfiles/${c2.slice(0, 7)}\\n`),
    )

    const x = await stage.repository.commit({ parents: [c1] })
    await stage.repository.setBranch(CHANNEL, x)
    const page = `https://github.com/alice/dotfiles/compare/${x}...${c2}`
    for (const { log } of [await stage.hook(build), await stage.command('hydra-channels', ['reconcile'])]) {
      assert.equal(verdictOf(log).kind, 'diverged')
      assert.ok(log.includes(`see ${page}\n`), log)
      assert.match(log, /: gh api -X PATCH repos\/alice\/dotfiles\//)
    }
    const { stdout } = await stage.command('hydra-channels', ['status', '--json'], { streams: 'apart' })
    const [channel] = JSON.parse(stdout).channels
    assert.deepEqual([channel.reason, channel.url], ['diverged', page])
    assert.match(channel.message, /: gh api -X PATCH repos\/alice\/dotfiles\//)
  })
}

test('an alias that github.host does not have moves nothing, and the value is said that it should have', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await stage.repository.history(1)
  await stage.repository.setBranch('main', c1)
  const { status, log } = await stage.hook(await builtByAlias(stage, c1))
  assert.equal(status, 1)
  assert.equal(verdictOf(log).kind, 'failed')
  assert.match(
    log,
    /\nalice\/dotfiles nixos-tested-nas: if github\.com-dotfiles leads to the same GitHub, .*: set github\.host to \["github\.com", "github\.com-dotfiles"\]\n/,
  )
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})
