// How people call their jobs in Hydra, each as a configuration: through the hook, reconcile, status and doctor.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { flakeOf } from '../helpers/hydra.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { statusOf } from '../helpers/status.ts'

interface Scheme {
  /** the jobs of the jobset, each of its own; the first finishes with an event, the others are found by reconcile */
  jobs: readonly string[]
  rule: { job: string; branch: string }
  /** the branches of these jobs, in their order */
  branches: readonly string[]
  /** jobs of the same jobset that have no channel, in the order in which doctor names them */
  others?: readonly string[]
}

const SYSTEM = '(?:x86_64|aarch64)-linux'

const SCHEMES: Scheme[] = [
  {
    jobs: ['nixos-nas.x86_64-linux', 'nixos-pi.aarch64-linux'],
    rule: { job: `nixos-(?<host>[^.]+)\\.${SYSTEM}`, branch: 'nixos-tested-{host}' },
    branches: ['nixos-tested-nas', 'nixos-tested-pi'],
    others: ['packages.x86_64-linux.hello'],
  },
  {
    jobs: ['nixos-nas', 'nixos-web-1'],
    rule: { job: 'nixos-(?<host>.+)', branch: 'tested/{host}' },
    branches: ['tested/nas', 'tested/web-1'],
    others: ['shell'],
  },
  {
    jobs: ['hosts.nas', 'hosts.web'],
    rule: { job: 'hosts\\.(?<host>[^.]+)', branch: 'hosts/{host}' },
    branches: ['hosts/nas', 'hosts/web'],
    others: ['checks.nas'],
  },
  {
    jobs: ['nas', 'web'],
    rule: { job: '(?<host>nas|web)', branch: 'live-{host}' },
    branches: ['live-nas', 'live-web'],
    others: ['formatter'],
  },
  {
    jobs: ['nixosConfigurations.nas', 'nixosConfigurations.web_2'],
    rule: { job: 'nixosConfigurations\\.(?<host>[^.]+)', branch: 'nixos/{host}' },
    branches: ['nixos/nas', 'nixos/web_2'],
    others: ['darwinConfigurations.mac'],
  },
  {
    jobs: ['nixosConfigurations.x86_64-linux.nas', 'nixosConfigurations.aarch64-linux.pi'],
    rule: { job: `nixosConfigurations\\.${SYSTEM}\\.(?<host>[^.]+)`, branch: 'release-{host}' },
    branches: ['release-nas', 'release-pi'],
  },
  {
    jobs: ['x86_64-linux.nixosConfigurations.nas', 'aarch64-linux.nixosConfigurations.nas'],
    rule: { job: `(?<system>${SYSTEM})\\.nixosConfigurations\\.(?<host>[^.]+)`, branch: '{system}/{host}' },
    branches: ['x86_64-linux/nas', 'aarch64-linux/nas'],
    others: ['x86_64-linux.packages.hello'],
  },
  {
    jobs: ['machines."web.example.org"', 'machines."nas.lan"', 'machines.pi'],
    rule: { job: 'machines\\.(?<host>.+)', branch: 'machine/{host}' },
    branches: ['machine/web.example.org', 'machine/nas.lan', 'machine/pi'],
  },
  // an aggregate of all: one channel for the whole fleet
  {
    jobs: ['tested'],
    rule: { job: 'tested', branch: 'fleet-tested' },
    branches: ['fleet-tested'],
    others: ['untested', 'tests.boot'],
  },
  {
    jobs: ['required'],
    rule: { job: 'required', branch: 'stable' },
    branches: ['stable'],
    others: ['required-not'],
  },
  {
    jobs: ['release'],
    rule: { job: 'release', branch: 'channels/nixos-release' },
    branches: ['channels/nixos-release'],
    others: ['release.tarball'],
  },
]

/**
 *     main: c1 - c2     each scheme has a jobset and a repository of its own, all with c1's builds and then c2's
 */
async function allSchemes(t: TestContext) {
  const stage = await stageFor(t)
  const rules = []
  const cases = []
  for (const [index, scheme] of SCHEMES.entries()) {
    const [owner, repo] = ['alice', `scheme-${index}`]
    const repository = await stage.github.createRepository(`${owner}/${repo}`)
    const [c1 = '', c2 = ''] = await repository.history(2)
    await repository.setBranch('main', c2)
    const jobset = await stage.hydra.jobset({ name: repo, flake: `github:${owner}/${repo}` })
    for (const sha of [c1, c2]) {
      const builds = [...scheme.jobs, ...(scheme.others ?? [])].map(job => ({ job }))
      await stage.hydra.eval({ jobset, flake: flakeOf(sha, { owner, repo }), builds })
    }
    rules.push({ project: 'dotfiles', jobset: repo, repository: `${owner}/${repo}`, ...scheme.rule })
    cases.push({ ...scheme, repository, name: repo, jobset, c1, c2 })
  }
  stage.config.channels = rules
  return { stage, cases }
}

async function buildOf(stage: Stage, jobset: number, job: string): Promise<number> {
  const [row] = await stage.hydra.sql<{ id: number }[]>`
    select max(id) as id from builds where jobset_id = ${jobset} and job = ${job}`
  return row?.id ?? assert.fail(job)
}

test('the jobs of every scheme lead to their branches, and other jobs to none', async t => {
  const { stage, cases } = await allSchemes(t)

  for (const { name, jobset, jobs, branches, others = [], repository, c2 } of cases) {
    const [job = '', ...rest] = [...jobs.slice(0, 1), ...others.slice(0, 1)]
    const [branch = ''] = branches
    const moved = await stage.hook(await buildOf(stage, jobset, job))
    assert.equal(moved.status, 0, `${job}: ${moved.log}`)
    assert.ok(moved.log.includes(`alice/${name} ${branch}: created at `), `${job}: ${moved.log}`)
    for (const other of rest) {
      const left = await stage.hook(await buildOf(stage, jobset, other))
      assert.equal(left.status, 0, `${other}: ${left.log}`)
    }
    assert.deepEqual(await repository.branches(), { main: c2, [branch]: c2 }, job)
  }

  // one of each has fallen behind, the others are not there yet
  for (const { repository, branches, c1 } of cases) await repository.setBranch(branches[0] ?? '', c1)
  const reconciled = await stage.command('hydra-channels', ['reconcile'])
  assert.equal(reconciled.status, 0, reconciled.log)
  for (const { repository, branches, c2 } of cases) {
    const expected = Object.fromEntries(branches.map(branch => [branch, c2]))
    assert.deepEqual(await repository.branches(), { main: c2, ...expected })
  }

  const { channels } = await statusOf(stage)
  const place = (each: { repository: string; branch: string }) => `${each.repository}:${each.branch}`
  assert.deepEqual(
    channels.map(each => [place(each), each.reason]).sort(),
    cases
      .flatMap(({ name, branches }) =>
        branches.map(branch => [place({ repository: `alice/${name}`, branch }), 'up-to-date']),
      )
      .sort(),
  )

  const examined = await stage.command('hydra-channels', ['doctor', '--json'], { streams: 'apart' })
  const { checks } = JSON.parse(examined.stdout) as {
    checks: { name: string; result: string; message: string; hint: string[] }[]
  }
  assert.deepEqual(
    checks.filter(({ result }) => result === 'failed').map(({ name, message }) => `${name}: ${message}`),
    [],
  )
  const said = checks.filter(({ name }) => name === 'jobs').map(({ message }) => message)
  assert.equal(said.length, cases.length)
  for (const [index, { name, jobs }] of cases.entries()) {
    const n = jobs.length
    const counts = `${n} job${n === 1 ? '' : 's'} of dotfiles:${name}, ${n} channel${n === 1 ? '' : 's'}: `
    assert.ok(said[index]?.startsWith(`channels[${index}]: ${counts}`), said[index])
  }
  const unmatched = checks.find(({ name }) => name === 'jobsets')?.hint ?? []
  assert.deepEqual(
    unmatched.map(line => /^no rule matches \d+ jobs? of (\S+): (.*); if/.exec(line)?.slice(1)),
    cases.flatMap(({ name, others = [] }) =>
      others.length === 0 ? [] : [[`dotfiles:${name}`, others.join(', ')]],
    ),
  )
})
