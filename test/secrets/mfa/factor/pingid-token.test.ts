/** PingID's tokens, beside the request that its documentation shows and what jose makes. */
import { createHmac } from 'node:crypto'
import { CompactSign, compactVerify } from 'jose'
import t from 'tap'
import type { PingidConfig } from '../../../../src/secrets/mfa/factor/factor.ts'
import {
  pingidAnswer,
  pingidKey,
  pingidRequest,
} from '../../../../src/secrets/mfa/factor/pingid-token.ts'

const config: PingidConfig = {
  useBase64Key: 'JWC41crr322aUfdckVfJKHvGKNIPyAPGL7rMsTbzHlA=',
  ...{ useSignature: true, token: '1a2b3c4d5e6f', adminUrl: '', authenticatorUrl: '' },
  idpUrl: 'https://idpxnyl3m.pingidentity.com/pingid',
  orgAlias: 'aaaaaaaa-a1b2-123a-b456-1234abcd5678',
}
const key = pingidKey(config)!

/** The call of AddUser in "Send the API Request", without its signature: that key is not shown. */
const [HEADER, PAYLOAD] = [
  'eyJhbGciOiJIUzI1NiIsIm9yZ19hbGlhcyI6ImFhYWFhYWFhLWExYjItMTIzYS1iNDU2LTEyMzRhYmNkNTY3OCIsInRva' +
    '2VuIjoiMWEyYjNjNGQ1ZTZmIn0',
  'eyJyZXFIZWFkZXIiOnsibG9jYWxlIjoiZW4iLCJvcmdBbGlhcyI6ImFhYWFhYWFhLWExYjItMTIzYS1iNDU2LTEyMzRhY' +
    'mNkNTY3OCIsInNlY3JldEtleSI6IjFhMmIzYzRkNWU2ZiIsInRpbWVzdGFtcCI6IjIwMTUtMDktMDMgMTE6NTc6MjUu' +
    'MjI5IiwidmVyc2lvbiI6IjQuNiJ9LCJyZXFCb2R5Ijp7ImFjdGl2YXRlVXNlciI6ZmFsc2UsImNsaWVudERhdGEiOm5' +
    '1bGwsImVtYWlsIjoibWFyY2hlckBwaW5nZGV2ZWxvcGVycy5jb20iLCJmTmFtZSI6Ik1lcmVkaXRoIiwibG5hbWUiOi' +
    'JBcmNoZXIiLCJwaWNVcmwiOm51bGwsInJvbGUiOiJSRUdVTEFSIiwidXNlcm5hbWUiOiJtYXJjaGVyIn19',
]

t.test('a request is the one of the documentation, but for the version of the API', async t => {
  const shown = JSON.parse(Buffer.from(PAYLOAD, 'base64url').toString())
  const wallMs = Date.UTC(2015, 8, 3, 11, 57, 25, 229)
  const made = pingidRequest(config, key, shown.reqBody, wallMs)
  const [header, payload = '', signature] = made.split('.')
  t.equal(header, HEADER)
  const text = Buffer.from(payload, 'base64url').toString().replace('"4.9"', '"4.6"')
  t.equal(Buffer.from(text).toString('base64url'), PAYLOAD)
  const signed = createHmac('sha256', key).update(`${header}.${payload}`).digest('base64url')
  t.equal(signature, signed)
  t.ok(await compactVerify(made, key, { algorithms: ['HS256'] }))
})

t.test('keys: base64, also with the escape of the file that the documentation shows', async t => {
  const keyOf = (useBase64Key: string) => pingidKey({ ...config, useBase64Key })
  t.strictSame(keyOf('JWC41crr322aUfdckVfJKHvGKNIPyAPGL7rMsTbzHlA\\='), key)
  t.equal(key.length, 32)
  t.strictSame(keyOf('QQ=='), Buffer.from('A'))
  t.strictSame(keyOf('QUI='), Buffer.from('AB'))
  for (const text of [
    '',
    '=',
    'A',
    'AAAAA',
    'AAA',
    '====',
    'A=AA',
    'AAAA=',
    'AA AA',
    'AA-_',
    'é',
  ]) {
    t.equal(keyOf(text), undefined, text)
  }
})

const signed = (header: object, payload: string, by: Buffer = key): Promise<string> =>
  new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg: 'HS256', ...header }).sign(by)
const own = { token: config.token, orgAlias: config.orgAlias }
const RESPONSE = JSON.stringify({ responseBody: { errorId: 200 } })

t.test('answers: signed by the key, for this organisation and this client', async t => {
  const read = (text: string) => pingidAnswer(config, key, text)
  const right = await signed(own, RESPONSE)
  t.strictSame(read(right), { errorId: 200 })
  t.strictSame(read(`${right}\n`), { errorId: 200 })
  const older = { token: config.token, org_alias: config.orgAlias }
  t.strictSame(read(await signed(older, RESPONSE)), { errorId: 200 })
  const otherwise = await signed({ ...own, alg: 'HS512' }, RESPONSE, Buffer.alloc(64, 1))
  const none = `${Buffer.from(JSON.stringify({ ...own, alg: 'none' })).toString('base64url')}.`
  const cases: readonly (readonly [string, string])[] = [
    [await signed(own, RESPONSE, Buffer.alloc(32)), 'a token with a wrong signature'],
    [right.replace(/.$/, char => (char === 'A' ? 'B' : 'A')), 'a token with a wrong signature'],
    [right.replace(/\.[^.]*$/, '.'), 'no signed token'],
    [`${none}${Buffer.from(RESPONSE).toString('base64url')}.AA`, 'a token signed otherwise'],
    [otherwise, 'a token signed otherwise'],
    [await signed({ ...own, token: 'other' }, RESPONSE), 'a token for somebody else'],
    [await signed({ token: config.token }, RESPONSE), 'a token for somebody else'],
    [await signed({ ...own, orgAlias: 'other' }, RESPONSE), 'a token for somebody else'],
    [await signed({ ...older, orgAlias: 'other' }, RESPONSE), 'a token for somebody else'],
    [await signed(own, '{}'), 'a token without a response'],
    [await signed(own, '[]'), 'a token without a response'],
    [await signed(own, 'null'), 'a token without a response'],
    [await signed(own, '{"responseBody":[]}'), 'a token without a response'],
    [await signed(own, 'no JSON'), 'a token without a response'],
    [await signed(own, `{"responseBody":${'['.repeat(9_999)}`), 'a token without a response'],
    ...['', 'a.b', '<html>', '{}', 'a.b.c.d', `${right} ${right}`, 'é.é.é'].map(
      text => [text, 'no signed token'] as const,
    ),
    ['e30.e30.e30', 'a token signed otherwise'],
    ['bm8.e30.e30', 'a token without a header'],
  ]
  for (const [text, wrong] of cases) t.equal(read(text), wrong, text.slice(0, 40))
})

t.test('a header that wants more understood than there is', async t => {
  const head = Buffer.from(JSON.stringify({ alg: 'HS256', crit: ['b64'], b64: false, ...own }))
  const text = `${head.toString('base64url')}.${Buffer.from(RESPONSE).toString('base64url')}`
  const mac = createHmac('sha256', key).update(text).digest('base64url')
  t.equal(pingidAnswer(config, key, `${text}.${mac}`), 'a token signed otherwise')
})
