/** docs/mfa.md, followed word by word in a shell, with oathtool as the phone. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { absent } from '../run/clients.ts'
import { root } from './daemon.ts'
import { launch, tempFolder } from './process.ts'
import { startUnsealed } from './secrets.ts'

const page = readFileSync(path.join(root, 'docs/mfa.md'), 'utf8')
const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)

t.test('docs/mfa.md', { skip: absent('curl', 'oathtool') }, async t => {
  const { address, token } = await startUnsealed(t)
  t.equal(blocks.length, 6)
  const script = ['set -e', ...blocks.flatMap((text, i) => [`echo "== ${i}"`, text])].join('\n')
  const shell = launch(t, '/bin/bash', ['-c', script], {
    cwd: tempFolder(t),
    env: {
      PATH: `${path.join(root, 'bin')}:/usr/bin:${process.env.PATH}`,
      ...{ VAULT_ADDR: address, VAULT_TOKEN: token, HOME: tempFolder(t) },
    },
  })
  t.equal(await shell.ended, 0, `${shell.stdout()}${shell.stderr()}`)
  const [, given = ''] = shell.stdout().split('== 5\n')
  t.match(JSON.parse(given).auth, { client_token: /^hvs\./, metadata: { username: 'ann' } })
})
