/**
 * Lists of revoked certificates: as OpenSSL reads them and refuses by them, and read again.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { signNow } from '../../src/x509/algorithm.ts'
import {
  type CrlContent,
  type CrlReason,
  crlBody,
  crlEntry,
  crlReasons,
  type ParsedCrl,
  readCrl,
} from '../../src/x509/crl.ts'
import { pemOf } from '../../src/x509/pem.ts'
import { tempFolder } from '../clients/process.ts'
import { keyKinds, leafContent, needsOpenssl, openssl, testAuthority, verdict } from './openssl.ts'

const HOUR_MS = 3_600_000
const atSecond = (ms: number): Date => new Date(Math.floor(ms / 1000) * 1000)
const now = atSecond(Date.now())
const dates = {
  thisUpdate: atSecond(Date.now() - HOUR_MS),
  nextUpdate: atSecond(Date.now() + HOUR_MS),
}

const listOf = async (
  authority: ReturnType<typeof testAuthority>,
  content: Partial<CrlContent>,
  usePss = false,
): Promise<Buffer> => {
  const { certificate, key } = authority
  const body = await crlBody(
    { number: 1, entries: [], ...dates, ...content },
    { certificate, key, usePss },
  )
  return signNow(body, key)
}

t.test('OpenSSL reads the list and refuses by it', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const file = (name: string): string => join(folder, name)
  for (const kind of Object.keys(keyKinds) as (keyof typeof keyKinds)[]) {
    const root = testAuthority(kind)
    const [revoked, fine] = [1, 2].map(() =>
      root.issue(leafContent(keyKinds['P-256']().privateKey)),
    )
    const entries = [crlEntry({ serial: revoked!.serial, revokedAt: now, reason: 'keyCompromise' })]
    writeFileSync(file('root'), root.certificate.pem)
    writeFileSync(file('revoked'), revoked!.pem)
    writeFileSync(file('fine'), fine!.pem)
    const list = await listOf(root, { number: 4_294_967_297, entries }, kind.startsWith('RSA'))
    writeFileSync(file('list'), pemOf('X509 CRL', list))
    const words = ['-x509_strict', '-crl_check', '-CAfile', file('root'), '-CRLfile', file('list')]
    t.match(verdict(...words, file('fine')), ': OK', kind)
    t.match(verdict(...words, file('revoked')), /certificate revoked/, kind)
    const text = openssl('crl', '-in', file('list'), '-noout', '-text', '-CAfile', file('root'))
    t.match(text, /Version 2[\s\S]*CRL Number:\s+4294967297[\s\S]*Key Compromise/)
    t.ok(readCrl(list).verify(root.key.asymmetricKeyType ? root.certificate.publicKey : root.key))
    t.notOk(readCrl(list).verify(fine!.publicKey))
  }
})

t.test('every field comes back', async t => {
  const root = testAuthority()
  const entries = (Object.keys(crlReasons) as CrlReason[]).map((reason, at) => ({
    serial: `${at.toString(16).padStart(2, '0')}ff${'80'.repeat(at)}`,
    revokedAt: new Date(+now - at * HOUR_MS),
    reason,
    invalidFrom: at % 2 === 0 ? new Date(+now - 2 * HOUR_MS) : undefined,
  }))
  // Zero has one digit, and a number no zeros in front.
  entries[0] = { ...entries[0]!, serial: '00' }
  const read = (content: Partial<CrlContent>): Promise<ParsedCrl> =>
    listOf(root, content).then(readCrl)
  const whole = await read({
    ...{ number: 7, entries: entries.map(crlEntry) },
    deltaCrl: ['http://a.example/delta'],
  })
  t.same(whole.entries, entries)
  t.match(whole, { number: 7, deltaOf: undefined, ...dates })
  t.same(whole.issuer, root.certificate.subject)
  t.same(whole.authorityKeyId, root.certificate.subjectKeyId)
  t.match(await read({ number: 9, deltaOf: 7 }), { number: 9, deltaOf: 7, entries: [] })
})

t.test('deltas add to a whole list', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const file = (name: string): string => join(folder, name)
  const root = testAuthority()
  const leaf = root.issue(
    leafContent(keyKinds['P-256']().privateKey, { deltaCrl: ['http://a.example'] }),
  )
  writeFileSync(file('root'), root.certificate.pem)
  writeFileSync(file('leaf'), leaf.pem)
  const whole = await listOf(root, { number: 1, deltaCrl: ['http://a.example'] })
  const entries = [crlEntry({ serial: leaf.serial, revokedAt: now })]
  const delta = await listOf(root, { number: 2, deltaOf: 1, entries })
  writeFileSync(file('lists'), [whole, delta].map(list => pemOf('X509 CRL', list)).join(''))
  writeFileSync(file('list'), pemOf('X509 CRL', whole))
  const check = (list: string): string =>
    verdict(
      ...['-crl_check', '-use_deltas', '-extended_crl'],
      ...['-CAfile', file('root'), '-CRLfile', file(list), file('leaf')],
    )
  t.match(check('list'), ': OK')
  t.match(check('lists'), /certificate revoked/)
})

t.test('a list of many is joined without holding the loop', async t => {
  const root = testAuthority()
  const MANY = 20_000
  const serials = Array.from({ length: MANY }, (_, at) =>
    (2 ** 40 + at).toString(16).padStart(20, '0'),
  )
  const entries = serials.map(serial => crlEntry({ serial, revokedAt: now }))
  const read = readCrl(await listOf(root, { entries }))
  t.equal(read.entries.length, MANY)
  t.equal(read.entries.at(-1)?.serial, serials.at(-1)?.replace(/^(00)+/, ''))
})
