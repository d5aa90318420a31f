/** Keys of every type are made, kept, and opened once as long as their row stands. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import tap, { type Test } from 'tap'
import { Refusal } from '../../../../../src/base/errors.ts'
import {
  addVersion,
  drawFor,
  drawn,
  type KeyWish,
  keyWished,
  makeKey,
  makeKeyOf,
  rotationMs,
} from '../../../../../src/secrets/engine/transit/key/make.ts'
import { materialOf } from '../../../../../src/secrets/engine/transit/key/material.ts'
import { isSymmetric, typeNamed } from '../../../../../src/secrets/engine/transit/key/type.ts'
import { type KeyRow, keyAt, keyNames } from '../../../../../src/secrets/engine/transit/rows.ts'
import type { Draft, Storage } from '../../../../../src/secrets/storage.ts'
import { openSecrets } from '../../../harness.ts'
import { testPorts } from '../../../ports.ts'

const { arithmetic } = testPorts()

async function store(t: Test) {
  const secrets = await openSecrets(t)
  return (change: (storage: Storage, draft: Draft) => void) =>
    secrets.write(draft => change(draft.area('root', 'mount.test'), draft))
}

const wishes: KeyWish[] = [
  ...['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305'],
  ...['aes128-cbc', 'aes256-cbc', 'aes128-cmac', 'aes192-cmac', 'aes256-cmac', 'hmac'],
  ...['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'ed25519', 'rsa-2048', 'ml-dsa', 'slh-dsa'],
].map(type => ({ type }))

tap.test('a key of every type has what its type says', async t => {
  const change = await store(t)
  for (const wish of wishes) {
    const type = typeNamed(wish.type)!
    let row: KeyRow | Refusal | undefined
    const pair = await drawFor(arithmetic, keyWished(testRandom, wish) as KeyRow)
    await change((storage, { random, now }) => {
      row = makeKey({ storage, random, now }, wish.type, wish, pair)
    })
    assert(!(row instanceof Refusal) && row !== undefined)
    await change(storage => {
      const kept = keyAt(storage, wish.type)!
      assert.deepEqual(kept, row)
      const material = materialOf(storage, kept, 1)!
      t.equal(materialOf(storage, kept, 1), material, 'opened once')
      t.equal(materialOf(storage, kept, 2), undefined)
      if (isSymmetric(type)) {
        t.equal(material.raw!.length, type.sizeBytes || 32, wish.type)
        t.equal(material.publicKey, undefined)
        t.ok(material.secret!.equals(material.secret!))
      } else {
        t.ok(createPublicKey(material.privateKey!).equals(material.publicKey!), wish.type)
        t.equal(material.raw?.length, wish.type === 'ed25519' ? 64 : undefined)
      }
      t.equal(material.hmac !== undefined, type.authenticates)
      if (wish.type === 'hmac') t.equal(material.hmac, material.secret)
      t.equal(material.convergentVersion, 0)
    })
  }
  await change(storage => t.strictSame(keyNames(storage), wishes.map(({ type }) => type).sort()))
})

const testRandom = {
  bytes: randomBytes,
  uuid: () => crypto.randomUUID(),
  fraction: () => 0.5,
}

tap.test('what no key can be is refused', t => {
  const refused: [KeyWish, string][] = [
    [{ type: 'rot13' }, 'unknown key type rot13'],
    [{ type: 'constructor' }, 'unknown key type constructor'],
    [{ type: 'managed_key' }, 'not served yet: type managed_key (keys that another system keeps)'],
    [
      { type: 'rsa-2048', derived: true },
      'key derivation and convergent encryption not supported for keys of type rsa-2048',
    ],
    [
      { type: 'aes256-gcm96', convergent: true },
      'convergent encryption requires derivation to be enabled',
    ],
    [
      { type: 'ed25519', derived: true, convergent: true },
      'convergent encryption not supported for keys of type ed25519',
    ],
    [{ type: 'hmac', keySizeBytes: 31 }, 'invalid key_size 31'],
    [{ type: 'hmac', keySizeBytes: 513 }, 'invalid key_size 513'],
    [{ type: 'ed25519', keySizeBytes: 32 }, 'key_size is not valid for algorithm ed25519'],
    [
      { type: 'hmac', autoRotateMs: 3_599_999 },
      'auto rotate period must be 0 to disable or at least an hour',
    ],
    [{ type: 'ml-dsa', parameterSet: '128' }, 'invalid parameter_set 128 for key type ml-dsa'],
  ]
  for (const [wish, text] of refused) {
    const key = keyWished(testRandom, wish)
    t.ok(key instanceof Refusal && key.text === text, text)
  }
  t.end()
})

tap.test('a pair that was drawn for another key is not taken', t => {
  const key = keyWished(testRandom, { type: 'rsa-2048' }) as KeyRow
  const pair = generateKeyPairSync('ed25519').privateKey
  t.match(drawn(testRandom, key, pair), { status: 503 })
  t.match(drawn(testRandom, key, undefined), { status: 503 })
  t.end()
})

tap.test('a next version leaves the first one as it is, and rotates by itself later', async t => {
  const change = await store(t)
  const bytes = randomBytes(32)
  const wish = { type: 'aes256-gcm96', derived: true, convergent: true, autoRotateMs: 3_600_000 }
  await change((storage, { random, now }) => {
    const first = makeKeyOf({ storage, random, now }, 'a', wish, bytes) as KeyRow
    const second = addVersion({ storage, random, now }, 'a', first, { bytes: randomBytes(32) })
    t.equal(second.latest, 2)
    t.equal(rotationMs(second, now), now + 3_600_000)
    t.equal(rotationMs({ ...second, imported: true }, now), undefined)
  })
  await change(storage => {
    const key = keyAt(storage, 'a')!
    t.strictSame(materialOf(storage, key, 1)!.raw, bytes)
    t.notSame(materialOf(storage, key, 2)!.raw, bytes)
    t.equal(materialOf(storage, key, 2)!.convergentVersion, 3)
    t.equal(storage.header('policy/a')!.kind, 'transit-rotation')
  })
})
