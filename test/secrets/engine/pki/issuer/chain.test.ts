/**
 * Chains over authorities that signed each other in every way: straight, crossed, in circles.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { chainIn, placed, signedBy } from '../../../../../src/secrets/engine/pki/issuer/chain.ts'
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

interface Made {
  readonly id: string
  readonly der: Buffer
}

/** All of them as rows, come in this order. */
function inOrder(made: readonly Made[]): IssuerRow[] {
  let rows: IssuerRow[] = []
  for (const { id, der } of made) {
    const certificate = readCertificate(der)
    const place = placed(rows, certificate)
    const changed = signedBy(rows, certificate, place)
    rows = rows.map(row => changed.find(each => each.id === row.id) ?? row)
    rows.push({
      ...{ id, name: '', keyId: '', der: der.toString('base64'), serial: '', ...place },
      ...{ manualChain: [], leafBehavior: 'err', usages: [], revocationAlgorithm: '' },
      modifiedAtMs: 0,
    })
  }
  return rows
}

const chainsOf = (rows: readonly IssuerRow[]): Map<string, string[]> =>
  new Map(rows.map(row => [row.id, chainIn(rows, row)]))

/** Whoever signed it, and whoever signed those, as node sees it. */
function closure(made: readonly Made[], id: string): string[] {
  const certificates = new Map(made.map(each => [each.id, new X509Certificate(each.der)]))
  const found = new Set([id])
  for (const below of found) {
    const child = certificates.get(below)!
    for (const [other, parent] of certificates) {
      if (child.issuer !== parent.subject) continue
      if (child.verify(parent.publicKey)) found.add(other)
    }
  }
  return [...found].sort()
}

const edges = fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 })), {
  ...{ minLength: 1, maxLength: 8 },
})

const madeOf = (signed: readonly (readonly [number, number])[]): Made[] =>
  signed.map(([child, parent], at) => ({ id: `id-${at}`, der: certify(child, parent) }))

t.test('a chain is itself first, and everybody above it once, whoever came first', async t => {
  fc.assert(
    fc.property(edges, fc.nat(), (signed, seed) => {
      const made = madeOf(signed)
      const rows = inOrder(made)
      const chains = chainsOf(rows)
      const shuffled = made.toSorted((a, b) => hash(a.id, seed) - hash(b.id, seed))
      t.strictSame(
        chainsOf(inOrder(shuffled)),
        new Map(shuffled.map(m => [m.id, chains.get(m.id)])),
      )
      for (const [id, chain] of chains) {
        t.equal(chain[0], id)
        t.equal(new Set(chain).size, chain.length)
        t.strictSame([...chain].sort(), closure(made, id))
        const [own, next] = chain.map(each => rows.find(row => row.id === each)!)
        if (next !== undefined) t.ok(own!.signers.includes(next.authority), 'the next signed it')
      }
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('whoever goes leaves the chains as if he had never been', async t => {
  fc.assert(
    fc.property(edges, fc.nat(), (signed, which) => {
      const made = madeOf(signed)
      const gone = made[which % made.length]!
      const left = inOrder(made).filter(({ id }) => id !== gone.id)
      t.strictSame(chainsOf(left), chainsOf(inOrder(made.filter(each => each !== gone))))
    }),
    { numRuns: propertyRuns() },
  )
})

function hash(text: string, seed: number): number {
  let sum = seed | 0
  for (const char of text) sum = (Math.imul(sum, 31) + char.charCodeAt(0)) | 0
  return Math.imul(sum, 0x9e3779b1) | 0
}
