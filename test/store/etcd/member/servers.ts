/**
 * Servers' members for tests: as many as wanted on this machine, under one root.
 */
import type { Test } from 'tap'
import { foregroundClock, systemClock, systemRandom } from '../../../../src/base/clock.ts'
import { type LiveLog, type LogFields, silentLog } from '../../../../src/base/log.ts'
import { connectMember, type EtcdOperator } from '../../../../src/store/etcd/cluster.ts'
import { type EtcdStore, openEtcdStore } from '../../../../src/store/etcd/engine.ts'
import { MemberCare } from '../../../../src/store/etcd/member/care.ts'
import { ManagedMember } from '../../../../src/store/etcd/member/member.ts'
import { Operators } from '../../../../src/store/etcd/member/operator.ts'
import { processesOn } from '../../../../src/store/etcd/member/process.ts'
import type { MemberAddress, MemberSettings } from '../../../../src/store/etcd/member/words.ts'
import { withSystemTables } from '../../../../src/store/local.ts'
import { roles } from '../../../../src/store/role.ts'
import type { AutopilotRow } from '../../../../src/store/tables/autopilot.ts'
import { storeMembers } from '../../../../src/store/tables/member.ts'
import { Timekeeper } from '../../../../src/store/timekeeper.ts'
import { testTables } from '../../../conformance/store.ts'
import { freshFolder } from '../../../fake/folder.ts'
import { Root, TestIdentity } from './pki.ts'
import { memberPort } from './ports.ts'

/** Stable at once, and patient with a busy machine. */
const testRules: AutopilotRow = {
  cleanupDeadServers: true,
  lastContactThresholdMs: 2_000,
  maxTrailingLogs: 250,
  minQuorum: 0,
  serverStabilizationTimeMs: 500,
  redundancyZoneTag: '',
  disableUpgradeMigration: false,
  upgradeVersionTag: '',
}

const QUOTA_SIZE_BYTES = 100_000_000

/** One server: its folder, its ports, and its member once it was started. */
export class TestServer {
  readonly name: string
  readonly dataDir: string
  readonly identity: TestIdentity
  readonly settings: Omit<MemberSettings, 'folder'>
  /** What was logged. */
  readonly lines: string[] = []
  /** Where programs are looked for, and whatever else a process is told. */
  environment: NodeJS.ProcessEnv = process.env
  founders: readonly MemberAddress[] | undefined
  heard: readonly MemberAddress[] = []
  #member: ManagedMember | undefined
  #starting: Promise<ManagedMember> | undefined

  constructor(name: string, dataDir: string, root: Root, ports: readonly number[], quota: number) {
    this.name = name
    this.dataDir = dataDir
    this.identity = new TestIdentity(root.leaf())
    this.settings = {
      name,
      listen: ['127.0.0.1'],
      advertise: '127.0.0.1',
      peerPort: ports[0]!,
      clientPort: ports[1]!,
      quotaSizeBytes: quota,
    }
  }

  get address(): MemberAddress {
    const { peerPort, clientPort } = this.settings
    const url = (port: number): string => `https://127.0.0.1:${port}`
    return { name: this.name, peerUrl: url(peerPort), clientUrl: url(clientPort) }
  }

  get member(): ManagedMember {
    return this.#member!
  }

  /** Opens the store over its member and begins to look after members. */
  async serve(rules: Partial<AutopilotRow> = {}): Promise<EtcdStore> {
    const { member, log } = this
    const store = await openEtcdStore({
      endpoints: member.endpoints,
      access: member.storeAccess,
      prefix: 'test',
      serverId: this.name,
      tables: withSystemTables([storeMembers, ...testTables]),
      clock: systemClock,
      random: systemRandom,
    })
    const ports = { store, clock: foregroundClock, log }
    const care = new MemberCare({
      ...ports,
      member,
      rules: () => ({ ...testRules, ...rules }),
      left: () => this.left,
      role: () => this.#role(store, () => timekeeper.holding),
    })
    const timekeeper: Timekeeper = new Timekeeper(
      { ...ports, random: systemRandom },
      { role: 'registry', holder: this.name, kinds: [], duties: care.duties },
    )
    timekeeper.start()
    care.start()
    this.care = care
    this.store = store
    this.#close = async () => {
      await care.stop()
      await timekeeper.stop()
      await store.close()
    }
    return store
  }

  #role(store: EtcdStore, isOurs: () => boolean): 'ours' | 'theirs' | 'nobody' {
    if (isOurs()) return 'ours'
    return store.view().get(roles, 'registry') === undefined ? 'nobody' : 'theirs'
  }

  /** Ends everything in the order of an agent. */
  async stop(): Promise<void> {
    await this.#close()
    this.#close = async () => {}
    await this.#member?.stop()
  }

  care!: MemberCare
  store!: EtcdStore
  left: ReadonlySet<string> = new Set()
  #close: () => Promise<void> = async () => {}

  get log(): LiveLog {
    const note = (message: string, fields: LogFields = {}): void =>
      void this.lines.push(`${message} ${JSON.stringify(fields)}`)
    return { ...silentLog, debug: note, info: note, warn: note, error: note }
  }

  async start({ clusterId = 'cluster-1' } = {}): Promise<ManagedMember> {
    const { dataDir, settings, identity, founders, heard } = this
    const ports = {
      clock: foregroundClock,
      random: systemRandom,
      log: this.log,
      environment: this.environment,
      connect: connectMember,
      signal: this.#abandon.signal,
    }
    const options = { dataDir, clusterId, settings, identity, founders, heard, program: undefined }
    this.#starting = ManagedMember.start(options, ports)
    this.#member = await this.#starting
    return this.#member
  }

  readonly #abandon = new AbortController()

  /** Ends a start that is under way. */
  async abandon(): Promise<void> {
    this.#abandon.abort()
    await this.#starting?.catch(() => {})
  }

  /** '' when its own member serves. */
  async ready(): Promise<string> {
    const operators = new Operators(this.member.access, connectMember)
    try {
      return await operators.ready(this.address.clientUrl)
    } finally {
      operators.close()
    }
  }

  async close(): Promise<void> {
    await this.abandon()
    await this.stop()
    for (const pid of await processesOn(`${this.dataDir}/etcd`)) process.kill(pid, 'SIGKILL')
  }
}

/** Servers that found a cluster together when they are started. */
export async function openServers(
  t: Test,
  count: number,
  { quota = QUOTA_SIZE_BYTES, root = new Root() } = {},
): Promise<TestServer[]> {
  const servers: TestServer[] = []
  for (let at = 1; at <= count; at++) servers.push(await openServer(t, `node-${at}`, root, quota))
  const founders = servers.map(({ address }) => address)
  for (const server of servers) server.founders = founders
  return servers
}

/** One server that has not founded anything. */
export async function openServer(
  t: Test,
  name: string,
  root: Root,
  quota = QUOTA_SIZE_BYTES,
): Promise<TestServer> {
  const ports = [await memberPort(), await memberPort()]
  const server = new TestServer(name, freshFolder(t), root, ports, quota)
  t.teardown(() => server.close())
  return server
}

/** A connection to a server's own member. */
export async function operatorOf(t: Test, member: ManagedMember): Promise<EtcdOperator> {
  const operator = await connectMember(member.address.clientUrl, member.access)
  t.teardown(() => operator.close())
  return operator
}
