/**
 * DER that strangers send, mutilated in many ways: a DerError, or what OpenSSL reads too.
 */
import assert from 'node:assert'
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { quickRandom } from '../../src/base/prng.ts'
import { signNow } from '../../src/x509/algorithm.ts'
import { readCertificate } from '../../src/x509/certificate.ts'
import { crlBody, crlEntry, readCrl } from '../../src/x509/crl.ts'
import { makeRequest, readAnyRequest } from '../../src/x509/csr.ts'
import { DerError, type DerNode, readDer } from '../../src/x509/der.ts'
import { keyUsages } from '../../src/x509/extension.ts'
import { readOcspRequest } from '../../src/x509/ocsp.ts'
import { pemBlocks } from '../../src/x509/pem.ts'
import { tempFolder } from '../clients/process.ts'
import { untilBudget } from '../run/budget.ts'
import { keyKinds, leafContent, needsOpenssl, openssl, testAuthority } from './openssl.ts'

/** Draws whole numbers below a bound: the same ones for the same case. */
interface Draw {
  below(bound: number): number
}

const seed = Number(process.env.SEED ?? 1)

function drawOf(index: number): Draw {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(seed)
  bytes.writeUInt32BE(index, 4)
  const random = quickRandom(bytes)
  return { below: bound => Math.floor(random.fraction() * bound) }
}

const root = testAuthority()
const leafKey = keyKinds['P-256']().privateKey
const everything = {
  usages: keyUsages,
  extendedUsages: ['serverAuth', '1.2.3.4'],
  names: {
    dnsNames: ['a.example', 'b.example'],
    emails: ['a@a.example'],
    addresses: ['10.0.0.1', 'fd00::1'],
    uris: ['https://a.example'],
    others: [{ oid: '1.2.3', value: 'ö' }],
  },
  isAuthority: true,
  pathLength: 2,
  constraints: {
    permitted: { dnsNames: ['a.example'], addresses: ['10.0.0.0/8'] },
    excluded: { emails: ['b.example'] },
  },
  policies: [{ oid: '1.2.3', cps: 'http://c', notice: 'n' }],
  aia: { issuers: ['http://i'], ocsp: ['http://o'] },
  crl: ['http://c'],
  deltaCrl: ['http://d'],
}
const certificate = root.issue(leafContent(leafKey, everything)).der

/** An element as tests bend it; content or children. */
interface Bent {
  tag: number
  content: Buffer
  children: Bent[] | undefined
  /** Written in place of the right one. */
  head?: Buffer
}

const bent = ({ tag, content, children }: DerNode): Bent => ({
  ...{ tag, content },
  children: (tag & 0x20) === 0 ? undefined : children.map(bent),
})

function written({ tag, content, children, head }: Bent): Buffer {
  const inner = children === undefined ? content : Buffer.concat(children.map(written))
  return Buffer.concat([head ?? Buffer.concat([Buffer.of(tag), lengthOf(inner.length)]), inner])
}

function lengthOf(size: number, extraZeros = 0): Buffer {
  if (size < 0x80 && extraZeros === 0) return Buffer.of(size)
  const hex = size.toString(16)
  const bytes = Buffer.from('00'.repeat(extraZeros) + (hex.length % 2 ? `0${hex}` : hex), 'hex')
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes])
}

const all = (node: Bent): Bent[] => [node, ...(node.children ?? []).flatMap(all)]

type Spoil = (node: Bent, random: Draw) => void

const inContent =
  (change: (content: Buffer, random: Draw) => Buffer): Spoil =>
  (node, random) => {
    node.content = change(node.content, random)
  }
const inIdentifier =
  (content: Buffer): Spoil =>
  node => {
    if (node.tag === 0x06) node.content = content
  }
const deepened: Spoil = (node, random) => {
  let deep: Bent = { tag: 0x05, content: Buffer.alloc(0), children: undefined }
  for (let i = random.below(60); i > 0; i--) {
    deep = { tag: 0x30, content: Buffer.alloc(0), children: [deep] }
  }
  if (node.children === undefined) node.content = written(deep)
  else node.children.push(deep)
}
const headed =
  (lengthOfIts: (node: Bent) => Buffer): Spoil =>
  node => {
    node.head = Buffer.concat([Buffer.of(node.tag), lengthOfIts(node)])
  }

/** Ways to spoil one element; what is around it stays right. */
const spoils: readonly Spoil[] = [
  headed(() => Buffer.of(0x80)),
  headed(node => lengthOf(written(node).length, 1)),
  (node, random) => {
    node.tag = random.below(256)
  },
  node => {
    node.tag ^= 0x20
  },
  inContent(content => Buffer.concat([Buffer.of(0), content])),
  inContent(content => Buffer.concat([Buffer.of(0xff), content])),
  inContent(() => Buffer.alloc(0)),
  inContent(content => Buffer.concat([content, content])),
  inContent((content, random) => {
    const copy = Buffer.from(content)
    if (copy.length > 0) copy[random.below(copy.length)]! ^= 1 << random.below(8)
    return copy
  }),
  node => void node.children?.pop(),
  node => void node.children?.shift(),
  node => void node.children?.reverse(),
  node => {
    if (node.children?.[0] !== undefined) node.children.push(node.children[0])
  },
  deepened,
  // An identifier of many arcs, and one of a huge one.
  inIdentifier(Buffer.alloc(5_000, 1)),
  inIdentifier(Buffer.concat([Buffer.alloc(300, 0xff), Buffer.of(1)])),
]

/** Bytes that were spoilt, and the same with an element of the tree spoilt, also inside strings. */
function mutant(der: Buffer, random: Draw): Buffer {
  const way = random.below(8)
  const copy = Buffer.from(der)
  if (way === 0) return copy.subarray(0, random.below(copy.length))
  if (way === 1) return Buffer.concat([copy, copy.subarray(random.below(copy.length))])
  if (way === 2) {
    for (let i = random.below(4); i >= 0; i--) copy[random.below(copy.length)] = random.below(256)
    return copy
  }
  if (way === 3) {
    copy[random.below(copy.length)]! ^= 1 << random.below(8)
    return copy
  }
  const tree = bent(readDer(der))
  // Octet strings of extensions hold DER of their own.
  for (const node of all(tree)) {
    if (node.tag !== 0x04) continue
    try {
      node.children = [bent(readDer(node.content))]
    } catch {}
  }
  for (let i = random.below(2); i >= 0; i--) {
    const nodes = all(tree)
    spoils[random.below(spoils.length)]!(nodes[random.below(nodes.length)]!, random)
  }
  return written(tree)
}

/** Runs a reader; its value, or undefined where it refuses with a DerError. */
function outcome<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return undefined
  }
}

function byOpenssl(der: Buffer, where: string): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch {
    throw new assert.AssertionError({ message: `OpenSSL refuses ${where}` })
  }
}

t.test('certificates: refused, or read as OpenSSL reads them', async t => {
  let taken = 0
  const verifier = root.certificate.publicKey
  const known = readCertificate(certificate)
  await untilBudget('mutilated certificates', 100_000, index => {
    const der = mutant(certificate, drawOf(index))
    const ours = outcome(() => readCertificate(der))
    if (ours === undefined) return
    taken++
    const where = `case ${index} of seed ${seed}: ${der.toString('hex')}`
    const theirs = byOpenssl(der, where)
    assert.strictEqual(BigInt(`0x${ours.serial}`), BigInt(`0x${theirs.serialNumber}`), where)
    assert.deepStrictEqual(ours.notBefore, theirs.validFromDate, where)
    assert.deepStrictEqual(ours.notAfter, theirs.validToDate, where)
    const names = [...(theirs.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^, ]*)/g)].map(
      m => m[1],
    )
    // A kind of name that nobody here understands is kept as it is; OpenSSL may refuse all for it.
    const isKnown = ours.names.rest.length === 0
    if (isKnown && ours.names.dnsNames.every(name => /^[a-z.]*$/.test(name))) {
      assert.deepStrictEqual([...ours.names.dnsNames], names, where)
    }
    const mayIssue = ours.usages.length === 0 || ours.usages.includes('keyCertSign')
    // OpenSSL calls the whole invalid, and none of an authority, for any extension that it does not
    // take; what says whether it is one must be untouched then.
    const isUntouched =
      ours.isAuthority === known.isAuthority &&
      ours.pathLength === known.pathLength &&
      ours.usages.join() === known.usages.join()
    if (ours.usages.length > 0 && !(isUntouched && !theirs.ca)) {
      assert.strictEqual(ours.isAuthority && mayIssue, theirs.ca, where)
    }
    assert.strictEqual(ours.verify(verifier), theirs.verify(verifier), where)
    const ourKey = outcome(() => ours.publicKey)
    if (ourKey !== undefined) assert.ok(ourKey.equals(theirs.publicKey), where)
  })
  t.ok(taken > 0, 'some were taken')
})

t.test('requests: everything that was changed is refused', async t => {
  const { isAuthority, usages, extendedUsages, names } = everything
  const content = { subject: [['CN', 'a']] as const, isAuthority, usages, extendedUsages, names }
  const request = makeRequest(content, leafKey)
  const known = readAnyRequest(request)
  await untilBudget('mutilated requests', 100_000, index => {
    const der = mutant(request, drawOf(index))
    const read = outcome(() => readAnyRequest(der))
    // Two spoils may undo each other; nothing that the key has not signed is taken.
    if (read === undefined) return
    assert.deepStrictEqual(read.extensions, known.extensions, `case ${index} of seed ${seed}`)
    assert.ok(read.subject.equals(known.subject) && read.spki.equals(known.spki))
  })
  t.pass()
})

t.test('lists: refused, or not signed', async t => {
  const now = new Date(Math.floor(Date.now() / 1000) * 1000)
  const entries = ['01', 'ff00', 'aa'].map(serial =>
    crlEntry({ serial, revokedAt: now, reason: 'superseded', invalidFrom: now }),
  )
  const content = { number: 3, thisUpdate: now, nextUpdate: now, entries, deltaOf: 2 }
  const list = signNow(await crlBody(content, root), root.key)
  const known = readCrl(list)
  await untilBudget('mutilated lists', 100_000, index => {
    const der = mutant(list, drawOf(index))
    const read = outcome(() => readCrl(der))
    if (read === undefined || !read.verify(root.certificate.publicKey)) return
    assert.deepStrictEqual(read.entries, known.entries, `case ${index} of seed ${seed}`)
  })
  t.pass()
})

t.test('OCSP requests', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const [issuer, file] = [join(folder, 'issuer'), join(folder, 'request')]
  writeFileSync(issuer, root.certificate.pem)
  openssl('ocsp', '-issuer', issuer, '-serial', '0x1234', '-serial', '5', '-reqout', file)
  const request = readFileSync(file)
  t.equal(readOcspRequest(request).questions[0]!.serial, '1234')
  await untilBudget('mutilated OCSP requests', 300_000, index => {
    const der = mutant(request, drawOf(index))
    const read = outcome(() => readOcspRequest(der))
    if (read === undefined) return
    assert.ok(read.questions.length > 0)
    for (const { certId } of read.questions) assert.ok(der.includes(certId))
  })
})

t.test('PEM', async t => {
  const pem = root.certificate.pem
  t.same(pemBlocks(`before\n${pem}between${pem}after`).length, 2)
  const wrong = {
    'no end': pem.replace('-----END', ''),
    'another end': pem.replace('END CERTIFICATE', 'END X'),
    'no base64': pem.replace(/\n[A-Z]/, '\n*'),
    headers: pem.replace('\n', '\nProc-Type: 4,ENCRYPTED\n\n'),
    'nothing in it': '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
    'cut off': pem.replace(/=*\n-----END/, 'A\n-----END').replace(/.(?=\n-----END)/, ''),
  }
  t.throws(() => pemBlocks(wrong['no end']), DerError)
  for (const [name, text] of Object.entries(wrong)) {
    if (name === 'cut off') continue
    t.throws(() => pemBlocks(text), DerError, name)
  }
})
