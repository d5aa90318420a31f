/**
 * Generated certificates and requests: what goes in comes out of our reader, of node's and of
 * OpenSSL's, and node-forge finds one encoding alone.
 */
import assert from 'node:assert'
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import forge from 'node-forge'
import t from 'tap'
import type { CertificateContent, GeneralNames } from '../../src/x509/certificate.ts'
import { makeRequest, readAnyRequest } from '../../src/x509/csr.ts'
import { extendedUsageOid, keyUsages } from '../../src/x509/extension.ts'
import { type DistinguishedName, fieldsOfName, nameOfFields } from '../../src/x509/name.ts'
import { tempFolder } from '../clients/process.ts'
import { propertyRuns } from '../run/budget.ts'
import { issued, keyKinds, leafContent, needsOpenssl, openssl, testAuthority } from './openssl.ts'

const key = keyKinds['P-256']().privateKey
const root = testAuthority()

// --- what is generated

/** Objects with the usual prototype, as those that are read have. */
const record = <T>(parts: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(parts, { noNullPrototype: true }) as fc.Arbitrary<T>

const text = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter(isWhole)
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,12}[a-z0-9])?$/)
const domain = fc.array(label, { minLength: 2, maxLength: 4 }).map(labels => labels.join('.'))
const some = <T>(one: fc.Arbitrary<T>, maxLength = 3) => fc.uniqueArray(one, { maxLength })
const uri = fc.tuple(fc.constantFrom('https', 'spiffe', 'urn'), domain, fc.webPath())
const arcs = fc.array(fc.nat(2 ** 40), { minLength: 1, maxLength: 6 })
const identifier = fc
  .tuple(fc.constantFrom('1.3.6', '2.16.840', '2.999'), arcs)
  .map(([root, rest]) => `${root}.${rest.join('.')}`)
const email = fc.tuple(label, domain).map(([user, host]) => `${user}@${host}`)
const names: fc.Arbitrary<Partial<GeneralNames>> = record({
  dnsNames: some(
    fc.oneof(
      domain,
      domain.map(name => `*.${name}`),
    ),
    5,
  ),
  emails: some(email),
  addresses: some(fc.oneof(fc.ipV4(), fc.ipV6().map(plain))),
  uris: some(uri.map(([scheme, host, path]) => `${scheme}://${host}${encodeURI(path)}`)),
  others: some(record({ oid: identifier, value: text })),
})
const subject = record({
  countries: some(fc.stringMatching(/^[A-Z]{2}$/)),
  organizations: some(text),
  units: some(text),
  localities: some(text, 1),
  provinces: some(text, 1),
  streets: some(text),
  postalCodes: some(fc.stringMatching(/^[0-9 -]{1,9}$/), 1),
  commonName: fc.option(text, { nil: undefined }),
  serialNumber: fc.option(fc.stringMatching(/^[0-9a-f]{1,12}$/), { nil: undefined }),
  userIds: some(text),
}).map(fields => ({ fields, name: nameOfFields(fields) }))
const policy = record({
  oid: identifier,
  cps: fc.option(
    domain.map(host => `http://${host}/`),
    { nil: undefined },
  ),
  notice: fc.option(text, { nil: undefined }),
})
const range = fc.oneof(fc.tuple(fc.ipV4(), fc.nat(32)), fc.tuple(fc.ipV6().map(plain), fc.nat(128)))
const trees = record({
  dnsNames: some(domain),
  emails: some(domain),
  addresses: some(range.map(([base, bits]) => `${base}/${bits}`)),
  uris: some(domain),
})
const extendedUsages = some(
  fc.oneof(fc.constantFrom('any', 'serverAuth', 'clientAuth', 'OCSPSigning'), identifier),
)
const second = fc
  .integer({ min: Date.UTC(1950, 0) / 1_000, max: Date.UTC(9999, 11, 31) / 1_000 })
  .map(seconds => new Date(seconds * 1_000))
const content = record({
  subject,
  names,
  extendedUsages,
  isAuthority: fc.boolean(),
  pathLength: fc.option(fc.nat(300), { nil: undefined }),
  usages: fc.subarray([...keyUsages]),
  serial: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  notBefore: second,
  notAfter: second,
  policies: fc.uniqueArray(policy, { maxLength: 3, selector: ({ oid }) => oid }),
  constraints: fc.option(record({ permitted: trees, excluded: trees }), { nil: undefined }),
  places: fc.array(
    domain.map(host => `http://${host}/x`),
    { maxLength: 3 },
  ),
})
type Generated = typeof content extends fc.Arbitrary<infer T> ? T : never

/** Characters that a control would make something else of are others' business. */
function isWhole(value: string): boolean {
  return value.isWellFormed() && !/[\p{Cc}\0]/u.test(value)
}
function plain(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1)
}

function contentOf(given: Generated): CertificateContent {
  const { subject: asked, places, constraints, pathLength, ...same } = given
  const sides = [constraints?.permitted, constraints?.excluded]
  const isEmpty = sides.every(side => Object.values(side ?? {}).every(list => list.length === 0))
  return leafContent(key, {
    ...same,
    subject: asked.name,
    statesNoAuthority: true,
    ...(same.isAuthority && pathLength !== undefined && { pathLength }),
    ...(constraints !== undefined && !isEmpty && { constraints }),
    aia: { issuers: places, ocsp: places },
    ...{ crl: places, deltaCrl: places },
  })
}

// --- what is looked at

/** Fields as they are read: several values in the order of their bytes. */
const sorted = (lists: object): object =>
  Object.fromEntries(
    Object.entries(lists).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.toSorted() : value || undefined,
    ]),
  )
/** An empty list and none are the same. */
const present = (lists: object = {}): object =>
  Object.fromEntries(Object.entries(lists).filter(([, list]) => list?.length > 0))
const sameName = (read: DistinguishedName, fields: object): void =>
  assert.deepStrictEqual(sorted(fieldsOfName(read)), sorted(fields))

function look(given: Generated): X509Certificate {
  const wanted = contentOf(given)
  const made = root.issue(wanted)
  sameName(made.subjectName, given.subject.fields)
  assert.deepStrictEqual(present(made.names), present(wanted.names))
  assert.deepStrictEqual(made.extendedUsages, wanted.extendedUsages)
  assert.deepStrictEqual(made.usages, wanted.usages)
  assert.deepStrictEqual(made.policies, wanted.policies)
  assert.deepStrictEqual([made.aia, made.crl, made.deltaCrl], [wanted.aia, wanted.crl, wanted.crl])
  assert.deepStrictEqual(made.isAuthority, wanted.isAuthority)
  assert.deepStrictEqual(made.pathLength, wanted.pathLength)
  assert.deepStrictEqual([made.notBefore, made.notAfter], [wanted.notBefore, wanted.notAfter])
  for (const side of ['permitted', 'excluded'] as const) {
    const [read, asked] = [made.constraints?.[side], wanted.constraints?.[side]]
    const { addresses: ours = [], ...rest } = (read ?? {}) as { addresses?: string[] }
    const { addresses = [], ...others } = asked ?? {}
    assert.deepStrictEqual(present(rest), present(others))
    assert.strictEqual(ours.length, addresses.length)
  }
  const theirs = new X509Certificate(made.der)
  assert.strictEqual(BigInt(`0x${theirs.serialNumber}`), BigInt(`0x${made.serial}`))
  assert.deepStrictEqual(
    [theirs.validFromDate, theirs.validToDate],
    [made.notBefore, made.notAfter],
  )
  assert.deepStrictEqual(theirs.keyUsage ?? [], wanted.extendedUsages.map(extendedUsageOid))
  assert.ok(theirs.verify(root.certificate.publicKey) && made.verify(root.certificate.publicKey))
  for (const name of wanted.names.dnsNames ?? []) {
    if (!name.startsWith('*')) assert.strictEqual(theirs.checkHost(name), name)
  }
  for (const address of wanted.names.addresses ?? []) {
    assert.strictEqual(theirs.checkIP(address), address)
  }
  const tree = forge.asn1.fromDer(forge.util.createBuffer(made.der.toString('latin1')))
  assert.strictEqual(forge.asn1.toDer(tree).getBytes(), made.der.toString('latin1'))
  return theirs
}

t.test('property: certificates', needsOpenssl, async t => {
  const pems: string[] = []
  fc.assert(
    fc.property(content, given => void pems.push(look(given).toString())),
    { numRuns: propertyRuns() },
  )
  const folder = tempFolder(t)
  const [all, bag] = [join(folder, 'all.pem'), join(folder, 'bag.pem')]
  writeFileSync(all, pems.join(''))
  openssl('crl2pkcs7', '-nocrl', '-certfile', all, '-out', bag)
  const shown = openssl('pkcs7', '-in', bag, '-print_certs', '-text', '-noout')
  t.equal(shown.match(/^Certificate:$/gm)?.length, pems.length)
  t.notMatch(shown, /<INVALID>|<unsupported>|<parse error>|unable to/i)
})

t.test('property: requests', async t => {
  fc.assert(
    fc.property(content, ({ subject: { name, fields }, names, usages, extendedUsages }) => {
      const read = readAnyRequest(
        makeRequest({ subject: name, names, usages, extendedUsages }, key),
      )
      sameName(read.subjectName, fields)
      assert.deepStrictEqual(present(read.names), present(names))
      assert.deepStrictEqual([read.usages, read.extendedUsages], [usages, extendedUsages])
      const again = issued(leafContent(key, { subject: read.subject, spki: read.spki }), key)
      assert.ok(again.subject.equals(read.subject), 'a subject is taken over as it is')
    }),
    { numRuns: propertyRuns() },
  )
  t.pass()
})
