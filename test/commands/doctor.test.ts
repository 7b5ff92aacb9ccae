// Doctor as a person meets it: a set-up in which all is well, and then one thing at a time that is not.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { ALL, holdFile, writeHold } from '../../src/channels/holds.ts'
import { parseConfig } from '../../src/config.ts'
import { after, CHECK_NAMES, type CheckName, check } from '../../src/doctor/check.ts'
import type { Check } from '../../src/doctor/doctor.ts'
import { QUERIES } from '../../src/doctor/hydra.ts'
import { checkPolkit } from '../../src/doctor/machine.ts'
import { checkKick } from '../../src/doctor/state.ts'
import { writeStamp } from '../../src/state/last-reconcile.ts'
import { runCommand } from '../helpers/command.ts'
import type { GitHubOptions } from '../helpers/github/github.ts'
import { flakeOf } from '../helpers/hydra.ts'
import { startPostgresProxy } from '../helpers/postgres-proxy.ts'
import { namesOfQueries } from '../helpers/queries.ts'
import { CHANNEL, JOB, type Stage, stageFor } from '../helpers/stage.ts'
import { createSystemd } from '../helpers/systemd.ts'

const UNIT = 'copy-cache-example@.service'
const CACHE_INFO = 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n'

interface Scene {
  stage: Stage
  stateDirectory: string
  kickFile: string
  /** newest last */
  commits: string[]
  /** the build of the channel's commit */
  build: number
}

/** main: c1 - c2, and the channel at c2, its candidate: moved there and copied. */
async function healthy(t: TestContext, options: GitHubOptions = {}): Promise<Scene> {
  const stage = await stageFor(t, options)
  const { repository, hydra, cache, config, directory } = stage
  const commits = await repository.history(2)
  const newest = commits[1] ?? ''
  await repository.setBranches({ main: newest, [CHANNEL]: newest })
  const build = await stage.built(newest)
  const [output] = await hydra.sql<{ path: string }[]>`select path from buildoutputs where build = ${build}`
  cache.paths.add(output?.path ?? '')
  cache.next.push(CACHE_INFO)
  const stateDirectory = join(directory, 'state')
  writeStamp(stateDirectory, { ended: 'ok', counts: {}, failures: {} }, { line: assert.fail })
  const kickFile = join(directory, 'kick', 'kick')
  mkdirSync(dirname(kickFile))
  Object.assign(config, { stateDirectory })
  config.cache = { unit: UNIT, url: cache.url }
  config.hook = { mode: 'detached', kickFile }
  return { stage, stateDirectory, kickFile, commits, build }
}

async function examine(stage: Stage, args: string[] = []): Promise<{ status: unknown; checks: Check[] }> {
  const result = await stage.command('hydra-channels', ['doctor', '--json', ...args], { streams: 'apart' })
  assert.equal(result.stderr, '')
  assert.match(result.stdout, /^[^\n]*\n$/)
  return { status: result.status, checks: JSON.parse(result.stdout).checks }
}

test('a healthy set-up', async t => {
  const { stage, stateDirectory, kickFile, build } = await healthy(t)
  const { log, status } = await stage.command('hydra-channels', ['doctor'])
  const { host, database } = stage.hydra.config
  const keyFile = String(stage.config.github.privateKeyFile)
  const plain = log
    .replace(/PostgreSQL .* answers/, 'PostgreSQL VERSION answers')
    .replace(/of \d+ tables/, 'of N tables')
    .replace(/reconcile ended [01] min ago \(20\S+Z\)/, 'reconcile ended 0 min ago (TIME)')
    .replace(/polkit: not checked: .*/, 'polkit: not checked: WHY')
  assert.equal(
    plain,
    `✓ configuration: ${stage.env.HYDRA_CHANNELS_CONFIG} has 1 rule
✓ rules: 1 rule, no two of them alike
✓ key: ${keyFile} holds an RSA key, for the App Iv23liTestTestTest00 (configuration)
✓ app: Iv23liTestTestTest00 is “hydra-channels-test” (https://github.com/apps/hydra-channels-test), and the key is one of its keys
✓ clock: this machine's clock agrees with that of ${new URL(stage.github.apiUrl).host}
✓ installation: alice/dotfiles: the App is installed there, and not suspended
✓ permissions: alice/dotfiles: contents: write, workflows: write
✓ repository: alice/dotfiles: neither archived nor renamed
✓ database: ${host}:5432, database ${database}, role hydra (configuration): PostgreSQL VERSION answers
✓ read-only: the role hydra may write to none of N tables
✓ users: the role hydra cannot read users, which has Hydra's password hashes
✓ tables: Hydra's tables and columns are as expected (15 queries)
✓ schema: Hydra's schema is version 87; this program was tried with version 87
✓ lock: while one reconcile runs, a second one is kept out
✓ jobsets: dotfiles:main (1 job)
✓ jobs: channels[0]: 1 job of dotfiles:main, 1 channel: ${CHANNEL}
✓ overlap: no channel has two jobs that lead to it
✓ default-branch: alice/dotfiles: no channel is the default branch, main
✓ cache-unit: systemd knows ${UNIT}
– polkit: not checked: WHY
✓ cache: ${stage.cache.url} is a binary cache of /nix/store
✓ cache-path: ${stage.cache.url} has 1 output of build ${build}, which ${CHANNEL} is at
✓ reconcile: the last reconcile ended 0 min ago (TIME)
✓ holds: no channel is held
✓ kick: ${dirname(kickFile)} exists and is writable; no reconcile is requested
24 ok, 1 not checked
`,
  )
  assert.equal(status, 0)
  assert.deepEqual(stage.github.requests.map(request => request.replace(/\d+/, 'N')).sort(), [
    'GET /app',
    'GET /app',
    'GET /repos/alice/dotfiles/git/matching-refs/heads/nixos-tested-',
    'GET /repos/alice/dotfiles/installation',
    'GET /repos/alice/dotfiles/installation',
    'POST /app/installations/N/access_tokens',
  ])
  // nor does it keep the token, or change anything else
  assert.deepEqual(readdirSync(stage.runtimeDirectory), [])
  assert.deepEqual(readdirSync(stateDirectory), ['last-reconcile.json'])
  // the checks run side by side; the second call is polkit's, whom only root may ask
  const root = process.geteuid?.() === 0
  assert.deepEqual(stage.systemd.calls().sort(), [
    ['cat', '--', UNIT],
    ...(root ? [['show', '-p', 'MainPID,User', '--', 'hydra-notify.service']] : []),
  ])
})

test('as JSON', async t => {
  const { stage } = await healthy(t)
  const { status, checks } = await examine(stage)
  assert.equal(status, 0)
  assert.deepEqual(
    checks.map(({ name }) => name),
    CHECK_NAMES,
  )
  for (const check of checks) {
    assert.deepEqual(Object.keys(check), ['name', 'result', 'message', 'hint'])
    assert.deepEqual(check.hint, [])
  }
})

interface Breakage {
  /** what is wrong */
  when: string
  breaks(scene: Scene, t: TestContext): unknown
  github?: GitHubOptions
  /** the only checks that failed, or are worth a note, with what they say; hints behind “ / ” */
  failed?: Partial<Record<CheckName, RegExp>>
  noted?: Partial<Record<CheckName, RegExp>>
  /** what cannot be checked then; all others are ok */
  without?: CheckName[]
}

const OF_APP: CheckName[] = ['installation', 'permissions', 'repository', 'default-branch', 'cache-path']
const OF_JOBS: CheckName[] = ['jobs', 'overlap', 'default-branch', 'cache-path']

const firstRule = ({ stage }: Scene) => stage.config.channels[0] ?? {}
const keyFileOf = ({ stage }: Scene) => String(stage.config.github.privateKeyFile)
/** A cache that wants a login, and a netrc file, whose path it returns. */
function withLogin({ stage }: Scene, netrc: string): string {
  const file = join(stage.directory, 'netrc')
  writeFileSync(file, netrc, { mode: 0o600 })
  stage.cache.wants = 'nix:geheim'
  Object.assign(stage.config.cache as object, { netrcFile: file })
  return file
}
const otherKey = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs1', format: 'pem' })
    .toString()

const BREAKAGES: Breakage[] = [
  {
    when: 'the configuration has a key that there is not',
    breaks: ({ stage }) => Object.assign(stage.config, { cahnnels: [] }),
    failed: {
      configuration: /^the configuration \S+ cannot be used: cahnnels: unknown key, did you mean channels\?$/,
    },
    without: CHECK_NAMES.filter(name => name !== 'configuration'),
  },
  {
    when: 'a rule is there twice',
    breaks: scene => scene.stage.config.channels.push({ ...firstRule(scene) }),
    failed: { rules: /^channels\[1\] is the same rule as channels\[0\] \/ a channel follows one job: take/ },
  },
  {
    when: 'the rules of two jobsets lead to one branch',
    async breaks(scene) {
      const { stage } = scene
      const jobset = await stage.hydra.jobset({ name: 'other' })
      await stage.hydra.eval({ jobset, flake: flakeOf(scene.commits[1] ?? ''), builds: [{ job: 'tested' }] })
      const rule = { ...firstRule(scene), branch: 'tested-fleet' }
      stage.config.channels = [
        { ...rule, job: 'nixos-nas\\..*' },
        { ...rule, jobset: 'other', job: 'tested' },
      ]
    },
    failed: {
      rules:
        /^channels\[0\], channels\[1\] lead jobs of dotfiles:main, dotfiles:other to one channel, alice\/dotfiles:tested-fleet/,
      overlap:
        /^1 channel cannot move, because several jobs lead to each: tested-fleet \/ tested-fleet is ambig/,
    },
    without: ['cache-path'],
  },
  {
    when: 'the rules of two jobsets name their branches alike',
    async breaks(scene) {
      const { stage } = scene
      const jobset = await stage.hydra.jobset({ name: 'other' })
      const builds = [{ job: 'nixos-web.x86_64-linux' }]
      await stage.hydra.eval({ jobset, flake: flakeOf(scene.commits[1] ?? ''), builds })
      stage.config.channels.push({ ...firstRule(scene), jobset: 'other' })
    },
    noted: { rules: /^channels\[0\], channels\[1\] name the channels of .* alike \(\S+nixos-tested-\{…\}\)/ },
  },
  {
    when: 'there is no key',
    breaks: scene => rmSync(keyFileOf(scene)),
    failed: { key: /^cannot read the App's private key \S+ \(github\.privateKeyFile\): ENOENT/ },
    without: ['app', ...OF_APP],
  },
  {
    when: 'the key is none',
    breaks: scene => writeFileSync(keyFileOf(scene), 'no key'),
    failed: { key: /holds no private key in PEM form \/ use the \.pem file that GitHub made/ },
    without: ['app', ...OF_APP],
  },
  {
    when: 'systemd could not read the key',
    breaks({ stage }) {
      writeFileSync(join(stage.directory, 'github-app-key'), 'missing:/run/secrets/github-app-key')
      stage.config.github.privateKeyFile = 'github-app-key'
      stage.env.CREDENTIALS_DIRECTORY = stage.directory
    },
    failed: {
      key: /^there is no private key of the App at \/run\/secrets\/github-app-key: systemd could not read it when it started this unit \/ put the App's \.pem file there, .* \/ if hook\.mode is "inline", restart hydra-notify/,
    },
    without: ['app', ...OF_APP],
  },
  {
    when: 'the key is of another App',
    breaks: scene => writeFileSync(keyFileOf(scene), otherKey()),
    failed: { app: /^GitHub refuses the App's key: .* \/ check that App id and key belong to the same App/ },
    without: OF_APP,
  },
  {
    when: 'GitHub says that the key is of another App',
    breaks: ({ stage }) =>
      stage.github.fault({
        kind: 'status',
        status: 200,
        body: { id: 7, client_id: 'Iv23liOther', name: 'other', html_url: 'https://github.com/apps/other' },
        path: /^\/app$/,
        times: 2,
      }),
    failed: {
      app: /^the key is of the App “other” .* the id 7 and .* Iv23liOther, and the configuration says Iv23liTest/,
    },
    without: OF_APP,
  },
  {
    when: 'the clock is behind',
    github: { clockSkewSeconds: 45 },
    breaks: () => {},
    failed: { clock: /^this machine's clock is (3[5-9]|4[0-6]) s behind that of .* \/ .*timesyncd/ },
  },
  {
    when: 'every user may read the key',
    breaks: ({ stage }) => chmodSync(String(stage.config.github.privateKeyFile), 0o644),
    noted: { key: /holds an RSA key, .*; its mode lets every user read it \/ chmod 600 / },
  },
  {
    when: 'the clock is ahead',
    github: { clockSkewSeconds: -90 },
    breaks: () => {},
    failed: { clock: /^this machine's clock is (89|9\d) s ahead of that of / },
  },
  {
    when: 'GitHub cannot be asked',
    breaks: ({ stage }) => stage.github.fault({ kind: 'redirect-loop' }),
    failed: {
      app: /^GitHub could not be asked: \S+ redirects more than 5 times \(GET \S+\/app\) \/ the next/,
    },
    without: ['clock', ...OF_APP],
  },
  {
    when: 'the App is not installed',
    breaks: ({ stage }) => Object.assign(stage.repository, { installed: false }),
    failed: {
      installation: /^alice\/dotfiles: the GitHub App is not installed on .* \/ install it at https:.*\/new$/,
    },
    without: OF_APP.slice(1),
  },
  {
    when: 'the installation is suspended',
    breaks: ({ stage }) => Object.assign(stage.repository, { suspended: true }),
    failed: {
      installation: /^alice\/dotfiles: the installation of the GitHub App is suspended since \d.* \/ /,
    },
    without: OF_APP.slice(1),
  },
  {
    when: 'the App may only read',
    breaks: ({ stage }) => Object.assign(stage.repository, { permissions: { contents: 'read' } }),
    failed: {
      permissions:
        /^alice\/dotfiles: the App lacks the permission contents: write \(it has contents: read\) \/ give the App/,
    },
    without: OF_APP.slice(2),
  },
  {
    when: 'the App may not write workflows',
    breaks: ({ stage }) =>
      Object.assign(stage.repository, { permissions: { contents: 'write', metadata: 'read' } }),
    noted: { permissions: /^alice\/dotfiles: contents: write, but not workflows: write, .* \/ if the repo/ },
  },
  {
    when: 'the repository is archived',
    breaks: ({ stage }) => Object.assign(stage.repository, { archived: true }),
    failed: {
      repository: /^alice\/dotfiles: the repository is archived, so it is read-only \/ unarchive it/,
    },
  },
  {
    when: 'the repository is called otherwise now',
    breaks: ({ stage }) => stage.repository.rename('alice/config'),
    noted: {
      repository: /^alice\/dotfiles is called alice\/config now, and GitHub redirects: write the new/,
    },
  },
  {
    when: 'the database is away',
    breaks: ({ stage }) => Object.assign(stage.config, { database: { host: '/nonexistent' } }),
    failed: {
      database: /^cannot ask Hydra's database at \/nonexistent:5432, .*ENOENT.* \/ is PostgreSQL runn/,
    },
    without: ['read-only', 'users', 'tables', 'schema', 'lock', 'jobsets', ...OF_JOBS],
  },
  {
    when: 'the database has no such role',
    breaks: ({ stage }) =>
      Object.assign(stage.config, { database: { ...stage.hydra.config, user: 'nobody' } }),
    failed: { database: /"nobody".* \(28000\)/ },
    without: ['read-only', 'users', 'tables', 'schema', 'lock', 'jobsets', ...OF_JOBS],
  },
  {
    when: 'there is no file with the password of the database',
    breaks: ({ stage }) =>
      Object.assign(stage.config, { database: { ...stage.hydra.config, passFile: '/nonexistent' } }),
    failed: {
      database:
        /^cannot read the password of Hydra's database in \/nonexistent \(database\.passFile\): ENOENT.* \/ let the user/,
    },
    without: ['read-only', 'users', 'tables', 'schema', 'lock', 'jobsets', ...OF_JOBS],
  },
  {
    when: 'every user may read the file with the password of the database',
    breaks({ stage }) {
      const passFile = join(stage.directory, 'pass')
      writeFileSync(passFile, '*:*:*:*:geheim\n', { mode: 0o644 })
      Object.assign(stage.config, { database: { ...stage.hydra.config, passFile } })
    },
    noted: {
      database:
        /answers; the mode of \S+\/pass \(database\.passFile\) lets every user read it \/ chmod 600 \S+\/pass; .*change it$/,
    },
  },
  {
    when: 'a table and a column are missing, and a grant',
    async breaks({ stage }) {
      await stage.hydra.sql`drop table jobsetrenames`
      await stage.hydra.sql`alter table jobsetevals rename column flake to flakeref`
      await stage.hydra.sql`revoke select on buildoutputs from hydra`
    },
    failed: {
      tables:
        /^cannot ask .* e\.flake .* \(42703\) \/ also: .*buildoutputs.* \/ also: .*"jobsetrenames".* \/ .*this Hydra has other columns.* \/ the role lacks SELECT/,
    },
    without: ['jobsets', ...OF_JOBS],
  },
  {
    when: 'the Hydra is a newer one',
    breaks: ({ stage }) => stage.hydra.sql`update schemaversion set version = 88`,
    noted: {
      schema:
        /^Hydra's schema is version 88; this program was tried with version 87 \/ if the check “tables”/,
    },
  },
  {
    when: 'the role may not read the version of the schema, because it was made before there was this check',
    breaks: ({ stage }) => stage.hydra.sql`revoke select on schemaversion from hydra`,
    noted: {
      schema:
        /^the version of Hydra's schema is not known: the role hydra may not read schemaversion; .* 87 \/ as a superuser, in this database: grant select on public\.schemaversion to "hydra";$/,
    },
  },
  {
    when: 'there is no version of the schema',
    breaks: ({ stage }) => stage.hydra.sql`delete from schemaversion`,
    noted: { schema: /is not known: schemaversion has no row; .* \/ hydra-init writes it$/ },
  },
  {
    when: 'there is no table with the version of the schema',
    breaks: ({ stage }) => stage.hydra.sql`drop table schemaversion`,
    noted: { schema: /is not known: relation "schemaversion" does not exist; .* \/ is this the database/ },
  },
  {
    when: 'the role could write',
    breaks: ({ stage }) => stage.hydra.sql`grant insert on builds, jobsets to hydra`,
    noted: {
      'read-only': /^the role hydra could write to 2 tables \(builds, jobsets\); .* \/ a role of its own/,
    },
  },
  {
    when: 'the role may read the users',
    breaks: ({ stage }) => stage.hydra.sql`grant select (password) on users to hydra`,
    noted: { users: /^the role hydra can read users, .* \/ revoke all on users from hydra/ },
  },
  {
    when: 'a pooler stands before the database',
    async breaks({ stage }, t) {
      const proxy = await startPostgresProxy(stage.hydra, { pooled: true })
      t.after(proxy.close)
      Object.assign(stage.config, { database: { ...stage.hydra.config, host: proxy.directory } })
    },
    noted: {
      lock: /^a connection pooler \(PgBouncer, say\) .* all the same \/ a reconcile keeps .* \/ .*idle_transaction_timeout and transaction_timeout/,
    },
  },
  {
    when: 'the role may have one connection only',
    async breaks({ stage }) {
      const { hydra, config } = stage
      const user = `${hydra.database}_one`
      await hydra.sql.unsafe(`create role ${user} login connection limit 1 in role hydra`)
      const { close } = stage
      stage.close = async () => {
        await hydra.sql.unsafe(`drop role ${user}`)
        await close()
      }
      Object.assign(config, { database: { ...hydra.config, user } })
    },
    failed: {
      lock: /\(53300\) \/ all connections .* are taken; .* \/ reconcile needs two connections at once/,
    },
  },
  {
    when: 'the jobset is called otherwise now',
    async breaks({ stage: { hydra } }) {
      await hydra.sql`update jobsets set name = 'trunk'`
      await hydra.sql`insert into jobsetrenames (project, from_, to_) values ('dotfiles', 'main', 'trunk')`
    },
    failed: { jobsets: /^the jobset dotfiles:main is called dotfiles:trunk now \/ put trunk into the rule$/ },
    without: ['jobs', 'cache-path'],
  },
  {
    when: 'there is no such jobset, of two',
    breaks: scene => scene.stage.config.channels.push({ ...firstRule(scene), jobset: 'mian', branch: 'b' }),
    failed: { jobsets: /^Hydra has no jobset dotfiles:mian, which a rule names \/ correct project and/ },
    without: ['jobs'],
  },
  {
    when: 'a rule matches nothing',
    breaks: scene => Object.assign(firstRule(scene), { job: 'nixos_(?<host>.*)' }),
    failed: {
      jobs: /^channels\[0\]: the rule for nixos-tested-\{host\} matches no job of dotfiles:main: .* \/ dotfiles:main has 1 job: nixos-nas\.x86_64-linux \/ correct job in the rule, or remove/,
    },
    without: ['cache-path'],
  },
  {
    when: 'the jobs of a rule have gone',
    breaks: ({ stage, commits }) => stage.built(commits[1] ?? '', { job: 'package' }),
    failed: {
      jobs: /^channels\[0\]: the rule .* matches only jobs that are not in dotfiles:main any more: nixos\S+ \/ dotfiles:main has 1 job: package \/ correct/,
    },
  },
  {
    when: 'a job leads to a branch that git takes, and that Nix cannot write in a flakeref',
    breaks: ({ stage, commits, build }) =>
      stage.eval(commits[1] ?? '', [build, { job: 'nixos-a"b".x86_64-linux' }]),
    failed: {
      jobs: /^channels\[0\]: dotfiles:main:nixos-a"b"\.x86_64-linux: cannot name a channel .*: “nixos-tested-a"b"” is no valid branch name: it contains “"”, which Nix does not accept in a flakeref \/ correct the rule, .* \/ if there is a branch nixos-tested-a"b", it is not moved any more/,
    },
  },
  {
    when: 'a branch of the configuration has what a flakeref of Nix does not take',
    breaks: scene => Object.assign(firstRule(scene), { branch: 'nixos-tested-{host}#' }),
    failed: {
      configuration:
        /channels\[0\]\.branch: is "nixos-tested-\{host\}#", expected a valid branch name \(it contains “#”, which Nix does not accept in a flakeref\)/,
    },
    without: CHECK_NAMES.filter(name => name !== 'configuration'),
  },
  {
    when: 'the flakeref is of another repository',
    breaks: ({ stage, commits }) =>
      stage.hydra.eval({
        jobset: stage.jobset,
        flake: flakeOf(commits[1] ?? '', { owner: 'mallory' }),
        builds: [{ job: JOB }],
      }),
    failed: { jobs: /^channels\[0\]: the flakeref of eval \d+ is of another repository: github:mallory/ },
    without: ['cache-path'],
  },
  {
    when: 'two systems of a host lead to one channel',
    breaks: ({ stage, commits }) =>
      stage.eval(commits[1] ?? '', [{ job: JOB }, { job: 'nixos-nas.aarch64-linux' }]),
    failed: {
      overlap: /^1 channel .*: nixos-tested-nas \/ nixos-tested-nas is ambiguous: 2 jobs .* \/ .*\{system\}/,
    },
    without: ['cache-path'],
  },
  {
    when: 'a channel is the default branch',
    breaks: scene => Object.assign(firstRule(scene), { branch: 'main' }),
    failed: {
      'default-branch': /^alice\/dotfiles: a rule makes a channel of main, the default branch: it never/,
    },
  },
  {
    when: 'systemd does not know the unit',
    breaks: ({ stage }) => stage.systemd.unitFiles('unknown'),
    failed: {
      'cache-unit': /^systemd does not know copy-\S+: .* status 1 \/ No files found for copy-\S+ \/ correct/,
    },
  },
  {
    when: 'systemd does not run',
    breaks: ({ stage }) => stage.systemd.unitFiles('no systemd'),
    without: ['cache-unit'],
  },
  {
    when: 'there is no cache',
    breaks: ({ stage }) => delete stage.config.cache,
    without: ['cache-unit', 'cache', 'cache-path'],
  },
  {
    when: 'the cache answers 404',
    breaks: ({ stage }) => stage.cache.next.splice(0, 1, 404),
    failed: { cache: /^http:\S+\/nix-cache-info answers 404 \/ check cache\.url/ },
    without: ['cache-path'],
  },
  {
    when: 'there is something else at the address of the cache',
    breaks: ({ stage }) => stage.cache.next.splice(0, 1, '<html>It works!</html>'),
    failed: { cache: /^http:\S+\/nix-cache-info names no StoreDir \/ check cache\.url/ },
    without: ['cache-path'],
  },
  {
    when: 'the cache is away',
    breaks: ({ stage }) => Object.assign(stage.config, { cache: { unit: UNIT, url: 'http://127.0.0.1:1' } }),
    failed: {
      cache: /^cannot ask the cache: .*ECONNREFUSED.* \(GET http:\/\/127\.0\.0\.1:1\/nix-cache-info\)/,
    },
    without: ['cache-path'],
  },
  {
    when: 'the cache wants a login',
    breaks: ({ stage }) => Object.assign(stage.cache, { wants: 'nix:geheim' }),
    failed: {
      cache:
        /^the cache wants a login: http:\S+\/nix-cache-info answers 401 \/ name a netrc file in cache\.netrcFile/,
    },
    without: ['cache-path'],
  },
  {
    when: 'the cache gets the login that it wants',
    breaks: scene => withLogin(scene, 'machine 127.0.0.1 login nix password geheim'),
  },
  {
    when: 'the cache refuses the login',
    breaks: scene => withLogin(scene, 'machine 127.0.0.1 login nix password old'),
    failed: {
      cache:
        /^the cache refuses the login in \S+\/netrc \(cache\.netrcFile\): http:\S+ answers 401 \/ correct the entry of 127\.0\.0\.1 there$/,
    },
    without: ['cache-path'],
  },
  {
    when: 'the netrc file has no login for the cache, which wants one',
    breaks: scene => withLogin(scene, 'machine cache.example.org login nix password geheim'),
    failed: {
      cache: /^the cache wants a login, and \S+\/netrc \(cache\.netrcFile\) has none for 127\.0\.0\.1: /,
    },
    without: ['cache-path'],
  },
  {
    when: 'the netrc file has no login for the cache, which wants none',
    breaks(scene) {
      withLogin(scene, 'machine cache.example.org login nix password geheim')
      scene.stage.cache.wants = undefined
    },
    noted: {
      cache:
        /^http:\S+ is a binary cache of \/nix\/store; it wants no login, and \S+\/netrc \(cache\.netrcFile\) has none for it \/ remove cache\.netrcFile, or add the line: machine 127\.0\.0\.1 login/,
    },
  },
  {
    when: 'there is no netrc file',
    breaks: scene => rmSync(withLogin(scene, '')),
    failed: {
      cache:
        /^cannot read the cache's login in \S+\/netrc \(cache\.netrcFile\): ENOENT.* \/ let the user read it/,
    },
    without: ['cache-path'],
  },
  {
    when: 'systemd could not read the netrc file',
    breaks(scene) {
      const { stage } = scene
      withLogin(scene, 'missing:/run/secrets/netrc')
      Object.assign(stage.config.cache as object, { netrcFile: 'netrc' })
      stage.env.CREDENTIALS_DIRECTORY = stage.directory
    },
    failed: {
      cache:
        /^there is no netrc file of the cache at \/run\/secrets\/netrc: systemd could not read it when it started this unit \/ put the file with the login there, /,
    },
    without: ['cache-path'],
  },
  {
    when: 'every user may read the netrc file',
    breaks: scene => chmodSync(withLogin(scene, 'default login nix password geheim'), 0o644),
    noted: {
      cache:
        /^http:\S+ is a binary cache of \/nix\/store; the mode of \S+\/netrc \(cache\.netrcFile\) lets every user read it \/ chmod 600 \S+\/netrc; /,
    },
  },
  {
    when: 'the cache is asked over http',
    breaks({ stage }) {
      // another address of this machine, which is not known to be one
      const url = stage.cache.url.replace('127.0.0.1', '0.0.0.0')
      stage.config.cache = { unit: UNIT, url, allowHttp: true }
    },
    noted: {
      cache:
        /^http:\/\/0\.0\.0\.0:\d+ is a binary cache of \/nix\/store; it is asked over http, so whoever is on the way can forge its answers, .* \/ serve the cache over https/,
    },
  },
  {
    when: 'the cache gets its login over http',
    breaks(scene) {
      const { stage } = scene
      withLogin(scene, 'machine 0.0.0.0 login nix password geheim')
      const url = stage.cache.url.replace('127.0.0.1', '0.0.0.0')
      Object.assign(stage.config.cache as object, { url, allowHttp: true })
    },
    noted: {
      cache: /; it is asked over http, so whoever is on the way can forge its answers and read the login, /,
    },
  },
  {
    when: 'the cache has lost what a channel is at',
    breaks: ({ stage }) => stage.cache.paths.clear(),
    failed: {
      'cache-path': /^the cache does not have \/nix\/store\/\S+: .* answers 404; .* \(build \d+, which /,
    },
  },
  {
    when: 'GitHub does not say where the channels are',
    breaks: ({ stage }) => stage.github.fault({ kind: 'status', status: 403, path: '/matching-refs/' }),
    without: ['cache-path'],
  },
  {
    when: 'no channel has moved yet',
    breaks: ({ stage }) => stage.repository.deleteBranch(CHANNEL),
    without: ['cache-path'],
  },
  {
    when: 'no reconcile ever ran',
    breaks: ({ stateDirectory }) => rmSync(stateDirectory, { recursive: true }),
    failed: {
      reconcile: /^no reconcile has ended yet, .* \/ .*hydra-channels-reconcile\.timer \/ /,
    },
  },
  {
    when: 'the last reconcile is two hours old',
    breaks({ stateDirectory }) {
      const finishedAt = new Date(Date.now() - 2 * 3_600_000).toISOString()
      writeFileSync(join(stateDirectory, 'last-reconcile.json'), JSON.stringify({ finishedAt }))
    },
    failed: { reconcile: /^the last reconcile ended 12[01] min ago \(2\S+Z\) \/ / },
  },
  {
    when: 'the last reconcile is two hours old, and one is due every two hours',
    breaks({ stage, stateDirectory }) {
      const finishedAt = new Date(Date.now() - 2 * 3_600_000).toISOString()
      const stamp = { finishedAt, ended: 'failed', counts: { diverged: 1, 'already-there': 2 } }
      writeFileSync(join(stateDirectory, 'last-reconcile.json'), JSON.stringify(stamp))
      Object.assign(stage.config, { reconcile: { interval: '2h' } })
    },
    noted: {
      reconcile:
        /^the last reconcile ended 12[01] min ago \(2\S+Z\), with trouble: 1 diverged, 2 already-there \/ hydra-channels status says/,
    },
  },
  {
    when: 'the last reconcile is two weeks old',
    breaks({ stateDirectory }) {
      const finishedAt = new Date(Date.now() - 14 * 24 * 3_600_000 - 60_000).toISOString()
      writeFileSync(join(stateDirectory, 'last-reconcile.json'), JSON.stringify({ finishedAt }))
    },
    failed: { reconcile: /^the last reconcile ended 14 days ago \(2\S+Z\) \/ is its timer active/ },
  },
  {
    when: 'one hold is past its end, another is not',
    breaks({ stateDirectory }) {
      const hold = (branch: string, until: string | null) =>
        writeHold(
          stateDirectory,
          { repository: 'alice/dotfiles', branch },
          { reason: 'kernel', since: '2026-01-01T00:00:00Z', until },
        )
      hold(CHANNEL, '2026-01-02T00:00:00Z')
      hold('nixos-tested-web', null)
    },
    noted: {
      holds:
        /^2 holds: alice\/dotfiles:nixos-tested-nas, which ended \d+ (days|years?) ago \(“kernel”\); alice\/dotfiles:nixos-tested-web for \d+ (days|years?), until it is released, because “kernel” \/ hydra-channels release alice\/dotfiles:nixos-tested-nas \/ hydra-channels release alice\/dotfiles:nixos-tested-web, if it is forgotten$/,
    },
  },
  {
    when: 'all channels are held, and that is past its end',
    breaks({ stateDirectory }) {
      const hold = {
        reason: 'moving',
        since: '2026-01-01T00:00:00Z',
        until: '2026-01-02T00:00:00Z',
        by: 'alice',
      }
      writeHold(stateDirectory, ALL, hold)
    },
    noted: {
      holds:
        /^1 hold: all channels, which ended \d+ (days|years?) ago \(“moving”\) \/ hydra-channels release --all$/,
    },
  },
  {
    when: 'the hold of all channels cannot be read',
    breaks({ stateDirectory }) {
      const file = holdFile(stateDirectory, ALL)
      mkdirSync(dirname(file))
      writeFileSync(file, '{')
    },
    failed: {
      holds: /^the hold \S+all\.json is not JSON: no channel moves until it can be read \/ remove the/,
    },
  },
  {
    when: 'a hold cannot be read',
    breaks({ stateDirectory }) {
      const file = holdFile(stateDirectory, { repository: 'alice/dotfiles', branch: CHANNEL })
      mkdirSync(dirname(file))
      writeFileSync(file, '{')
    },
    failed: {
      holds: /^the hold \S+ is not JSON: the channel does not move until it can be read \/ remove the/,
    },
  },
  {
    when: 'the folder of the kick is missing',
    breaks: ({ kickFile }) => rmSync(dirname(kickFile), { recursive: true }),
    failed: {
      kick: /^there is no folder \S+\/kick \(hook\.kickFile\): no hook can ask .* \/ let systemd-tmpfiles/,
    },
  },
  {
    when: 'nobody takes the kick',
    breaks({ kickFile }) {
      writeFileSync(kickFile, '')
      const then = new Date(Date.now() - 20 * 60_000)
      utimesSync(kickFile, then, then)
    },
    failed: {
      kick: /^\S+\/kick\/kick was written 2[01] minutes ago, and no reconcile has started since \/ .*\.path$/,
    },
  },
  {
    when: 'a folder is in the place of the kick',
    breaks: ({ kickFile }) => mkdirSync(join(kickFile, 'a'), { recursive: true }),
    failed: {
      kick: /^\S+\/kick\/kick \(hook\.kickFile\) is a folder, but hooks make a plain file \/ reconcile removes it if it can; if it stays: as root, rm -rf -- \S+\/kick\/kick \/ another program /,
    },
  },
  {
    when: 'a link is in the place of the kick, which leads nowhere',
    breaks: ({ kickFile }) => symlinkSync('/nonexistent', kickFile),
    failed: { kick: /^\S+\/kick\/kick \(hook\.kickFile\) is a link, but / },
  },
  {
    when: 'the hook is inline',
    breaks: ({ stage }) => delete stage.config.hook,
    noted: {
      key: /^\S+ holds an RSA key, .*; hook\.mode is "inline", so every hook of this Hydra, .* can read the key, the GitHub tokens that are kept for an hour \/ if you do not trust /,
    },
    without: ['kick'],
  },
  {
    when: 'the hook is inline, and the cache wants a login',
    breaks(scene) {
      withLogin(scene, 'machine 127.0.0.1 login nix password geheim')
      delete scene.stage.config.hook
    },
    noted: { key: /for an hour and the cache's login \/ / },
    without: ['kick'],
  },
]

test('one thing that is not well', { concurrency: 2 }, async t => {
  const meetings = BREAKAGES.map(breakage => {
    const checks = Object.keys({ ...breakage.failed, ...breakage.noted }).join(', ')
    return t.test(`${breakage.when}: ${checks || 'not checked'}`, t => meet(t, breakage))
  })
  await Promise.all(meetings)
})

async function meet(
  t: TestContext,
  { breaks, github, failed = {}, noted = {}, without = [] }: Breakage,
): Promise<void> {
  const scene = await healthy(t, github)
  await breaks(scene, t)
  const { status, checks } = await examine(scene.stage)
  const named = (result: Check['result']) => [
    ...new Set(checks.filter(check => check.result === result).map(({ name }) => name)),
  ]
  const said = checks.map(({ name, message }) => `${name}: ${message}`).join('\n')
  assert.deepEqual(named('failed'), Object.keys(failed), said)
  assert.deepEqual(named('note'), Object.keys(noted), said)
  assert.deepEqual(
    new Set(named('not-checked').filter(name => name !== 'polkit')),
    new Set(without.filter(name => name !== 'polkit')),
    said,
  )
  for (const [name, expected] of Object.entries({ ...failed, ...noted })) {
    const found = checks.filter(check => check.name === name).map(each => [each.message, ...each.hint])
    assert.ok(
      found.some(lines => expected.test(lines.join(' / '))),
      `${name}: ${found.flat().join(' / ')}`,
    )
  }
  for (const { result, message } of checks) {
    assert.equal(result === 'not-checked', message.startsWith('not checked: '), message)
  }
  assert.deepEqual(new Set(checks.map(({ name }) => name)), new Set(CHECK_NAMES))
  assert.equal(status, Object.keys(failed).length > 0 ? 1 : 0)
}

test('of the jobs that no rule matches some are named, those first that are most like the rule', async t => {
  const scene = await healthy(t)
  const { stage, commits } = scene
  const noise = Array.from({ length: 40 }, (_, n) => ({ job: `packages.x86_64-linux.p${n}` }))
  await stage.eval(commits[1] ?? '', [
    ...noise,
    { job: JOB },
    { job: 'nixos_web.aarch64-linux' },
    { job: 'a'.repeat(5_000) },
    { job: 'a'.repeat(40) },
  ])
  const jobsetsOf = async () => (await examine(stage)).checks.filter(({ name }) => name === 'jobsets')
  const [named] = await jobsetsOf()
  assert.equal(named?.result, 'ok')
  assert.equal(named?.message, 'dotfiles:main (44 jobs)')
  assert.match(
    named?.hint.join('\n') ?? '',
    /^no rule matches 42 jobs of dotfiles:main: nixos_web\.aarch64-linux, \S+, \S+ and 39 more; if one of them should have a channel, add a rule for it$/,
  )

  // a rule that takes too long, or that matches everything, leaves none to be named
  Object.assign(firstRule(scene), { job: '(a+)+b|(?<host>nixos.*)' })
  assert.deepEqual((await jobsetsOf())[0]?.hint, [])
  Object.assign(firstRule(scene), { job: '(?<host>.*)' })
  assert.deepEqual((await jobsetsOf())[0]?.hint, [])
})

test('a rule that matches nothing is told what there is: some jobs, the nearest first', async t => {
  const scene = await healthy(t)
  const { stage, commits } = scene
  const noise = Array.from({ length: 40 }, (_, n) => ({ job: `packages.x86_64-linux.p${n}` }))
  await stage.eval(commits[1] ?? '', [...noise, { job: 'hosts.nas' }])
  Object.assign(firstRule(scene), { job: 'host\\.(?<host>[^.]*)' })
  const { checks } = await examine(stage)
  const [jobs] = checks.filter(({ name }) => name === 'jobs')
  assert.equal(jobs?.result, 'failed')
  assert.match(jobs?.hint[0] ?? '', /^dotfiles:main has 41 jobs: hosts\.nas, \S+, \S+ and 38 more$/)
  assert.equal(jobs?.hint[1], 'correct job in the rule, or remove the rule')
  // said once
  assert.deepEqual(checks.find(({ name }) => name === 'jobsets')?.hint, [])
})

test('what failed says below it what to do, and what needs it that it was not checked', async t => {
  const scene = await healthy(t)
  rmSync(keyFileOf(scene))
  scene.stage.config.github.privateKeyFile = 'github-app-key'
  const { log, status } = await scene.stage.command('hydra-channels', ['doctor'])
  assert.equal(status, 1)
  assert.match(
    log,
    /^✗ key: cannot find the App's private key “github-app-key” .*\n {4}give the unit LoadCredential=.*\n– app: not checked: it needs “key”, which failed\n✓ clock: .*\n– installation: not checked: it needs “key”, which failed$/m,
  )
  assert.match(log, /\n17 ok, 1 failed, 7 not checked\n$/)
})

test('another repository of the rules is checked by itself', async t => {
  const scene = await healthy(t)
  const { stage } = scene
  const other = await stage.github.createRepository('bob/other')
  other.permissions = { contents: 'read' }
  stage.config.channels.push({ ...firstRule(scene), repository: 'bob/other' })
  const { checks } = await examine(stage)
  const said = checks.filter(({ name }) => ['installation', 'permissions', 'repository'].includes(name))
  assert.deepEqual(
    said.map(({ result, message }) => [result, message.slice(0, 14)]),
    [
      ['ok', 'alice/dotfiles'],
      ['ok', 'alice/dotfiles'],
      ['ok', 'alice/dotfiles'],
      ['ok', 'bob/other: the'],
      ['failed', 'bob/other: the'],
      ['not-checked', 'not checked: i'],
    ],
  )
})

const RULE = { project: 'dotfiles', jobset: 'main', job: 'a', repository: 'alice/dotfiles', branch: 'b' }
const APP = { appId: 'Iv23li', privateKeyFile: 'github-app-key' }

/** doctor --offline, of a file alone. */
function offline(t: TestContext, config: object, args: string[] = [], env: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'hc-doctor-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'config.json')
  writeFileSync(file, JSON.stringify(config))
  const all = ['doctor', '--offline', '--config', file, ...args]
  return runCommand('hydra-channels', all, { env: { PATH: '/nonexistent', ...env } }).then(
    ({ log, status }) => ({ log: log.replaceAll(file, 'FILE'), status }),
  )
}

test('--offline needs nothing but the file', async t => {
  const fine = await offline(t, { github: APP, channels: [RULE] })
  assert.equal(fine.log, '✓ configuration: FILE has 1 rule\n✓ rules: 1 rule, no two of them alike\n2 ok\n')
  assert.equal(fine.status, 0)

  const none = await offline(t, { channels: [] }, ['--json'])
  assert.deepEqual(
    JSON.parse(none.log).checks.map(({ result }: Check) => result),
    ['note', 'ok'],
  )
  assert.equal(none.status, 0)

  const dollar = await offline(t, {
    channels: [{ ...RULE, job: '(?<host>.*)', branch: `nixos-tested-\${host}` }],
  })
  assert.match(
    dollar.log,
    /^✗ configuration: .* channels\[0\]\.branch: is "nixos-tested-\$\{host\}", expected \{host\} without “\$” before it, /,
  )
  assert.equal(dollar.status, 1)

  const broken = await offline(t, { channels: [{ ...RULE, job: '(' }] })
  assert.match(
    broken.log,
    /^✗ configuration: .* channels\[0\]\.job: is "\(", expected .* \(Unterminated group\)\n– not checked: 1 check needs the configuration\n1 failed, 1 not checked\n$/,
  )
  assert.equal(broken.status, 1)
})

describe('--offline sees', () => {
  const NO_APP =
    /^! configuration: FILE has 1 rule; it does not name the GitHub App \(github\.appId, github\.privateKeyFile\)\n {4}set github\.appId /
  const CASES: [what: string, config: object, log: RegExp, env?: Record<string, string>][] = [
    ['that github is missing', { channels: [RULE] }, NO_APP],
    [
      'that half of it is missing',
      { github: { appId: 7 }, channels: [RULE] },
      /does not name the GitHub App \(github\.privateKeyFile\)$/m,
    ],
    [
      'that the environment names the App',
      { channels: [RULE] },
      /^✓ configuration/,
      { GITHUB_APP_ID: '7', GITHUB_APP_PRIVATE_KEY_FILE: '/key' },
    ],
    [
      'no rules',
      { github: APP, channels: [] },
      /^! configuration: FILE has no rules \(channels\); no channel ever moves\n {4}write some/,
    ],
    ...(
      [
        ['https://api.github.com', undefined],
        ['https://api.octo.ghe.com', undefined],
        ['https://github.example.org/api/v3/', undefined],
        ['https://github.com', 'https://api.github.com'],
        ['https://octo.ghe.com', 'https://api.octo.ghe.com'],
        ['https://github.example.org', 'https://github.example.org/api/v3'],
        ['https://github.example.org/api', 'https://github.example.org/api/v3'],
      ] as const
    ).map(([apiUrl, better]): [string, object, RegExp] => [
      `what is wrong with ${apiUrl}`,
      { github: { ...APP, apiUrl }, channels: [RULE] },
      better === undefined
        ? /^✓ configuration/
        : new RegExp(`^! configuration: .*\\n {4}set github\\.apiUrl to ${better}(?:, unless|\\n)`),
    ]),
    [
      'a rule for many jobs with one branch',
      { github: APP, channels: [{ ...RULE, job: 'nixos-(?<host>.*)', branch: 'nixos-tested' }] },
      /^! rules: channels\[0\] leads every job that “nixos-\(\?<host>\.\*\)” matches to one channel, nixos-tested\n {4}well if only one job matches; else name the group in branch, as in nixos-tested-\{host\}$/m,
    ],
  ]
  for (const [what, config, log, env] of CASES) {
    test(what, async t => {
      const result = await offline(t, config, [], env)
      assert.match(result.log, log)
      assert.equal(result.status, 0)
    })
  }
})

test('where there is no configuration, one line says that nothing else was checked', async () => {
  const { log, status } = await runCommand('hydra-channels', ['doctor', '--config', '/nonexistent'])
  assert.equal(
    log,
    [
      "✗ configuration: cannot read the configuration /nonexistent: ENOENT: no such file or directory, open '/nonexistent'",
      '    name another file with --config or HYDRA_CHANNELS_CONFIG, or write this one (docs/configuration.md)',
      '– not checked: 24 checks need the configuration',
      '1 failed, 24 not checked',
      '',
    ].join('\n'),
  )
  assert.equal(status, 1)
})

test('arguments that cannot be used end with 2', async () => {
  for (const args of [['nixos-tested-nas'], ['--ofline']]) {
    const { status, log } = await runCommand('hydra-channels', ['doctor', ...args])
    assert.equal(status, 2)
    assert.match(log, /see hydra-channels doctor --help/)
  }
  const { status, log } = await runCommand('hydra-channels', ['doctor', '--help'])
  assert.equal(status, 0)
  for (const name of CHECK_NAMES) assert.ok(log.includes(name), name)
})

test('the database is asked all that the program asks it', async () => {
  assert.deepEqual(Object.keys(QUERIES).sort(), (await namesOfQueries()).sort())
})

test('a mistake in our own code is a failed check, and leaves the others alone', async () => {
  const mistaken = check('holds', () => {
    throw new TypeError('hold is undefined')
  })
  const { result, message, hint } = await mistaken
  assert.deepEqual([result, message], ['failed', 'unexpected error, please report it: hold is undefined'])
  assert.match(hint[0] ?? '', /^at /)
  const { message: later } = await after('kick', mistaken, () => assert.fail())
  assert.equal(later, 'not checked: it needs “holds”, which failed')
})

test('a folder that this user may not write to is worth a note', async t => {
  if (process.geteuid?.() === 0) return t.skip('root may write everywhere')
  const directory = mkdtempSync(join(tmpdir(), 'hc-doctor-'))
  t.after(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o555)
  const hook = { mode: 'detached', kickFile: join(directory, 'kick') }
  const { result, message } = checkKick(
    parseConfig(JSON.stringify({ hook, channels: [] }), 'file'),
    Date.now(),
  )
  assert.equal(result, 'note')
  assert.match(message, /\(hook\.kickFile\) is not writable for this user: EACCES/)
})

const POLKIT: {
  when: string
  uid?: number
  user?: string
  pkcheck?: [status: number, words?: string]
  says: RegExp
}[] = [
  { when: 'not as root', uid: 1000, pkcheck: [0], says: /^not checked: needs root$/ },
  {
    when: 'hydra-notify does not run',
    pkcheck: [0],
    says: /^not checked: hydra-notify\.service does not run$/,
  },
  { when: 'there is no pkcheck', user: 'hydra', says: /^not checked: there is no pkcheck in PATH$/ },
  {
    when: 'it may',
    user: 'hydra-queue-runner',
    pkcheck: [0],
    says: /^hydra-notify \(process 4711, user hydra-queue-runner\) may start copy-cache-example@-nix-store-0{32}\\x2ddoctor\.service$/,
  },
  {
    when: 'it may not',
    user: 'hydra',
    pkcheck: [1, 'Not authorized.'],
    says: /^polkit does not let hydra-notify \(process 4711, user hydra\) start copy-.* \/ Not authorized\. \/ let a rule of polkit answer YES to hydra for .* units copy-cache-example@\*\.service$/,
  },
  {
    when: 'it may with a password',
    user: 'hydra',
    pkcheck: [2, 'Authorization requires authentication'],
    says: /^polkit does not let hydra-notify .* \/ Authorization requires/,
  },
  {
    when: 'polkit does not run',
    user: 'hydra',
    pkcheck: [127, 'Error getting authority'],
    says: /^polkit could not be asked .* pkcheck ended with status 127 \/ Error getting authority \/ is polkit/,
  },
]

for (const { when, uid = 0, user, pkcheck, says } of POLKIT) {
  test(`polkit: ${when}`, async t => {
    const directory = mkdtempSync(join(tmpdir(), 'hc-doctor-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const systemd = createSystemd(directory)
    if (user !== undefined) systemd.notify({ pid: 4711, user })
    if (pkcheck) systemd.pkcheck(...pkcheck)
    const config = parseConfig(JSON.stringify({ cache: { unit: UNIT }, channels: [] }), 'config.json')
    // with a shell for the scripts, and no pkcheck of the machine's
    const bin = join(directory, 'shell')
    mkdirSync(bin)
    writeFileSync(join(bin, 'cat'), '#!/bin/sh\nwhile read -r line; do echo "$line"; done < "$1"\n', {
      mode: 0o755,
    })
    const env = { PATH: `${systemd.bin}:${bin}` }
    const answer = await checkPolkit({ config, env, uid }).catch(({ message, hint }) => ({ message, hint }))
    assert.match([answer.message, ...[answer.hint ?? []].flat()].join(' / '), says)
    if (when === 'it may') {
      assert.deepEqual(systemd.calls(), [
        ['show', '-p', 'MainPID,User', '--', 'hydra-notify.service'],
        [
          ...['pkcheck', '--action-id', 'org.freedesktop.systemd1.manage-units', '--process', '4711'],
          ...['--detail', 'unit', `copy-cache-example@-nix-store-${'0'.repeat(32)}\\x2ddoctor.service`],
          ...['--detail', 'verb', 'start'],
        ],
      ])
    }
  })
}

test('polkit, as root', async t => {
  if (process.geteuid?.() !== 0) return t.skip('only root may ask polkit about others')
  const { stage } = await healthy(t)
  stage.systemd.notify({ pid: 4711, user: 'hydra' })
  stage.systemd.pkcheck(1, 'Not authorized.')
  const { status, checks } = await examine(stage)
  assert.equal(checks.find(({ name }) => name === 'polkit')?.result, 'failed')
  assert.equal(status, 1)
})
