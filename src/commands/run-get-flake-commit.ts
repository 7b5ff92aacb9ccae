// get-flake-commit: from a build to the commit of the newest eval that contains it.

import { OperatorError, UsageError } from '../base/errors.ts'
import { findConfig } from '../config.ts'
import { findConnection } from '../hydra/connection.ts'
import { openDatabase, type Sql } from '../hydra/database.ts'
import { idSchema, isBuildFinished, readEvent } from '../hydra/event.ts'
import { parseFlakeref, showFlakeref } from '../hydra/flakeref.ts'
import { findBuild } from '../hydra/queries/build.ts'
import { findNewestEvalOfBuild } from '../hydra/queries/newest-eval-of-build.ts'
import { configFile, type Invocation } from './run.ts'

export async function printFlakeCommit({
  values,
  positionals,
  env,
  print,
}: Pick<
  Invocation<{ config: { type: 'string' } }>,
  'values' | 'positionals' | 'env' | 'print'
>): Promise<'ok'> {
  const id = buildId(positionals, env)
  const database = openDatabase(findConnection(findConfig(configFile(values.config, env)).database, env))
  try {
    print(`${await database.look(sql => getCommit(sql, id))}\n`)
    return 'ok'
  } finally {
    await database.close()
  }
}

async function getCommit(sql: Sql, id: number): Promise<string> {
  const [build, newest] = await Promise.all([findBuild(sql, id), findNewestEvalOfBuild(sql, id)])
  if (!build) throw new OperatorError(`Hydra's database has no build ${id}`)
  const which = `build ${id} of ${build.project}:${build.jobset}:${build.job}`
  if (build.jobsetType === 'legacy') {
    throw new OperatorError(`${which} has no flake commit: its jobset is no flake`)
  }
  if (!newest) throw new OperatorError(`${which} has no flake commit: it is in no eval`)
  if (newest.flake === null)
    throw new OperatorError(`${which} has no flake commit: eval ${newest.id} has no flakeref`)
  const flakeref = parseFlakeref(newest.flake)
  if (flakeref.kind === 'unusable') {
    throw new OperatorError(
      `${which} has no flake commit: the flakeref of eval ${newest.id} is ${showFlakeref(newest.flake)}: ${flakeref.why}`,
    )
  }
  return flakeref.rev
}

function buildId(positionals: readonly string[], env: Invocation<never>['env']): number {
  const [given, extra] = positionals
  if (extra !== undefined) {
    throw new UsageError(`expected one BUILD, but got ${positionals.length} arguments`, {
      hint: 'see get-flake-commit --help',
    })
  }
  if (given === undefined) {
    const { event } = readEvent(env.HYDRA_JSON)
    if (isBuildFinished(event)) return event.build
    throw new UsageError(
      `the event ${env.HYDRA_JSON} (HYDRA_JSON) is ${event.event}: it names no finished build`,
    )
  }
  const id = /^\d+$/.test(given) ? idSchema.safeParse(Number(given)).data : undefined
  if (id === undefined) throw new UsageError(`BUILD “${given}” cannot be used: the id of a build is a number`)
  return id
}
