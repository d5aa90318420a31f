/**
 * Class 39, at length: ten million encryptions under one key, and no nonce twice.
 *
 * Nonces are kept as their 12 bytes in one block and sorted by parts, so that all of them are
 * compared with all others.
 */
import tap from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { Sealing } from '../../src/secrets/engine/transit/operation/sealing.ts'
import { keyAt } from '../../src/secrets/engine/transit/rows.ts'
import { reached } from '../run/budget.ts'
import { inStorage } from '../secrets/engine/transit/keys.ts'
import { openTransit } from '../secrets/engine/transit/transit.ts'

const TEXTS = 10_000_000
const ITEMS = 10_000
const SAID = { context: '', associated: '', nonce: '', version: 0, padding: '' }

tap.test('ten million texts under one key have ten million nonces', async t => {
  const { secrets, post } = await openTransit(t)
  await post('keys/k')
  const firsts = new BigUint64Array(TEXTS)
  const rests = new Uint32Array(TEXTS)
  let texts = 0
  await inStorage(secrets, storage => {
    const key = keyAt(storage, 'k')!
    while (texts < TEXTS) {
      const sealing = new Sealing({ storage, random: systemRandom }, key, ITEMS)
      for (let at = 0; at < ITEMS; at++, texts++) {
        const sealed = sealing.sealText('', SAID) as string
        const nonce = Buffer.from(sealed.split(':v1:')[1]!.slice(0, 16), 'base64')
        firsts[texts] = nonce.readBigUInt64BE(0)
        rests[texts] = nonce.readUInt32BE(8)
      }
    }
  })
  reached('encryptions under one key', texts)
  // Two that begin alike are looked for; of ten million, chance gives none in eight bytes.
  const sorted = firsts.slice().sort()
  const alike = new Set<bigint>()
  for (let at = 1; at < TEXTS; at++) if (sorted[at] === sorted[at - 1]) alike.add(sorted[at]!)
  const whole = new Set<string>()
  let repeats = 0
  for (let at = 0; alike.size > 0 && at < TEXTS; at++) {
    if (!alike.has(firsts[at]!)) continue
    const nonce = `${firsts[at]} ${rests[at]}`
    if (whole.has(nonce)) repeats++
    whole.add(nonce)
  }
  t.equal(repeats, 0)
})
