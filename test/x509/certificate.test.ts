/**
 * Certificates of a PKI: what we write, OpenSSL and node read as it was meant; chains verify.
 */
import { sign, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { signBy } from '../../src/x509/algorithm.ts'
import {
  certificateBody,
  readCertificate,
  readCertificates,
  sha1KeyId,
  sha256KeyId,
} from '../../src/x509/certificate.ts'
import { ContentError } from '../../src/x509/encode.ts'
import { ExtensionOid, extendedUsageOid, keyUsages } from '../../src/x509/extension.ts'
import { fieldsOfName, nameOfFields } from '../../src/x509/name.ts'
import { tempFolder } from '../clients/process.ts'
import {
  issued,
  keyKinds,
  leafContent,
  needsOpenssl,
  openssl,
  type TestAuthority,
  testAuthority,
  verdict,
} from './openssl.ts'

const fields = {
  countries: ['DE', 'FR'],
  organizations: ['Two', 'Größe & Söhne'],
  units: ['Unit*'],
  localities: ['Köln'],
  provinces: ['NRW'],
  streets: ['Straße 1'],
  postalCodes: ['50667'],
  commonName: 'many fields',
  serialNumber: '0815',
  userIds: ['ada', 'bob'],
}

t.test('every field and extension, as OpenSSL prints it', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const root = testAuthority('P-384')
  const { privateKey } = keyKinds['P-256']()
  const content = leafContent(privateKey, {
    subject: nameOfFields(fields),
    usages: keyUsages,
    extendedUsages: [
      'any',
      'codeSigning',
      'emailProtection',
      'timeStamping',
      'OCSPSigning',
      '1.2.3.4',
    ],
    names: {
      dnsNames: ['*.leaf.example'],
      emails: ['ada@leaf.example'],
      addresses: ['192.0.2.1', '2001:db8::1'],
      uris: ['spiffe://leaf.example/a'],
      others: [{ oid: '1.3.6.1.4.1.311.20.2.3', value: 'ada@Größe.example' }],
    },
    statesNoAuthority: true,
    policies: [
      { oid: '1.3.6.1.4.1.1.1' },
      { oid: '2.999.77', cps: 'http://cps.example', notice: 'Beware of ü' },
    ],
    aia: { issuers: ['http://a.example/ca'], ocsp: ['http://a.example/ocsp'] },
    crl: ['http://a.example/crl', 'http://b.example/crl'],
    deltaCrl: ['http://a.example/delta'],
    extra: [
      { oid: ExtensionOid.acmeIdentifier, critical: true, value: Buffer.from('0400', 'hex') },
    ],
  })
  const leaf = root.issue(content)
  const file = join(folder, 'leaf.pem')
  writeFileSync(file, leaf.pem)
  const text = openssl('x509', '-in', file, '-noout', '-text', '-nameopt', 'RFC2253,-esc_msb,utf8')
  for (const line of [
    'UID=bob,UID=ada,serialNumber=0815,CN=many fields,postalCode=50667,street=Straße 1,ST=NRW',
    'L=Köln,OU=Unit*,O=Größe & Söhne+O=Two,C=FR+C=DE',
    'Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Key Agreement, ' +
      'Certificate Sign, CRL Sign, Encipher Only, Decipher Only',
    'Any Extended Key Usage, Code Signing, E-mail Protection, Time Stamping, OCSP Signing, 1.2.3.4',
    'DNS:*.leaf.example, email:ada@leaf.example, IP Address:192.0.2.1',
    'URI:spiffe://leaf.example/a, othername: UPN::ada@Größe.example',
    'Policy: 1.3.6.1.4.1.1.1',
    'CPS: http://cps.example',
    'Explicit Text: Beware of ü',
    'OCSP - URI:http://a.example/ocsp',
    'CA Issuers - URI:http://a.example/ca',
    'URI:http://b.example/crl',
    'CA:FALSE',
    'Signature Algorithm: ecdsa-with-SHA384',
  ]) {
    t.ok(text.includes(line), line)
  }
  t.match(text, /X509v3 Freshest CRL:\s+Full Name:\s+URI:http:\/\/a.example\/delta/)
  t.match(fieldsOfName(leaf.subjectName), fields)
  t.same(leaf.usages, keyUsages)
  t.same(leaf.extendedUsages, content.extendedUsages)
  t.match(leaf.names, content.names)
  t.same(leaf.policies[1], content.policies![1])
  t.same([leaf.aia, leaf.crl, leaf.deltaCrl], [content.aia, content.crl, content.deltaCrl])
  t.same(leaf.extensions.at(-1), content.extra![0])
  t.equal(leaf.serial, Buffer.from(content.serial).toString('hex').replace(/^00/, ''))
  t.same([leaf.notBefore, leaf.notAfter], [content.notBefore, content.notAfter])
  t.same(leaf.authorityKeyId, root.certificate.subjectKeyId)
  t.same(leaf.subjectKeyId, sha1KeyId(leaf.spki))
  t.notOk(leaf.isAuthority)
})

t.test(
  'a chain of every kind of key verifies; each signs as its kind does',
  needsOpenssl,
  async t => {
    const folder = tempFolder(t)
    const [rootFile, middleFile, leafFile] = ['root', 'middle', 'leaf'].map(name =>
      join(folder, name),
    )
    const ways = [
      ...(Object.keys(keyKinds) as (keyof typeof keyKinds)[]).map(kind => ({ kind, choice: {} })),
      ...(['sha256', 'sha384', 'sha512'] as const).flatMap(hash => [
        { kind: 'RSA 2048' as const, choice: { hash, usePss: true } },
        { kind: 'RSA 2048' as const, choice: { hash } },
        { kind: 'P-256' as const, choice: { hash } },
      ]),
    ]
    for (const { kind, choice } of ways) {
      const name = `${kind} ${JSON.stringify(choice)}`
      const root = testAuthority(kind, { subject: [['CN', 'root']] })
      const middle = testAuthority(kind, { subject: [['CN', 'middle']], pathLength: 0 }, root)
      const content = leafContent(keyKinds[kind]().privateKey)
      const { certificate, key } = middle
      const threads = { sign: async () => Promise.reject(new Error('not this one')) }
      const body = certificateBody(content, { certificate, key, ...choice })
      await t.rejects(signBy(threads, body, key), /not this one/)
      const leaf = readCertificate(
        await signBy(
          {
            sign: async ({ hash, data, key, padding, saltLength }) =>
              sign(hash, data, {
                ...{ key, padding },
                ...(saltLength === undefined ? {} : { saltLength }),
              }),
          },
          body,
          key,
        ),
      )
      writeFileSync(rootFile!, root.certificate.pem)
      writeFileSync(middleFile!, middle.certificate.pem)
      writeFileSync(leafFile!, leaf.pem)
      const words = ['-x509_strict', '-purpose', 'sslserver', '-CAfile', rootFile!]
      t.match(verdict(...words, '-untrusted', middleFile!, leafFile!), ': OK', name)
      t.ok(leaf.verify(certificate.publicKey), name)
      t.notOk(leaf.verify(root.certificate.publicKey), name)
      t.ok(
        root.certificate.isSelfIssued && root.certificate.verify(root.certificate.publicKey),
        name,
      )
      t.same(readCertificates(`${leaf.pem}\n${certificate.pem}`)[1]?.der, certificate.der)
      t.ok(new X509Certificate(leaf.der).publicKey.equals(leaf.publicKey))
    }
  },
)

t.test('name constraints that permit and that forbid, path lengths', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const file = (name: string): string => join(folder, name)
  const bounds = {
    permitted: {
      dnsNames: ['in.example'],
      emails: ['in.example'],
      addresses: ['10.0.0.0/8', 'fd00::/9'],
      uris: ['.in.example'],
    },
    excluded: { dnsNames: ['bad.in.example'], addresses: ['10.9.0.0/16'] },
  }
  const root = testAuthority('P-256', { constraints: bounds })
  t.match(root.certificate.constraints, bounds)
  writeFileSync(file('root'), root.certificate.pem)
  const cases: [object, boolean][] = [
    [{ dnsNames: ['a.in.example'] }, true],
    [{ dnsNames: ['out.example'] }, false],
    [{ dnsNames: ['x.bad.in.example'] }, false],
    [{ emails: ['a@in.example'] }, true],
    [{ emails: ['a@out.example'] }, false],
    [{ addresses: ['10.1.2.3', 'fd7f::1'] }, true],
    [{ addresses: ['10.9.2.3'] }, false],
    [{ addresses: ['fd80::1'] }, false],
    [{ uris: ['https://a.in.example/x'] }, true],
    [{ uris: ['https://out.example/x'] }, false],
  ]
  for (const [names, isFine] of cases) {
    const leaf = root.issue(leafContent(keyKinds['P-256']().privateKey, { names, subject: [] }))
    writeFileSync(file('leaf'), leaf.pem)
    const words = ['-x509_strict', '-CAfile', file('root'), file('leaf')]
    t.match(verdict(...words), isFine ? /: OK/ : /subtree violation/, JSON.stringify(names))
  }
  const short = testAuthority('P-256', { pathLength: 0 })
  const below: TestAuthority = testAuthority('P-256', { subject: [['CN', 'below']] }, short)
  const leaf = below.issue(leafContent(keyKinds['P-256']().privateKey))
  writeFileSync(file('short'), short.certificate.pem)
  writeFileSync(file('below'), below.certificate.pem)
  writeFileSync(file('leaf'), leaf.pem)
  t.equal(short.certificate.pathLength, 0)
  t.match(
    verdict('-CAfile', file('short'), '-untrusted', file('below'), file('leaf')),
    /path length constraint exceeded/,
  )
})

t.test('what has no form is refused before anything is signed', async t => {
  const { privateKey: key } = keyKinds['P-256']()
  const wrong: Record<string, object> = {
    'a name beyond ASCII': { names: { dnsNames: ['größe.example'] } },
    'no address': { names: { addresses: ['1.2.3'] } },
    'no range': { constraints: { permitted: { addresses: ['10.0.0.0/33'] }, excluded: {} } },
    'constraints without a name': { constraints: { permitted: {}, excluded: {} } },
    'no identifier': { extendedUsages: ['3.1'] },
    'half a character': { subject: [['CN', '\ud800']] },
    'a part that is not known': { subject: [['XX', 'a']] },
    'a year too far': { notAfter: new Date('+010000-01-01T00:00:00Z') },
    'a serial number of 22 bytes': { serial: Buffer.alloc(22, 1) },
  }
  for (const [name, more] of Object.entries(wrong)) {
    t.throws(() => issued(leafContent(key, more), key), ContentError, name)
  }
  t.equal(extendedUsageOid('serverAuth'), '1.3.6.1.5.5.7.3.1')
  t.equal(sha256KeyId(leafContent(key).spki).length, 20)
})
