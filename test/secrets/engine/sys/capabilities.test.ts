/**
 * sys/capabilities and the resultant ACL: what tokens may do, as it is told.
 */
import t from 'tap'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../../harness.ts'
import { putHolder } from '../../holder.ts'

const POLICY = `path "kv/*" { capabilities = ["update", "read", "list"] }
path "kv/a" { capabilities = ["deny"] }
path "sys/capabilities*" { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }`

async function open(t: Parameters<typeof openSecrets>[0]): Promise<TestSecrets> {
  const secrets = await openSecrets(t)
  await secrets.post('sys/policies/acl/app', { policy: POLICY })
  await putHolder(secrets, 'holder', { policies: ['app'] })
  return secrets
}

t.test('of the asking token', async t => {
  const secrets = await open(t)
  const ask = async (data: object, token = 'holder') =>
    (await secrets.post('sys/capabilities-self', { ...data }, { token })).body
  const one = { 'kv/b': ['list', 'read', 'update'], capabilities: ['list', 'read', 'update'] }
  const { data, ...top } = await ask({ paths: ['kv/b'] })
  t.same(data, one)
  t.match(top, one, 'beside the envelope too')
  t.same((await ask({ path: 'kv/b' })).data, one, 'as older clients ask')
  t.same((await ask({ paths: 'kv/a,none' })).data, { 'kv/a': ['deny'], none: ['deny'] })
  t.same((await ask({ paths: ['/kv/b'] })).data['/kv/b'], ['list', 'read', 'update'])
  t.same((await ask({ paths: ['kv/b'] }, ROOT_TOKEN)).data.capabilities, ['root'])
  const none = await secrets.post('sys/capabilities-self', {}, { token: 'holder' })
  t.same([none.status, none.text], [400, 'paths must be supplied'])
})

t.test('of another token, by itself and by its accessor', async t => {
  const secrets = await open(t)
  const paths = ['kv/b', 'kv/a']
  const wanted = { 'kv/b': ['list', 'read', 'update'], 'kv/a': ['deny'] }
  t.same((await secrets.post('sys/capabilities', { token: 'holder', paths })).body.data, wanted)
  const shown = await secrets.post('auth/token/lookup', { token: 'holder' })
  const byAccessor = { accessor: shown.body.data.accessor, paths }
  t.same((await secrets.post('sys/capabilities-accessor', byAccessor)).body.data, wanted)
  const cases: [string, object, string][] = [
    ['capabilities', { token: 'nobody', paths }, 'invalid token'],
    ['capabilities', { paths }, 'no token found'],
    ['capabilities-accessor', { accessor: 'nobody', paths }, 'invalid accessor'],
    ['capabilities-accessor', { paths }, 'missing accessor'],
  ]
  for (const [name, data, text] of cases) {
    const got = await secrets.post(`sys/${name}`, { ...data })
    t.same([got.status, got.text], [400, text])
  }
})

t.test('all that a token may', async t => {
  const secrets = await open(t)
  const { body } = await secrets.read('sys/internal/ui/resultant-acl', { token: 'holder' })
  t.same(body.data, {
    root: false,
    exact_paths: {
      'kv/a': { capabilities: ['deny'] },
      'sys/internal/ui/resultant-acl': { capabilities: ['read'] },
    },
    glob_paths: {
      'kv/': { capabilities: ['list', 'read', 'update'] },
      'sys/capabilities': { capabilities: ['update'] },
    },
  })
  t.same((await secrets.read('sys/internal/ui/resultant-acl')).body.data, { root: true })
})
