// The binary cache: whether it is one, and whether it has what a channel has already moved to.

import { messageOf, OperatorError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import { count } from '../base/log.ts'
import { createLook, fieldOf } from '../cache/narinfo.ts'
import { findTip, listTips, prefixesIn } from '../channels/branches.ts'
import type { Config } from '../config.ts'
import { findOutputsOfBuilds } from '../hydra/queries/outputs.ts'
import { type Answer, notChecked } from './check.ts'
import type { OpenedRepository } from './github.ts'
import type { Fleet } from './hydra.ts'

const TIMEOUT_MS = 15_000
const MAX_BYTES = 64 * 1024
const NO_URL = 'there is no cache.url in the configuration'

/** Every binary cache of Nix names its store directory. */
export async function checkCache({ cache }: Config, http: Http): Promise<Answer<string>> {
  if (cache?.url === undefined) return notChecked(NO_URL)
  const url = `${cache.url}/nix-cache-info`
  const hint = 'check cache.url: is a binary cache of Nix there?'
  const answer = await http.fetch(url, { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }).catch(error => {
    throw new OperatorError(`cannot ask the cache: ${messageOf(error)} (GET ${url})`, { hint, cause: error })
  })
  if (answer.status !== 200) throw new OperatorError(`${url} answers ${answer.status}`, { hint })
  const store = fieldOf('StoreDir', await answer.text())
  if (!store) throw new OperatorError(`${url} names no StoreDir`, { hint })
  return { message: `${cache.url} is a binary cache of ${store}`, found: cache.url }
}

interface CachePathOptions {
  cache: Config['cache']
  http: Http
  fleet: Fleet
  repositories: readonly OpenedRepository[]
}

/** A channel that is at its candidate was moved there after the outputs were seen. */
export async function checkCachePath(options: CachePathOptions): Promise<Answer<never>> {
  const { cache, http, fleet } = options
  if (cache?.url === undefined) return notChecked(NO_URL)
  if (options.repositories.length === 0) return notChecked('no repository could be looked at')
  const moved = await findMoved(options)
  if (moved instanceof Error) return notChecked(moved.message)
  if (!moved) return notChecked('no channel is at its candidate, so no path is known to be there')
  const outputs = await fleet.database.look(sql => findOutputsOfBuilds(sql, [moved.build]))
  const known = (outputs.get(moved.build) ?? []).filter(({ path }) => path !== null)
  if (known.length === 0) return notChecked(`Hydra knows no path of build ${moved.build}`)
  const problem = await createLook(cache, http)(known)
  const of = `build ${moved.build}, which ${moved.branch} is at`
  if (problem === undefined) return { message: `${cache.url} has ${count(known.length, 'output')} of ${of}` }
  throw new OperatorError(`${problem} (${of})`, {
    hint: 'a host that upgrades to this commit now has to build it: was the cache cleaned up, or is cache.url another one?',
  })
}

/** A channel that is at its candidate. An error if there is none, and GitHub did not list all branches. */
async function findMoved({
  fleet,
  repositories,
}: CachePathOptions): Promise<{ branch: string; build: number } | Error | undefined> {
  const opened = new Map(repositories.map(({ name, repository }) => [name.toLowerCase(), repository]))
  const channels = fleet.channels.filter(({ channel }) => opened.has(channel.repository.toLowerCase()))
  const repository = (name: string) => {
    const found = opened.get(name.toLowerCase())
    if (!found) throw new Error(`${name} was not opened`)
    return found
  }
  let error: Error | undefined
  const tips = await listTips({ repository }, prefixesIn(channels))
  for (const { channel, candidate, prefix } of channels) {
    if (!candidate || candidate instanceof OperatorError) continue
    const tip = await findTip(tips, channel, prefix)
    if (tip === candidate.sha) return { branch: channel.branch, build: candidate.build }
    if (tip instanceof Error) error = tip
  }
  return error
}
