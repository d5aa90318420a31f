/**
 * What operators ask of the seal, answered as Vault's API does.
 *
 * Owns the forms of requests and answers of init, seal-status, unseal, key-status, rotate, rekey
 * and generate-root; attempts are the store's, so that any server goes on with them. Keys leave it
 * as shares alone: in the answer to whoever asked, or encrypted to the OpenPGP keys that he named.
 * Nothing is logged of them.
 */

import { base62 } from '../../base/base62.ts'
import { wallMs } from '../../base/brand.ts'
import type { Clock, Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { type Decision, isRefusal, type Store } from '../../store/store.ts'
import { type ShareBackupRow, type ShareCounts, shareBackups } from '../../store/tables/seal.ts'
import {
  type AttemptKind,
  cancelAttempt,
  openAttempt,
  type ShownAttempt,
  type Step,
  showAttempt,
  wipeAttempt,
} from './attempt.ts'
import { KEY_SIZE_BYTES } from './keyring.ts'
import { encryptTo, type PgpKey, readPgpKey } from './pgp.ts'
import {
  endRekey,
  GONE_ON,
  holdShares,
  kindOfRekey,
  type Rekey,
  type RekeyRequest,
  restartVerification,
  startRekey,
  takeNewShare,
  takeOldShare,
} from './rekey.ts'
import {
  encodeToken,
  fingerprintOf,
  type Recipient,
  ROOT_TOKEN_KIND,
  startRootToken,
  takeTokenShare,
} from './root-token.ts'
import { type MoreOps, SEALED, type SealRoom } from './seal.run.ts'
import { checkRules, digestOf, dropBackup, MOVED, NO_SHARES, type ShareTarget } from './seal.ts'
import { countsProblem, oddCountsProblem, readShare, sharesOf } from './shares.ts'

/** What the answers say of this server beside its seal. */
export interface ServerFacts {
  /** One that clients of Vault's accept. */
  readonly version: string
  readonly buildDate: string
  readonly clusterName: () => string
  readonly clusterId: () => string
  readonly storageType: string
}

export interface OperatorPorts {
  readonly room: SealRoom
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly facts: ServerFacts
}

export interface InitRequest {
  readonly secretShares: number
  readonly secretThreshold: number
  readonly pgpKeys: readonly string[]
  readonly rootTokenPgpKey: string
  readonly recoveryShares: number
  readonly recoveryThreshold: number
  readonly recoveryPgpKeys: readonly string[]
}

/** A body of an answer. */
export type Body = Readonly<Record<string, unknown>>

const refusal = (text: string): Refusal => new Refusal(400, text)
const NOT_YET = refusal('server is not yet initialized')

/** Shares as they are told: plain, or each encrypted to somebody. */
interface ToldShares {
  readonly told: readonly Buffer[]
  readonly fingerprints: readonly string[] | null
}

export class SealOperator {
  readonly #ports: OperatorPorts

  constructor(ports: OperatorPorts) {
    this.#ports = ports
  }

  // --- init, seal-status, unseal

  initStatus(): Body {
    return { initialized: this.#ports.room.state().isInitialised }
  }

  /** Founds the barrier: shares, or recovery shares, and a root token. */
  async init(request: InitRequest): Promise<Body | Refusal> {
    const { room } = this.#ports
    const { isAutomatic, type } = room.kind
    const problem = initProblem(request, isAutomatic, type)
    if (problem !== undefined) return refusal(problem)
    const counts = isAutomatic
      ? NO_SHARES
      : { shares: request.secretShares, threshold: request.secretThreshold }
    const recovery = isAutomatic
      ? { shares: request.recoveryShares, threshold: request.recoveryThreshold }
      : NO_SHARES
    const holders = this.#readKeys(isAutomatic ? request.recoveryPgpKeys : request.pgpKeys)
    const rootHolder =
      request.rootTokenPgpKey === '' ? [] : this.#readKeys([request.rootTokenPgpKey])
    if (holders instanceof Refusal) return holders
    if (rootHolder instanceof Refusal) return rootHolder
    const founded = await room.found({ counts, recovery })
    if (founded instanceof Refusal) return founded
    const { sealKey, recoveryKey } = founded
    const keys = this.#told(sealKey, counts, holders).told
    const recoveryKeys = this.#told(recoveryKey, recovery, holders).told
    const [holder] = rootHolder
    const { random } = this.#ports
    const token =
      holder === undefined
        ? founded.rootToken
        : encryptTo(holder, Buffer.from(founded.rootToken), random).toString('base64')
    const answer = {
      ...textsOf(keys),
      ...(recoveryKeys.length === 0 ? {} : recoveryTexts(recoveryKeys)),
      root_token: token,
    }
    wipeAll(sealKey, recoveryKey, ...keys, ...recoveryKeys)
    return answer
  }

  /** The shares of a key, as they are told; none where there is no key. */
  #told(key: Buffer | undefined, counts: ShareCounts, holders: readonly PgpKey[]): ToldShares {
    if (key === undefined) return { told: [], fingerprints: null }
    const { random } = this.#ports
    const shares = sharesOf(key, counts, random)
    if (holders.length === 0) return { told: shares, fingerprints: null }
    const told = shares.map((share, at) =>
      encryptTo(holders[at]!, Buffer.from(share.toString('hex')), random),
    )
    wipeAll(...shares)
    return { told, fingerprints: holders.map(({ fingerprint }) => fingerprint) }
  }

  #readKeys(texts: readonly string[]): PgpKey[] | Refusal {
    const now = wallMs(this.#ports.clock.wall())
    const keys = texts.map(text => readPgpKey(text, now))
    return keys.includes(undefined)
      ? refusal('error parsing given PGP key: it is none that can be encrypted to')
      : (keys as PgpKey[])
  }

  sealStatus(): Body {
    const { room, facts } = this.#ports
    const state = room.state()
    const { isSealed, isInitialised, counts, progress, nonce, reason } = state
    const isCluster = isInitialised && !isSealed
    return {
      type: state.type,
      initialized: isInitialised,
      sealed: isSealed,
      t: counts.threshold,
      n: counts.shares,
      progress,
      nonce,
      version: facts.version,
      build_date: facts.buildDate,
      migration: state.isMigrating,
      ...(isCluster ? { cluster_name: facts.clusterName(), cluster_id: facts.clusterId() } : {}),
      recovery_seal: state.isRecovery,
      ...(state.isRecovery ? { recovery_seal_type: 'shamir' } : {}),
      storage_type: facts.storageType,
      ...(isSealed ? { warnings: [`sealed: ${reason}`, 'the registry and DNS go on'] } : {}),
    }
  }

  async unseal(request: {
    readonly key: string
    readonly reset: boolean
    readonly migrate: boolean
  }): Promise<Body | Refusal> {
    const { room } = this.#ports
    if (request.reset) return room.resetShares() ?? this.sealStatus()
    if (request.key === '') return refusal(NO_KEY_OR_RESET)
    const share = readShare(request.key)
    if (share instanceof Refusal) return share
    const came = await room.unseal(share, request.migrate)
    return came instanceof Refusal ? came : this.sealStatus()
  }

  seal(): Promise<void> {
    return this.#ports.room.seal()
  }

  // --- the keyring

  keyStatus(): Body | Refusal {
    const { room } = this.#ports
    const term = room.term()
    if (term === undefined) return SEALED
    const installed = new Date(term.installedAtMs).toISOString()
    return { term: term.term, install_time: installed, encryptions: room.uses() }
  }

  rotate(): Promise<true | Refusal> {
    return this.#ports.room.rotate()
  }

  rotationConfig(): Body | Refusal {
    const rules = this.#ports.room.term()?.rotation
    if (rules === undefined) return SEALED
    const { maxOperations, intervalMs, isEnabled } = rules
    return { max_operations: maxOperations, interval: intervalMs / 1_000, enabled: isEnabled }
  }

  async setRotationConfig(given: {
    readonly maxOperations?: number | undefined
    readonly intervalMs?: number | undefined
    readonly isEnabled?: boolean | undefined
  }): Promise<true | Refusal> {
    return this.#ports.room.change(content => {
      const { rotation } = content
      const rules = checkRules({
        maxOperations: given.maxOperations ?? rotation.maxOperations,
        intervalMs: given.intervalMs ?? rotation.intervalMs,
        isEnabled: given.isEnabled ?? rotation.isEnabled,
      })
      return rules instanceof Refusal ? rules : { ...content, rotation: rules }
    })
  }

  /** A new root key, without shares; those that there are stay right. */
  rotateRoot(): Promise<true | Refusal> {
    return this.#ports.room.replaceRootKey()
  }

  // --- attempts

  /** Makes a step of an attempt, on the newest keys. */
  async #step<A>(rule: (step: Step) => Decision<A> | Refusal): Promise<A | Refusal> {
    const { room, store } = this.#ports
    for (let tries = 1; ; tries++) {
      const barrier = room.barrier()
      if (barrier === undefined) return SEALED
      const written = await store.write<A>((view, now, random) =>
        rule({ view, barrier, now, random }),
      )
      if (!isRefusal(written)) return written.answer
      if (written !== MOVED || tries === limits.sealChangeTries) return written
      await store.readIndex()
      room.look()
    }
  }

  /** What may be told of an attempt, as all servers know it now. */
  async #shown<W>(kind: AttemptKind): Promise<ShownAttempt<W> | undefined> {
    const { room, store, clock } = this.#ports
    await store.readIndex()
    const barrier = room.barrier()
    const now = wallMs(clock.wall())
    const found = barrier && openAttempt<W>(kind, { view: store.view(), barrier, now })
    if (found === undefined) return undefined
    wipeAttempt(found)
    return showAttempt(found)
  }

  // --- rekey

  /** Why nothing can be asked of a rekey now. */
  #refuseRekey(target: ShareTarget): Refusal | undefined {
    const { room } = this.#ports
    const { isInitialised, isRecovery } = room.state()
    if (!isInitialised) return NOT_YET
    if (target === 'recovery' && !isRecovery) return refusal('recovery rekeying not supported')
    return room.authority() === undefined ? SEALED : undefined
  }

  async rekeyStatus(target: ShareTarget): Promise<Body | Refusal> {
    const refused = this.#refuseRekey(target)
    if (refused !== undefined) return refused
    return this.#rekeyBody(await this.#shown<Rekey>(kindOfRekey(target)))
  }

  #rekeyBody(attempt: ShownAttempt<Rekey> | undefined): Body {
    const { request } = attempt?.what ?? {}
    const { held, nonce = '', progress = 0 } = attempt ?? {}
    return {
      nonce,
      started: attempt !== undefined,
      t: request?.threshold ?? 0,
      n: request?.shares ?? 0,
      progress,
      required: this.#ports.room.authority()?.counts.threshold ?? 0,
      pgp_fingerprints: request === undefined ? null : this.#fingerprints(request),
      backup: request?.backup ?? false,
      verification_required: request?.requireVerification ?? false,
      ...(held === undefined ? {} : { verification_nonce: held.nonce }),
    }
  }

  #fingerprints({ pgpKeys }: RekeyRequest): readonly string[] | null {
    const keys = this.#readKeys(pgpKeys)
    if (keys instanceof Refusal || keys.length === 0) return null
    return keys.map(({ fingerprint }) => fingerprint)
  }

  /** Begins an attempt. */
  async rekeyStart(target: ShareTarget, given: RekeyRequest): Promise<Body | Refusal> {
    const refused = this.#refuseRekey(target) ?? this.#refuseRequest(target, given)
    if (refused !== undefined) return refused
    const isAutomatic = this.#ports.room.state().isRecovery
    const counts = target === 'root' && isAutomatic ? { shares: 1, threshold: 1 } : {}
    const request = { ...given, ...counts }
    const attempt = await this.#step(step => startRekey(target, request, step))
    if (attempt instanceof Refusal) return attempt
    const hasNoShares = this.#ports.room.authority()?.counts.shares === 0
    // Nobody holds a share that could authorise: who may ask at all is enough.
    return hasNoShares ? this.#authorised(target, attempt) : this.#rekeyBody(attempt)
  }

  #refuseRequest(target: ShareTarget, given: RekeyRequest): Refusal | undefined {
    const { pgpKeys, backup, requireVerification } = given
    if (backup && pgpKeys.length === 0) {
      return refusal(
        'cannot request a backup of the new keys without providing PGP keys for encryption',
      )
    }
    if (target === 'root' && this.#ports.room.state().isRecovery) {
      const when = 'when rekeying the barrier key with recovery keys'
      if (pgpKeys.length > 0) return refusal(`PGP key encryption not supported ${when}`)
      if (requireVerification) return refusal(`requiring verification not supported ${when}`)
      return undefined
    }
    const problem = countsProblem(given)
    if (problem !== undefined) return refusal(`invalid rekey seal configuration: ${problem}`)
    if (pgpKeys.length > 0 && pgpKeys.length !== given.shares) {
      return refusal('incorrect number of PGP keys for rekey')
    }
    const keys = this.#readKeys(pgpKeys)
    return keys instanceof Refusal ? keys : undefined
  }

  /**
   * Ends an attempt. Who has shown a right of his own needs no nonce; nobody else ends what he does
   * not know the nonce of.
   */
  async rekeyCancel(target: ShareTarget, nonce: string, mayEnd: boolean): Promise<true | Refusal> {
    const refused = this.#refuseRekey(target)
    if (refused !== undefined) return refused
    return this.#step(step => cancelAttempt(kindOfRekey(target), { nonce, mayEnd }, step))
  }

  /** Takes a share of the old key; the new shares, once there are enough. */
  async rekeyUpdate(target: ShareTarget, key: string, nonce: string): Promise<Body | Refusal> {
    const refused = this.#refuseRekey(target)
    if (refused !== undefined) return refused
    const share = givenShare(key)
    if (share instanceof Refusal) return share
    try {
      return await this.#untilSettled(() => this.#takeOldShare(target, share, nonce))
    } finally {
      share.fill(0)
    }
  }

  async #takeOldShare(target: ShareTarget, share: Buffer, nonce: string): Promise<Body | Refusal> {
    const { room } = this.#ports
    const taken = await this.#step(step => {
      const old = room.oldShares(step.view, target)
      return old instanceof Refusal ? old : takeOldShare(target, { share, nonce }, old, step)
    })
    if (taken instanceof Refusal) return taken
    const { attempt, isAuthorised } = taken
    return isAuthorised ? this.#authorised(target, attempt) : this.#rekeyBody(attempt)
  }

  /** Tries anew what somebody was faster with: by what he did it may be refused. */
  async #untilSettled(work: () => Promise<Body | Refusal>): Promise<Body | Refusal> {
    for (let tries = 1; ; tries++) {
      const done = await work()
      if (done !== GONE_ON || tries === limits.sealChangeTries) return done
    }
  }

  /** Makes the new shares of an attempt that was authorised. */
  async #authorised(target: ShareTarget, attempt: ShownAttempt<Rekey>): Promise<Body | Refusal> {
    const { random, room } = this.#ports
    const { nonce, sealed } = attempt
    const { request } = attempt.what
    const hasShares = target === 'recovery' || !room.state().isRecovery
    const holders = this.#readKeys(request.pgpKeys)
    if (holders instanceof Refusal) return holders
    const key = hasShares ? random.bytes(KEY_SIZE_BYTES) : undefined
    const { told, fingerprints } = this.#told(key, request, holders)
    const backup = backupOf(nonce, request, { told, fingerprints })
    const answer = {
      nonce,
      complete: true,
      ...textsOf(told),
      pgp_fingerprints: fingerprints,
      backup: request.backup,
      verification_required: request.requireVerification,
    }
    wipeAll(...told)
    try {
      if (request.requireVerification && key !== undefined) {
        const kept = { key, backup }
        const waits = await this.#step(step => holdShares(target, sealed, kept, step))
        if (waits instanceof Refusal) return waits
        return { ...answer, verification_nonce: waits.held?.nonce ?? '' }
      }
      const done = await this.#replace(target, key, request, endRekey(target, sealed, backup))
      return done instanceof Refusal ? done : answer
    } finally {
      wipeAll(key)
    }
  }

  /** Has the new key authorise from now on, which ends the attempt. */
  #replace(
    target: ShareTarget,
    key: Buffer | undefined,
    { shares, threshold }: ShareCounts,
    end: MoreOps,
  ): Promise<true | Refusal> {
    const { room } = this.#ports
    const counts = { shares, threshold }
    if (key === undefined) return room.replaceRootKey(undefined, end)
    if (target === 'root') return room.replaceRootKey({ key, counts }, end)
    const recoveryDigest = digestOf(key)
    return room.change(content => ({ ...content, recoveryDigest }), { recovery: counts }, end)
  }

  async verifyStatus(target: ShareTarget): Promise<Body | Refusal> {
    const refused = this.#refuseRekey(target)
    if (refused !== undefined) return refused
    const attempt = await this.#shown<Rekey>(kindOfRekey(target))
    return attempt === undefined ? refusal('no rekey configuration found') : verifyBody(attempt)
  }

  /** Takes a new share that is shown; the change itself, once they were right. */
  async verifyUpdate(target: ShareTarget, key: string, nonce: string): Promise<Body | Refusal> {
    const refused = this.#refuseRekey(target)
    if (refused !== undefined) return refused
    const share = givenShare(key)
    if (share instanceof Refusal) return share
    try {
      return await this.#untilSettled(() => this.#takeNewShare(target, share, nonce))
    } finally {
      share.fill(0)
    }
  }

  async #takeNewShare(target: ShareTarget, share: Buffer, nonce: string): Promise<Body | Refusal> {
    const given = { share, nonce }
    const shown = await this.#step(step => takeNewShare(target, given, step))
    if (shown instanceof Refusal) return shown
    const { attempt, key } = shown
    if (key === undefined) return verifyBody(attempt)
    const { request, backup } = attempt.what
    try {
      const end = endRekey(target, attempt.sealed, backup)
      const done = await this.#replace(target, key, request, end)
      return done instanceof Refusal ? done : { nonce, complete: true }
    } finally {
      key.fill(0)
    }
  }

  async verifyRestart(target: ShareTarget): Promise<Body | Refusal> {
    const refused =
      this.#refuseRekey(target) ?? (await this.#step(step => restartVerification(target, step)))
    return refused instanceof Refusal ? refused : this.verifyStatus(target)
  }

  backup(target: ShareTarget): Body | Refusal {
    const refused = this.#refuseRekey('root')
    if (refused !== undefined) return refused
    const row = this.#ports.store.view().get(shareBackups, target)?.row
    if (row === undefined) return refusal('no backed-up keys found')
    const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
    const keys = Object.entries(row.keys).map(([fp, list]) => [fp, list.map(base64)])
    return { nonce: row.nonce, keys: row.keys, keys_base64: Object.fromEntries(keys) }
  }

  async dropBackup(target: ShareTarget): Promise<true | Refusal> {
    const refused = this.#refuseRekey('root')
    if (refused !== undefined) return refused
    await this.#ports.store.write(() => dropBackup(target))
    return true
  }

  // --- generate-root

  #refuseToken(): Refusal | undefined {
    const { room } = this.#ports
    if (!room.state().isInitialised) return NOT_YET
    return room.authority() === undefined ? SEALED : undefined
  }

  async rootTokenStatus(): Promise<Body | Refusal> {
    const refused = this.#refuseToken()
    if (refused !== undefined) return refused
    return this.#tokenBody(await this.#shown<Recipient>(ROOT_TOKEN_KIND))
  }

  #tokenBody(attempt: ShownAttempt<Recipient> | undefined, otp = ''): Body {
    return {
      nonce: attempt?.nonce ?? '',
      started: attempt !== undefined,
      progress: attempt?.progress ?? 0,
      required: this.#ports.room.authority()?.counts.threshold ?? 0,
      complete: false,
      encoded_token: '',
      encoded_root_token: '',
      pgp_fingerprint: fingerprintOf(attempt?.what),
      otp,
      otp_length: ROOT_TOKEN_CHARS,
    }
  }

  /** Begins an attempt. Without a pad or a key of his own, who asks is told a pad, once. */
  async rootTokenStart(given: {
    readonly otp: string
    readonly pgpKey: string
  }): Promise<Body | Refusal> {
    const refused = this.#refuseToken()
    if (refused !== undefined) return refused
    const { otp, pgpKey } = given
    if (otp !== '' && otp.length !== ROOT_TOKEN_CHARS) {
      return refusal('OTP string has incorrect length')
    }
    const isForKey = pgpKey !== '' && otp === ''
    const keys = isForKey ? this.#readKeys([pgpKey]) : []
    if (keys instanceof Refusal) return keys
    const { fingerprint = '' } = keys[0] ?? {}
    const made = otp === '' && !isForKey ? base62(this.#ports.random, ROOT_TOKEN_CHARS) : ''
    const recipient = isForKey ? { pgpKey, fingerprint } : { otp: otp || made }
    const attempt = await this.#step(step => startRootToken(recipient, step))
    return attempt instanceof Refusal ? attempt : this.#tokenBody(attempt, made)
  }

  /** Ends an attempt; see rekeyCancel. */
  async rootTokenCancel(nonce: string, mayEnd: boolean): Promise<true | Refusal> {
    const refused = this.#refuseToken()
    if (refused !== undefined) return refused
    return this.#step(step => cancelAttempt(ROOT_TOKEN_KIND, { nonce, mayEnd }, step))
  }

  /** Takes a share; the token under its pad, once there are enough. */
  async rootTokenUpdate(key: string, nonce: string): Promise<Body | Refusal> {
    const refused = this.#refuseToken()
    if (refused !== undefined) return refused
    const share = givenShare(key)
    if (share instanceof Refusal) return share
    const { room } = this.#ports
    const required = room.authority()?.counts.threshold ?? 0
    const taken = await this.#step(step => {
      const old = room.oldShares(step.view, 'root')
      return old instanceof Refusal ? old : takeTokenShare({ share, nonce }, old, step)
    }).finally(() => share.fill(0))
    if (taken instanceof Refusal) return taken
    const { attempt, token } = taken
    const encoded = token === undefined ? '' : this.#forRecipient(token, attempt.what)
    return {
      nonce,
      started: true,
      progress: token === undefined ? attempt.progress : required,
      required,
      complete: token !== undefined,
      encoded_token: encoded,
      encoded_root_token: encoded,
      pgp_fingerprint: fingerprintOf(attempt.what),
      otp: '',
      otp_length: 0,
    }
  }

  #forRecipient(token: string, recipient: Recipient): string {
    if ('otp' in recipient) return encodeToken(token, recipient.otp)
    const holders = this.#readKeys([recipient.pgpKey])
    const holder = holders instanceof Refusal ? undefined : holders[0]
    if (holder === undefined) return ''
    return encryptTo(holder, Buffer.from(token), this.#ports.random).toString('base64')
  }
}

/** `hvs.` and 24 letters. */
const ROOT_TOKEN_CHARS = 28
const NO_KEY_OR_RESET = "'key' must be specified in request body as JSON, or 'reset' set to true"

/** A share from a request. */
const givenShare = (key: string): Buffer | Refusal =>
  key === '' ? refusal("'key' must be specified in request body as JSON") : readShare(key)

const textsOf = (keys: readonly Buffer[]) => ({
  keys: keys.map(key => key.toString('hex')),
  keys_base64: keys.map(key => key.toString('base64')),
})

function recoveryTexts(keys: readonly Buffer[]): Body {
  const { keys: hex, keys_base64 } = textsOf(keys)
  return { recovery_keys: hex, recovery_keys_base64: keys_base64 }
}

function wipeAll(...keys: readonly (Buffer | undefined)[]): void {
  for (const key of keys) key?.fill(0)
}

/** How far the new shares were shown. */
const verifyBody = ({ held, what: { request } }: ShownAttempt<Rekey>): Body => ({
  nonce: held?.nonce ?? '',
  started: held !== undefined,
  t: request.threshold,
  n: request.shares,
  progress: held?.progress ?? 0,
})

/** What is kept of shares that are encrypted to their holders; undefined for nothing. */
function backupOf(
  nonce: string,
  { backup }: RekeyRequest,
  { told, fingerprints }: ToldShares,
): ShareBackupRow | undefined {
  if (!backup || fingerprints === null) return undefined
  const keys: Record<string, string[]> = {}
  for (const [at, fingerprint] of fingerprints.entries()) {
    const list = Object.hasOwn(keys, fingerprint) ? keys[fingerprint]! : []
    keys[fingerprint] = [...list, told[at]!.toString('hex')]
  }
  return { nonce, keys }
}

/** What is wrong with a request to initialise; undefined where nothing is. */
function initProblem(request: InitRequest, isAutomatic: boolean, type: string): string | undefined {
  const { secretShares, secretThreshold, pgpKeys } = request
  const { recoveryShares, recoveryThreshold, recoveryPgpKeys } = request
  const foreign = isAutomatic
    ? { secret_shares: secretShares, secret_threshold: secretThreshold, pgp_keys: pgpKeys.length }
    : {
        recovery_shares: recoveryShares,
        recovery_threshold: recoveryThreshold,
        recovery_pgp_keys: recoveryPgpKeys.length,
      }
  const named = Object.entries(foreign).flatMap(([name, value]) => (value === 0 ? [] : [name]))
  if (named.length > 0) {
    return `parameters ${named.join(',')} not applicable to seal type ${type}`
  }
  const counts = isAutomatic
    ? { shares: recoveryShares, threshold: recoveryThreshold }
    : { shares: secretShares, threshold: secretThreshold }
  const keys = isAutomatic ? recoveryPgpKeys : pgpKeys
  const problem =
    (isAutomatic ? oddCountsProblem(counts) : countsProblem(counts)) ??
    (keys.length > 0 && keys.length !== counts.shares
      ? 'count mismatch between number of provided PGP keys and number of shares'
      : undefined)
  if (problem === undefined) return undefined
  return `invalid ${isAutomatic ? 'recovery' : 'seal'} configuration: ${problem}`
}
