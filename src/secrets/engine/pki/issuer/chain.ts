/**
 * Chains of issuers: who signed whom among those of a mount, and what is told as a chain.
 *
 * Owns the graph. Who signed whom is found once, when an issuer comes; a chain is then put together
 * from that alone. Cycles (two authorities that signed each other) and issuers that were given the
 * same name and key anew are in each other's chains. Pure.
 */
import type { IssuerRow } from '../rows.ts'
import { issuerOfRow } from './stored.ts'

/** Whether one certificate is signed by the key of another, which may sign certificates. */
function isSignedBy(child: IssuerRow, parent: IssuerRow): boolean {
  const [below, above] = [issuerOfRow(child).certificate, issuerOfRow(parent).certificate]
  if (!below.issuer.equals(above.subject)) return false
  if (above.usages.length > 0 && !above.usages.includes('keyCertSign')) return false
  // Both ids need not be said; where they are and differ, no verifier takes one for the other's.
  const { authorityKeyId } = below
  const { subjectKeyId } = above
  if (authorityKeyId && subjectKeyId && !authorityKeyId.equals(subjectKeyId)) return false
  return below.verify(above.publicKey)
}

/** All issuers with one more among them: whom it signed, and who signed it. */
export function joined(rows: readonly IssuerRow[], added: IssuerRow): IssuerRow[] {
  const parents = rows.filter(row => isSignedBy(added, row)).map(({ id }) => id)
  const others = rows.map(row =>
    isSignedBy(row, added) ? { ...row, parents: [...row.parents, added.id] } : row,
  )
  return linked([...others, { ...added, parents }])
}

/** All issuers but one. */
export function without(rows: readonly IssuerRow[], gone: IssuerRow): IssuerRow[] {
  const others = rows
    .filter(({ id }) => id !== gone.id)
    .map(row =>
      row.parents.includes(gone.id)
        ? { ...row, parents: row.parents.filter(id => id !== gone.id) }
        : row,
    )
  return linked(others)
}

/** The same issuers with their chains as they are now; those whose chain stays are the same rows. */
export function linked(rows: readonly IssuerRow[]): IssuerRow[] {
  const byId = new Map(rows.map(row => [row.id, row]))
  return rows.map(row => {
    const chain = chainIn(byId, row)
    return chain.join() === row.chain.join() ? row : { ...row, chain }
  })
}

/** Itself, then each that signed it with its own chain: those that end one before others. */
function chainIn(byId: ReadonlyMap<string, IssuerRow>, row: IssuerRow): string[] {
  if (row.manualChain.length > 0) return row.manualChain.filter(id => byId.has(id))
  const seen = new Set<string>()
  const waiting = [row]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next.id)) continue
    seen.add(next.id)
    if (next.manualChain.length > 0) {
      for (const id of next.manualChain) if (byId.has(id)) seen.add(id)
      continue
    }
    // The last is taken first.
    waiting.push(...parentsOf(byId, next).reverse())
  }
  return [...seen]
}

/** Roots before intermediates; among themselves always in one order. */
function parentsOf(byId: ReadonlyMap<string, IssuerRow>, row: IssuerRow): IssuerRow[] {
  const rows = row.parents.map(id => byId.get(id)).filter(each => each !== undefined)
  const isRoot = (each: IssuerRow): boolean => issuerOfRow(each).certificate.isSelfIssued
  return rows.sort((a, b) => Number(isRoot(b)) - Number(isRoot(a)) || (a.id < b.id ? 1 : -1))
}
