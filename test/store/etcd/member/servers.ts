/**
 * Servers' members for tests: as many as wanted on this machine, under one root.
 */
import type { Test } from 'tap'
import { foregroundClock, systemRandom } from '../../../../src/base/clock.ts'
import { type LiveLog, type LogFields, silentLog } from '../../../../src/base/log.ts'
import { connectMember, type EtcdOperator } from '../../../../src/store/etcd/cluster.ts'
import { ManagedMember } from '../../../../src/store/etcd/member/member.ts'
import { Operators } from '../../../../src/store/etcd/member/operator.ts'
import { processesOn } from '../../../../src/store/etcd/member/process.ts'
import type { MemberAddress, MemberSettings } from '../../../../src/store/etcd/member/words.ts'
import { freshFolder } from '../../../fake/folder.ts'
import { Root, TestIdentity } from './pki.ts'
import { memberPort } from './ports.ts'

const QUOTA_SIZE_BYTES = 100_000_000

/** One server: its folder, its ports, and its member once it was started. */
class TestServer {
  readonly name: string
  readonly dataDir: string
  readonly identity: TestIdentity
  readonly settings: Omit<MemberSettings, 'folder'>
  /** What was logged. */
  readonly lines: string[] = []
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
      environment: process.env,
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
    await this.#member?.stop()
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
async function openServer(
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
