/**
 * Gives a server the keys of another, and holds it to what the other made with them.
 *
 * Owns the checks; what is not as it was made is a fact of the test that failed.
 */
import type { Test } from 'tap'
import type { Server } from './server.ts'
import type { KeyVector } from './vectors.ts'

/** Restores the key from its backup under a name, and tries all that was made with it. */
export async function checkRestored(
  t: Test,
  server: Server,
  vector: KeyVector,
  name = vector.name,
): Promise<void> {
  await server.post(`transit/restore/${name}`, { backup: vector.backup, force: true })
  const read = await server.get(`transit/keys/${name}`)
  t.equal(read.type, vector.type, `${name}: type`)
  t.equal(read.derived, vector.derived, `${name}: derived`)
  t.equal(read.latest_version, 2, `${name}: versions`)
  for (const [kind, keys] of Object.entries(vector.exported)) {
    t.same((await server.get(`transit/export/${kind}/${name}`)).keys, keys, `${name}: ${kind}`)
  }
  await checkCiphertexts(t, server, vector, name)
  await checkSignatures(t, server, vector, name)
  for (const { algorithm, input, hmac, version } of vector.hmacs) {
    const body = { input, hmac }
    const { valid } = await server.post(`transit/verify/${name}/${algorithm}`, body)
    t.equal(valid, true, `${name}: ${algorithm} of version ${version}`)
    const again = { input, key_version: version }
    t.equal((await server.post(`transit/hmac/${name}/${algorithm}`, again)).hmac, hmac)
  }
}

/** Decrypts each, and refuses each with another associated data. */
export async function checkCiphertexts(
  t: Test,
  server: Server,
  vector: KeyVector,
  name: string,
): Promise<void> {
  for (const { plaintext, ciphertext, version, ...given } of vector.ciphertexts) {
    const what = `${name} ${version} ${Object.keys(given).join(' ')} ${plaintext}`
    const opened = await server.ask('POST', `transit/decrypt/${name}`, { ...given, ciphertext })
    t.equal(opened.data?.plaintext, plaintext, `${what}: ${opened.errors.join(', ')}`)
    if (vector.convergent) {
      const body = { ...given, plaintext, key_version: version }
      const again = await server.post(`transit/encrypt/${name}`, body)
      t.equal(again.ciphertext, ciphertext, `${what}: the same ciphertext again`)
    }
    if (given.associated_data === undefined) continue
    const wrong = { ...given, associated_data: 'd3Jvbmc=', ciphertext }
    const refused = await server.ask('POST', `transit/decrypt/${name}`, wrong)
    t.equal(refused.status, 400, `${what}: of other associated data`)
  }
}

/** Takes each, and none over another input. */
export async function checkSignatures(
  t: Test,
  server: Server,
  vector: KeyVector,
  name: string,
): Promise<void> {
  for (const { settings, input, signature, publicKey, version } of vector.signatures) {
    const what = `${name} ${version} ${JSON.stringify(settings)}`
    const body = { ...settings, input, signature }
    const { valid } = await server.post(`transit/verify/${name}`, body)
    t.equal(valid, true, what)
    const other = { ...body, input: 'b3RoZXI=' }
    t.equal(
      (await server.post(`transit/verify/${name}`, other)).valid,
      false,
      `${what}: not its own`,
    )
    if (publicKey === undefined) continue
    const again = { ...settings, input, key_version: version }
    t.equal((await server.post(`transit/sign/${name}`, again)).public_key, publicKey)
  }
}
