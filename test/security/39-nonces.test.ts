/**
 * Class 39: nonces that somebody chose, or that come twice (CVE-2023-4680).
 *
 * Two texts under one nonce of GCM give away their sum, and the key of the tags. So no client says
 * one; no two of them are equal under one key; and convergent keys, whose nonces come of the text,
 * have another key for each context.
 */
import tap from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { Sealing } from '../../src/secrets/engine/transit/operation/sealing.ts'
import { keyAt } from '../../src/secrets/engine/transit/rows.ts'
import { untilBudget } from '../run/budget.ts'
import { inStorage } from '../secrets/engine/transit/keys.ts'
import { openTransit } from '../secrets/engine/transit/transit.ts'

const b64 = (text: string | Buffer): string => Buffer.from(text).toString('base64')
const NONCE_CHARS = 16
/** Texts of one request, as the server has them. */
const ITEMS = 1_000

/** The nonce of a ciphertext: its first 12 bytes. */
const nonceOf = (ciphertext: string): string =>
  ciphertext.slice(ciphertext.lastIndexOf(':') + 1, ciphertext.lastIndexOf(':') + 1 + NONCE_CHARS)

const SAID = { context: '', associated: '', nonce: '', version: 0, padding: '' }

tap.test('no nonce comes twice under a key, in one request or many', async t => {
  const { secrets, post } = await openTransit(t)
  await post('keys/k')
  const seen = new Set<string>()
  let texts = 0
  /** A request that was taken to have so many texts, and has these. */
  const request = (spokenOf: number, items: number): Promise<void> =>
    inStorage(secrets, storage => {
      const key = keyAt(storage, 'k')!
      const sealing = new Sealing({ storage, random: systemRandom }, key, spokenOf)
      for (let at = 0; at < items; at++) {
        seen.add(nonceOf((sealing.sealText('AAAA', SAID) as string).split('"')[3]!))
        texts++
      }
    })
  for (const [spokenOf, items] of [
    [1, 1],
    [1, 3],
    [0, 2],
    [5, 2],
    [5, 12],
  ] as const) {
    await request(spokenOf, items)
  }
  const requests = 10
  await untilBudget('thousands of encryptions under one key', requests, () => request(ITEMS, ITEMS))
  t.equal(seen.size, texts, `${texts} texts`)
})

tap.test('nobody but the system says a nonce', async t => {
  const { post } = await openTransit(t)
  await post('keys/plain')
  await post('keys/derived', { derived: true })
  await post('keys/same', { derived: true, convergent_encryption: true })
  await post('keys/x', { type: 'xchacha20-poly1305' })
  await post('keys/cbc', { type: 'aes256-cbc' })
  const context = b64('a')
  for (const name of ['plain', 'derived', 'same', 'x', 'cbc']) {
    const { ciphertext } = (await post(`encrypt/${name}`, { plaintext: '', context })).body.data
    for (const size of [1, 12, 16, 24]) {
      const nonce = b64(Buffer.alloc(size))
      const refused = { status: 400, text: 'nonce provided when not allowed' }
      t.match(await post(`encrypt/${name}`, { plaintext: '', context, nonce }), refused)
      t.match(await post(`datakey/wrapped/${name}`, { context, nonce }), refused)
      t.match(await post(`rewrap/${name}`, { ciphertext, context, nonce }), refused)
      const batch = await post(`encrypt/${name}`, {
        batch_input: [{ plaintext: '', context, nonce }],
      })
      t.equal(batch.body.data.batch_results[0].ciphertext, undefined)
      t.equal((await post(`encrypt/${name}`, { plaintext: '', context, iv: nonce })).status, 400)
    }
  }
})

tap.test('texts of convergent keys are equal within a context and a version alone', async t => {
  const { post } = await openTransit(t)
  await post('keys/same', { derived: true, convergent_encryption: true })
  await post('keys/same/rotate')
  await post('keys/other', { derived: true, convergent_encryption: true })
  const seal = async (name: string, data: Record<string, string | number>) =>
    (await post(`encrypt/${name}`, { plaintext: b64('text'), context: b64('a'), ...data })).body
      .data.ciphertext
  const first = await seal('same', {})
  t.equal(await seal('same', {}), first)
  for (const [name, data] of [
    ['same', { context: b64('b') }],
    ['same', { plaintext: b64('texts') }],
    ['same', { key_version: 1 }],
    ['other', {}],
  ] as const) {
    t.not(nonceOf(await seal(name, data)), nonceOf(first), JSON.stringify(data))
  }
})
