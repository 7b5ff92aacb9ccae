// The test GitHub as a machine of the VM test (nix/vm-test.nix): listens on port 8080 of every address, and leaves in the
// folder that it is given the App's key, the sha that Hydra is to have built, and where the git repository is.
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { startGitHub } from '../helpers/github/github.ts'

const directory = process.argv[2] ?? '.'
const github = await startGitHub()
const repository = await github.createRepository('alice/dotfiles')
// main: c1 - c2     Hydra has built c1
const [built = '', newest = ''] = await repository.history(2)
await repository.setBranch('main', newest)

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
  write('newest', newest)
  // last, for it is waited for
  write('git-dir', repository.gitDir)
})
