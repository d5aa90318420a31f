/** Keys of OpenBao: its backups are restored, its wrapped keys imported, its exports are ours. */
import tap from 'tap'
import { giveWrappingKey, openTransit, vectorsIn } from '../transit.ts'
import type { ByokVector, KeyVector } from '../vectors/vectors.ts'

const { keys } = vectorsIn<{ keys: KeyVector[] }>('keys.json')
const { byok } = vectorsIn<{ byok: ByokVector[] }>('byok.json')

tap.test('a backup is restored, and every export of it is byte for byte the same', async t => {
  const { secrets } = await openTransit(t)
  for (const { name, type, derived, convergent, backup, exported } of keys) {
    const restored = await secrets.post(`transit/restore/of-${name}`, { backup })
    t.equal(restored.status, 204, `${name}: ${restored.text}`)
    const { body } = await secrets.read(`transit/keys/of-${name}`)
    t.match(body.data, { type, derived, latest_version: 2, restore_info: { version: 2 } })
    if (derived) t.equal(body.data.convergent_encryption, convergent)
    for (const [kind, versions] of Object.entries(exported)) {
      const got = await secrets.read(`transit/export/${kind}/of-${name}`)
      t.same(got.body.data?.keys, versions, `${kind} of ${name}: ${got.text.slice(0, 80)}`)
    }
  }
})

tap.test('a backup of a restored key says what the first one said', async t => {
  const { secrets } = await openTransit(t)
  for (const { name, backup } of keys) {
    await secrets.post('transit/restore', { backup })
    const again = (await secrets.read(`transit/backup/${name}`)).body.data.backup
    const [one, other] = [told(backup), told(again)]
    t.strictSame(Object.keys(other.policy).sort(), Object.keys(one.policy).sort(), name)
    for (const version of ['1', '2']) {
      const [was, is] = [one.policy.keys[version], other.policy.keys[version]]
      t.strictSame(Object.keys(is).sort(), Object.keys(was).sort())
      t.ok(was.time.startsWith(is.time.slice(0, -1)), 'the same time, to the millisecond')
      // Public parts of RSA are left out where the private one is there, by both.
      t.strictSame({ ...is, time: 0 }, { ...was, time: 0 }, `${name} ${version}`)
    }
  }
})

/** A backup with its numbers as they are written. */
function told(backup: string) {
  const text = Buffer.from(backup, 'base64').toString()
  return JSON.parse(text.replace(/(?<=[:[])\d{16,}(?=[,}\]])/g, '"$&"'))
}

tap.test('what was wrapped for a wrapping key is imported and exported again', async t => {
  const { secrets } = await openTransit(t)
  const pem = byok[0]!.privateKeyPem
  await giveWrappingKey(secrets)
  for (const [i, { type, hash, wrapped, key, privateKeyPem }] of byok.entries()) {
    t.equal(privateKeyPem, i === 0 ? pem : '', 'one key for all')
    const data = { type, hash_function: hash, ciphertext: wrapped, exportable: true }
    const imported = await secrets.post(`transit/keys/key-${i}/import`, data)
    t.equal(imported.status, 204, `${type} ${hash}: ${imported.text}`)
    const kind =
      type === 'hmac' ? 'hmac-key' : /^(ec|ed)/.test(type) ? 'signing-key' : 'encryption-key'
    const got = await secrets.read(`transit/export/${kind}/key-${i}/latest`)
    t.equal(got.body.data?.keys['1'], key, `${type} ${got.text.slice(0, 60)}`)
  }
})
