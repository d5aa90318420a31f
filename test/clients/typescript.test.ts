/**
 * docs/client.md: each piece of its code stands in an example, and the examples do what it says,
 * with a token for the registry and a login for the secrets.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { serverAt } from '../secrets/engine/transit/vectors/server.ts'
import { launch, until } from './process.ts'
import { root } from './running.ts'
import { startUnsealed } from './secrets.ts'

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const page = read('docs/client.md')
const examples = ['tour', 'follow'].map(name => read(`examples/${name}.ts`))

t.test('each piece of code on the page stands in an example', async t => {
  const pieces = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, piece = '']) => piece)
  t.ok(pieces.length >= 12, `${pieces.length} pieces`)
  for (const piece of pieces) {
    t.ok(
      examples.some(text => text.includes(piece)),
      piece,
    )
  }
})

const RUN = ['--conditions=gatehouse-source', '--no-warnings']

async function prepare(t: Test) {
  const { daemon, address, token } = await startUnsealed(t)
  const { post, get } = serverAt(address, token)
  await post('sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  await post('secret/data/app', { data: { password: 'open sesame' } })
  await post('sys/mounts/pki', { type: 'pki' })
  await post('pki/root/generate/internal', { common_name: 'root', key_type: 'ec' })
  await post('pki/roles/web', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  const paths = ['secret/data/*', 'pki/issue/*', 'auth/token/*']
  const policy = paths.map(one => `path "${one}" { capabilities = ["read", "update"] }`).join('\n')
  await post('sys/policies/acl/app', { policy })
  await post('sys/auth/approle', { type: 'approle' })
  await post('auth/approle/role/app', { token_policies: 'app', token_ttl: '1h' })
  const { role_id: ROLE_ID } = await get('auth/approle/role/app/role-id')
  const { secret_id: SECRET_ID } = await post('auth/approle/role/app/secret-id')
  return { daemon, env: { ROLE_ID, SECRET_ID } }
}

t.test('examples/tour.ts', async t => {
  const { daemon, env } = await prepare(t)
  const server = `127.0.0.1:${daemon.grpcPort}`
  const tour = launch(t, process.execPath, [...RUN, 'examples/tour.ts', server], { env, cwd: root })
  t.equal(await tour.ended, 0, tour.stderr())
  t.same(tour.stdout().split('\n'), [
    'color blue true',
    'cas undefined true',
    'added app/size 7',
    'web 10.0.0.7:8080 true true',
    'written important',
    'lock true',
    "secret { password: 'open sesame' }",
    'certificate true true true',
    'INVALID_ARGUMENT false a service needs a name',
    '',
  ])
  t.same(await daemon.read('/v1/catalog/service/web'), [], 'nothing is left of it')
  t.same(await daemon.read('/v1/session/list'), [])
})

t.test('examples/follow.ts, as the page runs it', async t => {
  const { daemon } = await prepare(t)
  const [command = '', put = ''] = [...page.matchAll(/^\$ (.*)$/gm)].map(([, line = '']) => line)
  const [node, ...words] = command.replace('8502', `${daemon.grpcPort}`).split(' ')
  t.equal(node, 'node')
  const example = launch(t, process.execPath, words, { cwd: root })
  await until('it is registered', () => example.stdout().includes('"registered"'))
  const [curl = '', ...rest] = put.replace('8500', `${daemon.httpPort}`).split(' ')
  t.equal(await launch(t, curl, rest).ended, 0)
  await until('it prints the change', () => /"app\/color".*"blue"/.test(example.stdout()))
  example.signal('SIGTERM')
  t.equal(await example.ended, 0, example.stderr())
})
