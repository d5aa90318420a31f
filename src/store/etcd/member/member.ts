/**
 * The etcd member of this server: run as a child, kept running, ended with us.
 *
 * Owns how it comes to its cluster (founding, added, known), when it counts as ready, and its
 * restarts. Decides nothing about other members: that is plan.ts's, carried out by one server.
 * Its data is never deleted here; what is of no use any more is put aside.
 */
import type { Clock, Random } from '../../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { pause } from '../../../base/pause.ts'
import { TlsMaterial } from '../../../base/tls.ts'
import type { EtcdAccess } from '../client.ts'
import { MemberFolder, type MemberPems, type MemberState } from './folder.ts'
import { type ConnectMember, Operators } from './operator.ts'
import { endLeftovers, type MemberEnd, MemberProcess } from './process.ts'
import { findMemberProgram, type MemberProgram } from './program.ts'
import {
  clientUrlOf,
  type MemberAddress,
  type MemberEntry,
  type MemberPlace,
  type MemberSettings,
  memberWords,
  peerUrlOf,
} from './words.ts'

/** Who this server is to the other members, and whom it trusts. */
export interface MemberIdentity {
  /** What is shown and trusted as it is now. */
  pems(): MemberPems
  /** Calls `changed` after each renewal; gives what ends that. */
  follow(changed: () => void): () => void
}

export interface ManagedMemberOptions {
  readonly dataDir: string
  /** Ours, by which all servers of a cluster know each other. */
  readonly clusterId: string
  readonly settings: Omit<MemberSettings, 'folder'>
  /** The path of etcd, where it is stated. */
  readonly program: string | undefined
  readonly identity: MemberIdentity
  /** All that found the cluster together, this one among them; undefined: it joins one. */
  readonly founders: readonly MemberAddress[] | undefined
  /** Other servers' members that were heard of while joining. */
  readonly heard?: readonly MemberAddress[]
}

export interface MemberPorts {
  /** One whose timers hold this process open: nothing else does while the member starts. */
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly connect: ConnectMember
  /** Ends a start that is under way. */
  readonly signal?: AbortSignal
}

/** Where the member of this server stands. */
export type MemberStanding =
  | 'starting'
  | 'asking'
  | 'running'
  | 'restarting'
  | 'removed'
  | 'stopped'

/** The member of this server. */
export class ManagedMember {
  readonly version: string
  readonly warnings: readonly string[]
  /** How this server is let in by every member. */
  readonly access: EtcdAccess
  /** The same for the store, which follows the members where they are. */
  readonly storeAccess: EtcdAccess
  /** Connections to single members. */
  readonly operators: Operators
  readonly #options: ManagedMemberOptions
  readonly #settings: MemberSettings
  readonly #ports: MemberPorts
  readonly #program: MemberProgram
  readonly #folder: MemberFolder
  readonly #stopping = new AbortController()
  readonly #removed = Promise.withResolvers<void>()
  #state: MemberState
  #standing: MemberStanding = 'starting'
  #process: MemberProcess | undefined
  #supervising: Promise<void> = Promise.resolve()
  #serving: Promise<void> = Promise.resolve()
  #unfollow: () => void = () => {}
  #writing: Promise<void> = Promise.resolve()
  #restarts = 0
  /** Its process runs with roots that were replaced since. */
  #wantsRestart = false
  /** Others' places, for its own start as a member that was added. */
  #places: readonly MemberPlace[] = []
  #hasServed = false
  /** The process ends since we want it to. */
  #isIntended = false

  private constructor(
    options: ManagedMemberOptions,
    ports: MemberPorts,
    program: MemberProgram,
    folder: MemberFolder,
    state: MemberState,
  ) {
    this.#options = options
    this.#settings = { ...options.settings, folder: folder.data }
    this.#ports = ports
    this.#program = program
    this.#folder = folder
    this.#state = state
    this.version = program.version
    this.warnings = program.warnings
    this.access = { material: () => materialOf(options.identity.pems()) }
    this.storeAccess = { ...this.access, endpoints: () => this.endpoints }
    this.operators = new Operators(this.access, ports.connect)
  }

  /**
   * Starts the member, or finds that it must ask to be added first. Resolves once some member of
   * the cluster, this one or another, answers with the others' agreement; until then it says in
   * the log whom it waits for. Rejects with OperatingError where it cannot be run at all.
   */
  static async start(options: ManagedMemberOptions, ports: MemberPorts): Promise<ManagedMember> {
    const program = await findMemberProgram(options.program, ports.environment.PATH)
    const folder = new MemberFolder(options.dataDir)
    await folder.prepare()
    await endLeftovers(folder.data, folder.pidFile, ports)
    await folder.writePems(options.identity.pems())
    const state = await settleState(options, folder, ports)
    const member = new ManagedMember(options, ports, program, folder, state)
    const abandon = (): void => member.#stopping.abort()
    ports.signal?.addEventListener('abort', abandon)
    try {
      if (ports.signal?.aborted === true) throw closed()
      await member.#begin()
      return member
    } catch (error) {
      await member.stop()
      throw error
    } finally {
      ports.signal?.removeEventListener('abort', abandon)
    }
  }

  // --- what others ask

  get name(): string {
    return this.#settings.name
  }

  /** The size that its database may have before it takes no more writes. */
  get quotaSizeBytes(): number {
    return this.#settings.quotaSizeBytes
  }

  get standing(): MemberStanding {
    return this.#standing
  }

  /** Drawn anew with each empty folder of data. */
  get incarnation(): string {
    return this.#state.incarnation
  }

  get phase(): MemberState['phase'] {
    return this.#state.phase
  }

  /** How this one is reached. */
  get address(): MemberAddress {
    const { name } = this.#settings
    return { name, peerUrl: peerUrlOf(this.#settings), clientUrl: clientUrlOf(this.#settings) }
  }

  /** Whether its process must be started anew, for what etcd reads only then. */
  get wantsRestart(): boolean {
    return this.#wantsRestart
  }

  /** How often it had to be started again since this agent began. */
  get restarts(): number {
    return this.#restarts
  }

  /** Where the store is reached: at this one first, then at the others that were heard of. */
  get endpoints(): readonly string[] {
    const own = this.address
    const others = this.#known.filter(({ name }) => name !== own.name)
    return [...(this.#isWanted ? [own] : []), ...others].map(({ clientUrl }) => clientUrl)
  }

  /** Resolves when the others have removed this member while it ran; it is stopped then. */
  get removed(): Promise<void> {
    return this.#removed.promise
  }

  /** Remembers who the members are now, for the next start. */
  remember(members: readonly MemberAddress[]): Promise<void> {
    const known = members.filter(({ clientUrl }) => clientUrl !== '')
    if (known.length === 0 || sameAddresses(known, this.#state.members)) return this.#writing
    return this.#note({ members: known })
  }

  /** Starts as a member that the others have added; `all` of them, itself included. */
  async enter(all: readonly MemberPlace[]): Promise<void> {
    this.#places = all
    if (this.#state.phase !== 'asking') return
    await this.#note({ phase: 'added' })
    this.#supervise({ kind: 'added', members: all })
    this.#serving = this.#untilServed()
  }

  /** Ends the process and starts it again: for what it reads only then. */
  async restart(): Promise<void> {
    this.#isIntended = true
    await this.#process?.stop()
  }

  /** The process that runs, or ran last; 0 for none. */
  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** Kills the process as a crash would: for tests. */
  kill(): void {
    this.#process?.kill()
  }

  /** Ends the member. Whoever uses the store has let go of it before. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#unfollow()
    await this.#serving
    // It waits for its clients when it ends.
    this.operators.close()
    await this.#process?.stop()
    await this.#supervising
    await this.#writing
    if (this.#standing !== 'removed') this.#standing = 'stopped'
  }

  // --- coming to the cluster

  async #begin(): Promise<void> {
    this.#unfollow = this.#options.identity.follow(() => void this.#renew())
    const { phase } = this.#state
    if (phase === 'asking') {
      this.#standing = 'asking'
    } else {
      const isKnown = await this.#folder.hasData()
      this.#supervise(isKnown ? { kind: 'known' } : this.#firstEntry())
    }
    await this.#untilAnswered()
    this.#serving = this.#untilServed()
  }

  #firstEntry(): MemberEntry {
    const { founders, clusterId } = this.#options
    if (this.#state.phase === 'founding' && founders !== undefined) {
      return { kind: 'found', members: founders, token: clusterId }
    }
    return { kind: 'added', members: this.#places }
  }

  get #known(): readonly MemberAddress[] {
    const { founders = [], heard = [] } = this.#options
    const all = this.#state.members.length > 0 ? this.#state.members : founders
    const names = new Set(all.map(({ name }) => name))
    return [...all, ...heard.filter(({ name }) => !names.has(name))]
  }

  /**
   * Waits until a member answers with a leader's agreement. This server's own comes first: another
   * one is enough only when it has answered for a while.
   */
  async #untilAnswered(): Promise<void> {
    const { clock, log } = this.#ports
    const { signal } = this.#stopping
    let nextWordMs = clock.monotonic() + limits.memberWaitingWordMs
    let otherSinceMs: number | undefined
    while (!signal.aborted && this.#standing !== 'stopped') {
      const answers = await Promise.all(this.endpoints.map(one => this.operators.ready(one)))
      const nowMs = clock.monotonic()
      const isThere = answers.some(answer => answer === '')
      otherSinceMs = isThere ? (otherSinceMs ?? nowMs) : undefined
      const isLong = isThere && nowMs - otherSinceMs! >= limits.memberOwnWaitMs
      if (isThere && (isLong || answers[0] === '' || !this.#isWanted)) return
      if (nowMs >= nextWordMs) {
        nextWordMs += limits.memberWaitingWordMs
        log.warn('waiting for the other members', { missing: this.#missingText(answers) })
      }
      await pause(clock, limits.memberReadyPollMs, signal)
    }
    throw closed()
  }

  /** Whether this server's own member is, or should be, one of the cluster. */
  get #isWanted(): boolean {
    return this.#state.phase !== 'asking' && this.#state.phase !== 'removed'
  }

  /** Waits until this member itself serves: from then on its data is needed. */
  async #untilServed(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted && this.#isWanted) {
      if ((await this.operators.ready(this.address.clientUrl)) === '') {
        this.#hasServed = true
        if (this.#state.phase !== 'member') await this.#note({ phase: 'member' })
        return
      }
      await pause(this.#ports.clock, limits.memberReadyPollMs, signal)
    }
  }

  /** Why each member does not answer, in one text. */
  #missingText(answers: readonly string[]): string {
    const parts = this.endpoints.map((one, at) => `${one} (${answers[at]})`)
    return parts.length === 0 ? 'no member of the cluster is known yet' : parts.join(', ')
  }

  // --- keeping it running

  #supervise(entry: MemberEntry): void {
    this.#supervising = this.#run(entry).catch((error: unknown) => {
      this.#ports.log.error('the etcd member is not run any more', { error: messageOf(error) })
      this.#standing = 'stopped'
    })
  }

  async #run(first: MemberEntry): Promise<void> {
    const { clock, log } = this.#ports
    const { signal } = this.#stopping
    let entry = first
    let failures = 0
    while (!signal.aborted) {
      this.#wantsRestart = false
      const startedMs = clock.monotonic()
      const end = await this.#runOnce(entry)
      if (signal.aborted) return
      if (end.wasRemoved) return this.#wasRemoved()
      const ranMs = clock.monotonic() - startedMs
      if (this.#isIntended) {
        this.#isIntended = false
        entry = { kind: 'known' }
        continue
      }
      failures = ranMs > limits.memberSteadyMs ? 0 : failures + 1
      const delayMs = failures === 0 ? 0 : backoffMs(failures, this.#ports.random)
      this.#standing = 'restarting'
      this.#restarts++
      const { how, lastComplaint } = end
      log.error('etcd ended; it is started again', { how, lastComplaint, ranMs, delayMs })
      await pause(clock, delayMs, signal)
      entry = (await this.#folder.hasData()) ? { kind: 'known' } : this.#firstEntry()
    }
  }

  /** One process, from its start to its end; one that cannot be started has ended. */
  async #runOnce(entry: MemberEntry): Promise<MemberEnd> {
    const words = memberWords(this.#settings, this.#folder.files, entry, this.version)
    const { pidFile } = this.#folder
    try {
      this.#process = await MemberProcess.start(this.#program, words, pidFile, this.#ports)
    } catch (error) {
      return { how: messageOf(error), wasRemoved: false, lastComplaint: '' }
    }
    this.#standing = 'running'
    const { pid } = this.#process
    this.#ports.log.info('etcd started', { pid, version: this.version, as: entry.kind })
    return this.#process.ended
  }

  async #wasRemoved(): Promise<void> {
    const { clock, log, random } = this.#ports
    if (this.#hasServed) {
      this.#standing = 'removed'
      await this.#note({ phase: 'removed' })
      log.error(
        'the other servers have removed this one from the cluster: it stops. ' +
          'Started again it joins as a new server',
      )
      this.#removed.resolve()
      return
    }
    const oldData = await this.#folder.putAside('removed', stampOf(clock))
    log.warn('this server was removed while it was away, and joins anew', { oldData })
    await this.#note({ phase: 'asking', incarnation: random.uuid() })
    this.#standing = 'asking'
  }

  async #renew(): Promise<void> {
    const { log } = this.#ports
    try {
      const rootsChanged = await this.#folder.writePems(this.#options.identity.pems())
      if (!rootsChanged) return
      this.#wantsRestart = true
      log.info('the roots of members changed: etcd is started anew when it is its turn')
    } catch (error) {
      log.error("the member's certificate could not be replaced", { error: messageOf(error) })
    }
  }

  /** Changes what is remembered, one after the other. */
  #note(part: Partial<MemberState>): Promise<void> {
    this.#writing = this.#writing
      .catch(() => {})
      .then(() => {
        this.#state = { ...this.#state, ...part }
        return this.#folder.writeState(this.#state)
      })
    return this.#writing
  }
}

/** What is remembered, brought in line with what is there and what is asked for. */
async function settleState(
  { clusterId, founders }: ManagedMemberOptions,
  folder: MemberFolder,
  { clock, random, log }: MemberPorts,
): Promise<MemberState> {
  const known = await folder.readState()
  const hasData = await folder.hasData()
  const fresh = (phase: MemberState['phase'], from?: MemberState): Promise<MemberState> => {
    const members = from?.members ?? []
    const state: MemberState = { clusterId, phase, incarnation: random.uuid(), members }
    return folder.writeState(state).then(() => state)
  }
  if (known === undefined) {
    if (hasData) throw foreignData(folder)
    return fresh(founders === undefined ? 'asking' : 'founding')
  }
  if (known.clusterId !== clusterId) throw otherCluster(folder, known.clusterId, clusterId)
  if (known.phase === 'removed') {
    if (hasData) {
      const oldData = await folder.putAside('removed', stampOf(clock))
      log.warn('this server was removed from the cluster and joins anew', { oldData })
    }
    return fresh('asking', known)
  }
  if (known.phase === 'member' && !hasData) {
    log.warn("the member's data is gone: it joins anew, and the old member is removed")
    return fresh('asking', known)
  }
  // A start as an added member needs the list of them as it is now.
  if (known.phase === 'added' && !hasData) return { ...known, phase: 'asking' }
  return known
}

const foreignData = ({ data, own }: MemberFolder): OperatingError =>
  new OperatingError(
    OperatingCode.damaged,
    `${data} holds data of a member, and ${own}/state.json, which says what it belongs to, is ` +
      'missing. To rebuild a cluster from it: gatehouse operator recover. To join anew: move it away',
  )

const otherCluster = ({ own }: MemberFolder, there: string, asked: string): OperatingError =>
  new OperatingError(
    OperatingCode.damaged,
    `${own}/state.json belongs to the cluster ${there}, and this server to ${asked}: ` +
      'is this the data folder of another server?',
  )

const closed = (): OperatingError =>
  new OperatingError(OperatingCode.closed, 'the etcd member was stopped before it was ready')

function materialOf({ cert, key, roots }: MemberPems): TlsMaterial {
  return new TlsMaterial({
    cert: Buffer.from(cert),
    key: Buffer.from(key),
    ca: [Buffer.from(roots)],
  })
}

/** For names of folders: `20261126T073000Z`. */
const stampOf = (clock: Clock): string =>
  new Date(clock.wall()).toISOString().replace(/[-:]|\.\d+/g, '')

function backoffMs(failures: number, random: Random): number {
  const bound = Math.min(limits.memberRestartMinMs * 2 ** (failures - 1), limits.memberRestartMaxMs)
  return Math.round(bound * (0.5 + random.fraction() / 2))
}

function sameAddresses(a: readonly MemberAddress[], b: readonly MemberAddress[]): boolean {
  const text = (list: readonly MemberAddress[]): string =>
    list
      .map(({ name, peerUrl, clientUrl }) => `${name} ${peerUrl} ${clientUrl}`)
      .sort()
      .join('\n')
  return text(a) === text(b)
}
