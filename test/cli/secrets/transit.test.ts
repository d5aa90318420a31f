/** `transit import` and `transit import-version` on the real engine, over HTTP. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { giveWrappingKey } from '../../secrets/engine/transit/transit.ts'
import { onSecrets, onServer } from './support.ts'

t.test('a key is brought, and a further version of it', async t => {
  const { ask, home, secrets } = await onSecrets(t)
  await ask('secrets enable transit')
  await giveWrappingKey(secrets)
  const file = path.join(home, 'key.b64')
  const key = randomBytes(32).toString('base64')
  writeFileSync(file, `${key.slice(0, 20)}\n${key.slice(20)}\n`)
  const done = [
    ...['Retrieving wrapping key.', 'Wrapping source key with ephemeral key.'],
    ...['Submitting wrapped key.', 'Success!'],
  ].join('\n')
  const words = `transit import transit/keys/app @${file} exportable=true allow_rotation=true`
  t.same(await ask(words), { code: 0, out: done, error: '' })
  const exported = async (version: number): Promise<string> => {
    const line = `read -format=json transit/export/encryption-key/app/${version}`
    return JSON.parse((await ask(line)).out).data.keys[version]
  }
  t.equal(await exported(1), key)
  const second = randomBytes(32).toString('base64')
  const more = await ask('transit import-version transit/keys/app -', { stdin: `${second}\n` })
  t.match(more, { code: 0, out: done })
  t.match((await ask('read transit/keys/app')).out, /latest_version +2/)
  t.equal(await exported(2), second)
  const pair = generateKeyPairSync('ed25519')
  const der = pair.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  t.match(await ask(`transit import /transit/keys/ed ${der} type=ed25519`), { code: 0 })
  t.match(await ask(`transit import transit/keys/app ${key}`), {
    code: 3,
    error: 'failed to call import',
  })
  t.match(await ask(`transit import nowhere/keys/app ${key}`), { code: 3, error: /wrapping key/ })
})

t.test('mistakes end with 1 before anything is asked, and show no key', async t => {
  const { ask, server } = await onServer(t)
  const mistakes: Record<string, string> = {
    'transit import transit/keys/app': 'Not enough arguments',
    'transit import transit/app AAAA': 'PATH must be that of a key',
    'transit import transit/keys/app s3cret!': 'the key is not base64',
    'transit import transit/keys/app @/no/such/file': 'error reading key material file: ENOENT',
    'transit import transit/keys/app AAAA x': 'format must be key=value',
  }
  for (const [line, error] of Object.entries(mistakes)) {
    const found = await ask(line)
    t.match(found, { code: 1, error }, line)
    t.notMatch(found.error, 's3cret')
  }
  t.same(server.asks, [])
})
