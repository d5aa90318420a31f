/**
 * Row 38: names get into a certificate by one checker, wherever they were asked for. Generated
 * roles are held against generated parameters and against CSRs of the same names, and both against
 * a second, slow definition; what is signed in the end says what was given and nothing else.
 */
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import type { Said } from '../../src/secrets/engine/pki/issue/wanted.ts'
import { wantedOf } from '../../src/secrets/engine/pki/issue/wanted.ts'
import {
  type Asker,
  allowed,
  type Granted,
  type Wanted,
} from '../../src/secrets/engine/pki/role/check.ts'
import { DEFAULTS, type RoleRow, settle } from '../../src/secrets/engine/pki/role/row.ts'
import { signNow } from '../../src/x509/algorithm.ts'
import { certificateBody, readCertificate } from '../../src/x509/certificate.ts'
import { type AnyRequest, makeRequest, readAnyRequest } from '../../src/x509/csr.ts'
import { DerError } from '../../src/x509/der.ts'
import { ContentError } from '../../src/x509/encode.ts'
import { nameOfFields } from '../../src/x509/name.ts'
import type { Draw } from '../fake/random.ts'
import { casesOf } from '../fuzz/cases.ts'
import { untilBudget } from '../run/budget.ts'
import { isAllowed } from '../secrets/engine/pki/role/reference.ts'

const key = generateKeyPairSync('ed25519')
const spki = key.publicKey.export({ type: 'spki', format: 'der' })

const domains = [
  'example.com',
  'EXAMPLE.org',
  'sub.example.com',
  '*.glob.net',
  'ftp*.example.com',
  '*',
  '*example.com',
  '{{identity.entity.name}}.id.com',
  '{{identity.entity.metadata.site}}',
  '*.{{identity.entity.metadata.site}}',
  '{{identity.entity.metadata.evil}}.com',
  '{{identity.entity.metadata.none}}.com',
  '{{unbalanced',
  'localhost',
  'münchen.de',
  'xn--mnchen-3ya.de',
  '10.0.0.1',
  'ann@example.com',
  '',
]
const uris = [
  'spiffe://td/*',
  'spiffe://td/{{identity.entity.name}}/*',
  'urn:*',
  'https://example.com/a',
  '{{identity.entity.metadata.evil}}',
  '*',
]
const ranges = ['10.0.0.0/8', '192.168.1.7/32', 'fd00::/8', '::/0', '0.0.0.0/0', '2001:db8::/33']
const others = ['1.2.3.4;UTF8:a*', '1.2.3.5;utf-8:*', '1.2.3.4;UTF8:exact']
const texts = ['a*', 'abc', 'ABC', '*', '']

const askers: readonly Asker[] = [
  { displayName: '', identity: undefined, namespace: '' },
  { displayName: 'ann@example.com', identity: undefined, namespace: '' },
  {
    displayName: 'token-ann',
    namespace: '',
    identity: {
      ...{ id: 'e-1', name: 'ann', aliases: [], groups: [] },
      metadata: { site: 'example.net', evil: '*' },
    },
  },
  {
    displayName: 'host.id.com',
    namespace: '',
    identity: {
      ...{ id: 'e-2', name: '*', aliases: [], groups: [] },
      metadata: { site: 'a.b/c', evil: 'evil\n' },
    },
  },
]

const some = <T>(draw: Draw, choices: readonly T[], most: number): T[] =>
  Array.from({ length: draw.below(most + 1) }, () => draw.pick(choices))

function roleFrom(draw: Draw): RoleRow {
  const settled = settle({
    ...DEFAULTS,
    allow_localhost: draw.chance(30),
    allow_token_displayname: draw.chance(30),
    allowed_domains: some(draw, domains, 3),
    allowed_domains_template: draw.chance(60),
    allow_bare_domains: draw.chance(50),
    allow_subdomains: draw.chance(50),
    allow_glob_domains: draw.chance(50),
    allow_wildcard_certificates: draw.chance(70),
    allow_any_name: draw.chance(15),
    enforce_hostnames: draw.chance(70),
    allow_ip_sans: draw.chance(70),
    allowed_ip_sans_cidr: some(draw, ranges, 2),
    allowed_uri_sans: some(draw, uris, 2),
    allowed_uri_sans_template: draw.chance(60),
    allowed_other_sans: draw.chance(20) ? ['*'] : some(draw, others, 2),
    allowed_serial_numbers: some(draw, texts, 2),
    allowed_user_ids: some(draw, texts, 2),
    require_cn: draw.chance(40),
    cn_validations: draw.pick([[], ['email'], ['hostname'], ['disabled'], ['email', 'hostname']]),
  })
  if (settled instanceof Refusal) throw new Error(settled.text)
  return settled.role
}

const heads = ['', '', 'www.', 'a.b.', '*.', 'a*b.', '*', 'w*.w*.', '-a.', 'A.', 'a_b.', 'ü.', '.']
const more = ['xn--mnchen-3ya.', 'xn--a.', 'ftp1.', 'x@', '@', 'x@y@', 'ann@', '*@', 'x@*.', '１.']
const bases = ['example.com', 'Example.COM', 'example.org', 'sub.example.com', 'x.glob.net']
const strange = ['evil.com', 'localhost', 'localdomain', 'ann.id.com', '*.id.com', 'example.net']
const addresses = ['10.0.0.1', '127.1', '0x7f.1', '2130706433', '1.2.3.256', '::1', '[fd00::1]']
const whole = ['münchen.de', '{{identity.entity.name}}.id.com', 'token-ann', 'host.id.com', 'com']
const tails = [
  '',
  '',
  '',
  '',
  '.',
  '..',
  '.evil.com',
  '\0.evil.com',
  ' ',
  '。com',
  '-',
  '%00',
  '/a',
]
const long = ['a'.repeat(63), 'a'.repeat(64), `${'a.'.repeat(126)}a`, `${'a.'.repeat(127)}a`]

function nameFrom(draw: Draw): string {
  const base = draw.pick([bases, bases, bases, strange, addresses, whole, long])
  return draw.pick([heads, heads, more]).at(draw.below(10))! + draw.pick(base) + draw.pick(tails)
}

const ips = ['10.1.2.3', '192.168.1.7', '8.8.8.8', '::1', 'fd00::1', '2001:db8:8000::1']
const mapped = ['::ffff:10.0.0.1', '::ffff:8.8.8.8', '2001:DB8:0:0::1', '0:0:0:0:0:ffff:a00:1']
const badIps = ['10.0.0.256', '010.0.0.1', 'fe80::1%eth0', '1.2.3', 'x']
const uriHeads = [
  'spiffe://td/',
  'spiffe://td/ann/',
  'urn:',
  'https://example.com/',
  'SPIFFE://td/',
]
const uriTails = [
  'a',
  '../b',
  'a/..',
  '%2e%2E/x',
  '.',
  'a?../b',
  'a#x',
  'é',
  ' ',
  '',
  'a\\..\\b',
  '*',
]

interface Case {
  readonly role: RoleRow
  readonly who: Asker
  readonly said: Said
}

/** A role, and somebody who asks for names of it, most of them not quite. */
function make(draw: Draw): Case {
  const names = some(draw, [0, 1, 2], 2).map(() => nameFrom(draw))
  const said = {
    role: '',
    issuer_ref: undefined,
    common_name: draw.chance(80) ? nameFrom(draw) : '',
    alt_names: draw.chance(60) ? names.join(',') : '',
    ip_sans: draw.chance(70) ? [] : some(draw, draw.pick([ips, ips, mapped, badIps]), 2),
    uri_sans: draw.chance(70)
      ? []
      : some(draw, [0, 1], 2).map(() => draw.pick(uriHeads) + draw.pick(uriTails)),
    other_sans: draw.chance(80) ? [] : some(draw, [...others, '1.2.3.4;UTF8:b', '1.9;UTF8:a'], 2),
    user_ids: draw.chance(80) ? [] : some(draw, ['abc', 'aBc', 'b', 'a\n'], 2),
    serial_number: draw.chance(80) ? '' : draw.pick(['abc', 'ABC', 'b', 'a\0']),
    exclude_cn_from_sans: draw.chance(20),
    ttl: 0,
    ...{ not_before: '', not_after: '', format: 'pem', private_key_format: 'der' },
    remove_roots_from_chain: false,
  }
  return { role: roleFrom(draw), who: draw.pick(askers), said }
}

/** A CSR that asks for the same; undefined where none can say it. */
function csrOf({ dnsNames, emails, addresses: ips, uris: uriNames, ...wanted }: Wanted) {
  const { commonName, serialNumber, userIds } = wanted
  const names = { dnsNames, emails, addresses: ips, uris: uriNames, others: wanted.others }
  try {
    const subject = nameOfFields({ commonName, serialNumber, userIds })
    return readAnyRequest(makeRequest({ subject, names }, key.privateKey))
  } catch (error) {
    if (error instanceof ContentError || error instanceof DerError) return undefined
    throw error
  }
}

const nothingSaid: Said = {
  ...{ role: '', issuer_ref: undefined, common_name: '', alt_names: '', ip_sans: [] },
  ...{ uri_sans: [], other_sans: [], user_ids: [], serial_number: '', ttl: 0, not_before: '' },
  ...{ not_after: '', format: 'pem', private_key_format: 'der' },
  ...{ exclude_cn_from_sans: false, remove_roots_from_chain: false },
}

const isGranted = (outcome: Granted | Refusal): outcome is Granted => !(outcome instanceof Refusal)

function fail(what: string): never {
  throw new Error(what)
}

let givenCount = 0
let csrCount = 0

function run({ role, who, said }: Case): void {
  const wanted = wantedOf(role, said, undefined)
  if (wanted instanceof Refusal) fail(wanted.text)
  const outcome = allowed(role, wanted, who)
  const expected = isAllowed(role, wanted, who)
  if (isGranted(outcome) !== expected) {
    fail(expected ? `refused: ${(outcome as Refusal).text}` : 'given, and must not be')
  }
  if (!isGranted(outcome) && outcome.status !== 400) fail('another status')
  const csr = csrOf(wanted)
  if (csr !== undefined) asByRequest({ role, who, said }, csr, outcome)
  if (!isGranted(outcome)) return
  givenCount += 1
  signed(outcome)
}

/** The same names in a CSR come to the same. */
function asByRequest({ role, who, said }: Case, csr: AnyRequest, outcome: Granted | Refusal): void {
  csrCount += 1
  const plain = { ...nothingSaid, exclude_cn_from_sans: said.exclude_cn_from_sans }
  const wanted = wantedOf(role, plain, csr)
  if (wanted instanceof Refusal) fail(wanted.text)
  const byCsr = allowed(role, wanted, who)
  if (isGranted(byCsr) !== isGranted(outcome)) fail('another outcome by a CSR')
  if (!isGranted(byCsr) || !isGranted(outcome)) return
  if (inAnyOrder(byCsr) !== inAnyOrder(outcome)) fail('other names by a CSR')
  // Whoever may not take names from CSRs is given none of them.
  const strict = { ...role, use_csr_sans: false, use_csr_common_name: false, require_cn: false }
  const without = wantedOf(strict, plain, csr)
  if (without instanceof Refusal) fail(without.text)
  const { commonName, dnsNames, emails, addresses: ips, uris: uriNames } = without
  if ([commonName, ...dnsNames, ...emails, ...ips, ...uriNames].join('') !== '') {
    fail('names of a CSR that must not count')
  }
}

/** The common name stands before what parameters say, and behind what a CSR does. */
function inAnyOrder({ subject, names }: Granted): string {
  const { dnsNames, emails, ...more } = names
  return JSON.stringify({
    subject,
    ...more,
    dnsNames: [...dnsNames].sort(),
    emails: [...emails].sort(),
  })
}

/** What was given stands in the certificate, and nothing else does. */
function signed({ subject, names }: Granted): void {
  const content = {
    ...{ names, spki, serial: Buffer.of(1), notBefore: new Date(0), notAfter: new Date(1e12) },
    ...{ isAuthority: false, usages: [], extendedUsages: [] },
  }
  const body = certificateBody(
    { ...content, subject: nameOfFields(subject) },
    { certificate: undefined, key: key.privateKey },
  )
  const read = readCertificate(signNow(body, key.privateKey))
  const { rest, ...said } = read.names
  if (rest.length > 0) fail('a name of another kind')
  const sorted = (all: object): string => JSON.stringify(Object.entries(all).sort())
  if (sorted(said) !== sorted(names)) fail(`${sorted(said)} for ${sorted(names)}`)
}

/** What of a case is not usual. */
function show({ role, who, said }: Case): string {
  const own = Object.entries(role).filter(([name, value]) => {
    return JSON.stringify(value) !== JSON.stringify(DEFAULTS[name as keyof RoleRow])
  })
  const asked = Object.entries(said).filter(([, value]) => value !== '' && String(value) !== '')
  return JSON.stringify({
    ...{ role: Object.fromEntries(own), said: Object.fromEntries(asked) },
    who: { displayName: who.displayName, name: who.identity?.name },
  })
}

const target = { make, run, show }

t.test('roles against parameters and CSRs', async t => {
  const count = await untilBudget('roles against requests', 200_000, casesOf(target), 2_000)
  t.ok(count >= 2_000)
  t.ok(givenCount > count / 50, `${givenCount} of ${count} were given`)
  t.ok(csrCount > count / 3, `${csrCount} of ${count} could be said by a CSR`)
})
