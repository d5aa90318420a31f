/**
 * Chains of issuers: who signed whom among those of a mount, and what is told as a chain.
 *
 * Owns the graph. A name with a key is an *authority*; it may have many certificates, given anew or
 * by others. Which authorities signed a certificate is found once, when it or they come; a chain is
 * put together from that alone. Cycles (two authorities that signed each other) are in each other's
 * chains. Pure.
 */
import { hash } from 'node:crypto'
import type { ParsedCertificate } from '../../../../x509/certificate.ts'
import type { Storage } from '../../../storage.ts'
import { type GraphRow, graphOf, type IssuerRow, issuerAt, issuersOf } from '../rows.ts'
import { issuerOfRow, type StoredIssuer } from './stored.ts'

/** What is known of a certificate as part of chains. */
export type Placed = Pick<IssuerRow, 'authority' | 'signers' | 'isSelfIssued' | 'mayCertify'>

/** The authority that a certificate is of: its name and its key. */
function authorityOf({ subject, publicKey }: ParsedCertificate): string {
  const key = publicKey.export({ type: 'spki', format: 'der' })
  return hash('sha256', Buffer.concat([subject, key]), 'base64url').slice(0, 22)
}

/** Where a certificate stands among issuers that are here. */
export function placed(rows: readonly IssuerRow[], added: ParsedCertificate): Placed {
  const { isSelfIssued, usages } = added
  const authority = authorityOf(added)
  const signers = new Set<string>()
  for (const row of rows) {
    if (!signers.has(row.authority) && isSignedBy(added, issuerOfRow(row).certificate)) {
      signers.add(row.authority)
    }
  }
  if (!signers.has(authority) && isSignedBy(added, added)) signers.add(authority)
  const mayCertify = usages.length === 0 || usages.includes('keyCertSign')
  return { authority, signers: [...signers], isSelfIssued, mayCertify }
}

/** The issuers that a new one signed, where its authority is new here; they say so now. */
export function signedBy(
  rows: readonly IssuerRow[],
  added: ParsedCertificate,
  { authority }: Placed,
): IssuerRow[] {
  if (rows.some(row => row.authority === authority)) return []
  return rows
    .filter(row => !row.signers.includes(authority))
    .filter(row => isSignedBy(issuerOfRow(row).certificate, added))
    .map(row => ({ ...row, signers: [...row.signers, authority] }))
}

const isSignedBy = (below: ParsedCertificate, above: ParsedCertificate): boolean =>
  below.issuer.equals(above.subject) && below.verify(above.publicKey)

/** Chains that were put together, by the id of their issuer. */
const chains = new WeakMap<GraphRow, Map<string, readonly StoredIssuer[]>>()

/** The chain of an issuer, itself first: the same list until a chain may become another. */
export function chainOf(storage: Storage, row: IssuerRow): readonly StoredIssuer[] {
  const graph = graphOf(storage)
  if (graph === undefined) return [issuerOfRow(row)]
  let known = chains.get(graph)
  if (known === undefined) {
    known = new Map()
    chains.set(graph, known)
  }
  let chain = known.get(row.id)
  if (chain === undefined) {
    chain = chainIn(issuersOf(storage), row).map(id => issuerOfRow(issuerAt(storage, id)!))
    known.set(row.id, chain)
  }
  return chain
}

/** Itself, then each that signed it with its own chain: those that end one before others. */
export function chainIn(rows: readonly IssuerRow[], row: IssuerRow): string[] {
  const byId = new Map(rows.map(each => [each.id, each]))
  if (row.manualChain.length > 0) return row.manualChain.filter(id => byId.has(id))
  const members = Map.groupBy(rows, each => each.authority)
  const seen = new Set<string>()
  const expanded = new Set<string>()
  const waiting = [row]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next.id)) continue
    seen.add(next.id)
    if (next.manualChain.length > 0) {
      for (const id of next.manualChain) if (byId.has(id)) seen.add(id)
      continue
    }
    const signers = next.signers.filter(each => !expanded.has(each))
    for (const each of signers) expanded.add(each)
    const parents = signers.flatMap(each => members.get(each) ?? []).filter(each => each.mayCertify)
    // The last is taken first.
    waiting.push(...parents.sort(byRank).reverse())
  }
  return [...seen]
}

/** Roots before intermediates; among themselves always in one order. */
const byRank = (a: IssuerRow, b: IssuerRow): number =>
  Number(b.isSelfIssued) - Number(a.isSelfIssued) || (a.id < b.id ? 1 : -1)
