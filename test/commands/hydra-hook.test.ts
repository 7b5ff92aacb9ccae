// The hook as Hydra runs it: the whole log, the exit status, GitHub's requests and where the branches end.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flakeOf } from '../helpers/hydra.ts'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'
import { until } from '../helpers/until.ts'
import { verdictOf } from '../helpers/verdict.ts'

/** A line of commits on main, `main: c1 - c2 - … - cN`. */
async function line(stage: Stage, length: number): Promise<string[]> {
  const commits = await stage.repository.history(length)
  await stage.repository.setBranch('main', commits.at(-1) ?? '')
  return commits
}

const short = (sha: string | undefined) => sha?.slice(0, 7)
const verdict = (log: string) => log.trimEnd().split('\n').at(-1)

/** The log without the event, which is the second line, and without the line of the credentials. */
const words = (log: string) =>
  log
    .trimEnd()
    .split('\n')
    .filter((text, index) => index !== 1 && !text.startsWith('asks '))

test('creates a channel, fast-forwards it, and leaves it where an old build finishes late', async t => {
  // main: c1 - c2 - c3   builds prove c1, then c3, then c2
  const stage = await stageFor(t)
  const [c1 = '', c2 = '', c3 = ''] = await line(stage, 3)
  stage.config.cache = { unit: 'copy-cache@.service' }

  const build1 = await stage.built(c1)
  const first = await stage.hook(build1)
  assert.deepEqual(words(first.log), [
    `build ${build1} dotfiles:main:${JOB} succeeded`,
    `dotfiles:main:${JOB}: copying 1 output to the cache …`,
    `dotfiles:main:${JOB}: eval 1: github:alice/dotfiles/${short(c1)}`,
    `alice/dotfiles ${CHANNEL}: created at ${short(c1)}`,
  ])
  assert.equal(first.status, 0)
  assert.equal(await stage.repository.branch(CHANNEL), c1)

  const build3 = await stage.built(c3)
  const second = await stage.hook(build3)
  assert.equal(
    verdict(second.log),
    `alice/dotfiles ${CHANNEL}: fast-forwarded ${short(c1)}..${short(c3)} (2 commits)`,
  )
  assert.equal(await stage.repository.branch(CHANNEL), c3)

  // an eval of c2 after that of c3, as after a revert by force: its commit is behind the channel
  const build2 = await stage.built(c2)
  const third = await stage.hook(build2)
  assert.equal(
    verdict(third.log),
    `alice/dotfiles ${CHANNEL}: already contained: it is at ${short(c3)}, 1 commit after ${short(c2)}`,
  )
  assert.equal(third.status, 0)
  assert.equal(await stage.repository.branch(CHANNEL), c3)
})

test('an older build that finishes late finds the newer candidate', async t => {
  // main: c1 - c2   the build of c2 finished first
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const old = await stage.built(c1)
  const newer = await stage.built(c2)
  const result = await stage.hook(old)
  assert.deepEqual(words(result.log).slice(1), [
    `dotfiles:main:${JOB}: eval 2, with the newest good build ${newer}: github:alice/dotfiles/${short(c2)}`,
    `alice/dotfiles ${CHANNEL}: created at ${short(c2)}`,
  ])
  assert.equal(await stage.repository.branch(CHANNEL), c2)
})

test('a candidate of another build is copied and proven before the channel moves', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const theirs = '/nix/store/00000000000000000000000000000002-nixos-system-nas'
  const ours = '/nix/store/00000000000000000000000000000001-nixos-system-nas'
  const old = await stage.built(c1, { outputs: { out: ours } })
  await stage.built(c2, { outputs: { out: theirs } })
  stage.config.cache = { unit: 'copy-cache@.service' }
  stage.systemd.ends('failed', '00002')

  const failing = await stage.hook(old)
  assert.equal(failing.status, 1)
  assert.match(failing.log, /^dotfiles:main:nixos-nas\.x86_64-linux: copying 1 output to the cache …$/m)
  assert.match(failing.log, /^alice\/dotfiles nixos-tested-nas: copying 1 output to the cache …$/m)
  assert.match(
    failing.log,
    /^alice\/dotfiles nixos-tested-nas: cannot be moved: cannot copy to the cache: systemctl start ended with status 1$/m,
  )
  assert.equal(await stage.repository.branch(CHANNEL), undefined)

  stage.systemd.ends('ok')
  assert.equal((await stage.hook(old)).status, 0)
  assert.equal(await stage.repository.branch(CHANNEL), c2)
  // and not a third time, now that the channel is there
  const calls = stage.systemd.calls().length
  await stage.hook(old)
  assert.equal(stage.systemd.calls().length, calls + 1)
})

test('a build that is built again: the channel stays, and exit 0', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  const build = await stage.built(c1)
  const event = await stage.hydra.eventOf(build)
  await stage.hydra.restart(build)
  const result = await stage.hook(event)
  assert.equal(result.status, 0)
  assert.deepEqual(words(result.log).slice(1), [
    `dotfiles:main:${JOB}: build ${build} is not good any more: it is being built again, or has failed since. Its next event will follow`,
    `alice/dotfiles ${CHANNEL}: not moved: the job has no good build now`,
  ])
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})

test('the only good build of a job that is gone is built again: nothing moves, and exit 0', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const build = await stage.built(c1)
  const event = await stage.hydra.eventOf(build)
  await stage.eval(c2, [{ job: 'nixos-web.x86_64-linux' }])
  await stage.hydra.restart(build)
  const result = await stage.hook(event)
  assert.equal(result.status, 0, result.log)
  assert.equal(verdict(result.log), `alice/dotfiles ${CHANNEL}: not moved: the job has no good build now`)
})

test('a build that is built again leaves the older good build as the candidate', async t => {
  // main: c1 - c2   c2's build is built again
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  await stage.built(c1)
  const build = await stage.built(c2)
  const event = await stage.hydra.eventOf(build)
  await stage.hydra.repoint(build)
  const result = await stage.hook(event)
  assert.equal(result.status, 0, result.log)
  assert.equal(verdict(result.log), `alice/dotfiles ${CHANNEL}: created at ${short(c1)}`)
})

test('a commit that changes no derivation is reached through its memberless eval', async t => {
  // main: c1 - c2   c2 has an eval without builds
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const build = await stage.built(c1)
  await stage.eval(c2)
  assert.equal(verdict((await stage.hook(build)).log), `alice/dotfiles ${CHANNEL}: created at ${short(c2)}`)
})

test('requests of one hook: three with a cached token, five without, also when the candidate is in an older eval', async t => {
  // main: c1 - c2 - c3 - c4
  const stage = await stageFor(t)
  const [c1 = '', c2 = '', c3 = '', c4 = ''] = await line(stage, 4)
  await stage.repository.setBranch(CHANNEL, c1)

  /** The two compares go side by side, and the write comes after both. */
  const moving = (sha: string) => [
    `GET /repos/alice/dotfiles/compare/${sha}...HEAD`,
    `GET /repos/alice/dotfiles/compare/refs/heads/${CHANNEL}...${sha}`,
    `PATCH /repos/alice/dotfiles/git/refs/heads/${CHANNEL}`,
  ]
  const asked = () => {
    const all = stage.github.requests
    const write = all.findIndex(request => request.startsWith('PATCH '))
    return [...all.slice(0, write).sort(), ...all.slice(write)]
  }

  await stage.hook(await stage.built(c2))
  assert.deepEqual(stage.github.requests.slice(0, 2), [
    'GET /repos/alice/dotfiles/installation',
    `POST /app/installations/${/\d+/.exec(stage.github.requests[1] ?? '')?.[0]}/access_tokens`,
  ])
  stage.github.requests.splice(0, 2)
  assert.deepEqual(asked(), moving(c2))

  stage.github.clearRequests()
  const build = await stage.built(c3)
  await stage.hook(build)
  assert.deepEqual(asked(), moving(c3))

  stage.github.clearRequests()
  await stage.repository.setBranch(CHANNEL, c2)
  await stage.built(c4, { status: 1 })
  await stage.hook(build)
  assert.deepEqual(asked(), moving(c3))
  assert.equal(await stage.repository.branch(CHANNEL), c3)
})

test('a commit that was taken back moves nothing', async t => {
  // main was reset:  c1 - c2   and now  c1 - d2   the good build is of c2, the newest eval of d2
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const d2 = await stage.repository.commit({ parents: [c1] })
  await stage.repository.setBranch('main', d2)
  const build = await stage.built(c2)
  await stage.built(d2, { status: 1 })
  const result = await stage.hook(build)
  assert.equal(result.status, 1)
  assert.deepEqual(words(result.log).slice(-3), [
    `alice/dotfiles ${CHANNEL}: withdrawn, not moved: ${short(c2)} is not in the history of the default branch`,
    `alice/dotfiles ${CHANNEL}: the commit ${c2} of eval 1 was taken back: it is not in the history of the default branch, and the newest eval 2 is of ${d2}`,
    `alice/dotfiles ${CHANNEL}: the next good build of a commit in the history of the default branch moves the channel`,
  ])
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})

test('a diverged channel is refused, and the log says how to get out', async t => {
  //  c1 - c2 (main)     the channel has a commit of its own
  //    \- x (channel)
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const x = await stage.repository.commit({ parents: [c1] })
  await stage.repository.setBranch(CHANNEL, x)
  const result = await stage.hook(await stage.built(c2))
  assert.equal(result.status, 1)
  assert.deepEqual(
    words(result.log).slice(-6),
    [
      `diverged, not moved: it is at ${short(x)}, the candidate is ${short(c2)}`,
      `it is at ${x}`,
      `the candidate is ${c2}`,
      `they parted at ${c1}: 1 commit only in the channel, 1 commit only in the candidate`,
      `see https://github.com/alice/dotfiles/compare/${x}...${c2}`,
      `to give up what only the channel has: gh api -X PATCH repos/alice/dotfiles/git/refs/heads/${CHANNEL} -f sha=${c2} -F force=true`,
    ].map(text => `alice/dotfiles ${CHANNEL}: ${text}`),
  )
  assert.equal(await stage.repository.branch(CHANNEL), x)
})

test('two jobs that lead to one channel are refused by name, until one of them has gone', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = '', c3 = ''] = await line(stage, 3)
  const arm = 'nixos-nas.aarch64-linux'
  await stage.eval(c1, [{ job: JOB }, { job: arm, id: 50 }])
  const both = await stage.hook(50)
  assert.equal(both.status, 1)
  assert.deepEqual(words(both.log).slice(1), [
    `alice/dotfiles ${CHANNEL}: cannot be moved: ambiguous: 2 jobs lead to this channel: dotfiles:main:${arm}, dotfiles:main:${JOB}`,
    `alice/dotfiles ${CHANNEL}: a channel follows one job: put {system} (or another group) into the branch, make job narrower, or let one aggregate job stand for all of them`,
    `alice/dotfiles ${CHANNEL}: if that gives the branch another name, the old one stays where it is, and so do the hosts that follow it: let them follow the new one`,
  ])

  // the host changed its system: the old job's late event does not move the channel, the new job's does
  await stage.eval(c2, [{ job: arm, id: 60 }])
  const old = await stage.hook(1)
  assert.equal(old.status, 0)
  assert.equal(
    verdict(old.log),
    `alice/dotfiles ${CHANNEL}: not moved: dotfiles:main:${JOB} is not in the jobset any more, and the channel follows dotfiles:main:${arm}`,
  )
  assert.equal((await stage.hook(60)).status, 0)
  assert.equal(await stage.repository.branch(CHANNEL), c2)

  // the host leaves: of two jobs that are gone, the channel follows the one that was good last
  await stage.eval(c3, [{ job: 'nixos-web.x86_64-linux', id: 70 }])
  assert.equal(verdict((await stage.hook(1)).log), verdict(old.log))
})

test('one job may feed several channels, and the trouble of one does not hold up the other', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  const [rule = {}] = stage.config.channels
  stage.config.channels = [
    { ...rule, repository: 'alice/elsewhere' },
    { ...rule, branch: 'second-{host}' },
    rule,
    { ...rule, repository: 'Alice/Dotfiles' },
  ]
  const result = await stage.hook(await stage.built(c1))
  assert.equal(result.status, 1)
  assert.deepEqual(words(result.log).slice(1), [
    `dotfiles:main:${JOB}: eval 1: github:alice/dotfiles/${short(c1)}`,
    `alice/elsewhere ${CHANNEL}: cannot be moved: the flakeref of eval 1 is of another repository: ${flakeOf(c1)} is not github.com/alice/elsewhere`,
    `alice/elsewhere ${CHANNEL}: correct the rule (repository, github.host), or the flake of the jobset`,
    `alice/dotfiles second-nas: created at ${short(c1)}`,
    `alice/dotfiles ${CHANNEL}: created at ${short(c1)}`,
  ])
})

test('a rule that makes no channel of a job is an error, though another rule moves its own', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  const [rule = {}] = stage.config.channels
  stage.config.channels = [
    { ...rule, job: 'nixos-(?<host>.*?)(?<more>-extra)?\\..*', branch: 'x{more}' },
    rule,
  ]
  const result = await stage.hook(await stage.built(c1))
  assert.equal(result.status, 1)
  assert.equal(await stage.repository.branch(CHANNEL), c1)
  assert.match(
    result.log,
    /created at .*\n\S+: cannot name a channel .*: the group more of the rule “.*” is empty for this job\n/,
  )
})

test('the name of a job in the text of an error keeps no channel from moving', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  await stage.hydra.eval({
    jobset: stage.jobset,
    flake: flakeOf(c1),
    builds: [{ job: JOB, id: 70 }],
    error: "in job ‘nixos-nas.aarch64-linux’:\nerror: attribute 'x' missing\n",
  })
  const result = await stage.hook(70)
  assert.equal(result.status, 0, result.log)
  assert.equal(await stage.repository.branch(CHANNEL), c1)
})

test('what changes while a candidate is copied is seen before its channel moves', async t => {
  // main: c1 - c2, and while the build of c2 is copied, main is reset to  c1 - d2
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const old = await stage.built(c1)
  await stage.built(c2)
  stage.config.cache = { unit: 'copy-cache@.service' }
  stage.systemd.ends('waits for a file', 'aaa2')
  const running = stage.hook(old)
  await until('systemctl is called twice', () => stage.systemd.calls().length >= 2)
  const d2 = await stage.repository.commit({ parents: [c1] })
  await stage.repository.setBranch('main', d2)
  await stage.built(d2, { status: 1 })
  stage.systemd.release()
  const result = await running
  assert.equal(result.status, 1, result.log)
  assert.match(result.log, new RegExp(`^alice/dotfiles ${CHANNEL}: copying 1 output to the cache …$`, 'm'))
  assert.equal(verdictOf(result.log).kind, 'withdrawn')
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})

test('a cache without unit and url is said to be none', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  stage.config.cache = { timeoutSeconds: 5 }
  const result = await stage.hook(await stage.built(c1))
  assert.equal(
    words(result.log)[1],
    'cache has neither unit nor url in the configuration: nothing is copied or proven',
  )
  assert.equal(result.status, 0)
})

test('a jobset whose newest eval is of another repository moves nothing', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const build = await stage.built(c1)
  const flake = flakeOf(c2, { owner: 'mallory', repo: 'dotfiles' })
  await stage.hydra.eval({ jobset: stage.jobset, flake })
  // the new eval has no builds, so the build is in its set, and it is the candidate's
  const result = await stage.hook(build)
  assert.equal(result.status, 1)
  assert.match(
    result.log,
    /of another repository: github:mallory\/dotfiles\/.* is not github\.com\/alice\/dotfiles$/m,
  )
  // and where the newest eval has builds of its own
  await stage.hydra.eval({ jobset: stage.jobset, flake, builds: [{ job: JOB, status: 1 }] })
  const second = await stage.hook(build)
  assert.equal(second.status, 1)
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})

test('a dry run copies nothing, looks in the cache, and moves nothing', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  const path = '/nix/store/00000000000000000000000000000001-nixos-system-nas'
  const build = await stage.built(c1, { outputs: { out: path } })
  stage.config.cache = { unit: 'copy-cache@.service', url: stage.cache.url }
  const missing = await stage.hook(build, ['--dry-run'])
  assert.deepEqual(words(missing.log).slice(1), [
    `dotfiles:main:${JOB}: would copy ${path} to the cache (dry run)`,
    `dotfiles:main:${JOB}: eval 1: github:alice/dotfiles/${short(c1)}`,
    `alice/dotfiles ${CHANNEL}: would be created at ${short(c1)} (dry run)`,
  ])
  stage.cache.paths.add(path)
  await stage.repository.setBranch(CHANNEL, c1)
  await stage.eval(c2)
  const there = await stage.hook(build, ['--dry-run'])
  assert.deepEqual(words(there.log).slice(1), [
    `dotfiles:main:${JOB}: the cache has ${path} (dry run)`,
    `dotfiles:main:${JOB}: eval 2: github:alice/dotfiles/${short(c2)}`,
    `alice/dotfiles ${CHANNEL}: would be fast-forwarded ${short(c1)}..${short(c2)} (1 commit) (dry run)`,
  ])
  assert.deepEqual(stage.systemd.calls(), [])
  assert.equal(await stage.repository.branch(CHANNEL), c1)
})

test('the proof is looked for at the URL of the cache, before the channel moves', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  const path = '/nix/store/00000000000000000000000000000001-nixos-system-nas'
  const build = await stage.built(c1, { outputs: { out: path } })
  stage.config.cache = { url: stage.cache.url }
  stage.cache.next.push('StorePath: /nix/store/00000000000000000000000000000001-another\n')
  const other = await stage.hook(build)
  assert.equal(other.status, 1)
  assert.deepEqual(words(other.log).slice(1), [
    `the cache does not have ${path}: ${stage.cache.url}/00000000000000000000000000000001.narinfo is of /nix/store/00000000000000000000000000000001-another`,
    'check cache.url: is a binary cache of Nix there?',
  ])
  assert.deepEqual(stage.github.requests, [])

  stage.cache.paths.add(path)
  const seen = await stage.hook(build)
  assert.equal(words(seen.log)[1], `dotfiles:main:${JOB}: saw 1 output at ${stage.cache.url}`)
  assert.equal(seen.status, 0)
  assert.equal(await stage.repository.branch(CHANNEL), c1)
})

test('the default branch is no channel', async t => {
  const stage = await stageFor(t)
  const [c1 = '', c2 = ''] = await line(stage, 2)
  await stage.repository.setBranch('main', c1)
  const [rule = {}] = stage.config.channels
  stage.config.channels = [{ ...rule, branch: 'main' }]
  const result = await stage.hook(await stage.built(c2))
  assert.equal(result.status, 1)
  assert.deepEqual(words(result.log).slice(-2), [
    'alice/dotfiles main: cannot be moved: main is the default branch of the repository, and no channel',
    'alice/dotfiles main: give the channel another name in the rule (branch)',
  ])
  assert.equal(await stage.repository.branch('main'), c1)
})

test('a job that makes no valid branch, or leaves a group empty, is refused for that job', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  const empty = await stage.hook(await stage.built(c1, { job: 'nixos-.x86_64-linux' }))
  assert.equal(empty.status, 1)
  assert.match(
    empty.log,
    /^dotfiles:main:nixos-\.x86_64-linux: cannot name a channel in alice\/dotfiles: the group host of the rule “.*” is empty for this job$/m,
  )
  const bad = await stage.hook(await stage.built(c1, { job: 'nixos-a..b.x86_64-linux' }))
  assert.equal(bad.status, 1)
  assert.match(bad.log, /“nixos-tested-a\.\.b” is no valid branch name: it contains “\.\.”$/m)
  assert.deepEqual(stage.github.requests, [])
})

test('a job that no rule matches is copied all the same, and asks neither the database nor GitHub', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  const build = await stage.built(c1, { job: 'package-hello' })
  stage.config.cache = { unit: 'copy-cache@.service' }
  stage.config.database = { host: '/nonexistent' }
  const result = await stage.hook(build)
  assert.equal(result.status, 0)
  assert.deepEqual(words(result.log).slice(1), [
    'dotfiles:main:package-hello: copying 1 output to the cache …',
    'dotfiles:main:package-hello: no rule matches it, so there is nothing to move',
  ])
  assert.deepEqual(stage.github.requests, [])
})

test('what other people wrote reaches the log escaped', async t => {
  const stage = await stageFor(t)
  const result = await stage.hook({
    ...(await stage.hydra.eventOf(await stage.built((await line(stage, 1))[0] ?? ''))),
    job: 'nixos-\u001b[31mnas\u202e\u0085\n.x86_64-linux',
    description: 'a\u0007b\u009b\u2066',
    buildStatus: 1,
  })
  assert.equal(result.log.split('\n').length, 4)
  assert.match(
    result.log,
    /^build \d+ dotfiles:main:nixos-\\u001b\[31mnas\\u202e\\u0085\\u000a\.x86_64-linux failed\n/,
  )
  assert.match(result.log, /"description":"a\\u0007b\\u009b\\u2066"/)
})

test('a signal ends the hook by that signal, and takes systemctl along', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  stage.config.cache = { unit: 'copy-cache@.service' }
  stage.systemd.ends('hangs')
  const build = await stage.built(c1)
  const result = await stage.hook(build, [], {
    onStart(child) {
      const timer = setInterval(() => {
        if (stage.systemd.calls().length === 0) return
        clearInterval(timer)
        child.kill('SIGTERM')
      }, 20)
    },
  })
  assert.equal(result.status, 'SIGTERM')
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})

test('a hook as a whole has a limit, whatever it waits for', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  stage.config.cache = { unit: 'copy-cache@.service' }
  stage.config.hook = { deadlineSeconds: 0.5 }
  stage.systemd.ends('hangs')
  const result = await stage.hook(await stage.built(c1))
  assert.equal(result.status, 1)
  assert.deepEqual(words(result.log).slice(-2), [
    'the hook did not end within 0.5 s (hook.deadlineSeconds)',
    'a copy may still be running; the next run tries again, or hydra-channels reconcile',
  ])
  assert.equal(await stage.repository.branch(CHANNEL), undefined)
})

test('a hook needs no other file than its own', async t => {
  const stage = await stageFor(t)
  const [c1 = ''] = await line(stage, 1)
  const result = await stage.hook(await stage.built(c1), [], { env: { RUNTIME_DIRECTORY: undefined } })
  assert.equal(result.status, 0, result.log)
})
