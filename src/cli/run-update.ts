// channel-update: arguments checked before anything is sent, then the same move as the hook's.
import { advance, cannotMove } from '../advance.ts'
import { webUrlOfHost } from '../base/links.ts'
import { branchProblem } from '../branch-name.ts'
import { ownerProblem, repositoryNameProblem } from '../channel.ts'
import { type Config, expectedHost, findApiUrl, findConfig } from '../config.ts'
import { UsageError } from '../errors.ts'
import { describeRename } from '../guard.ts'
import { findHold } from '../holds.ts'
import { createHttp } from '../http.ts'
import { describeOutcome, isTrouble } from '../outcome.ts'
import { openGitHub } from './clients.ts'
import { configFile, type Invocation } from './run.ts'

type UpdateInvocation = Invocation<{
  'app-id': { type: 'string' }
  'private-key-file': { type: 'string' }
  'api-url': { type: 'string' }
  config: { type: 'string' }
  'dry-run': { type: 'boolean' }
}>

export async function runUpdate({
  values,
  positionals,
  env,
  log,
}: UpdateInvocation): Promise<'ok' | 'failed'> {
  const { repository: name, branch, sha } = parseArguments(positionals)
  const config = withApiUrl(findConfig(configFile(values.config, env)), values['api-url'], env)
  const http = createHttp(env)
  try {
    const flags = { appId: values['app-id'], privateKeyFile: values['private-key-file'] }
    const github = await openGitHub({ config, http, log, flags, env, personalToken: 'accepted' })
    const repository = github.repository(name)
    const channel = { repository: name, branch }
    const mode = values['dry-run'] ? 'look' : 'move'
    const hold = findHold(config.stateDirectory, channel)
    if (hold) log.line(`${name} ${branch} is held (${hold.reason}): channel-update moves it all the same`)
    try {
      const outcome = await advance({ channel, sha, repository, mode })
      const rename = await describeRename(repository, channel)
      if (rename) log.line(rename)
      for (const line of describeOutcome(channel, outcome, webUrlOfHost(expectedHost(config.github))))
        log.line(line)
      return isTrouble(outcome) ? 'failed' : 'ok'
    } catch (error) {
      throw cannotMove(channel, error)
    }
  } finally {
    http.close()
  }
}

function parseArguments(positionals: readonly string[]): { repository: string; branch: string; sha: string } {
  const [owner = '', repo = '', branch = '', commit = ''] = positionals
  if (positionals.length !== 4) {
    throw new UsageError(`expected OWNER REPO BRANCH COMMIT, but got ${positionals.length} arguments`, {
      hint: 'see channel-update --help',
    })
  }
  const problems = [
    ['OWNER', owner, ownerProblem(owner)],
    ['REPO', repo, repositoryNameProblem(repo)],
    ['BRANCH', branch, branchProblem(branch)],
    ['COMMIT', commit, /^[0-9a-f]{40}$/i.test(commit) ? undefined : 'a commit has 40 hexadecimal digits'],
  ] as const
  const messages = problems.flatMap(([name, value, problem]) =>
    problem === undefined ? [] : [`${name} “${value}” cannot be used: ${problem}`],
  )
  const [first, ...more] = messages
  if (first !== undefined) throw new UsageError(first, { hint: [...more, 'see channel-update --help'] })
  return { repository: `${owner}/${repo}`, branch, sha: commit.toLowerCase() }
}

function withApiUrl(config: Config, flag: string | undefined, env: UpdateInvocation['env']): Config {
  const apiUrl = findApiUrl(flag, env)
  if (apiUrl === undefined) return config
  return { ...config, github: { ...config.github, apiUrl } }
}
