// The test GitHub as a machine of the VM test (nix/vm-test.nix), with two arguments. The first is a folder, in which it leaves
// the App's key, the sha that Hydra is to have built, and where the git repository is. The second is a folder with a
// certificate. hydra-channels asks on port 8080 of every address. On port 443 Nix asks for the flake, as it asks github.com.
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { git } from '../helpers/github/git-graph.ts'
import { startGitHub } from '../helpers/github/github.ts'

const [directory = '.', certificate = '.'] = process.argv.slice(2)
const github = await startGitHub()
const { gitDir } = await github.createRepository('alice/dotfiles')

// A flake whose NixOS is a folder in it, with the two files that nixos-rebuild needs.
const commitOf = (version: string) => `commit refs/heads/main
committer Alice <alice@example.org> 1760000000 +0000
data <<END
${version}
END
M 100644 inline flake.nix
data <<END
{ outputs = _: { nixosConfigurations.nas.config.system.build.toplevel = ./system; }; }
END
M 100644 inline system/nixos-version
data <<END
${version}
END
M 100755 inline system/bin/switch-to-configuration
data <<END
#!/bin/sh
echo "$1 to ${version}" >/run/switched
END

`
// main: built - newest     Hydra has built the first
await git(gitDir, ['fast-import', '--quiet'], commitOf('built') + commitOf('newest'))
const built = (await git(gitDir, ['rev-parse', 'main~1'])).trim()

const read = (name: string) => readFileSync(join(certificate, name))
createTlsServer({ cert: read('cert.pem'), key: read('key.pem') }, async ({ url = '' }, response) => {
  const [, branch] = /^\/repos\/alice\/dotfiles\/commits\/([\w-]+)$/.exec(url) ?? []
  const [, rev] = /^\/alice\/dotfiles\/archive\/([0-9a-f]{40})\.tar\.gz$/.exec(url) ?? []
  const shas =
    branch && (await git(gitDir, ['for-each-ref', '--format=%(objectname) %(tree)', `refs/heads/${branch}`]))
  if (rev) {
    spawn('git', ['archive', '--format=tar.gz', `--prefix=dotfiles-${rev}/`, rev], {
      cwd: gitDir,
    }).stdout.pipe(response)
  } else if (shas) {
    const [sha, tree] = shas.trim().split(' ')
    response.end(JSON.stringify({ sha, commit: { tree: { sha: tree } } }))
  } else {
    response.writeHead(404).end()
  }
}).listen(443)

const port = Number(new URL(github.apiUrl).port)
createServer(socket => {
  const inner = connect(port, '127.0.0.1')
  socket.pipe(inner).pipe(socket)
  for (const end of [socket, inner])
    end.on('error', () => [socket, inner].forEach(each => void each.destroy()))
}).listen(8080, () => {
  const write = (name: string, content: string) => writeFileSync(join(directory, name), content)
  write('app.pem', github.app.privateKeyPem)
  write('built', built)
  // last, for it is waited for
  write('git-dir', gitDir)
})
