import { CONFIG, type Options } from './arguments.ts'
import { type Command, main } from './run.ts'

const options = {
  'app-id': { type: 'string', value: 'ID', about: 'the client id or App id of the GitHub App' },
  'private-key-file': { type: 'string', value: 'FILE', about: 'its private key (PEM)' },
  'api-url': {
    type: 'string',
    value: 'URL',
    about:
      "GitHub's REST API (default: https://api.github.com; GitHub Enterprise Server: https://HOST/api/v3)",
  },
  'dry-run': { type: 'boolean', about: 'move nothing: say what would be done' },
  config: {
    ...CONFIG,
    about:
      'a configuration (default: $HYDRA_CHANNELS_CONFIG, else /etc/hydra-channels/config.json where that exists)',
  },
} as const satisfies Options

export const command: Command<typeof options> = {
  name: 'channel-update',
  operands: 'OWNER REPO BRANCH COMMIT',
  about: `
Fast-forwards BRANCH of the GitHub repository OWNER/REPO to COMMIT, creates it where it is
missing, or says why not. Needs no Hydra and no configuration file. The branch never moves
backwards and never loses history.

  OWNER REPO  the repository, as in github.com/OWNER/REPO
  BRANCH      without refs/heads/
  COMMIT      40 hexadecimal digits
`,
  options,
  more: `
Credentials, the first that is there: the two options; GITHUB_APP_ID and
GITHUB_APP_PRIVATE_KEY_FILE; GITHUB_TOKEN; github.appId and github.privateKeyFile in the
configuration. The address, likewise: --api-url; GITHUB_API_URL; github.apiUrl.

Exit status: 0 moved, already there or already contained; 1 diverged, or GitHub refused or could
not be asked; 2 the arguments, the configuration or the key file cannot be used.

Example:
  channel-update --app-id Iv23liABC --private-key-file app.pem \\
    alice dotfiles nixos-tested-nas 3f2c9d1e5b7a8c6d4e2f1a0b9c8d7e6f5a4b3c2d
`,
  logTo: 'stdout',
  async run(invocation) {
    const { runUpdate } = await import('./run-channel-update.ts')
    return runUpdate(invocation)
  },
}

export const start = () => main(command)
