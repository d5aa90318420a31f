/**
 * Certificates that we make, as OpenSSL and node read them.
 */
import { execFileSync } from 'node:child_process'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { issueCertificate } from '../../src/x509/own.ts'
import { tempFolder } from '../clients/process.ts'
import { propertyRuns } from '../run/budget.ts'
import { absent, clientFile } from '../run/clients.ts'
import { contentOf, ecPair, makeAuthority } from './pki.ts'

const needsOpenssl = { skip: absent('openssl') }

const openssl = (...words: string[]): string =>
  execFileSync(clientFile('openssl'), words, { encoding: 'utf8' })

t.test(
  'OpenSSL verifies what is signed, strictly, for servers and clients',
  needsOpenssl,
  async t => {
    const folder = tempFolder(t)
    const authority = makeAuthority(folder)
    const both = authority.issue('both', {
      addresses: ['127.0.0.1', '2001:db8::1', '::', '::1.2.3.4'],
    })
    const verify = (file: string, purpose: string): string => {
      const words = ['-x509_strict', '-purpose', purpose, '-CAfile', authority.certFile, file]
      try {
        return openssl('verify', ...words).trim()
      } catch (error) {
        return String((error as { stderr: string }).stderr)
      }
    }
    for (const purpose of ['sslserver', 'sslclient']) {
      t.equal(verify(both.certFile, purpose), `${both.certFile}: OK`, purpose)
    }
    const server = authority.issue('server', { uses: ['serverAuth'] })
    t.match(verify(server.certFile, 'sslserver'), ': OK')
    t.match(verify(server.certFile, 'sslclient'), /unsupported certificate purpose|unsuitable/)
    const text = openssl('x509', '-in', both.certFile, '-noout', '-text')
    for (const line of [
      'Version: 3 (0x2)',
      'Signature Algorithm: ecdsa-with-SHA256',
      'Issuer: CN = test-ca',
      'CA:FALSE',
      'Digital Signature, Key Encipherment',
      'TLS Web Server Authentication, TLS Web Client Authentication',
      'DNS:localhost, DNS:both, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, ' +
        'IP Address:0:0:0:0:0:0:0:0, IP Address:0:0:0:0:0:0:102:304',
    ]) {
      t.ok(text.includes(line), line)
    }
    const ca = openssl('x509', '-in', authority.certFile, '-noout', '-text')
    t.match(ca, /Basic Constraints: critical\s+CA:TRUE/)
    t.match(ca, /Key Usage: critical\s+Digital Signature, Certificate Sign, CRL Sign/)
  },
)

t.test(
  'authorities that others made: RSA, Ed25519, odd names, no key id',
  needsOpenssl,
  async t => {
    const folder = tempFolder(t)
    const file = (name: string): string => join(folder, name)
    for (const algorithm of ['rsa:2048', 'ed25519', 'ec']) {
      const curve = algorithm === 'ec' ? ['-pkeyopt', 'ec_paramgen_curve:P-384'] : []
      openssl(
        ...['req', '-x509', '-newkey', algorithm, ...curve, '-nodes', '-days', '3'],
        ...['-subj', '/C=DE/O=Größe, "Co" + Söhne/CN=Test/CN=two', '-utf8', '-multivalue-rdn'],
        ...['-keyout', file('k.pem'), '-out', file('c.pem')],
      )
      const issuer = {
        certificate: readFileSync(file('c.pem'), 'utf8'),
        key: createPrivateKey(readFileSync(file('k.pem'))),
      }
      writeFileSync(
        file('leaf.pem'),
        issueCertificate(contentOf('leaf', ecPair().publicKey), issuer),
      )
      t.match(openssl('verify', '-CAfile', file('c.pem'), file('leaf.pem')), ': OK')
    }
  },
)

t.test('an authority that is none, or whose key is another, signs nothing', async t => {
  const authority = makeAuthority(tempFolder(t))
  const leaf = authority.issue('leaf')
  const { publicKey, privateKey } = ecPair()
  const content = contentOf('x', publicKey)
  t.throws(
    () => issueCertificate(content, { certificate: leaf.cert, key: privateKey }),
    /is none of an authority/,
  )
  t.throws(
    () => issueCertificate(content, { certificate: authority.cert, key: privateKey }),
    /is not the one of the authority/,
  )
  t.throws(() => issueCertificate(content, { certificate: 'nonsense', key: privateKey }))
})

t.test(
  'an authority of some domains signs for no others that OpenSSL would take',
  needsOpenssl,
  async t => {
    const folder = tempFolder(t)
    const { publicKey, privateKey } = ecPair()
    const content = {
      ...contentOf('narrow', publicKey, { isAuthority: true }),
      uris: [],
      permittedDomains: ['consul', 'localhost'],
    }
    const certificate = issueCertificate(content, { certificate: undefined, key: privateKey })
    writeFileSync(join(folder, 'ca.pem'), certificate)
    for (const [name, isFine] of [
      ['web.consul', true],
      ['web.example', false],
    ] as const) {
      const leaf = contentOf(name, ecPair().publicKey, { dnsNames: [name], addresses: [] })
      const path = join(folder, 'leaf.pem')
      writeFileSync(path, issueCertificate(leaf, { certificate, key: privateKey }))
      const verify = () =>
        openssl('verify', '-x509_strict', '-CAfile', join(folder, 'ca.pem'), path)
      if (isFine) t.match(verify(), ': OK')
      else t.throws(verify, /permitted subtree violation/)
    }
  },
)

t.test('dates on both sides of 2050', async t => {
  const { publicKey, privateKey } = ecPair()
  const content = contentOf('x', publicKey)
  const [notBefore, notAfter] = [new Date('2049-12-31T23:59:59Z'), new Date('2050-01-01T00:00:00Z')]
  const dated = { ...content, notBefore, notAfter }
  const made = new X509Certificate(
    issueCertificate(dated, { certificate: undefined, key: privateKey }),
  )
  t.same(made.validFromDate, notBefore)
  t.same(made.validToDate, notAfter)
})

t.test('property: names, serial numbers and keys come out as they went in', async () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)
  const serial = fc.uint8Array({ minLength: 1, maxLength: 20 })
  const keys: KeyObject[] = Array.from({ length: 4 }, () => ecPair().publicKey)
  keys.push(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey)
  const signer = ecPair().privateKey
  const verifier = createPublicKey(signer)
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 30 }),
      fc.uniqueArray(label, { maxLength: 5 }),
      fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 4 }),
      serial,
      fc.constantFrom(...keys),
      (name, dnsNames, addresses, number, key) => {
        const content = { ...contentOf(name, key, { dnsNames, addresses }), serial: number }
        const made = new X509Certificate(
          issueCertificate(content, { certificate: undefined, key: signer }),
        )
        const wanted = BigInt(`0x0${Buffer.from(number).toString('hex')}`)
        return (
          made.verify(verifier) &&
          BigInt(`0x${made.serialNumber}`) === wanted &&
          made.publicKey.equals(key) &&
          dnsNames.every(each => made.checkHost(each) === each) &&
          addresses.every(each => made.checkIP(each) === each)
        )
      },
    ),
    { numRuns: propertyRuns() },
  )
})
