// One fleet in which every reason of status is there once.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { writeStamp } from '../../src/state/last-reconcile.ts'
import { type Stage, stageFor } from './stage.ts'

export const job = (host: string) => `nixos-${host}.x86_64-linux`
export const channel = (host: string) => `nixos-tested-${host}`
export const short = (sha: string) => sha.slice(0, 7)

export interface Fleet {
  stage: Stage
  /** by the names in the graph */
  commits: Record<'c1' | 'c2' | 'c3' | 'c4' | 'd1' | 'x1', string>
  /** by eval and host */
  builds: Map<string, number>
}

/**
 *     main: c1 - c2 - c3 - c4     evals of x1 (main was there), c1, c2, c3, c4
 *             \- d1               pushed by hand
 *             \- x1               main was reset from it
 *
 * and beside main the jobsets stale, at c3 while main goes on, broken, whose evaluation fails, foreign, and pulled, which
 * follows a pull request.
 */
export async function everyReason(t: TestContext): Promise<Fleet> {
  const stage = await stageFor(t)
  const { repository, hydra } = stage
  const [c1 = '', c2 = '', c3 = '', c4 = ''] = await repository.history(4)
  const d1 = await repository.commit({ parents: [c1], message: 'by hand' })
  const x1 = await repository.commit({ parents: [c1], message: 'taken back' })
  const commits = { c1, c2, c3, c4, d1, x1 }
  const builds = new Map<string, number>()
  await hydra.sql`update jobsets set flake = 'github:alice/dotfiles/main' where id = ${stage.jobset}`

  const steady = ['held', 'withdrawn', 'diverged', 'protected', 'uncached', 'stuck', 'behind', 'newest']
  const states: Record<string, number | null> = {
    failed: 1,
    timeout: 7,
    dependent: 2,
    aborted: 3,
    building: null,
  }
  const pathOf = (sha: string, host: string) =>
    `/nix/store/${short(sha)}${host.padEnd(25, '0').slice(0, 25)}-nixos-system-${host}`
  const evaluate = async (sha: string, hosts: Record<string, number | null>, error?: string) => {
    const jobs = Object.keys(hosts).flatMap(host =>
      host === 'ambiguous' ? [job(host), 'nixos-ambiguous.aarch64-linux'] : [job(host)],
    )
    const evalId = await hydra.eval({
      jobset: stage.jobset,
      flake: `github:alice/dotfiles/${sha}?narHash=sha256-x`,
      builds: jobs.map(name => {
        const host = /^nixos-(.*?)\./.exec(name)?.[1] ?? ''
        const path = pathOf(sha, host)
        if (host !== 'uncached') stage.cache.paths.add(path)
        return { job: name, status: hosts[host] ?? null, outputs: { out: path } }
      }),
      ...(error === undefined ? {} : { error }),
    })
    const rows = await hydra.sql<{ job: string; build: number }[]>`
      select b.job, b.id as build from jobsetevalmembers m join builds b on b.id = m.build where m.eval = ${evalId}`
    for (const row of rows) builds.set(`${short(sha)} ${/^nixos-(.*?)\./.exec(row.job)?.[1]}`, row.build)
  }
  const good = (...hosts: string[]) => Object.fromEntries(hosts.map(host => [host, 0]))
  const all = good(...steady, 'away', ...Object.keys(states), 'ambiguous', 'removed', 'unevaluable')
  for (const sha of [x1, c1, c2, c3]) await evaluate(sha, all)
  await evaluate(
    c4,
    { ...good(...steady, 'ambiguous', 'away'), ...states },
    `in job ‘${job('unevaluable')}’:\nerror:\n … while evaluating\n error: attribute 'x' missing\n`,
  )

  const beside = async (name: string, flake: string, more: object = {}) => {
    const jobset = await hydra.jobset({ name, flake: 'github:alice/dotfiles/main', ...more })
    await hydra.eval({ jobset, flake, builds: [{ job: job(name) }] })
    return jobset
  }
  await beside('stale', `github:alice/dotfiles/${c3}`, { checkInterval: 0 })
  await beside('foreign', 'path:/home/alice/dotfiles')
  await beside('pulled', `github:alice/dotfiles/${c4}`, { flake: 'github:alice/dotfiles/pull/7/head' })
  const broken = await beside('broken', `github:alice/dotfiles/${c3}`)
  await hydra.sql`
    update jobsets set errortime = lastcheckedtime + 60, lastcheckedtime = lastcheckedtime + 60,
      errormsg = ${"error: while updating\nerror: cannot find flake 'flake:nixpkgs'"} where id = ${broken}`

  const tips = Object.fromEntries(
    [
      ...steady,
      ...Object.keys(states),
      'ambiguous',
      'removed',
      'unevaluable',
      'stale',
      'foreign',
      'pulled',
      'broken',
    ].map(host => [channel(host), c3]),
  )
  await repository.setBranches({
    main: c4,
    ...tips,
    [channel('held')]: c1,
    [channel('withdrawn')]: x1,
    [channel('diverged')]: d1,
    [channel('newest')]: c4,
    [channel('old')]: c2,
  })
  repository.protect(channel('protected'), 'Changes must be made through a pull request.')
  const other = await stage.github.createRepository('alice/other')
  await other.history(1)

  const [rule = {}] = stage.config.channels
  stage.config.channels = [
    { ...rule, job: 'nixos-(?<host>(?!away)[^/]*)\\.(?<system>.*)' },
    ...['stale', 'foreign', 'pulled', 'broken'].map(jobset => ({ ...rule, jobset })),
    { ...rule, job: 'nixos-(?<host>away)\\..*', repository: 'alice/other' },
  ]
  stage.config.hydraUrl = 'https://hydra.example.org'
  stage.config.cache = { url: stage.cache.url }
  stage.config.stateDirectory = join(stage.directory, 'state')
  const failures = {
    [`alice/dotfiles:${channel('stuck')}`]: { sha: c4, message: 'cannot copy to the cache: it is full' },
  }
  writeStamp(
    stage.config.stateDirectory as string,
    { ended: 'failed', counts: {}, failures },
    { line: assert.fail },
  )
  await stage.command('hydra-channels', [
    'hold',
    `alice/dotfiles:${channel('held')}`,
    '--reason',
    'does not boot',
  ])
  return { stage, commits, builds }
}
