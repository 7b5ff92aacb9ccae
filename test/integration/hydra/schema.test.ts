// npm run schema: fixtures/hydra.sql against checkouts of Hydra that are made up here.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TRIED_SCHEMA_VERSION } from '../../../src/doctor/hydra.ts'
import { sharedPostgres } from '../../helpers/postgres.ts'

const SCRIPT = fileURLToPath(new URL('../../compare-schema.ts', import.meta.url))
const FIXTURE = readFileSync(new URL('../../../fixtures/hydra.sql', import.meta.url), 'utf8')
const NEWEST = `upgrade-${TRIED_SCHEMA_VERSION}.sql`

/** A checkout with these files; an upgrade is empty, because only its number counts. */
function checkout(t: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'hc-hydra-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

const older = (schema: string, newest = NEWEST) => ({
  'src/sql/hydra.sql': schema,
  'src/sql/upgrade-9.sql': '',
  [`src/sql/${newest}`]: '',
})

async function compare(...args: string[]): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const { socketDirectory } = await sharedPostgres()
  const env = { ...process.env, HYDRA_CHANNELS_TEST_PGHOST: socketDirectory }
  return new Promise(resolve => {
    execFile(process.execPath, ['--import', 'tsx', SCRIPT, ...args], { env }, (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    )
  })
}

/** Each must be there, or the case says nothing. */
function edited(...edits: [from: string, to: string][]): string {
  return edits.reduce((schema, [from, to]) => {
    assert.ok(schema.includes(from), from)
    return schema.replace(from, to)
  }, FIXTURE)
}

test('a schema that has more than ours agrees with it', async t => {
  const more = `${edited(['userName        text', 'fullName text, userName text'])}
    create table BuildSteps (build integer not null references Builds (id), stepnr integer not null);
    create index IndexBuildStepsOnBuild on BuildSteps (build);
    alter table Builds add column priority integer not null default 0, add column owner text references Users (userName);
    alter index IndexFinishedSuccessfulBuilds rename to Another`
  for (const files of [
    older(more),
    { 'subprojects/hydra/sql/hydra.sql': more, [`subprojects/hydra/sql/migrations/${NEWEST}`]: '' },
  ]) {
    const { status, stdout, stderr } = await compare(checkout(t, files))
    assert.equal(status, 0, stdout + stderr)
    assert.match(
      stdout,
      /^11 tables and 65 columns of fixtures\/hydra\.sql are those of Hydra's schema, version 87\n$/,
    )
  }
})

test('what differs is named, each thing once', async t => {
  const other = `${edited(
    ['nrSucceeded     integer,\n', ''],
    ['system          text not null', 'system text'],
    ['default 300', 'default 60'],
    ['primary key     (build, name),', 'unique (build, name, path),'],
    ['unique (id)', 'check (id > 0)'],
    [
      '    foreign key     (jobset_id) references Jobsets (id) on delete cascade\n);',
      '    maintainers text\n);',
    ],
    ['create index IndexJobsetEvalMembersOnEval on JobsetEvalMembers (eval);', ''],
    ['on JobsetEvals (jobset_id, id desc) where', 'on JobsetEvals (jobset_id, id) where'],
  ).replaceAll(/foreign key .*references Jobsets \(id\) on delete cascade,\n/g, '')}
    drop table JobsetRenames;`
  const { status, stdout } = await compare(checkout(t, older(other, 'upgrade-100.sql')))
  assert.equal(status, 1)
  assert.deepEqual(
    stdout.trimEnd().split('\n').sort(),
    [
      'Hydra has a key that is not here: buildoutputs: UNIQUE (build, name, path)',
      'Hydra has no column jobsetevals.nrsucceeded',
      'Hydra has no such index: jobsetevalmembers: CREATE INDEX USING btree (eval)',
      'Hydra has no such index: jobsetevals: CREATE INDEX USING btree (jobset_id, id DESC) WHERE (hasnewbuilds = 1)',
      'Hydra has no such key: buildoutputs: PRIMARY KEY (build, name)',
      'Hydra has no such key: builds: FOREIGN KEY (jobset_id) REFERENCES jobsets(id) ON DELETE CASCADE',
      'Hydra has no such key: jobsetevals: FOREIGN KEY (jobset_id) REFERENCES jobsets(id) ON DELETE CASCADE',
      'Hydra has no such key: jobsets: UNIQUE (id)',
      'Hydra has no table jobsetrenames',
      'builds.system is text in Hydra, and text not null here',
      'jobsets.checkinterval is integer not null default 60 in Hydra, and integer not null default 300 here',
      `the schema of Hydra is version 100, and ours is version ${TRIED_SCHEMA_VERSION}`,
    ].sort(),
  )
})

test('what cannot be compared ends with 2, and says why', async t => {
  const cases: [args: string[], why: RegExp][] = [
    [[], /^usage: npm run schema -- PATH\n$/],
    [['a', 'b'], /^usage: /],
    [[checkout(t, { README: '' })], /is no checkout of Hydra: it has none of .*src\/sql\/hydra\.sql\n$/],
    [[checkout(t, { 'src/sql/hydra.sql': FIXTURE })], /src\/sql has no upgrade-N\.sql\n$/],
    [[checkout(t, older('create tabel Builds ();'))], /^PostgreSQL does not understand \S+: syntax error/],
  ]
  for (const [args, why] of cases) {
    const { status, stdout, stderr } = await compare(...args)
    assert.deepEqual([status, stdout], [2, ''], stderr)
    assert.match(stderr, why)
  }
})

test('the version that doctor names is that of the tables that the tests run on', () => {
  assert.ok(FIXTURE.includes(`insert into SchemaVersion (version) values (${TRIED_SCHEMA_VERSION});`))
})
