// The JSON that GitHub answers with, whole: a client must find its fields among all the others.

import type { CommitFacts, FileChange, Ref } from './graph.ts'
import type { Installation, Repository, State } from './state.ts'

const HTML = 'https://github.com'
const BORN = '2024-01-02T03:04:05Z'

export const nodeId = (prefix: string, id: string | number) =>
  `${prefix}_${Buffer.from(`test:${id}`).toString('base64url')}`

export const errorShape = (status: number, message: string) => ({
  message,
  documentation_url: 'https://docs.github.com/rest',
  status: String(status),
})

export function accountShape(state: State, login: string) {
  const id = state.accountId(login)
  // of an App: hydra-channels-test[bot]
  const name = encodeURIComponent(login)
  const url = `${state.apiUrl}/users/${name}`
  return {
    login,
    id,
    node_id: nodeId('U', id),
    avatar_url: `https://avatars.githubusercontent.com/u/${id}?v=4`,
    gravatar_id: '',
    url,
    html_url: `${HTML}/${name}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: login.endsWith('[bot]') ? 'Bot' : 'User',
    user_view_type: 'public',
    site_admin: false,
  }
}

export function appShape(state: State) {
  const { id, slug, clientId } = state.app
  return {
    id,
    slug,
    node_id: nodeId('A', id),
    client_id: clientId,
    owner: accountShape(state, 'alice'),
    name: slug,
    description: null,
    external_url: 'https://hydra.example.org',
    html_url: `${HTML}/apps/${slug}`,
    created_at: BORN,
    updated_at: BORN,
    permissions: { contents: 'write', metadata: 'read', workflows: 'write' },
    events: [],
    installations_count: 1,
  }
}

export function installationShape(state: State, installation: Installation) {
  const { id, owner, suspended, permissions } = installation
  return {
    id,
    account: accountShape(state, owner),
    repository_selection: state.selectionOf(installation),
    access_tokens_url: `${state.apiUrl}/app/installations/${id}/access_tokens`,
    repositories_url: `${state.apiUrl}/installation/repositories`,
    html_url: `${HTML}/settings/installations/${id}`,
    app_id: state.app.id,
    client_id: state.app.clientId,
    app_slug: state.app.slug,
    target_id: state.accountId(owner),
    target_type: 'User',
    permissions,
    events: [],
    created_at: BORN,
    updated_at: BORN,
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: suspended ? accountShape(state, owner) : null,
    suspended_at: suspended ? BORN : null,
  }
}

const REPOSITORY_URLS = {
  archive_url: '/{archive_format}{/ref}',
  assignees_url: '/assignees{/user}',
  blobs_url: '/git/blobs{/sha}',
  branches_url: '/branches{/branch}',
  collaborators_url: '/collaborators{/collaborator}',
  comments_url: '/comments{/number}',
  commits_url: '/commits{/sha}',
  compare_url: '/compare/{base}...{head}',
  contents_url: '/contents/{+path}',
  contributors_url: '/contributors',
  deployments_url: '/deployments',
  downloads_url: '/downloads',
  events_url: '/events',
  forks_url: '/forks',
  git_commits_url: '/git/commits{/sha}',
  git_refs_url: '/git/refs{/sha}',
  git_tags_url: '/git/tags{/sha}',
  hooks_url: '/hooks',
  issue_comment_url: '/issues/comments{/number}',
  issue_events_url: '/issues/events{/number}',
  issues_url: '/issues{/number}',
  keys_url: '/keys{/key_id}',
  labels_url: '/labels{/name}',
  languages_url: '/languages',
  merges_url: '/merges',
  milestones_url: '/milestones{/number}',
  notifications_url: '/notifications{?since,all,participating}',
  pulls_url: '/pulls{/number}',
  releases_url: '/releases{/id}',
  stargazers_url: '/stargazers',
  statuses_url: '/statuses/{sha}',
  subscribers_url: '/subscribers',
  subscription_url: '/subscription',
  tags_url: '/tags',
  teams_url: '/teams',
  trees_url: '/git/trees{/sha}',
}

const repositoryUrl = (state: State, repository: Repository) => `${state.apiUrl}/repos/${repository.fullName}`

/** As a token's answer lists it. */
export function repositoryShape(state: State, repository: Repository) {
  const { id, fullName } = repository
  const url = repositoryUrl(state, repository)
  const urls = Object.entries(REPOSITORY_URLS).map(([key, path]) => [key, url + path])
  return {
    id,
    node_id: nodeId('R', id),
    name: repository.name,
    full_name: fullName,
    private: repository.private,
    owner: accountShape(state, repository.owner),
    html_url: `${HTML}/${fullName}`,
    description: null,
    fork: false,
    url,
    ...(Object.fromEntries(urls) as Record<keyof typeof REPOSITORY_URLS, string>),
    created_at: BORN,
    updated_at: BORN,
    pushed_at: BORN,
    git_url: `git://github.com/${fullName}.git`,
    ssh_url: `git@github.com:${fullName}.git`,
    clone_url: `${HTML}/${fullName}.git`,
    svn_url: `${HTML}/${fullName}`,
    homepage: null,
    size: 0,
    stargazers_count: 0,
    watchers_count: 0,
    language: 'Nix',
    has_issues: true,
    has_projects: false,
    has_downloads: true,
    has_wiki: false,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived: repository.archived,
    disabled: false,
    open_issues_count: 0,
    license: null,
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    visibility: repository.private ? 'private' : 'public',
    forks: 0,
    open_issues: 0,
    watchers: 0,
    default_branch: repository.defaultBranch,
  }
}

export function fullRepositoryShape(state: State, repository: Repository) {
  return {
    ...repositoryShape(state, repository),
    permissions: { admin: false, maintain: false, push: false, triage: false, pull: false },
    network_count: 0,
    subscribers_count: 0,
  }
}

export function refShape(state: State, repository: Repository, { ref, sha, type }: Ref) {
  const url = `${repositoryUrl(state, repository)}/git`
  return {
    ref,
    node_id: nodeId('REF', `${repository.id}:${ref}`),
    url: `${url}/${encodeURI(ref)}`,
    object: { sha, type, url: `${url}/${type}s/${sha}` },
  }
}

export function commitShape(state: State, repository: Repository, facts: CommitFacts) {
  const { sha, tree } = facts
  const url = repositoryUrl(state, repository)
  const html = `${HTML}/${repository.fullName}/commit`
  return {
    sha,
    node_id: nodeId('C', sha),
    commit: {
      author: facts.author,
      committer: facts.committer,
      message: facts.message,
      tree: { sha: tree, url: `${url}/git/trees/${tree}` },
      url: `${url}/git/commits/${sha}`,
      comment_count: 0,
      verification: {
        verified: false,
        reason: 'unsigned',
        signature: null,
        payload: null,
        verified_at: null,
      },
    },
    url: `${url}/commits/${sha}`,
    html_url: `${html}/${sha}`,
    comments_url: `${url}/commits/${sha}/comments`,
    // Nobody's account has the address of the commits.
    author: null,
    committer: null,
    parents: facts.parents.map(parent => ({
      sha: parent,
      url: `${url}/commits/${parent}`,
      html_url: `${html}/${parent}`,
    })),
  }
}

export function fileShape(state: State, repository: Repository, sha: string, change: FileChange) {
  const { filename, status, blob, additions, deletions } = change
  const url = repositoryUrl(state, repository)
  const html = `${HTML}/${repository.fullName}`
  const path = filename.split('/').map(encodeURIComponent).join('/')
  return {
    sha: blob,
    filename,
    status,
    additions,
    deletions,
    changes: additions + deletions,
    blob_url: `${html}/blob/${sha}/${path}`,
    raw_url: `${html}/raw/${sha}/${path}`,
    contents_url: `${url}/contents/${path}?ref=${sha}`,
  }
}

export function comparisonUrls(state: State, repository: Repository, basehead: string, permanent: string) {
  const path = encodeURI(basehead).replaceAll('#', '%23')
  const html = `${HTML}/${repository.fullName}/compare/${path}`
  return {
    url: `${repositoryUrl(state, repository)}/compare/${path}`,
    html_url: html,
    permalink_url: `${HTML}/${repository.fullName}/compare/${permanent}`,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
  }
}
