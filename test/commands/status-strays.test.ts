// Status of branches that no job leads to, and what it gives to a shell: through the real command.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RETIRE } from '../helpers/channel-facts.ts'
import { stageFor } from '../helpers/stage.ts'
import {
  branchesOf,
  channel,
  evaluate,
  find,
  hold,
  job,
  NAS,
  run,
  statusOf,
  twoHosts,
  WEB,
} from '../helpers/status.ts'

describe('branches that no job leads to', () => {
  test('only those that a rule could make: a name in full makes one', async t => {
    const { stage, c1 } = await twoHosts(t)
    const [rule = {}] = stage.config.channels
    stage.config.channels = [{ ...rule, job: 'nixos-nas\\..*', branch: 'tested' }]
    await stage.repository.setBranches({ tested: c1, 'tested-my-feature': c1 })
    assert.deepEqual(branchesOf(await statusOf(stage)), ['tested'])
  })

  for (const [how, rename, message] of [
    ['renamed', true, 'the jobset dotfiles:main is called dotfiles:trunk now; put trunk into the rule'],
    [
      'missing',
      false,
      'Hydra has no jobset dotfiles:main, which a rule names; correct project and jobset in the rule',
    ],
  ] as const) {
    test(`the jobset of their rule is ${how}: that is said, and no command that deletes them`, async t => {
      const { stage, c1 } = await twoHosts(t)
      const { sql } = stage.hydra
      await sql`update jobsets set name = 'trunk' where id = ${stage.jobset}`
      if (rename)
        await sql`insert into jobsetrenames (project, from_, to_) values ('dotfiles', 'main', 'trunk')`
      const { status, stdout, stderr } = await run(stage)
      assert.equal(status, 0, stderr)
      const fleet = JSON.parse(stdout)
      assert.deepEqual(branchesOf(fleet), [NAS, WEB])
      for (const branch of [NAS, WEB]) {
        const found = find(fleet, branch)
        assert.deepEqual([found.reason, found.sha, found.message], ['unknown', c1, message])
      }
      assert.doesNotMatch(stdout, /DELETE/)
    })
  }

  // web had a job once, that is gone, and its branch too
  test('a job that is gone and has no branch is not there', async t => {
    const { stage, c2 } = await twoHosts(t)
    await evaluate(stage, c2, { nas: 0 })
    const before = await statusOf(stage)
    assert.equal(find(before, WEB).reason, 'job-gone')
    await stage.repository.deleteBranch(WEB)
    assert.deepEqual(branchesOf(await statusOf(stage)), [NAS])
  })

  test('of two jobs that are gone the channel follows the one that was good last', async t => {
    const { stage, c1, c2 } = await twoHosts(t)
    const ARM = 'nixos-nas.aarch64-linux'
    const flake = `github:alice/dotfiles/${c2}`
    await stage.hydra.eval({ jobset: stage.jobset, flake, builds: [{ job: ARM }, { job: job('web') }] })
    await evaluate(stage, c2, { web: 0 })
    const nas = find(await statusOf(stage), NAS)
    assert.deepEqual([nas.reason, nas.job, nas.sha, nas.candidate?.sha], ['job-gone', ARM, c1, c2])
    assert.equal(
      nas.message,
      `the job ${ARM} is not in the newest eval of dotfiles:main: was it removed from the flake? If so, ${RETIRE}`,
    )
  })
})

test('channels whose names Nix does not accept in a flakeref: what became of each is said', async t => {
  const { stage, c1, c2 } = await twoHosts(t)
  const [rule = {}] = stage.config.channels
  stage.config.channels = [{ ...rule, job: 'hosts\\.(?<host>.*)' }]
  const jobs = ['hosts.nas', 'hosts."web.example.org"', 'hosts.a$b']
  await stage.eval(
    c2,
    jobs.map(each => ({ job: each })),
  )
  const quoted = 'nixos-tested-"web.example.org"'
  await stage.repository.setBranches({ [NAS]: c1, [quoted]: c1, 'nixos-tested-a$b': c1 })
  await stage.repository.deleteBranch(WEB)

  const fleet = await statusOf(stage)
  const of = (branch: string) => {
    const { reason, sha, message } = find(fleet, branch)
    return { reason, sha, message }
  }
  assert.equal(of('nixos-tested-web.example.org').reason, 'behind')
  const successor =
    'Nix does not accept its name in a flakeref, so dotfiles:main:hosts."web.example.org" leads to nixos-tested-web.example.org now: let the hosts that follow it follow that one'
  assert.deepEqual(of(quoted), {
    reason: 'abandoned',
    sha: c1,
    message: `${successor}; when no host follows it any more, name it in channels[].ignore, and it is no longer shown`,
  })
  const refused =
    'dotfiles:main:hosts.a$b: cannot name a channel in alice/dotfiles: “nixos-tested-a$b” is no valid branch name: it contains “$”, which Nix does not accept in a flakeref'
  const { reason, sha, message } = of('nixos-tested-a$b')
  assert.deepEqual([reason, sha], ['unknown', c1])
  assert.equal(
    message,
    `${refused}; correct the rule, or make its job leave this one out; if there is a branch nixos-tested-a$b, it is not moved any more`,
  )

  const reconciled = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(reconciled.status, 1)
  const said = reconciled.log.split('\n')
  assert.ok(said.includes(refused), reconciled.log)
  assert.ok(said.includes(`alice/dotfiles ${quoted}: not moved any more: ${successor}`), reconciled.log)
  assert.doesNotMatch(reconciled.log, /job-gone/)
  assert.deepEqual(
    await Promise.all(
      [quoted, 'nixos-tested-a$b', 'nixos-tested-web.example.org'].map(each => stage.repository.branch(each)),
    ),
    [c1, c1, c2],
  )
})

test('a branch that a shell would run is quoted in the command that releases it', async t => {
  const { stage, c1, c2 } = await twoHosts(t)
  const host = '$(id);x'
  const branch = channel(host)
  await evaluate(stage, c2, { nas: 0, web: 0, [host]: 0 })
  await stage.repository.setBranches({ [branch]: c1 })
  const held = await hold(stage, branch)
  assert.equal(held.status, 0, held.log)
  const { reason, message } = find(await statusOf(stage, branch), branch)
  assert.equal(reason, 'held')
  assert.ok(
    message?.endsWith(`: hydra-channels release 'alice/dotfiles:${branch}' lets it move again`),
    message ?? '',
  )
})

test('a token in the text of an evaluation error is not shown', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await stage.repository.history(2)
  await evaluate(stage, c1, { nas: 0 })
  await stage.hydra.eval({
    jobset: stage.jobset,
    flake: `github:alice/dotfiles/${c2}`,
    builds: [],
    error: `in job ‘${job('nas')}’:\nerror:\n error: cannot fetch 'https://x-access-token:ghp_secret@github.com/alice/secrets'\n`,
  })
  await stage.repository.setBranches({ main: c2, [NAS]: c1 })
  const { status, stdout, stderr } = await run(stage)
  assert.equal(status, 0, stderr)
  assert.match(
    find(JSON.parse(stdout), NAS).message ?? '',
    /^eval \d+ could not evaluate it: error: cannot fetch 'https:\/\/github\.com\/alice\/secrets'/,
  )
  const table = await stage.command('hydra-channels', ['status'])
  assert.doesNotMatch(stdout + stderr + table.log, /ghp_secret|x-access-token/)
})
