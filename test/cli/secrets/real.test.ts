/**
 * Vault's command line on the real secrets, over HTTP: the flows that people come with.
 */
import t from 'tap'
import { onSecrets } from './support.ts'

t.test('an engine is mounted, used by paths, tuned and removed', async t => {
  const { ask } = await onSecrets(t)
  const done = async (line: string | string[], options = {}) => {
    const { code, out, error } = await ask(line, options)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  t.match(
    await done('secrets enable -path=team kv'),
    'Success! Enabled the kv secrets engine at: team/',
  )
  t.match(await done('secrets list'), /\nteam\/ +kv +kv_[0-9a-f]{8} +n\/a(\n|$)/)
  t.match(
    await done('write team/web user=ada password=-', { stdin: 's3cret' }),
    'Success! Data written',
  )
  t.equal(await done('read -field=password team/web'), 's3cret')
  t.equal(await done('list team'), 'Keys\n----\nweb')
  t.match(await done('delete team/web'), 'Success! Data deleted (if it existed) at: team/web')
  t.match(await ask('read team/web'), { code: 2, error: 'No value found at team/web' })
  t.match(await done('secrets tune -description=ours -default-lease-ttl=1h team'), 'Success! Tuned')
  t.match(await done('secrets list -detailed'), /\nteam\/ +kv +kv_\w+ +3600 .* ours /)
  await done('secrets disable team')
  t.notMatch(await done('secrets list'), 'team/')
})

t.test('numbers of any size go and come whole', async t => {
  const { ask } = await onSecrets(t)
  await ask('secrets enable kv')
  const stdin = '{"n": 18446744073709551617, "__proto__": {"x": 1}, "list": [1, null, "€"]}'
  await ask('write kv/n -', { stdin })
  t.equal((await ask('read -field=n kv/n')).out, '18446744073709551617')
  const text = Buffer.from((await ask('read -format=json kv/n')).out, 'latin1').toString()
  t.match(text, /"__proto__": \{\n +"x": 1[\s\S]*"€"[\s\S]*"n": 18446744073709551617/)
})

t.test('refusals', async t => {
  const { ask } = await onSecrets(t)
  const nobody = { environment: { VAULT_TOKEN: 'nobody' } }
  const { code, error } = await ask('secrets list', nobody)
  t.equal(code, 2)
  t.match(error, /^Error listing secrets engines: Error making API request\.\n\nURL: GET http/)
  t.match(error, /\nCode: 403\. Errors:\n\n\* [\s\S]*permission denied/)
  t.match(await ask('write nothing/here a=b'), { code: 2, error: 'no handler for route' })
})
