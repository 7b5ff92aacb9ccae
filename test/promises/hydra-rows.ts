// A world's Hydra as rows of a database: one jobset. After each step only what is new or has changed is written.
import { createHydra, type TestHydra } from '../helpers/hydra.ts'
import type { World, WorldBuild } from './world.ts'

export interface HydraRows {
  hydra: TestHydra
  /** Forgets the history that was there. */
  clear(): Promise<void>
  /** Writes what has happened since the last time. */
  write(world: World): Promise<void>
  close(): Promise<void>
}

export async function createHydraRows(): Promise<HydraRows> {
  const hydra = await createHydra()
  const { sql } = hydra
  const jobset = await hydra.jobset({ project: 'dotfiles', name: 'main', flake: 'github:alice/dotfiles' })
  let evals = 0
  const written = new Map<number, string>()
  let jobsetRow = ''

  return {
    hydra,
    async clear() {
      await sql`delete from jobsetevals`
      await sql`delete from builds`
      await sql`delete from evaluationerrors`
      evals = 0
      written.clear()
    },
    async write(world) {
      const { history, builds } = world
      const fresh = history.evals.slice(evals)
      const changed = builds.filter(build => written.get(build.id) !== stateOf(build))
      const created = changed.filter(({ id }) => !written.has(id))
      const state = JSON.stringify(world.jobset)
      if (fresh.length === 0 && changed.length === 0 && state === jobsetRow) return
      const errors = fresh.map(({ id, error, timestamp }) => ({ id, errormsg: error, errortime: timestamp }))
      const evalRows = fresh.map(({ id, flake, timestamp, hasNewBuilds, members }) => ({
        id,
        jobset_id: jobset,
        timestamp,
        flake,
        hasnewbuilds: hasNewBuilds ? 1 : 0,
        nrbuilds: hasNewBuilds ? members.length : null,
        evaluationerror_id: id,
      }))
      const buildRows = created.map(({ id, job, finished, status, cached, queued }) => ({
        id,
        jobset_id: jobset,
        job,
        finished: finished ? 1 : 0,
        buildstatus: status,
        iscachedbuild: cached ? 1 : 0,
        timestamp: queued,
        starttime: queued + 60,
        stoptime: queued + 300,
        drvpath: `/nix/store/${id}.drv`,
        system: 'x86_64-linux',
      }))
      const outputs = created.map(({ id, output }) => ({ build: id, name: 'out', path: output }))
      const members = fresh.flatMap(({ id, members }) =>
        members.map(build => ({ eval: id, build: build.id, isnew: created.includes(build) ? 1 : 0 })),
      )
      const { error, errorTime, checked } = world.jobset
      await sql.begin(sql => [
        sql`update jobsets set errormsg = ${error}, errortime = ${errorTime}, lastcheckedtime = ${checked}`,
        ...(fresh.length > 0
          ? [sql`insert into evaluationerrors ${sql(errors)}`, sql`insert into jobsetevals ${sql(evalRows)}`]
          : []),
        ...(created.length > 0
          ? [sql`insert into builds ${sql(buildRows)}`, sql`insert into buildoutputs ${sql(outputs)}`]
          : []),
        ...(members.length > 0 ? [sql`insert into jobsetevalmembers ${sql(members)}`] : []),
        ...changed
          .filter(build => !created.includes(build))
          .map(
            ({ id, finished, status }) =>
              sql`update builds set finished = ${finished ? 1 : 0}, buildstatus = ${status} where id = ${id}`,
          ),
      ])
      evals = history.evals.length
      for (const build of changed) written.set(build.id, stateOf(build))
      jobsetRow = state
    },
    close: () => hydra.close(),
  }
}

function stateOf({ finished, status }: WorldBuild): string {
  return `${finished} ${status}`
}
