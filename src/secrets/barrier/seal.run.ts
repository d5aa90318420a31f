/**
 * This server's seal: whether it can open what the barrier keeps, how it comes to, and when it
 * ends.
 *
 * Owns the root key and the keyring in this process's memory. It founds the barrier, takes key
 * shares, asks its automatic seal and the other servers, follows what others change in the store's
 * order, and wipes all keys as soon as this server is sealed. Must never write a key anywhere but
 * sealed, nor log one. Whatever needs a keyring gets it here, and loses it here.
 */
import { wallMs } from '../../base/brand.ts'
import type { Clock, Random } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { type Decide, isRefusal, type Op, type Store } from '../../store/store.ts'
import { scope } from '../../store/tables/names.ts'
import {
  BARRIER_KEY,
  halts,
  type KeyringRow,
  keyrings,
  keyUses,
  keyUsesOf,
  type SealRow,
  type ShareCounts,
} from '../../store/tables/seal.ts'
import { untilChanged } from '../../store/until-changed.ts'
import type { Reader } from '../../store/view.ts'
import { writeInitialRows } from '../initial.ts'
import { ROOT } from '../namespace/namespace.ts'
import { Draft } from '../storage.ts'
import { newSecret } from '../token/token.ts'
import { forgetAttempts, hasOverAttempts } from './attempt.ts'
import {
  type KeyringContent,
  keysOf,
  newestTerm,
  openContent,
  type RotationRules,
  type Term,
  wipeContent,
} from './content.ts'
import { KEY_SIZE_BYTES, Keyring, SEALED_TEXT } from './keyring.ts'
import type { SealKind } from './kind/kind.run.ts'
import type { OldShares } from './rekey.ts'
import {
  ALREADY,
  authorityOf,
  digestOf,
  firstContent,
  followTrail,
  forgetUses,
  found,
  halt,
  haltsOf,
  isOfDigest,
  MOVED,
  NO_SHARES,
  NOT_INITIALISED,
  nextTerm,
  OVERTAKEN,
  openRootKey,
  type Rewrite,
  reserveUses,
  rewrite,
  type ShareTarget,
  sealOf,
  sealRootKey,
  trimTrail,
} from './seal.ts'
import { ShareSet } from './shares.ts'

/** What a server asks of others while it is sealed. */
export interface SealPeers {
  /**
   * The root key of a server that is unsealed and knows of as many halts; undefined where there is
   * none now. The buffer is the caller's to wipe.
   */
  ask(halts: number): Promise<Buffer | undefined>
}

export interface SealPorts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly serverId: string
  /** The automatic seal that is configured; undefined for key shares. */
  readonly kind: SealKind | undefined
  /** One that was, as long as the root key may still be sealed by it. */
  readonly formerKind?: SealKind | undefined
  readonly peers: SealPeers | undefined
}

/** What a first set of keys is to be. */
export interface InitPlan {
  /** The shares of the key that the root key is sealed by; 0 of 0 for an automatic seal. */
  readonly counts: ShareCounts
  /** The shares of the recovery key of an automatic seal; 0 of 0 for none. */
  readonly recovery: ShareCounts
  /** The secret of the first token; one is drawn unless it is given. */
  readonly rootToken?: string
  /** Whether there is no first token at all; what is given for it is '' then. */
  readonly isRootless?: boolean
  /** What else is there from the beginning, in the same transaction. */
  readonly prepare?: (draft: Draft) => void
}

/** What came of founding: keys that the caller splits, tells and wipes. */
export interface Founded {
  readonly sealKey: Buffer | undefined
  readonly recoveryKey: Buffer | undefined
  readonly rootToken: string
}

/** What this server holds while it is unsealed. */
interface Open {
  readonly rootKey: Buffer
  readonly content: KeyringContent
  /** The store's generation that the content is of. */
  readonly generation: number
}

/** Whether this server is sealed, and what it waits for, in words for people. */
export interface SealState {
  readonly isInitialised: boolean
  readonly isSealed: boolean
  /** The configured seal, or the one in the store. */
  readonly type: string
  /** Shares that unseal, or that authorise where the seal is automatic. */
  readonly counts: ShareCounts
  readonly progress: number
  readonly nonce: string
  /** Whether the store's seal is another one than what is configured. */
  readonly isMigrating: boolean
  readonly isRecovery: boolean
  /** Why it is sealed; '' while it is not. */
  readonly reason: string
}

const INVALID_KEY = new Refusal(400, 'unseal failed, invalid key')
export const SEALED = new Refusal(503, SEALED_TEXT)

export class SealRoom {
  readonly #ports: SealPorts
  readonly #ending = new AbortController()
  readonly #shares = new ShareSet()
  readonly #listeners = new Set<() => void>()
  #keyring: Keyring | undefined
  #open: Open | undefined
  #nonce = ''
  #reason = ''
  /** How many halts this server has heard of. */
  #halts = 0
  /** After an operator's halt an automatic seal waits for one, or for a new start. */
  #isHalted = false
  /** An operator sealed this server, and the others may not know of it. */
  #isAlone = false
  #failures = 0
  #notBeforeMs = 0
  #running: Promise<void> | undefined
  #reserving: Promise<void> | undefined
  /** The last change of the keys that was begun here. */
  #changes: Promise<unknown> = Promise.resolve()

  constructor(ports: SealPorts) {
    this.#ports = ports
  }

  /**
   * Takes over what the store says, and tries to unseal from now on. Waits for the first try, but
   * not long: whoever starts has more to do than to wait for a seal that is away.
   */
  async start(): Promise<void> {
    const { store, clock, log } = this.#ports
    this.#halts = haltsOf(store.view())
    const first = this.#passSafely()
    this.#running = first.then(() => this.#run())
    await new Promise<void>(resolve => {
      const late = clock.after(limits.sealStartMs, resolve)
      void first.then(() => {
        late.clear()
        resolve()
      })
    })
    const { isInitialised, isSealed, reason } = this.state()
    if (isInitialised && isSealed) log.warn(`the secrets are sealed: ${reason}`)
  }

  /** Seals this server for good. */
  async stop(): Promise<void> {
    this.#ending.abort()
    this.#close('this server stops')
    this.#ports.kind?.stop()
    this.#ports.formerKind?.stop()
    await this.#running
    await this.#reserving
    await this.#changes
  }

  /** What rows are sealed and opened with; undefined while this server is sealed. */
  barrier(): Keyring | undefined {
    return this.#keyring
  }

  /** Calls back whenever this server was sealed or unsealed; gives what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The configured seal. */
  get kind(): { readonly type: string; readonly isAutomatic: boolean } {
    const { kind } = this.#ports
    return { type: kind?.type ?? 'shamir', isAutomatic: kind !== undefined }
  }

  state(): SealState {
    const row = this.#row()
    const { kind } = this.#ports
    const isMigrating = row !== undefined && row.type !== (kind?.type ?? 'shamir')
    const isRecovery = row === undefined ? kind !== undefined : row.type !== 'shamir'
    return {
      isInitialised: row !== undefined,
      isSealed: this.#keyring === undefined,
      type: row?.type ?? kind?.type ?? 'shamir',
      counts: row === undefined ? NO_SHARES : authorityOf(row),
      progress: this.#shares.progress,
      nonce: this.#nonce,
      isMigrating,
      isRecovery,
      reason: this.#keyring === undefined ? this.#reason || this.#waitingFor() : '',
    }
  }

  /** The row of the seal; undefined before there is one. */
  #row(): SealRow | undefined {
    return sealOf(this.#ports.store.view())
  }

  // --- founding

  /**
   * Founds the barrier. With an automatic seal this server is unsealed afterwards. The keys are the
   * caller's to wipe. Whatever ends it, either all of it has happened or nothing.
   */
  async found({ counts, recovery, ...first }: InitPlan): Promise<Founded | Refusal> {
    const { store, random, clock, kind } = this.#ports
    if (this.#row() !== undefined) return ALREADY
    const rootKey = random.bytes(KEY_SIZE_BYTES)
    const sealKey = kind === undefined ? random.bytes(KEY_SIZE_BYTES) : undefined
    const recoveryKey = recovery.shares > 0 ? random.bytes(KEY_SIZE_BYTES) : undefined
    const recoveryDigest = recoveryKey === undefined ? '' : digestOf(recoveryKey)
    const content = firstContent(clock.wall(), random, { sealKey, recoveryDigest })
    const keyring = new Keyring(keysOf(content), content.hashKey)
    try {
      const sealed = sealKey && sealRootKey(rootKey, sealKey, counts, random)
      const seal = {
        type: kind?.type ?? 'shamir',
        ...(kind === undefined ? counts : AUTOMATIC),
        sealedRootKey: sealed ?? (await kind!.wrap(rootKey)),
        recovery,
      }
      const written = await store.write<string>((view, now, seeded) => {
        if (sealOf(view) !== undefined) return ALREADY
        const at = { now, random: seeded }
        const draft = new Draft(view, keyring, now, seeded)
        const drawn = first.rootToken ?? newSecret(seeded, ROOT.id)
        const secret = first.isRootless === true ? '' : drawn
        writeInitialRows(draft, secret)
        first.prepare?.(draft)
        const rest = { txn: draft.ops(), answer: secret }
        return found(view, at, { rootKey, seal, content }, rest)
      })
      if (isRefusal(written)) return written
      this.#ports.log.info('the barrier was initialised', { seal: seal.type, ...counts })
      if (kind !== undefined && this.#keyring === undefined) {
        this.#openWith(rootKey, 'by its initialisation')
      }
      return {
        sealKey: sealKey && Buffer.from(sealKey),
        recoveryKey,
        rootToken: written.answer,
      }
    } finally {
      keyring.wipe()
      wipeContent(content)
      rootKey.fill(0)
    }
  }

  // --- unsealing and sealing

  /**
   * Takes a share, which is the room's from now on. Refused with 400 where the shares so far are
   * wrong: they are forgotten then. With `migrate` the root key goes over to the configured seal.
   */
  async unseal(share: Buffer, isMigrating = false): Promise<true | Refusal> {
    const row = this.#row()
    // Another server may have opened this one before its seal was exchanged.
    const isDone = this.#keyring !== undefined && !(isMigrating && this.state().isMigrating)
    if (row === undefined || isDone) {
      share.fill(0)
      return row === undefined ? NOT_INITIALISED : true
    }
    const refusal = this.#refuseMigration(isMigrating)
    if (refusal !== undefined) {
      share.fill(0)
      return refusal
    }
    const counts = authorityOf(row)
    if (this.#nonce === '') this.#nonce = this.#ports.random.uuid()
    this.#shares.add(share)
    if (this.#shares.progress < counts.threshold) return true
    const key = this.#shares.take(counts)
    this.#nonce = ''
    if (key === undefined) return INVALID_KEY
    try {
      return await this.#openByKey(row, key, isMigrating)
    } finally {
      key.fill(0)
    }
  }

  /** Forgets the shares so far. */
  resetShares(): Refusal | undefined {
    if (this.#keyring !== undefined) return new Refusal(400, 'vault is unsealed')
    this.#shares.wipe()
    this.#nonce = ''
    return undefined
  }

  #refuseMigration(isMigrating: boolean): Refusal | undefined {
    const differs = this.state().isMigrating
    if (isMigrating && !differs) {
      return new Refusal(400, "can't perform a seal migration: the seal is the configured one")
    }
    if (!isMigrating && differs) {
      return new Refusal(400, 'migrate option not provided and seal migration is in progress')
    }
    return undefined
  }

  async #openByKey(row: SealRow, key: Buffer, isMigrating: boolean): Promise<true | Refusal> {
    const rootKey = row.type === 'shamir' ? openRootKey(row, key) : await this.#unwrapped(row)
    if (rootKey === undefined) return INVALID_KEY
    try {
      const content = this.#contentBy(rootKey)
      if (content === undefined) return INVALID_KEY
      const isRight = row.type === 'shamir' || isOfDigest(key, content.recoveryDigest)
      wipeContent(content)
      if (!isRight) return INVALID_KEY
      if (isMigrating) {
        const refusal = await this.#migrate(row, rootKey, key)
        if (refusal !== undefined) return refusal
      }
      this.#isHalted = false
      this.#isAlone = false
      if (this.#keyring === undefined) this.#openWith(rootKey, 'by key shares')
      return true
    } finally {
      rootKey.fill(0)
    }
  }

  /** The root key out of the automatic seal that the row names. */
  async #unwrapped(row: SealRow): Promise<Buffer> {
    const { kind, formerKind } = this.#ports
    const holder = [kind, formerKind].find(one => one?.type === row.type)
    if (holder !== undefined) return holder.unwrap(row.sealedRootKey)
    throw new OperatingError(
      OperatingCode.unavailable,
      `the root key is sealed by the seal ${JSON.stringify(row.type)}, which is not configured`,
    )
  }

  /**
   * Has the root key sealed by what is configured; the old seal's shares authorise from then on.
   */
  async #migrate(row: SealRow, rootKey: Buffer, key: Buffer): Promise<Refusal | undefined> {
    const { kind, random, store, log } = this.#ports
    const counts = authorityOf(row)
    const { initialisedAtMs } = row
    const seal: SealRow =
      kind === undefined
        ? {
            ...{ type: 'shamir', ...counts, initialisedAtMs, recovery: NO_SHARES },
            sealedRootKey: sealRootKey(rootKey, key, counts, random),
          }
        : {
            ...{ type: kind.type, ...AUTOMATIC, initialisedAtMs, recovery: counts },
            sealedRootKey: await kind.wrap(rootKey),
          }
    const written = await store.write((view, now, seeded) =>
      rewrite(view, {
        ...{ rootKey, now, random: seeded },
        next: { rootKey, seal },
        change: content => ({
          ...content,
          sealKey: kind === undefined ? Buffer.from(key) : undefined,
          recoveryDigest: kind === undefined ? '' : digestOf(key),
        }),
      }),
    )
    if (isRefusal(written)) return written
    log.info('the seal was exchanged', { from: row.type, to: seal.type })
    return undefined
  }

  /** Seals every server: this one at once, the others as they hear of it. */
  async seal(): Promise<void> {
    const { store } = this.#ports
    this.#close('an operator sealed it')
    this.#isHalted = true
    // Until the others know, they would open this server again.
    this.#isAlone = true
    const written = await store.write((view, now) => halt(view, now))
    if (isRefusal(written)) return
    this.#halts = Math.max(this.#halts, written.answer)
    this.#isAlone = false
  }

  /**
   * The root key for another server that asks: a copy. Refused while this server is sealed, and to
   * whoever was sealed by an operator since this one was unsealed.
   */
  handOver(knownHalts: number): Buffer | Refusal {
    if (this.#open === undefined) return SEALED
    this.look()
    if (this.#open === undefined || knownHalts > this.#halts) return SEALED
    return Buffer.from(this.#open.rootKey)
  }

  #contentBy(rootKey: Buffer): KeyringContent | undefined {
    const row = this.#keyringRow()
    const content = row && openContent(row.sealed, rootKey)
    return content?.version === row?.version ? content : undefined
  }

  #keyringRow(): KeyringRow | undefined {
    return this.#ports.store.view().get(keyrings, BARRIER_KEY)?.row
  }

  /** Unseals this server, where it is the root key; it is copied. */
  #openWith(rootKey: Buffer, how: string): boolean {
    const content = this.#contentBy(rootKey)
    if (content === undefined) return false
    const { store, log } = this.#ports
    if (this.#open !== undefined) this.#wipe()
    this.#open = {
      ...{ content, generation: store.status().generation },
      rootKey: Buffer.from(rootKey),
    }
    const keyring = new Keyring(keysOf(content), content.hashKey, {
      missing: () => this.look(),
      low: () => void this.#reserve(),
    })
    keyring.allow(limits.termBlockOperations)
    this.#keyring = keyring
    this.#reason = ''
    this.#shares.wipe()
    this.#nonce = ''
    this.#failures = 0
    log.info(`this server was unsealed ${how}`, { term: keyring.term })
    void this.#reserve()
    this.#tell()
    return true
  }

  #close(reason: string): void {
    this.#reason = reason
    this.#shares.wipe()
    this.#nonce = ''
    if (this.#keyring === undefined) return
    this.#wipe()
    this.#ports.log.warn(`this server was sealed: ${reason}`)
    this.#tell()
  }

  #wipe(): void {
    this.#keyring?.wipe()
    this.#keyring = undefined
    if (this.#open === undefined) return
    wipeContent(this.#open.content)
    this.#open.rootKey.fill(0)
    this.#open = undefined
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  #waitingFor(): string {
    const row = this.#row()
    const { kind, peers } = this.#ports
    if (row === undefined) return 'it is not initialised'
    if (row.type !== (kind?.type ?? 'shamir')) {
      return `it is sealed by ${row.type}, which is not what is configured: unseal with migrate`
    }
    if (kind !== undefined) return `it waits for its seal (${kind.type})`
    const others = peers === undefined ? '' : ', or for another server that is unsealed'
    return `it waits for ${row.threshold} of ${row.shares} key shares${others}`
  }

  // --- following

  async #run(): Promise<void> {
    const { signal } = this.#ending
    const { store, clock } = this.#ports
    const ports = { scopes: store.scopes, clock }
    while (!signal.aborted) {
      await untilChanged(ports, [{ scope: scope.seal }], this.#pauseMs(), signal)
      if (signal.aborted) return
      await this.#passSafely()
    }
  }

  async #passSafely(): Promise<void> {
    try {
      await this.#pass()
    } catch (error) {
      const fields = { error: messageOf(error) }
      this.#ports.log.warn('the seal could not be looked after', fields)
    }
  }

  #pauseMs(): number {
    if (this.#keyring !== undefined) return limits.sealLookMs
    const nowMs = this.#ports.clock.monotonic()
    const canTry = this.#row() !== undefined && !this.#isHalted && this.#isKindRight()
    const ownMs = canTry ? Math.max(1, this.#notBeforeMs - nowMs) : limits.sealLookMs
    return this.#ports.peers === undefined ? ownMs : Math.min(ownMs, limits.sealPeerMs)
  }

  /** One look at the store, and what follows from it. */
  async #pass(): Promise<void> {
    this.look()
    if (this.#ending.signal.aborted) return
    if (this.#keyring === undefined) await this.#tryToOpen()
    else await this.#reserve()
  }

  /** Takes over what the store says by now: halts, terms, root keys. */
  look(): void {
    const { store } = this.#ports
    const count = store.view().get(halts, BARRIER_KEY)?.row.count ?? 0
    const isRestored =
      this.#open !== undefined && this.#open.generation !== store.status().generation
    if (count > this.#halts && !isRestored) {
      this.#isHalted = true
      this.#close('an operator sealed it')
    }
    this.#halts = count
    const open = this.#open
    if (open === undefined) return
    const row = this.#keyringRow()
    if (row === undefined) this.#close('the store has no keyring any more')
    else if (isRestored) this.#follow(open, row, RESTORED)
    else if (row.version > open.content.version) this.#follow(open, row, LOST)
    else if (row.version < open.content.version) this.#close(ROLLED_BACK)
  }

  /** Opens a keyring that was written by somebody else, or is this server sealed. */
  #follow(open: Open, row: KeyringRow, otherwise: string): void {
    const rootKey = followTrail(row, open.content) ?? Buffer.from(open.rootKey)
    const content = openContent(row.sealed, rootKey)
    const { generation } = this.#ports.store.status()
    if (content?.version !== row.version) {
      rootKey.fill(0)
      this.#close(otherwise)
      return
    }
    const keyring = this.#keyring
    if (generation !== open.generation || keyring === undefined) {
      // Other rows lie under the same keys: nothing that was kept of the old ones holds.
      this.#openWith(rootKey, 'again after a restore')
      rootKey.fill(0)
      wipeContent(content)
      return
    }
    keyring.install(keysOf(content))
    this.#open = { rootKey, content, generation }
    wipeContent(open.content)
    open.rootKey.fill(0)
    this.#ports.log.info('the keyring was changed', { term: keyring.term, version: row.version })
  }

  #isKindRight(): boolean {
    const { kind } = this.#ports
    return kind !== undefined && this.#row()?.type === kind.type
  }

  async #tryToOpen(): Promise<void> {
    if (this.#row() === undefined) return
    if (await this.#askPeers()) return
    await this.#askKind()
  }

  async #askPeers(): Promise<boolean> {
    const { peers, log } = this.#ports
    if (peers === undefined || this.#isAlone) return false
    const halts = this.#halts
    const rootKey = await peers.ask(halts)
    if (rootKey === undefined) return false
    try {
      if (this.#keyring !== undefined || halts !== this.#halts) return false
      if (this.#ending.signal.aborted || this.#isAlone) return false
      if (this.#openWith(rootKey, 'by another server')) return true
      log.warn("another server's root key does not open this store's keyring")
      return false
    } finally {
      rootKey.fill(0)
    }
  }

  async #askKind(): Promise<void> {
    const { kind, clock, log } = this.#ports
    const row = this.#row()
    if (kind === undefined || row === undefined || this.#isHalted || !this.#isKindRight()) return
    if (clock.monotonic() < this.#notBeforeMs) return
    try {
      const rootKey = await kind.unwrap(row.sealedRootKey)
      const isOpen = !this.#ending.signal.aborted && !this.#isHalted
      const isRight =
        !isOpen || this.#keyring !== undefined || this.#openWith(rootKey, `by ${kind.type}`)
      if (isRight) await this.#renewWrapping(kind, row, rootKey)
      rootKey.fill(0)
      if (!isRight) throw new OperatingError(OperatingCode.damaged, 'its root key opens no keyring')
    } catch (error) {
      const pauseMs = Math.min(limits.sealRetryMs * 2 ** this.#failures, limits.sealRetryMaxMs)
      this.#failures = Math.min(this.#failures + 1, MAX_DOUBLINGS)
      this.#notBeforeMs = clock.monotonic() + pauseMs
      const text = messageOf(error)
      if (this.#keyring === undefined)
        this.#reason = `its seal (${kind.type}) does not open: ${text}`
      log.warn('the seal did not open', { seal: kind.type, error: text, pauseMs })
    }
  }

  /** Has the root key sealed by the seal's newest key, where an older one did. */
  async #renewWrapping(kind: SealKind, row: SealRow, rootKey: Buffer): Promise<void> {
    if (!kind.isOutdated(row.sealedRootKey)) return
    const sealedRootKey = await kind.wrap(rootKey)
    const written = await this.#ports.store.write((view, now, random) => {
      const is = sealOf(view)
      if (is?.sealedRootKey !== row.sealedRootKey) return OVERTAKEN
      const next = { rootKey, seal: { ...is, sealedRootKey } }
      return rewrite(view, { rootKey, next, now, random, change: content => content })
    })
    if (!isRefusal(written)) this.#ports.log.info('the root key was sealed by the newest key')
  }

  // --- the keys in use

  /** The term that seals, and when new ones begin; undefined while sealed. */
  term():
    | (Pick<Term, 'term' | 'installedAtMs'> & { readonly rotation: RotationRules })
    | undefined {
    const content = this.#open?.content
    if (content === undefined) return undefined
    const { term, installedAtMs } = newestTerm(content)
    return { term, installedAtMs, rotation: content.rotation }
  }

  /** The seal's row and what authorises, for whoever changes keys; undefined while sealed. */
  authority(): { readonly row: SealRow; readonly counts: ShareCounts } | undefined {
    const row = this.#row()
    return this.#open === undefined || row === undefined
      ? undefined
      : { row, counts: authorityOf(row) }
  }

  /**
   * What authorises changes in a view: the shares, and whether what they came to is right. MOVED
   * where this server has not heard of the view's keys yet.
   */
  oldShares(view: Reader, target: ShareTarget): OldShares | Refusal {
    const open = this.#open
    const row = sealOf(view)
    if (open === undefined || row === undefined) return SEALED
    if (view.get(keyrings, BARRIER_KEY)?.row.version !== open.content.version) return MOVED
    const { threshold } = authorityOf(row)
    if (target === 'root' && row.type === 'shamir') {
      return { threshold, name: 'root', isRight: key => isSealKey(row, key, open.rootKey) }
    }
    const { recoveryDigest } = open.content
    return { threshold, name: 'recovery', isRight: key => isOfDigest(key, recoveryDigest) }
  }

  /** Changes the keyring, and what else there is to write with it. */
  change(
    change: Rewrite['change'],
    next?: { readonly recovery: ShareCounts },
    more: MoreOps = NO_MORE,
  ): Promise<true | Refusal> {
    return this.#changing(open =>
      this.#rewritten(open, change, more, ({ row }) =>
        next === undefined ? undefined : { seal: { ...row, recovery: next.recovery } },
      ),
    )
  }

  /**
   * A new root key. `by` is the key that it is sealed by from now on, with its shares; without it
   * the seal stays as it is.
   */
  replaceRootKey(
    by?: { readonly key: Buffer; readonly counts: ShareCounts },
    more: MoreOps = NO_MORE,
  ): Promise<true | Refusal> {
    const { random, kind } = this.#ports
    return this.#changing(async (open, row) => {
      if (row.type !== 'shamir' && row.type !== kind?.type) {
        return new Refusal(400, 'the seal is about to be exchanged: unseal with migrate first')
      }
      const rootKey = random.bytes(KEY_SIZE_BYTES)
      const sealKey = by?.key ?? open.content.sealKey
      const counts = by?.counts ?? { shares: row.shares, threshold: row.threshold }
      const change: Rewrite['change'] = content =>
        by === undefined ? content : { ...content, sealKey: Buffer.from(by.key) }
      try {
        const seal: SealRow =
          row.type === 'shamir'
            ? { ...row, ...counts, sealedRootKey: sealRootKey(rootKey, sealKey!, counts, random) }
            : { ...row, sealedRootKey: await kind!.wrap(rootKey) }
        return await this.#rewritten(open, change, more, now =>
          // What was sealed just now was made for the row as it was.
          now.row.sealedRootKey === row.sealedRootKey ? { rootKey, seal } : MOVED,
        )
      } finally {
        rootKey.fill(0)
      }
    })
  }

  /** Begins a new term, unless another server does so just now. */
  async rotate(): Promise<true | Refusal> {
    const { random } = this.#ports
    const behind = this.#keyring?.term ?? 0
    const key = random.bytes(KEY_SIZE_BYTES)
    try {
      const written = await this.#changing(open =>
        this.#write((view, now, seeded) =>
          rewrite(view, {
            ...{ rootKey: open.rootKey, now, random: seeded },
            change: nextTerm(behind, now, key),
          }),
        ),
      )
      if (written === OVERTAKEN) return true
      if (!isRefusal(written)) await this.#forgetUses()
      return written
    } finally {
      key.fill(0)
    }
  }

  /**
   * Has changes of the keys wait for each other here, each on what the one before it made. What
   * another server was faster with is tried again on what that one made.
   */
  #changing(work: (open: Open, row: SealRow) => Promise<true | Refusal>): Promise<true | Refusal> {
    const { store, clock } = this.#ports
    const attempt = async (): Promise<true | Refusal> => {
      for (let tries = 1; ; tries++) {
        this.look()
        const open = this.#open
        const row = this.#row()
        if (open === undefined || row === undefined) return SEALED
        const done = await work(open, row)
        if (done !== MOVED || tries === limits.sealChangeTries) return done
        this.look()
        if (this.#open !== open) continue
        const ports = { scopes: store.scopes, clock }
        await untilChanged(ports, [{ scope: scope.seal }], limits.sealPeerMs, this.#ending.signal)
      }
    }
    const turn = this.#changes.then(attempt)
    this.#changes = turn.catch(() => {})
    return turn
  }

  #rewritten(
    open: Open,
    change: Rewrite['change'],
    more: MoreOps,
    nextOf: (now: {
      readonly row: SealRow
    }) => { readonly rootKey?: Buffer; readonly seal: SealRow } | Refusal | undefined,
  ): Promise<true | Refusal> {
    return this.#write((view, now, random) => {
      const row = sealOf(view)
      if (row === undefined) return NOT_INITIALISED
      const next = nextOf({ row })
      if (next instanceof Refusal) return next
      const decided = rewrite(view, {
        ...{ rootKey: open.rootKey, now, random, change },
        ...(next === undefined ? {} : { next: { rootKey: open.rootKey, ...next } }),
      })
      const rest = more(view)
      if (isRefusal(decided) || rest instanceof Refusal) return isRefusal(rest) ? rest : decided
      return { ...decided, txn: [...decided.txn, ...rest] }
    })
  }

  async #write(decide: Decide<unknown>): Promise<true | Refusal> {
    const written = await this.#ports.store.write(decide)
    if (isRefusal(written)) return written
    this.look()
    return this.#open === undefined ? SEALED : true
  }

  // --- how much a term was used

  /** Texts that were sealed in the newest term by all servers, at most. */
  uses(): number {
    const { store, serverId } = this.#ports
    const keyring = this.#keyring
    if (keyring === undefined) return 0
    const rows = store.view().prefix(keyUses, keyUsesOf(keyring.term))
    const unused = Math.max(0, keyring.allowed - keyring.sealedInTerm)
    const total = rows.reduce((sum, { row }) => sum + row.reserved, 0)
    const hasOwn = rows.some(({ row }) => row.serverId === serverId)
    return hasOwn ? Math.max(0, total - unused) : total + keyring.sealedInTerm
  }

  /** Sees to it that this server may go on sealing, and begins a new term where one is due. */
  #reserve(): Promise<void> {
    this.#reserving ??= this.#reserveOnce()
      .catch((error: unknown) => {
        if (this.#ending.signal.aborted) return
        this.#ports.log.warn('uses of the key were not counted', { error: messageOf(error) })
      })
      .finally(() => {
        this.#reserving = undefined
      })
    return this.#reserving
  }

  async #reserveOnce(): Promise<void> {
    const { store, serverId, clock } = this.#ports
    const keyring = this.#keyring
    if (keyring === undefined) return
    const { term } = keyring
    if (keyring.isLow || !keyring.isReserved) {
      const count = keyring.isReserved ? limits.termBlockOperations : keyring.allowed
      await store.write(view => reserveUses(view, term, serverId, count))
      keyring.reserved(term, count)
    }
    if (this.#keyringRow()?.trail.some(({ atMs }) => clock.wall() - atMs >= limits.sealTrailMs)) {
      await store.write((view, now) => trimTrail(view, now))
    }
    if (hasOverAttempts(store.view(), wallMs(clock.wall()))) await store.write(forgetAttempts)
    const rules = this.#open?.content
    if (rules === undefined || !rules.rotation.isEnabled) return
    const { installedAtMs } = newestTerm(rules)
    const { maxOperations, intervalMs } = rules.rotation
    const isOld = intervalMs > 0 && clock.wall() - installedAtMs >= intervalMs
    if (!isOld && this.uses() < maxOperations) return
    const rotated = await this.rotate()
    if (isRefusal(rotated)) throw new Error(rotated.text)
  }

  async #forgetUses(): Promise<void> {
    const { store } = this.#ports
    const newest = this.#keyring?.term ?? 0
    const old = store
      .view()
      .prefix(keyUses, '')
      .filter(({ row }) => row.term < newest)
      .slice(0, limits.termUsesForgotten)
    if (old.length > 0) await store.write(() => forgetUses(old.map(({ key }) => key)))
  }
}

const MAX_DOUBLINGS = 10
/** What an automatic seal has in the place of shares. */
const AUTOMATIC: ShareCounts = { shares: 1, threshold: 1 }
const RESTORED =
  'the store was restored from an archive of other keys: unseal with those of its time'
const LOST = 'its keys were changed while it could not follow'
const ROLLED_BACK =
  'the keyring in the store is older than the one that was in use: it was rolled back'

/** What is written together with a change of the keys, and whether that may still be. */
export type MoreOps = (view: Reader) => readonly Op[] | Refusal
const NO_MORE: MoreOps = () => []

/** Whether a key opens this root key. */
function isSealKey(row: SealRow, key: Buffer, expected: Buffer): boolean {
  const rootKey = openRootKey(row, key)
  const isRight = rootKey?.equals(expected) === true
  rootKey?.fill(0)
  return isRight
}
