/** Passcodes by the vectors of RFC 4226 and RFC 6238, base32 by RFC 4648, and a phone's own. */
import fc from 'fast-check'
import t from 'tap'
import {
  base32,
  otpauthUrl,
  stepAt,
  stepsAround,
  type TotpParams,
  totpAlgorithms,
  totpCode,
} from '../../../src/secrets/mfa/totp.ts'
import { Phone } from './phone.ts'

const SEED = '12345678901234567890'

t.test('RFC 4226, appendix D', async t => {
  const codes = ['755224', '287082', '359152', '969429', '338314', '254676', '287922']
  codes.push('162583', '399871', '520489')
  for (const [step, code] of codes.entries()) {
    t.equal(totpCode(Buffer.from(SEED), step, { algorithm: 'SHA1', digits: 6 }), code)
  }
})

t.test('RFC 6238, appendix B', async t => {
  const keys = { SHA1: 20, SHA256: 32, SHA512: 64 }
  const table: readonly (readonly [number, string, string, string])[] = [
    [59, '94287082', '46119246', '90693936'],
    [1_111_111_109, '07081804', '68084774', '25091201'],
    [1_111_111_111, '14050471', '67062674', '99943326'],
    [1_234_567_890, '89005924', '91819424', '93441116'],
    [2_000_000_000, '69279037', '90698825', '38618901'],
    [20_000_000_000, '65353130', '77737706', '47863826'],
  ]
  for (const [seconds, ...codes] of table) {
    for (const [i, algorithm] of totpAlgorithms.entries()) {
      const key = Buffer.from(SEED.repeat(4).slice(0, keys[algorithm]))
      const step = stepAt(seconds * 1_000, { periodS: 30 })
      t.equal(totpCode(key, step, { algorithm, digits: 8 }), codes[i], `${seconds} ${algorithm}`)
    }
  }
})

t.test('RFC 4648, section 10, without padding', async t => {
  const table = { '': '', f: 'MY', fo: 'MZXQ', foo: 'MZXW6', foob: 'MZXW6YQ' }
  for (const [text, code] of Object.entries({
    ...table,
    fooba: 'MZXW6YTB',
    foobar: 'MZXW6YTBOI',
  })) {
    t.equal(base32(Buffer.from(text)), code)
  }
})

t.test('the steps around a time', async t => {
  t.strictSame(stepsAround(59_999, { periodS: 30, skew: 0 }), [1])
  t.strictSame(stepsAround(60_000, { periodS: 30, skew: 1 }), [1, 2, 3])
  t.strictSame(stepsAround(0, { periodS: 30, skew: 1 }), [0, 1], 'none is before the first')
})

t.test('a phone that reads the URL shows the same passcodes', async t => {
  const params = fc.record({
    algorithm: fc.constantFrom(...totpAlgorithms),
    digits: fc.constantFrom(6, 8),
    periodS: fc.integer({ min: 1, max: 86_400 }),
  })
  fc.assert(
    fc.property(
      params,
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.integer({ min: 0, max: 4_000_000_000_000 }),
      fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
      (chosen, key, nowMs, issuer) => {
        const all: TotpParams = { ...chosen, skew: 1 }
        const keyBase64 = Buffer.from(key).toString('base64')
        const url = otpauthUrl({ ...all, issuer, keyBase64 }, 'an entity')
        const ours = totpCode(Buffer.from(key), stepAt(nowMs, all), all)
        if (new Phone(url).at(nowMs) !== ours) throw new Error(url)
        const { host, pathname, searchParams } = new URL(url)
        if (host !== 'totp' || searchParams.get('issuer') !== issuer) throw new Error(url)
        if (decodeURIComponent(pathname) !== `/${issuer}:an entity`) throw new Error(pathname)
      },
    ),
  )
  t.pass()
})
