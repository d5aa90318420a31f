/**
 * Signing requests of a PKI: as OpenSSL makes them with everything in them, and as we do.
 */
import { createPublicKey, sign } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeRequest, readAnyRequest, requestBody } from '../../src/x509/csr.ts'
import { DerError } from '../../src/x509/der.ts'
import { isOid } from '../../src/x509/encode.ts'
import { fieldsOfName } from '../../src/x509/name.ts'
import { pemOf } from '../../src/x509/pem.ts'
import { tempFolder } from '../clients/process.ts'
import { keyKinds, needsOpenssl, openssl, spkiOf } from './openssl.ts'

const extensions = `
[req]
distinguished_name = dn
req_extensions = v3
string_mask = utf8only
prompt = no
utf8 = yes
[dn]
C = DE
O = Größe & Söhne
0.OU = one
1.OU = two
CN = web.example
emailAddress = ada@web.example
UID = ada
[v3]
basicConstraints = critical,CA:TRUE,pathlen:3
keyUsage = critical,digitalSignature,nonRepudiation,decipherOnly,keyAgreement
extendedKeyUsage = serverAuth,1.2.3.4.5
subjectKeyIdentifier = hash
nameConstraints = permitted;DNS:web.example,excluded;IP:10.0.0.0/255.0.0.0
certificatePolicies = 1.2.3.4,@cps
authorityInfoAccess = OCSP;URI:http://o.example,caIssuers;URI:http://c.example
crlDistributionPoints = URI:http://l.example
subjectAltName = @names
1.2.3.4.5.6 = ASN1:UTF8:extra
[cps]
policyIdentifier = 1.3.5.8
CPS.1 = "http://cps.example/"
userNotice.1 = @notice
[notice]
explicitText = "UTF8:careful"
[names]
DNS.1 = web.example
DNS.2 = *.web.example
IP.1 = 192.0.2.7
IP.2 = 2001:db8::7
URI.1 = spiffe://web.example/a
email.1 = ada@web.example
otherName.1 = 1.3.6.1.4.1.311.20.2.3;FORMAT:UTF8,UTF8:ada@größe
otherName.2 = 1.2.3.4;IA5:plain
RID.1 = 1.2.3.4
dirName.1 = dir
[dir]
CN = directory
`

t.test('what openssl makes with everything in it, we read', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const [config, keyFile, out] = ['c.cnf', 'k.pem', 'o.der'].map(name => join(folder, name))
  writeFileSync(config!, extensions)
  for (const [kind, make] of Object.entries(keyKinds)) {
    const { privateKey } = make()
    writeFileSync(keyFile!, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const ways = kind.startsWith('RSA')
      ? [['-sha512'], ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest']]
      : [[]]
    for (const way of ways) {
      const words = ['-key', keyFile!, '-config', config!, '-outform', 'DER', '-out', out!]
      openssl('req', '-new', ...words, ...way)
      const read = readAnyRequest(readFileSync(out!))
      t.ok(read.publicKey.equals(createPublicKey(privateKey)), kind)
      t.same(read.spki, spkiOf(privateKey))
      t.match(fieldsOfName(read.subjectName), {
        countries: ['DE'],
        organizations: ['Größe & Söhne'],
        units: ['one', 'two'],
        commonName: 'web.example',
        userIds: ['ada'],
      })
      t.match(read, {
        isAuthority: true,
        pathLength: 3,
        usages: ['digitalSignature', 'contentCommitment', 'keyAgreement', 'decipherOnly'],
        extendedUsages: ['serverAuth', '1.2.3.4.5'],
        constraints: {
          permitted: { dnsNames: ['web.example'] },
          excluded: { addresses: ['10.0.0.0/8'] },
        },
        policies: [
          { oid: '1.2.3.4' },
          { oid: '1.3.5.8', cps: 'http://cps.example/', notice: 'careful' },
        ],
        aia: { ocsp: ['http://o.example'], issuers: ['http://c.example'] },
        crl: ['http://l.example'],
        names: {
          dnsNames: ['web.example', '*.web.example'],
          addresses: ['192.0.2.7', '2001:db8::7'],
          uris: ['spiffe://web.example/a'],
          emails: ['ada@web.example'],
          others: [{ oid: '1.3.6.1.4.1.311.20.2.3', value: 'ada@größe' }],
        },
      })
      t.equal(read.names.rest.length, 3, 'kinds that nobody understands are kept')
      const last = read.extensions.find(({ oid }) => oid === '1.2.3.4.5.6')
      t.same(last?.value, Buffer.from('\x0c\x05extra'))
    }
  }
})

t.test('what we make, openssl reads', needsOpenssl, async t => {
  const file = join(tempFolder(t), 'request.pem')
  for (const [kind, make] of Object.entries(keyKinds)) {
    const { privateKey } = make()
    const content = {
      subject: [
        ['O', 'a', 'b'],
        ['CN', 'web'],
      ] as const,
      names: { emails: ['a@b.example'], addresses: ['fd00::1'] },
      isAuthority: true,
      usages: ['keyCertSign'] as const,
      extendedUsages: ['clientAuth'],
      extra: [{ oid: '1.2.3.4', critical: false, value: Buffer.from('0500', 'hex') }],
    }
    const der = makeRequest(content, privateKey)
    writeFileSync(file, pemOf('CERTIFICATE REQUEST', der))
    const text = openssl('req', '-in', file, '-noout', '-verify', '-text')
    t.match(text, /O = a \+ O = b, CN = web/, kind)
    t.match(text, /email:a@b.example, IP Address:FD00:0:0:0:0:0:0:1/)
    t.match(
      text,
      /CA:TRUE[\s\S]*Certificate Sign[\s\S]*TLS Web Client Authentication[\s\S]*1.2.3.4/,
    )
    t.match(readAnyRequest(der).names, content.names)
  }
  const { privateKey } = keyKinds['RSA 2048']()
  const choice = { hash: 'sha384', usePss: true } as const
  const body = requestBody({ subject: [] }, privateKey, spkiOf(privateKey), choice)
  const how = { key: privateKey, padding: body.padding!, saltLength: body.saltLength! }
  writeFileSync(file, pemOf('CERTIFICATE REQUEST', body.finish(sign('sha384', body.body, how))))
  t.match(openssl('req', '-in', file, '-noout', '-verify', '-text'), /rsassaPss/)
})

t.test('requests that prove nothing', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const [key, out] = [join(folder, 'k.pem'), join(folder, 'o.der')]
  openssl('genrsa', '-out', key, '2048')
  openssl('req', '-new', '-sha1', '-key', key, '-subj', '/CN=a', '-outform', 'DER', '-out', out)
  t.throws(() => readAnyRequest(readFileSync(out)), /algorithm that is not known/)
  t.throws(() => readAnyRequest(readFileSync(out)), DerError)
  openssl('req', '-new', '-key', key, '-subj', '/CN=a', '-outform', 'DER', '-out', out)
  const der = readFileSync(out)
  t.ok(readAnyRequest(der))
  der[der.length - 1]! ^= 1
  t.throws(() => readAnyRequest(der), /not signed by its own key/)
})

t.test('identifiers', async t => {
  for (const fine of ['2.5.4.3', '1.3.6.1.4.1.9007199254740991', '2.999', '0.39']) {
    t.ok(isOid(fine), fine)
  }
  for (const wrong of [
    '',
    '1',
    '3.1',
    '1.40',
    '1.2.',
    '1.02',
    'serverAuth',
    '1.2.-3',
    `1.2${'.3'.repeat(99)}`,
  ]) {
    t.notOk(isOid(wrong), wrong)
  }
})
