/**
 * The rules over the seal's rows: to found a barrier, to change its keys, to count their use.
 *
 * Owns what each change writes, always in one transaction: it has happened, or it has not. Keys are
 * handed in; what is sealed is sealed here. Pure.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import type { WallMs } from '../../base/brand.ts'
import type { Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { type Decision, del, type Op, put } from '../../store/store.ts'
import {
  BARRIER_KEY,
  halts,
  type KeyringRow,
  keyrings,
  keyUseKey,
  keyUses,
  type SealRow,
  type ShareBackupRow,
  type ShareCounts,
  seals,
  shareBackups,
  type TrailStep,
} from '../../store/tables/seal.ts'
import type { Reader } from '../../store/view.ts'
import { dropAttempts } from './attempt.ts'
import {
  type KeyringContent,
  newestTerm,
  openBy,
  openContent,
  type RotationRules,
  sealBy,
  sealContent,
  wipeContent,
} from './content.ts'
import { KEY_SIZE_BYTES } from './keyring.ts'

/** Whoever waits for shares, and what a key seals its place by. */
export const sealOf = (view: Pick<Reader, 'get'>): SealRow | undefined =>
  view.get(seals, BARRIER_KEY)?.row

export const ALREADY = new Refusal(400, 'Vault is already initialized')
export const NOT_INITIALISED = new Refusal(400, 'Vault is not initialized')
export const NO_SHARES: ShareCounts = { shares: 0, threshold: 0 }

/** Whose shares authorise: the root's own, or the recovery key's. */
export const authorityOf = ({ type, shares, threshold, recovery }: SealRow): ShareCounts =>
  type === 'shamir' ? { shares, threshold } : recovery

const DEFAULT_RULES: RotationRules = {
  maxOperations: limits.termOperations,
  intervalMs: 0,
  isEnabled: true,
}

/** Where the root key is sealed: whoever changes the numbers of shares makes it useless. */
const rootPlace = (type: string, { shares, threshold }: ShareCounts): string =>
  `gatehouse/root-key/${type}/${shares}/${threshold}`

/** The root key, sealed by the key that is split into shares. */
export const sealRootKey = (
  rootKey: Buffer,
  sealKey: Buffer,
  counts: ShareCounts,
  random: Random,
): string => sealBy(sealKey, rootPlace('shamir', counts), rootKey, random)

/** The root key, where these shares were right. */
export const openRootKey = (row: SealRow, sealKey: Buffer): Buffer | undefined =>
  openBy(sealKey, rootPlace(row.type, row), row.sealedRootKey)

const trailPlace = (version: number): string => `gatehouse/trail/${version}`

/** What a new barrier begins with. */
export interface Founding {
  readonly rootKey: Buffer
  readonly seal: Omit<SealRow, 'initialisedAtMs'>
  readonly content: KeyringContent
}

/** The content of a first keyring. */
export function firstContent(
  now: WallMs,
  random: Random,
  keys: Pick<KeyringContent, 'sealKey' | 'recoveryDigest'>,
): KeyringContent {
  return {
    version: 1,
    terms: [{ term: 1, key: random.bytes(KEY_SIZE_BYTES), installedAtMs: now }],
    hashKey: random.bytes(KEY_SIZE_BYTES),
    rotation: DEFAULT_RULES,
    ...keys,
  }
}

/** Founds the barrier, with whatever else there is from its beginning. */
export function found<A>(
  view: Reader,
  { now, random }: { readonly now: WallMs; readonly random: Random },
  { rootKey, seal, content }: Founding,
  rest: Decision<A>,
): Decision<A> | Refusal {
  if (sealOf(view) !== undefined) return ALREADY
  const row: SealRow = { ...seal, initialisedAtMs: now }
  const { txn, answer } = rest
  return {
    txn: [put(seals, BARRIER_KEY, row), putContent(content, rootKey, random), ...txn],
    answer,
  }
}

/** The keyring's row, of a first version unless there is a trail that leads to it. */
function putContent(
  content: KeyringContent,
  rootKey: Buffer,
  random: Random,
  trail: readonly TrailStep[] = [],
): Op {
  const { version } = content
  const sealed = sealContent(content, rootKey, random)
  return put(keyrings, BARRIER_KEY, { sealed, version, trail })
}

/** The step from one version to the next, with those before it that are still of use. */
function trailTo(
  content: KeyringContent,
  rootKey: Buffer,
  {
    before,
    trail,
    now,
    random,
  }: {
    readonly before: KeyringContent
    readonly trail: readonly TrailStep[]
    readonly now: WallMs
    readonly random: Random
  },
): TrailStep[] {
  const { version } = content
  const keys = Buffer.concat([rootKey, newestTerm(content).key])
  const sealed = sealBy(newestTerm(before).key, trailPlace(version), keys, random)
  keys.fill(0)
  return [...freshSteps(trail, now), { version, atMs: now, sealed }].slice(-limits.sealTrailSteps)
}

const freshSteps = (trail: readonly TrailStep[], now: WallMs): TrailStep[] =>
  trail.filter(({ atMs }) => now - atMs < limits.sealTrailMs)

/**
 * The root key of a version, by the trail from an older one whose newest term is known; undefined
 * where no trail leads there. A copy.
 */
export function followTrail(
  { version, trail }: KeyringRow,
  known: Pick<KeyringContent, 'version' | 'terms'>,
): Buffer | undefined {
  let rootKey: Buffer | undefined
  let termKey: Buffer = Buffer.from(newestTerm(known).key)
  for (let at = known.version + 1; at <= version; at++) {
    const step = trail.find(one => one.version === at)
    const keys = step && openBy(termKey, trailPlace(at), step.sealed)
    termKey.fill(0)
    rootKey?.fill(0)
    if (keys?.length !== 2 * KEY_SIZE_BYTES) return undefined
    rootKey = keys.subarray(0, KEY_SIZE_BYTES)
    termKey = keys.subarray(KEY_SIZE_BYTES)
  }
  termKey.fill(0)
  return rootKey
}

/** Takes steps away that nobody should need any more; nothing where there are none. */
export function trimTrail(view: Reader, now: WallMs): Decision<true> {
  const row = view.get(keyrings, BARRIER_KEY)?.row
  const trail = row === undefined ? [] : freshSteps(row.trail, now)
  if (row === undefined || trail.length === row.trail.length) return { txn: [], answer: true }
  return { txn: [put(keyrings, BARRIER_KEY, { ...row, trail })], answer: true }
}

/** A change of the keyring. */
export interface Rewrite {
  /** The root key as this server knows it. */
  readonly rootKey: Buffer
  /** The root key from now on, where it changes, with the seal that holds it. */
  readonly next?: { readonly rootKey: Buffer; readonly seal: SealRow }
  readonly now: WallMs
  readonly random: Random
  change(content: KeyringContent): KeyringContent | Refusal
}

/** Somebody else has changed the keys, and this server has not heard of it yet. */
export const MOVED = new Refusal(503, 'the root key was changed just now; try again')

/** Writes the keyring anew. The answer is its version. */
export function rewrite(
  view: Reader,
  { rootKey, next, now, random, change }: Rewrite,
): Decision<number> | Refusal {
  const row = view.get(keyrings, BARRIER_KEY)?.row
  if (row === undefined) return NOT_INITIALISED
  const before = openContent(row.sealed, rootKey)
  if (before?.version !== row.version) return MOVED
  const changed = change(before)
  if (changed instanceof Refusal) {
    wipeContent(before)
    return changed
  }
  const content = { ...changed, version: before.version + 1 }
  const newRootKey = next?.rootKey ?? rootKey
  const trail = trailTo(content, newRootKey, { before, trail: row.trail, now, random })
  const written = putContent(content, newRootKey, random, trail)
  const txn = next === undefined ? [written] : [written, put(seals, BARRIER_KEY, next.seal)]
  wipeContent(before)
  wipeContent(content)
  return { txn, answer: content.version }
}

/** Begins a term behind one: nothing is done where that is not the newest any more. */
export const nextTerm =
  (behind: number, now: WallMs, key: Buffer) =>
  (content: KeyringContent): KeyringContent | Refusal => {
    const { term } = newestTerm(content)
    if (term !== behind) return OVERTAKEN
    const next = { term: term + 1, key: Buffer.from(key), installedAtMs: now }
    return { ...content, terms: [...content.terms, next] }
  }

/** Another server was faster; there is a new term, which is all that was wanted. */
export const OVERTAKEN = new Refusal(409, 'a new term was begun just now')

/** SHA-256 of a recovery key. */
export const digestOf = (key: Buffer): string => hash('sha256', key, 'hex')

/** Whether a key is the one of a digest. */
export function isOfDigest(key: Buffer, digest: string): boolean {
  const expected = Buffer.from(digest, 'hex')
  const given = Buffer.from(digestOf(key), 'hex')
  return expected.length === given.length && timingSafeEqual(expected, given)
}

/** Reserves texts of a term for a server. */
export function reserveUses(
  view: Reader,
  term: number,
  serverId: string,
  count: number,
): Decision<true> {
  const key = keyUseKey(term, serverId)
  const reserved = (view.get(keyUses, key)?.row.reserved ?? 0) + count
  return { txn: [put(keyUses, key, { term, serverId, reserved })], answer: true }
}

/** Forgets uses of terms that seal nothing any more. */
export const forgetUses = (keys: readonly string[]): Decision<true> => ({
  txn: keys.map(key => del(keyUses, key)),
  answer: true,
})

/**
 * Seals all servers, and ends with it what holders of shares have begun; the answer is how often
 * that was done.
 */
export function halt(view: Reader, now: WallMs): Decision<number> {
  const count = (view.get(halts, BARRIER_KEY)?.row.count ?? 0) + 1
  const txn = [put(halts, BARRIER_KEY, { count, atMs: now }), ...dropAttempts()]
  return { txn, answer: count }
}

/** How often operators have sealed all servers. */
export const haltsOf = (view: Pick<Reader, 'get'>): number =>
  view.get(halts, BARRIER_KEY)?.row.count ?? 0

/** What shares are of. */
export type ShareTarget = 'root' | 'recovery'

/** Keeps shares that are encrypted to those who hold them. */
export const keepBackup = (target: ShareTarget, row: ShareBackupRow): Op =>
  put(shareBackups, target, row)

export const dropBackup = (target: ShareTarget): Decision<true> => ({
  txn: [del(shareBackups, target)],
  answer: true,
})

const RULES_MIN_OPERATIONS = 1_000_000

/** Rules of rotation, or why they are none. An interval below the least is raised to it. */
export function checkRules(rules: RotationRules): RotationRules | Refusal {
  const { maxOperations, intervalMs } = rules
  if (maxOperations < RULES_MIN_OPERATIONS || maxOperations > limits.termOperations) {
    const range = `[${RULES_MIN_OPERATIONS},${limits.termOperations}]`
    return new Refusal(400, `max_operations must be in the range ${range}`)
  }
  const isTimed = intervalMs > 0
  return { ...rules, intervalMs: isTimed ? Math.max(intervalMs, limits.termIntervalMinMs) : 0 }
}
