/**
 * Rebuilding a cluster from what one disk holds, when most members are lost for good.
 *
 * Owns that nothing is touched before it was proven: each disk is copied, the copy is opened as a
 * cluster of one, alone on this machine, and read; the newest copy then takes the place of the
 * data, and what was there is put aside. Refuses while the members that are left could decide.
 * No certificate of the cluster is needed, since those may have run out with it.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { cp, mkdir, rename, rm } from 'node:fs/promises'
import { connect as connectSocket, createServer } from 'node:net'
import { join } from 'node:path'
import { type Clock, type Random, sleep } from '../../../base/clock.ts'
import { HOUR_MS } from '../../../base/duration.ts'
import { messageOf, OperatingCode, OperatingError } from '../../../base/errors.ts'
import { hasCode, readFileIfExists, writeFileAtomic } from '../../../base/io/file.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { TlsMaterial } from '../../../base/tls.ts'
import { issueCertificate, type OwnContent } from '../../../x509/own.ts'
import { hasEtcdData, MemberFolder, type MemberPems, type MemberState } from './folder.ts'
import { quorumOf } from './health.ts'
import { decideAll } from './log-tail.ts'
import { type ConnectMember, Operators } from './operator.ts'
import { MemberProcess, processesOn } from './process.ts'
import { findMemberProgram, type MemberProgram } from './program.ts'
import { type MemberAddress, type MemberSettings, memberWords } from './words.ts'

export interface RecoverOptions {
  /** The data folder of this server. */
  readonly dataDir: string
  /** Folders with copies of other servers' data: of etcd itself, or what it lies in. */
  readonly others: readonly string[]
  /** Without it nothing is replaced: what would be is found out and told. */
  readonly isConfirmed: boolean
  readonly program: string | undefined
}

export interface RecoverPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly connect: ConnectMember
}

/** What one disk holds. */
export interface DiskContent {
  readonly folder: string
  /** The newest revision on it. */
  readonly revision: number
  readonly raftTerm: number
  readonly raftIndex: number
  readonly sizeBytes: number
}

export interface Recovery {
  /** All disks that were looked at, the newest first: that one is kept. */
  readonly disks: readonly DiskContent[]
  /** Where the data that was there lies now; undefined while nothing was replaced. */
  readonly putAside: string | undefined
}

/** Finds the newest disk and, if confirmed, makes it this server's data, as a cluster of one. */
export async function recoverMember(
  options: RecoverOptions,
  ports: RecoverPorts,
): Promise<Recovery> {
  const { dataDir, others, isConfirmed } = options
  const folder = new MemberFolder(dataDir)
  const state = await folder.readState()
  const nodeId = (await readFileIfExists(join(dataDir, 'node-id')))?.toString('utf8').trim()
  const own = state?.members.find(({ name }) => name === nodeId)
  if (state === undefined || nodeId === undefined || own === undefined) {
    throw new OperatingError(
      OperatingCode.unavailable,
      `${dataDir} is not that of a server that ran a member: node-id or member/state.json is ` +
        'missing. Take the data folder of a server that did',
    )
  }
  await refuseRunning(folder)
  await refuseQuorum(state, own)
  const program = await findMemberProgram(options.program, ports.environment.PATH)
  const sources = await sourcesOf(folder, others)
  const copies: { readonly content: DiskContent; readonly copy: string }[] = []
  try {
    for (const [at, source] of sources.entries()) {
      const copy = `${folder.data}.recovering-${at}`
      await copyData(source, copy)
      copies.push({ content: await openAlone(source, copy, own, program, ports), copy })
    }
    copies.sort((a, b) => newest(a.content, b.content))
    const disks = copies.map(({ content }) => content)
    if (!isConfirmed) return { disks, putAside: undefined }
    return { disks, putAside: await install(folder, copies[0]!.copy, state, own, ports) }
  } finally {
    for (const [at] of sources.entries()) {
      await rm(`${folder.data}.recovering-${at}`, { recursive: true, force: true })
    }
  }
}

const newest = (a: DiskContent, b: DiskContent): number =>
  b.revision - a.revision || b.raftTerm - a.raftTerm || b.raftIndex - a.raftIndex

async function refuseRunning({ data }: MemberFolder): Promise<void> {
  const [pid] = await processesOn(data)
  if (pid === undefined) return
  const text = `etcd runs on ${data} (process ${pid}): stop gatehouse on this machine first`
  throw new OperatingError(OperatingCode.locked, text)
}

/** Members that listen, together with this one, could decide: then nothing was lost. */
async function refuseQuorum({ members }: MemberState, own: MemberAddress): Promise<void> {
  const others = members.filter(({ name }) => name !== own.name)
  const listening = await Promise.all(others.map(({ clientUrl }) => listens(clientUrl)))
  const there = others.filter((_, at) => listening[at])
  if (there.length + 1 < quorumOf(members.length)) return
  if (members.length === 1) return
  const places = there.map(({ clientUrl }) => clientUrl).join(', ')
  throw new OperatingError(
    OperatingCode.locked,
    `of ${members.length} members ${there.length} run (${places}): with this one they are enough ` +
      'to decide, so nothing needs to be rebuilt. Start gatehouse here. Should this disk be ' +
      'damaged, remove its folders etcd and member, and it joins anew',
  )
}

function listens(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise(resolve => {
    const socket = connectSocket({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port),
      timeout: limits.memberAskTimeoutMs,
    })
    const end = (answer: boolean) => (): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', end(true))
    socket.once('error', end(false))
    socket.once('timeout', end(false))
  })
}

/** The folders of data: this server's, if it has any, and the others'. */
async function sourcesOf(folder: MemberFolder, others: readonly string[]): Promise<string[]> {
  const sources: string[] = []
  for (const stated of [folder.data, ...others]) {
    const found = await dataIn(stated)
    if (found !== undefined) sources.push(found)
    else if (stated !== folder.data) {
      const text = `${stated} holds no data of etcd: neither member/wal nor etcd/member/wal`
      throw new OperatingError(OperatingCode.unavailable, text)
    }
  }
  if (sources.length > 0) return sources
  throw new OperatingError(
    OperatingCode.unavailable,
    `${folder.data} holds no data of etcd: name a copy of another server's with -from, or restore ` +
      'an archive into a new cluster (snapshot restore)',
  )
}

async function dataIn(stated: string): Promise<string | undefined> {
  for (const one of [stated, join(stated, 'etcd')]) {
    if (await hasEtcdData(one)) return one
  }
  return undefined
}

async function copyData(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true })
  await mkdir(to, { mode: 0o700 })
  try {
    await cp(from, to, { recursive: true })
  } catch (error) {
    const why = hasCode(error, 'ENOSPC') ? 'the disk is full: a copy needs as much again' : ''
    throw new OperatingError(
      OperatingCode.disk,
      `${from} cannot be copied: ${why || messageOf(error)}`,
      'none',
      error,
    )
  }
}

/**
 * Opens a copy as a cluster of one that nobody else can reach, gives it this server's place, and
 * says what it holds.
 */
async function openAlone(
  source: string,
  copy: string,
  own: MemberAddress,
  program: MemberProgram,
  ports: RecoverPorts,
): Promise<DiskContent> {
  const [peerPort, clientPort] = await freePorts()
  const pems = throwawayPems(ports)
  const files = { cert: `${copy}.pem`, key: `${copy}.pem`, roots: `${copy}.roots.pem` }
  const pidFile = `${copy}.pid`
  await writeFileAtomic(files.cert, pems.cert + pems.key)
  await writeFileAtomic(files.roots, pems.roots)
  const settings: MemberSettings = {
    ...{ name: own.name, folder: copy, listen: ['127.0.0.1'], advertise: '127.0.0.1' },
    ...{ peerPort, clientPort, quotaSizeBytes: limits.memberRecoverQuotaSizeBytes },
  }
  // What a killed member did not note as decided would be cut off its log, though others were
  // told, and though its data may hold it.
  await decideAll(copy)
  const words = memberWords(settings, files, { kind: 'known' }, program.version)
    .filter(word => !NOT_ALONE.test(word))
    .concat('--force-new-cluster=true', `--advertise-client-urls=${own.clientUrl}`)
    // Members to come get the data itself: what it is may not follow from the log alone.
    .concat('--snapshot-count=1')
  const access = { material: () => materialOf(pems) }
  const operators = new Operators(access, ports.connect)
  const child = await MemberProcess.start(program, words, pidFile, ports)
  try {
    const endpoint = `https://127.0.0.1:${clientPort}`
    await untilReady(child, operators, endpoint, source, ports.clock)
    const operator = await operators.at(endpoint)
    const status = await operator.status()
    await operator.update(status.memberId, [own.peerUrl])
    const { revision, raftTerm, raftIndex, sizeBytes } = status
    return { folder: source, revision, raftTerm, raftIndex, sizeBytes }
  } finally {
    operators.close()
    await child.stop()
    for (const file of [files.cert, files.roots, pidFile]) await rm(file, { force: true })
  }
}

/** Words of a member that one which nobody else can reach is not started with. */
const NOT_ALONE = /initial-?corrupt-?check|^--advertise-client-urls|^--snapshot-count/i

async function untilReady(
  child: MemberProcess,
  operators: Operators,
  endpoint: string,
  source: string,
  clock: Clock,
): Promise<void> {
  const endMs = clock.monotonic() + limits.memberRecoverMs
  let why = ''
  while (child.isRunning && clock.monotonic() < endMs) {
    why = await operators.ready(endpoint)
    if (why === '') return
    await sleep(clock, limits.memberReadyPollMs)
  }
  const { lastComplaint } = child.isRunning ? { lastComplaint: why } : await child.ended
  throw new OperatingError(
    OperatingCode.damaged,
    `a copy of ${source} cannot be opened: ${lastComplaint}. The data itself was not touched`,
  )
}

/** Puts the copy in the place of the data; gives where that lies now. */
async function install(
  folder: MemberFolder,
  copy: string,
  { clusterId }: MemberState,
  own: MemberAddress,
  { clock, random }: RecoverPorts,
): Promise<string> {
  const stamp = new Date(clock.wall()).toISOString().replace(/[-:]|\.\d+/g, '')
  const aside = `${folder.data}.before-recover-${stamp}`
  // Until the last step the state names no data that is not there.
  await rename(folder.data, aside).catch(error => {
    if (!hasCode(error, 'ENOENT')) throw error
  })
  await rename(copy, folder.data)
  const incarnation = random.uuid()
  await folder.writeState({ clusterId, phase: 'member', incarnation, members: [own] })
  return aside
}

/** A root and a leaf for this minute: nobody else can have one. */
function throwawayPems({ clock, random }: RecoverPorts): MemberPems {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const content = (publicKey: KeyObject, name: string): OwnContent => ({
    ...{ subject: [['CN', name]], publicKey, serial: random.bytes(8), isAuthority: false },
    ...{ usages: ['digitalSignature'], extendedUsages: ['serverAuth', 'clientAuth'] },
    ...{ dnsNames: ['localhost'], addresses: ['127.0.0.1'], uris: [], permittedDomains: [] },
    notBefore: new Date(clock.wall() - HOUR_MS),
    notAfter: new Date(clock.wall() + HOUR_MS),
  })
  const roots = issueCertificate(
    {
      ...content(root.publicKey, 'gatehouse recovery'),
      ...{ isAuthority: true, usages: ['keyCertSign'], extendedUsages: [] },
      ...{ dnsNames: [], addresses: [] },
    },
    { certificate: undefined, key: root.privateKey },
  )
  const cert = issueCertificate(content(leaf.publicKey, 'gatehouse recovery member'), {
    ...{ certificate: roots, key: root.privateKey },
  })
  const key = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert, key, roots }
}

const materialOf = ({ cert, key, roots }: MemberPems): TlsMaterial =>
  new TlsMaterial({ cert: Buffer.from(cert), key: Buffer.from(key), ca: [Buffer.from(roots)] })

/** Two ports of this machine that were free a moment ago. */
async function freePorts(): Promise<[number, number]> {
  const open = async () => {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    return server
  }
  const servers = [await open(), await open()]
  const ports = servers.map(server => (server.address() as { port: number }).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return [ports[0]!, ports[1]!]
}
