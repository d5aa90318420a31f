/**
 * The agents' CA: what its roots and leaves say, whom it issues to, when a root has had its time.
 *
 * Owns the rules. Pure: keys, serial numbers and times are handed in; a leaf says what an agent's
 * identity and role are, whatever its request asks for.
 */
import { type KeyObject, X509Certificate } from 'node:crypto'
import type { WallMs } from '../base/brand.ts'
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { AgentIdentity } from '../base/rpc.ts'
import { access, type Who } from '../base/who.ts'
import { type Decision, type Op, put } from '../store/store.ts'
import {
  type AgentRow,
  agentKey,
  agents,
  type CaRootRow,
  type CaUse,
  caRootKey,
  caRoots,
  caUses,
  joinTokenKey,
  joinTokens,
} from '../store/tables/cluster.ts'
import type { Reader } from '../store/view.ts'
import { DerError } from '../x509/der.ts'
import { issueCertificate } from '../x509/own.ts'
import { readRequest, type SigningRequest } from '../x509/own-request.ts'
import { joinTokenProblem } from './join-token.ts'
import { agentUri, nodeName, SERVER_NAME } from './names.ts'

/** A root with its key, ready to sign. */
export interface SigningRoot {
  readonly use: CaUse
  readonly generation: number
  readonly certificate: string
  readonly cross: string
  readonly key: KeyObject
}

/** What a new root is made of. */
export interface RootParts {
  readonly use: CaUse
  readonly generation: number
  readonly clusterId: string
  readonly publicKey: KeyObject
  readonly key: KeyObject
  readonly serial: Buffer
  readonly now: WallMs
  /** Who signs it as well, so that who trusts the old root trusts what the new one signs. */
  readonly before: SigningRoot | undefined
}

export const SERIAL_SIZE_BYTES = 16

/** Makes a root: its certificate, and the same key signed by the root before. */
export function makeRoot(parts: RootParts): SigningRoot {
  const { use, generation, clusterId, publicKey, key, serial, now, before } = parts
  const content = {
    subject: [['CN', `gatehouse ${use} ${clusterId} ${generation}`]] as const,
    publicKey,
    serial,
    notBefore: new Date(now - limits.caSkewMs),
    notAfter: new Date(now + limits.caRootMs),
    isAuthority: true,
    usages: ['digitalSignature', 'keyCertSign', 'cRLSign'] as const,
    extendedUsages: [],
    dnsNames: [],
    addresses: [],
    uris: [],
    permittedDomains: [],
  }
  const certificate = issueCertificate(content, { certificate: undefined, key })
  const cross = before === undefined ? '' : issueCertificate(content, before)
  return { use, generation, certificate, cross, key }
}

/** Whom a leaf is for, and where it is reached. */
export interface LeafSubject extends AgentIdentity {
  readonly clusterId: string
  /** For leaves of the store: IP addresses and names of the host. */
  readonly hosts: { readonly addresses: readonly string[]; readonly names: readonly string[] }
}

export interface Leaf {
  /** In PEM, with what leads to older roots. */
  readonly chain: string
  readonly serial: string
  readonly expiresAtMs: number
}

/** Issues a leaf. `crosses` are those of the root and of older ones, the newest first. */
export function issueLeaf(
  subject: LeafSubject,
  publicKey: KeyObject,
  root: SigningRoot,
  crosses: readonly string[],
  { serial, now }: { readonly serial: Buffer; readonly now: WallMs },
): Leaf {
  const { kind, nodeId, clusterId, hosts } = subject
  const isStore = root.use === 'store'
  const own = kind === 'server' ? [nodeName(nodeId), SERVER_NAME] : [nodeName(nodeId)]
  const expiresAtMs = now + limits.caLeafMs
  const certificate = issueCertificate(
    {
      subject: [['CN', nodeName(nodeId)]],
      publicKey,
      serial,
      notBefore: new Date(now - limits.caSkewMs),
      notAfter: new Date(expiresAtMs),
      isAuthority: false,
      usages: ['digitalSignature'],
      extendedUsages: ['serverAuth', 'clientAuth'],
      dnsNames: isStore ? [...new Set(['localhost', ...own, ...hosts.names])] : own,
      addresses: isStore ? [...new Set(['127.0.0.1', ...hosts.addresses])] : [],
      uris: isStore ? [] : [agentUri(clusterId, { kind, nodeId })],
      permittedDomains: [],
    },
    root,
  )
  const chain = [certificate, ...crosses.filter(cross => cross !== '')].join('')
  const { serialNumber } = new X509Certificate(certificate)
  return { chain, serial: serialNumber.toLowerCase(), expiresAtMs }
}

/**
 * Reads a request for a leaf and holds it against what its identity allows. Gives a Refusal that
 * says what is wrong, and nothing of its bytes.
 */
export function admissibleRequest(
  der: Buffer,
  { kind, nodeId, clusterId }: Omit<LeafSubject, 'hosts'>,
): SigningRequest | Refusal {
  try {
    const request = readRequest(der)
    const { asymmetricKeyType, asymmetricKeyDetails } = request.publicKey
    if (asymmetricKeyType !== 'ec' || asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
      return new Refusal(400, 'the signing request is not for a key of P-256')
    }
    const names = [nodeName(nodeId), ...(kind === 'server' ? [SERVER_NAME] : [])]
    const uris = [agentUri(clusterId, { kind, nodeId })]
    const isMore =
      request.addresses.length > 0 ||
      [...request.dnsNames, ...request.commonNames].some(name => !names.includes(name)) ||
      request.uris.some(uri => !uris.includes(uri))
    return isMore
      ? new Refusal(403, 'the signing request asks for more than this agent is')
      : request
  } catch (error) {
    if (error instanceof DerError) return new Refusal(400, `the signing request: ${error.message}`)
    throw error
  }
}

/** When a leaf is renewed: at half of its time, early or late by a tenth. */
export function renewalMs(issuedAtMs: number, expiresAtMs: number, fraction: number): number {
  const SPREAD = 0.1
  const half = 0.5 + SPREAD * (fraction - 0.5)
  return issuedAtMs + (expiresAtMs - issuedAtMs) * half
}

/** Roots of one use, the newest first. */
export const rootsOf = (view: Pick<Reader, 'prefix'>, use: CaUse): CaRootRow[] =>
  view
    .prefix(caRoots, '')
    .map(({ row }) => row)
    .filter(row => row.use === use)
    .reverse()

/** Whom a leaf was issued to, to be noted. */
export interface Issued extends AgentIdentity {
  readonly name: string
  readonly keyDigest: string
  readonly serial: string
  readonly root: number
  readonly expiresAtMs: number
}

/** Why a node id cannot be given to a key; undefined where it can. */
export function takenProblem(
  view: Reader,
  { nodeId, keyDigest }: Pick<Issued, 'nodeId' | 'keyDigest'>,
  now: WallMs,
): string | undefined {
  const row = view.get(agents, agentKey(nodeId))?.row
  if (row === undefined || row.keyDigest === keyDigest || row.revokedAtMs > 0) return undefined
  if (row.expiresAtMs <= now) return undefined
  return (
    `the node id ${nodeId} is taken by the agent ${row.name}: ` +
    'give this one an id of its own (node_id), or revoke that one first'
  )
}

/** Whether a join token let this very agent in: who repeats a join whose answer was lost. */
export function wasLetIn(
  view: Pick<Reader, 'get'>,
  { nodeId, keyDigest }: Pick<Issued, 'nodeId' | 'keyDigest'>,
  joinToken: string,
): boolean {
  const row = view.get(agents, agentKey(nodeId))?.row
  return row?.keyDigest === keyDigest && row.joinToken === joinToken.toLowerCase()
}

/** Notes an agent that a join token lets in. Refused with 401, 403 or 409. */
export function enterAgent(
  view: Reader,
  now: WallMs,
  issued: Issued,
  joinToken: string,
): Decision<true> | Refusal {
  const token = view.get(joinTokens, joinTokenKey(joinToken))
  const isAgain = wasLetIn(view, issued, joinToken)
  const problem = joinTokenProblem(token?.row, { kind: issued.kind, isAgain }, now)
  if (token === undefined || problem !== undefined) return new Refusal(401, problem ?? '')
  const row = view.get(agents, agentKey(issued.nodeId))?.row
  if (row !== undefined && row.revokedAtMs > 0 && row.keyDigest === issued.keyDigest) {
    return new Refusal(403, 'this agent was revoked: it needs a new key (remove its node-key.pem)')
  }
  const taken = takenProblem(view, issued, now)
  if (taken !== undefined) return new Refusal(409, taken)
  const uses = token.row.uses + (isAgain ? 0 : 1)
  const noted = agentRow(issued, now, token.row.id)
  return {
    txn: [
      put(agents, agentKey(issued.nodeId), noted),
      put(joinTokens, token.key, { ...token.row, uses }),
    ],
    answer: true,
  }
}

/** Notes a leaf that an agent of ours has got anew. Refused with 403 where it is none any more. */
export function renewAgent(view: Reader, now: WallMs, issued: Issued): Decision<true> | Refusal {
  const row = view.get(agents, agentKey(issued.nodeId))?.row
  if (row !== undefined && row.revokedAtMs > 0) return new Refusal(403, 'this agent was revoked')
  if (row !== undefined && row.keyDigest !== issued.keyDigest) {
    return new Refusal(403, 'this node id belongs to another key')
  }
  const noted = agentRow(issued, now, row?.joinToken ?? '')
  return { txn: [put(agents, agentKey(issued.nodeId), noted)], answer: true }
}

const agentRow = (issued: Issued, now: WallMs, joinToken: string): AgentRow => {
  const { nodeId, name, kind, keyDigest, serial, root, expiresAtMs } = issued
  const common = { nodeId, name, kind, keyDigest, serial, root, expiresAtMs }
  return { ...common, issuedAtMs: now, joinToken, revokedAtMs: 0 }
}

const WRITING = [access('write', 'operator')]

/** Lets an agent in no more, whatever certificate it shows. */
export function revokeAgent(
  view: Reader,
  who: Who,
  now: WallMs,
  nodeId: string,
): Decision<true> | Refusal {
  const refusal = refuse(who, WRITING)
  if (refusal !== undefined) return refusal
  const cell = view.get(agents, agentKey(nodeId))
  if (cell === undefined) return new Refusal(404, 'there is no agent with this node id')
  if (cell.row.revokedAtMs > 0) return { txn: [], answer: true }
  return { txn: [put(agents, cell.key, { ...cell.row, revokedAtMs: now })], answer: true }
}

/** Puts the roots that a server brings where the store has none of that use and generation. */
export function bringRoots(view: Reader, rows: readonly CaRootRow[]): Decision<true> {
  const isThere = ({ use, generation }: CaRootRow): boolean =>
    view.get(caRoots, caRootKey(use, generation)) !== undefined
  const missing = rows.filter(row => !isThere(row))
  const txn = missing.map(row => put(caRoots, caRootKey(row.use, row.generation), row))
  return { txn, answer: true }
}

/** Adds the roots of a rotation, which stand on those that they were made behind. */
export function addRoots(
  view: Reader,
  who: Who,
  rows: readonly CaRootRow[],
): Decision<true> | Refusal {
  const refusal = refuse(who, WRITING)
  if (refusal !== undefined) return refusal
  const isNext = ({ use, generation }: CaRootRow): boolean =>
    (rootsOf(view, use)[0]?.generation ?? 0) === generation - 1
  if (!rows.every(isNext)) return new Refusal(409, 'somebody else rotates the roots just now')
  if (rows.some(({ use }) => rootsOf(view, use).filter(isTrusted).length >= limits.caRoots)) {
    return new Refusal(
      409,
      'the last rotation is not over: agents still have leaves of older roots',
    )
  }
  const txn = rows.map(row => put(caRoots, caRootKey(row.use, row.generation), row))
  return { txn, answer: true }
}

const isTrusted = ({ retiredAtMs }: CaRootRow): boolean => retiredAtMs === 0

/** A root by its use and generation. */
export type RootName = Pick<CaRootRow, 'use' | 'generation'>

/**
 * Roots that signed nothing any more that is valid. One of the store is kept as long as a leaf of
 * its generation could be. Read outside of a rule: nothing is signed by a root behind the newest.
 */
export function overdueRoots(view: Pick<Reader, 'prefix'>, now: WallMs): RootName[] {
  const overdue: RootName[] = []
  for (const use of caUses) {
    const rows = rootsOf(view, use)
    for (const { generation, retiredAtMs } of rows.slice(1)) {
      if (retiredAtMs > 0) continue
      const next = rows.find(one => one.generation === generation + 1)
      const sinceMs = now - (next?.createdAtMs ?? now)
      // Whoever signed with it just when the next one came was not noted yet.
      if (sinceMs < limits.caOverlapMs) continue
      const isOver =
        use === 'agents'
          ? !view.prefix(agents, '').some(({ row }) => isOfRoot(row, generation, now))
          : sinceMs >= limits.caLeafMs + limits.caSkewMs
      if (isOver) overdue.push({ use, generation })
    }
  }
  return overdue
}

const isOfRoot = (row: AgentRow, generation: number, now: WallMs): boolean =>
  row.root <= generation && row.expiresAtMs > now && row.revokedAtMs === 0

/** Ends the trust in roots. */
export function retireRoots(view: Reader, roots: readonly RootName[], now: WallMs): Decision<true> {
  const txn: Op[] = []
  for (const { use, generation } of roots) {
    const cell = view.get(caRoots, caRootKey(use, generation))
    if (cell === undefined || cell.row.retiredAtMs > 0) continue
    txn.push(put(caRoots, cell.key, { ...cell.row, retiredAtMs: now }))
  }
  return { txn, answer: true }
}

/** What ties roots to those before them: crosses of the newest and of older ones, newest first. */
export function crossesOf(rows: readonly CaRootRow[]): string[] {
  const crosses: string[] = []
  for (const { cross } of rows) {
    if (cross === '' || crosses.length >= limits.caCrosses) break
    crosses.push(cross)
  }
  return crosses
}

/** Why an agent's certificate is not honoured though a root of ours signed it. */
export function refusedProblem(
  view: Reader,
  { nodeId, keyDigest }: { readonly nodeId: string; readonly keyDigest: string },
): string | undefined {
  const row = view.get(agents, agentKey(nodeId))?.row
  // Who was let in through another server a moment ago is not seen here yet.
  if (row === undefined) return undefined
  if (row.revokedAtMs > 0) return 'revoked'
  return row.keyDigest === keyDigest ? undefined : 'another key'
}
