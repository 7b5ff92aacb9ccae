// The binary cache: whether it is one, and whether it has what a channel has already moved to.

import { isSecure } from '../base/config-fields.ts'
import { messageOf, OperatorError } from '../base/errors.ts'
import type { Http } from '../base/http.ts'
import { count } from '../base/log.ts'
import type { CacheClient } from '../cache/client.ts'
import type { CacheConfig } from '../cache/config.ts'
import { createLook, fieldOf } from '../cache/narinfo.ts'
import { findCacheClient } from '../cache/options.ts'
import { findTip, listTips, prefixesIn } from '../channels/branches.ts'
import type { Config } from '../config.ts'
import { findOutputsOfBuilds } from '../hydra/queries/outputs.ts'
import { type Answer, type Note, notChecked, noteMode, withNotes } from './check.ts'
import type { OpenedRepository } from './github.ts'
import type { Fleet } from './hydra.ts'

const TIMEOUT_MS = 15_000
const MAX_BYTES = 64 * 1024
const NO_URL = 'there is no cache.url in the configuration'

/** Every binary cache of Nix names its store directory. */
export async function checkCache(
  { cache }: Config,
  using: { http: Http; env: Readonly<Record<string, string | undefined>> },
): Promise<Answer<FoundCache>> {
  const client = cache && findCacheClient(cache, using)
  if (!client) return notChecked(NO_URL)
  const login = client.readLogin()
  const url = `${client.url}/nix-cache-info`
  const hint = 'check cache.url: is a binary cache of Nix there?'
  const limits = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }
  const answer = await client.fetch('nix-cache-info', limits).catch(error => {
    throw new OperatorError(`cannot ask the cache: ${messageOf(error)} (GET ${url})`, { hint, cause: error })
  })
  const refusal = client.explainRefusal(answer)
  if (refusal) {
    throw new OperatorError(`the cache ${refusal.why}: ${url} answers ${answer.status}`, {
      hint: refusal.hint,
    })
  }
  if (answer.status !== 200) throw new OperatorError(`${url} answers ${answer.status}`, { hint })
  const store = fieldOf('StoreDir', await answer.text())
  if (!store) throw new OperatorError(`${url} names no StoreDir`, { hint })
  const message = `${client.url} is a binary cache of ${store}`
  return withNotes(message, [...noteHttp(login, client), ...noteLogin(login)], { client, config: cache })
}

type FoundLogin = ReturnType<CacheClient['readLogin']>

function noteHttp(login: FoundLogin, { url }: CacheClient): Note[] {
  if (isSecure(new URL(url))) return []
  const readable = login?.found ? ' and read the login' : ''
  return [
    {
      words: `it is asked over http, so whoever is on the way can forge its answers${readable}, and what is “seen” there may not be there`,
      hint: 'serve the cache over https, and remove cache.allowHttp',
    },
  ]
}

function noteLogin(login: FoundLogin): Note[] {
  if (!login) return []
  const { file, found, line } = login
  const superfluous = {
    words: `it wants no login, and ${file} (cache.netrcFile) has none for it`,
    hint: `remove cache.netrcFile, or add the line: ${line}`,
  }
  const whose = `the mode of ${file} (cache.netrcFile)`
  const then = 'they have the login: then change it'
  return [...(found ? [] : [superfluous]), ...noteMode(file, { whose, then })]
}

interface FoundCache {
  client: CacheClient
  config: CacheConfig
}

interface CachePathOptions {
  cache: FoundCache
  fleet: Fleet
  repositories: readonly OpenedRepository[]
}

/** A channel that is at its candidate was moved there after the outputs were seen. */
export async function checkCachePath(options: CachePathOptions): Promise<Answer<never>> {
  const { fleet } = options
  const { client, config } = options.cache
  if (options.repositories.length === 0) return notChecked('no repository could be looked at')
  const moved = await findMoved(options)
  if (moved instanceof Error) return notChecked(moved.message)
  if (!moved) return notChecked('no channel is at its candidate, so no path is known to be there')
  const outputs = await fleet.database.look(sql => findOutputsOfBuilds(sql, [moved.build]))
  const known = (outputs.get(moved.build) ?? []).filter(({ path }) => path !== null)
  if (known.length === 0) return notChecked(`Hydra knows no path of build ${moved.build}`)
  const look = await createLook(config, client)(known)
  const of = `build ${moved.build}, which ${moved.branch} is at`
  if (look.kind !== 'missing')
    return { message: `${client.url} has ${count(known.length, 'output')} of ${of}` }
  throw new OperatorError(`${look.why} (${of})`, {
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
