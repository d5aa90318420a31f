import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import t from 'tap'
import type { Json } from '../../../../../src/secrets/field.ts'
import { needsOpenssl } from '../../../../x509/openssl.ts'
import type { TestSecrets } from '../../../harness.ts'
import { Files, openAuthority } from '../authority.ts'
import { serialsOfCold } from '../cold-rows.ts'
import { certificateIn, csrPem, makeRoot } from '../issue/giving.ts'

type Variables = readonly (readonly [name: string, expression: string])[]

const programOf = (variables: Variables, expression: string): Json => ({
  variables: variables.map(([name, text]) => ({ name, expression: text })),
  expression,
})

async function makeProgram(
  secrets: TestSecrets,
  name: string,
  variables: Variables,
  expression: string,
) {
  const data = { cel_program: programOf(variables, expression) }
  const { status, text } = await secrets.post(`pki/cel/roles/${name}`, data)
  if (status !== 200) throw new Error(text)
}

/** The form of the examples of OpenBao's page. */
const usual: Variables = [
  ['require_ip_sans', 'size(request.ip_sans) > 0'],
  ['success', "request.common_name == 'example.com' && require_ip_sans"],
  [
    'cert',
    `CertTemplate{
      Subject: PKIX.Name{CommonName: request.common_name, Country: ['ZW', 'US']},
      DNSNames: [request.common_name],
      KeyUsage: KeyUsage.KeyUsageDigitalSignature,
      ExtKeyUsage: [ExtKeyUsage.ExtKeyUsageServerAuth, ExtKeyUsage.ExtKeyUsageClientAuth],
      NotAfter: now + duration('2h'),
    }`,
  ],
  ['output', "ValidationOutput{template: cert, key_type: 'ec', warnings: ['as asked']}"],
  ['err', "'a request needs an address'"],
]

t.test('roles that are programs', async t => {
  const secrets = await openAuthority(t)
  t.equal((await secrets.list('pki/cel/roles')).status, 404)
  await makeProgram(secrets, 'web', usual, 'success ? output : err')
  t.strictSame((await secrets.list('pki/cel/roles')).body.data.keys, ['web'])
  const { body } = await secrets.read('pki/cel/roles/web')
  t.strictSame(body.data, { name: 'web', cel_program: programOf(usual, 'success ? output : err') })
  const patched = await secrets.ask('patch', 'pki/cel/roles/web', {
    data: { cel_program: { expression: "'no'" } },
  })
  t.strictSame(patched.body.data.cel_program, programOf(usual, "'no'"))
  t.equal((await secrets.remove('pki/cel/roles/web')).status, 204)
  t.equal((await secrets.read('pki/cel/roles/web')).status, 404)
  const gone = await secrets.ask('patch', 'pki/cel/roles/web', { data: {} })
  t.equal(gone.text, 'Unable to fetch cel role entry to patch')
})

t.test('programs that are none', async t => {
  const secrets = await openAuthority(t)
  const cases: readonly (readonly [Json, RegExp])[] = [
    [{}, /^cel_program.expression cannot be empty$/],
    [{ expression: '' }, /^cel_program.expression cannot be empty$/],
    [{ expression: '1 +' }, /^invalid cel_program: expression: line 1, column 3: /],
    [{ expression: 'a', variables: 'a' }, /^'cel_program.variables' must be a list$/],
    [{ expression: 'a', variables: [{ name: 'a' }] }, /^variable\[0\]: it needs a name and an/],
    [programOf([['a', '(']], 'a'), /^invalid cel_program: a: line 1/],
    [programOf([['request', '1']], 'a'), /^variable\[0\].request: not a name of its own$/],
    [
      programOf(
        [
          ['a', '1'],
          ['a', '2'],
        ],
        'a',
      ),
      /^variable\[1\].a: not a name of its own$/,
    ],
    [{ expression: '('.repeat(100) }, /nested too deeply/],
    [{ expression: `'${'a'.repeat(5_000)}'` }, /longer than/],
  ]
  for (const [program, text] of cases) {
    const got = await secrets.post('pki/cel/roles/x', { cel_program: program })
    t.equal(got.status, 400, got.text)
    t.match(got.text, text)
  }
  t.equal((await secrets.post('pki/cel/roles/x')).text, "missing required field 'cel_program'")
  t.equal((await secrets.post('pki/cel/issue/x')).text, 'CEL role not found')
})

t.test('a program gives a certificate, or says why not', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await makeRoot(secrets)
  await makeProgram(secrets, 'web', usual, 'success ? output : err')
  const refused = await secrets.post('pki/cel/issue/web', {
    common_name: 'example.com',
    ip_sans: [],
  })
  t.equal(refused.status, 400)
  t.equal(refused.text, 'a request needs an address')
  const said = { common_name: 'example.com', ip_sans: ['10.0.0.1'], whatever: 1 }
  const { body, status, text } = await secrets.post('pki/cel/issue/web', said)
  t.equal(status, 200, text)
  t.strictSame(body.warnings, ['as asked'])
  t.equal(files.verdict(body.data.certificate, { roots: [root.certificate] }), 'OK')
  const read = certificateIn(body.data.certificate)
  t.strictSame(read.subjectName, [
    ['C', 'US', 'ZW'],
    ['CN', 'example.com'],
  ])
  t.strictSame(read.names.dnsNames, ['example.com'])
  t.strictSame(read.usages, ['digitalSignature'])
  t.strictSame(read.extendedUsages, ['serverAuth', 'clientAuth'])
  t.equal(body.data.private_key_type, 'ec')
  t.equal(body.data.expiration - body.data.not_before, 7_230)
  t.ok((await serialsOfCold(secrets)).includes(body.data.serial_number.replaceAll(':', '')))
})

/** What the last expression alone comes to. */
async function outcome(secrets: TestSecrets, expression: string, data: Record<string, Json> = {}) {
  await makeProgram(secrets, 'one', [], expression)
  return secrets.post('pki/cel/issue/one', data)
}

t.test('what else a program may come to', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  const texts: readonly (readonly [string, RegExp])[] = [
    ['false', /^request denied$/],
    ['true', /^request denied$/],
    ['1', /^unexpected mainProgram result type/],
    ['PKIX.Name{}', /^unexpected mainProgram result type openbao.pki.PKIX.Name$/],
    ['ValidationOutput{}', /^template is nil$/],
    ['request.nothing', /^failed to evaluate cel_program: expression: /],
    ['nothing', /^failed to evaluate cel_program: expression: /],
    ['nothing()', /^failed to evaluate cel_program: expression: /],
    ["ValidationOutput{template: CertTemplate{}, key_type: 'dsa'}", /^invalid cel response/],
    ["ValidationOutput{template: CertTemplate{}, issuer_ref: 'x'}", /^could not fetch the CA/],
    ['ValidationOutput{template: CertTemplate{KeyUsage: 77}}', /^unknown KeyUsage 77$/],
    ["ValidationOutput{template: CertTemplate{DNSNames: ['é']}}", /^no certificate can say that/],
    ["ValidationOutput{template: CertTemplate{IPAddresses: [net.IP{IP: b'a'}]}}", /^bad IP addr/],
    [
      "ValidationOutput{template: CertTemplate{NotAfter: timestamp('9999-12-31T23:59:59Z')}}",
      /^cannot satisfy request, as TTL/,
    ],
    [
      '[1,2,3,4,5,6,7,8,9].map(a, [1,2,3,4,5,6,7,8,9].map(b, [1,2,3,4,5,6,7,8,9].map(c, [1,2,3,4,5,6,7,8,9].map(d, [1,2,3,4,5,6,7,8,9].map(e, a+b+c+d+e))))).size() > 0',
      /takes too many steps/,
    ],
  ]
  for (const [expression, text] of texts) {
    const got = await outcome(secrets, expression)
    t.equal(got.status, 400, expression)
    t.match(got.text, text, expression)
  }
  const both = await outcome(secrets, 'true', { ttl: '1h', not_after: '2030-01-01T00:00:00Z' })
  t.match(both.text, /^Either ttl or not_after should be provided/)
  const large = await outcome(secrets, 'true', { a: 'a'.repeat(70_000) })
  t.match(large.text, /^a program looks at no more than/)
})

t.test('all that a template can say', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await makeRoot(secrets)
  const template = [
    "Subject: PKIX.Name{CommonName: 'Sub CA', Organization: ['O'], SerialNumber: '7'}",
    'IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true',
    'KeyUsage: KeyUsage.KeyUsageCertSign',
    "PermittedDNSDomains: ['example.com'], ExcludedDNSDomains: ['bad.example.com']",
    "PermittedIPRanges: [net.IPNet{IP: net.IP{IP: b'\\x0a\\x00\\x00\\x00'}, Mask: net.IPMask{IPMask: b'\\xff\\x00\\x00\\x00'}}]",
    "EmailAddresses: ['a@example.com']",
    "IPAddresses: [net.IP{IP: b'\\x0a\\x00\\x00\\x01'}]",
    "URIs: [url.URL{Scheme: 'spiffe', Host: 'td', Path: '/a b'}, url.URL{Scheme: 'urn', Opaque: 'x'}]",
    'UnknownExtKeyUsage: [ObjectIdentifier{arc: [1u, 3u, 6u]}]',
    'Policies: [OID{arc: [1u, 2u, 3u]}]',
    "ExtraExtensions: [PKIX.Extension{Id: [1, 2, 3, 4], Value: b'\\x05\\x00'}]",
    "NotBefore: timestamp('2020-01-01T00:00:00Z'), NotAfter: now + duration('1h')",
  ]
  const how = "key_type: 'ed25519', no_store: true"
  const expression = `ValidationOutput{template: CertTemplate{${template.join(', ')}}, ${how}}`
  const before = await serialsOfCold(secrets)
  const { body, status, text } = await outcome(secrets, expression)
  t.equal(status, 200, text)
  t.strictSame(await serialsOfCold(secrets), before)
  const { certificate } = body.data
  t.equal(files.verdict(certificate, { roots: [root.certificate] }), 'OK')
  const shown = files.shown(certificate)
  for (const part of [
    /Subject: O = O, CN = Sub CA, serialNumber = 7/,
    /Basic Constraints: critical\n\s+CA:TRUE, pathlen:0/,
    /Key Usage: critical\n\s+Certificate Sign\n/,
    /Permitted:\n\s+DNS:example.com\n\s+IP:10.0.0.0\/255.0.0.0\n/,
    /Excluded:\n\s+DNS:bad.example.com/,
    /email:a@example.com, IP Address:10.0.0.1, URI:spiffe:\/\/td\/a%20b, URI:urn:x/,
    /Policy: 1.2.3/,
    /1.2.3.4: \n\s+\.\./,
    /Not Before: Jan {2}1 00:00:00 2020/,
  ]) {
    t.match(shown, part)
  }
})

t.test('a program that looks at a CSR', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  const variables: Variables = [
    ['name', 'parsed_csr.Subject.CommonName'],
    ['ok', "use_csr && name.endsWith('.example.com') && size(parsed_csr.DNSNames) == 1"],
    [
      'cert',
      'CertTemplate{Subject: PKIX.Name{CommonName: name.lowerAscii()}, DNSNames: parsed_csr.DNSNames}',
    ],
  ]
  await makeProgram(
    secrets,
    'csr',
    variables,
    'ok ? ValidationOutput{template: cert, generate_lease: true} : "no"',
  )
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const names = { dnsNames: ['a.example.com'], uris: ['urn:evil'] }
  const csr = csrPem({ commonName: 'A.example.com' }, privateKey, { names })
  const { body, status, text } = await secrets.post('pki/cel/sign/csr', { csr, ttl: '1h' })
  t.equal(status, 200, text)
  const read = certificateIn(body.data.certificate)
  t.strictSame(read.subjectName, [['CN', 'a.example.com']])
  t.strictSame(read.names.uris, [])
  t.ok(new X509Certificate(body.data.certificate).publicKey.equals(publicKey))
  t.match(body.lease_id, /^pki\/cel\/sign\/csr\//)
  t.notOk(Object.hasOwn(body.data, 'private_key'))
  const other = csrPem({ commonName: 'a.example.net' }, privateKey, { names })
  t.equal((await secrets.post('pki/cel/sign/csr', { csr: other })).text, 'no')
  t.equal((await secrets.post('pki/cel/sign/csr')).text, '"csr" is empty')
})

t.test('texts in programs', async t => {
  const secrets = await openAuthority(t)
  const cases: Readonly<Record<string, string>> = {
    "'a,b'.split(',')[1]": 'b',
    "['a','b'].join('-')": 'a-b',
    "['a','b'].join()": 'ab',
    "'aXa'.replace('X', 'yy')": 'ayya',
    "'ABC'.lowerAscii()": 'abc',
    "' x '.trim()": 'x',
    "check_valid_email('a@b.c') && !check_valid_email('a b') ? 'yes' : 'no'": 'yes',
    "request.list.exists(one, one == 'b') ? 'yes' : 'no'": 'yes',
    "request.count == 3 && request.half == 0.5 && request.on ? 'yes' : 'no'": 'yes',
    "has(request.none) ? 'yes' : 'no'": 'no',
    "now > timestamp('2020-01-01T00:00:00Z') && !use_csr ? 'yes' : 'no'": 'yes',
  }
  const data = { list: ['a', 'b'], count: 3, half: 0.5, on: true }
  for (const [expression, text] of Object.entries(cases)) {
    t.equal((await outcome(secrets, expression, data)).text, text, expression)
  }
  const huge = `'${'a'.repeat(500)}'`
  const growing = `${huge}.replace('a', ${huge}).replace('a', ${huge})`
  t.match((await outcome(secrets, growing)).text, /a text that is too long/)
})
