/**
 * Chains over authorities that signed each other in every way: straight, crossed, in circles.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { joined, without } from '../../../../../src/secrets/engine/pki/issuer/chain.ts'
import type { IssuerRow } from '../../../../../src/secrets/engine/pki/rows.ts'
import { signNow } from '../../../../../src/x509/algorithm.ts'
import { certificateBody, readCertificate } from '../../../../../src/x509/certificate.ts'
import { propertyRuns } from '../../../../run/budget.ts'
import { spkiOf } from '../../../../x509/openssl.ts'

/** Few names with a key each: whoever is signed again is a further certificate of the same. */
const authorities = Array.from({ length: 5 }, (_, at) => ({
  name: `Authority ${at}`,
  key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
}))

let serial = 1
/** The certificate of one authority, signed by another. */
function certify(child: number, parent: number): Buffer {
  const [below, above] = [authorities[child]!, authorities[parent]!]
  const said = {
    subject: [['CN', below.name]] as const,
    spki: spkiOf(below.key),
    serial: Buffer.from((++serial).toString(16).padStart(8, '0'), 'hex'),
    ...{ notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') },
    ...{ isAuthority: true, usages: ['keyCertSign'] as const, extendedUsages: [], names: {} },
  }
  if (child === parent) {
    return signNow(certificateBody(said, { certificate: undefined, key: below.key }), below.key)
  }
  const signer = readCertificate(certify(parent, parent))
  return signNow(certificateBody(said, { certificate: signer, key: above.key }), above.key)
}

function rowOf(at: number, der: Buffer): IssuerRow {
  return {
    ...{ id: `id-${at}`, name: '', keyId: '', der: der.toString('base64'), serial: '' },
    ...{ parents: [], manualChain: [], chain: [], leafBehavior: 'err', usages: [] },
    ...{ revocationAlgorithm: '', modifiedAtMs: 0 },
  }
}

/** Whoever signed it, and whoever signed those, as node sees it. */
function closure(rows: readonly IssuerRow[], row: IssuerRow): string[] {
  const certificates = new Map(
    rows.map(each => [each.id, new X509Certificate(Buffer.from(each.der, 'base64'))]),
  )
  const found = new Set([row.id])
  for (const id of found) {
    const child = certificates.get(id)!
    for (const [other, parent] of certificates) {
      if (other === id || child.issuer !== parent.subject) continue
      if (child.verify(parent.publicKey)) found.add(other)
    }
  }
  return [...found].sort()
}

const inOrder = (rows: readonly IssuerRow[]) =>
  rows.reduce<IssuerRow[]>((all, row) => joined(all, row), [])

const edges = fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 })), {
  ...{ minLength: 1, maxLength: 8 },
})

t.test('a chain is itself first, and everybody above it once, whoever came first', async t => {
  fc.assert(
    fc.property(edges, fc.nat(), (signed, seed) => {
      const rows = signed.map(([child, parent], at) => rowOf(at, certify(child, parent)))
      const all = inOrder(rows)
      const other = inOrder(rows.toSorted((a, b) => hash(a.id, seed) - hash(b.id, seed)))
      for (const row of all) {
        t.equal(row.chain[0], row.id)
        t.equal(new Set(row.chain).size, row.chain.length)
        t.strictSame([...row.chain].sort(), closure(rows, row))
        t.strictSame(other.find(({ id }) => id === row.id)!.chain, row.chain, 'in any order')
        if (row.parents.length === 1) t.equal(row.chain[1], row.parents[0])
      }
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('whoever goes leaves the chains as if he had never been', async t => {
  fc.assert(
    fc.property(edges, fc.nat(), (signed, which) => {
      const rows = signed.map(([child, parent], at) => rowOf(at, certify(child, parent)))
      const gone = rows[which % rows.length]!
      const left = without(inOrder(rows), gone)
      const never = inOrder(rows.filter(row => row !== gone))
      const told = (each: IssuerRow[]) => each.map(({ id, chain }) => [id, chain])
      t.strictSame(told(left), told(never))
    }),
    { numRuns: propertyRuns() },
  )
})

function hash(text: string, seed: number): number {
  let sum = seed | 0
  for (const char of text) sum = (Math.imul(sum, 31) + char.charCodeAt(0)) | 0
  return Math.imul(sum, 0x9e3779b1) | 0
}
