/**
 * The peers: figures of Consul and OpenBao as they were recorded, or their binaries where
 * CONSUL_BIN and BAO_BIN name them.
 *
 * Owns the recorded figures (Consul 1.19.2, OpenBao 2.5; one server on disk, both cores of a
 * machine with two) and how the binaries are started. A bench runs its own load against them.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './support/child.ts'
import { call } from './support/client.ts'
import { pinned } from './support/cores.ts'
import { sleep } from './support/rounds.ts'
import { rate, time } from './support/row.ts'

/** Requests a second, with 32 connections; milliseconds where the name says so. */
export const recorded = {
  healthRead: 4_900,
  kvGet: 23_500,
  kvPut: 9_400,
  register: 2_600,
  watchersLastMs: 560,
} as const

/** Of OpenBao: requests a second, with 32 connections; milliseconds where the name says so. */
export const recordedBao = {
  kvWrite: 1_900,
  kvRead: 7_100,
  tokenCreate: 760,
  approleLogin: 780,
  encrypt: 8_600,
  encryptItems: 129_000,
  issueStored: 1_300,
  issueUnstored: 3_100,
  firstWriteMs: 6_600,
} as const

/** Starts OpenBao's binary on some cores, and has `open` make it ready; undefined without one. */
export async function startBao<T>(
  cores: string,
  open: (port: number, startedMs: number) => Promise<T>,
): Promise<(T & { readonly server: { stop(): Promise<void> } }) | undefined> {
  const binary = process.env.BAO_BIN
  if (binary === undefined || binary === '') return undefined
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-peer-'))
  const [port, clusterPort] = [await freePort(), await freePort()]
  const file = join(folder, 'bao.hcl')
  writeFileSync(
    file,
    `disable_mlock = true
api_addr = "http://127.0.0.1:${port}"
cluster_addr = "http://127.0.0.1:${clusterPort}"
storage "raft" { path = "${folder}" node_id = "one" }
listener "tcp" {
  address = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_disable = true
}
`,
  )
  const startedMs = performance.now()
  const [command = '', ...rest] = pinned(cores, binary, ['server', `-config=${file}`])
  const child = spawn(command, rest, { stdio: 'ignore' })
  const gone = new Promise(resolve => child.once('exit', resolve))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gone
    rmSync(folder, { recursive: true, force: true })
  }
  for (let tries = 0; tries < 100; tries++) {
    try {
      await call(port, 'GET', '/v1/sys/seal-status')
      break
    } catch {
      await sleep(50)
    }
  }
  return { ...(await open(port, startedMs)), server: { stop } }
}

export interface Peer {
  readonly version: string
  readonly port: number
  stop(): Promise<void>
}

/** Starts the peer's binary on some cores; undefined when none is named. */
export async function startPeer(cores: string): Promise<Peer | undefined> {
  const binary = process.env.CONSUL_BIN
  if (binary === undefined || binary === '') return undefined
  const version = execFileSync(binary, ['version'], { encoding: 'utf8' }).split('\n', 1)[0] ?? ''
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-peer-'))
  const port = await freePort()
  const names = ['dns', 'server', 'serf_lan', 'serf_wan']
  const others = await Promise.all(names.map(async name => `${name} = ${await freePort()}`))
  const settings = `ports { http = ${port} grpc = -1 grpc_tls = -1 ${others.join(' ')} }`
  const modes = ['-server', '-bootstrap-expect=1', '-bind=127.0.0.1', '-log-level=err']
  const words = ['agent', ...modes, `-data-dir=${folder}`, '-hcl', settings]
  const [command = '', ...rest] = pinned(cores, binary, words)
  const child = spawn(command, rest, { stdio: 'ignore' })
  const gone = new Promise(resolve => child.once('exit', resolve))
  await untilWritable(port)
  return {
    version,
    port,
    async stop() {
      child.kill('SIGKILL')
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function untilWritable(port: number): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const answer = await call(port, 'PUT', '/v1/kv/ready', '1').catch(() => undefined)
    if (answer?.status === 200) return
    await sleep(50)
  }
  throw new Error('the peer does not take a write')
}

/** The peer's column for a rate: its figure, and how many times that ours is. */
export function peerRate(
  ours: number,
  figure: number,
  { goal, measuredBy }: { readonly goal: number; readonly measuredBy?: string | undefined },
): string {
  const times = ours / figure
  const verdict = times >= goal ? 'met' : 'missed'
  const how = measuredBy ?? 'recorded, Consul 1.19.2'
  return `${rate(figure)} (${how}); ours ${times.toFixed(1)} times, goal ${goal}: ${verdict}`
}

/** The same for a time: ours is to be under `goal` of it. */
export function peerTime(
  oursMs: number,
  figureMs: number,
  { goal, measuredBy }: { readonly goal: number; readonly measuredBy?: string | undefined },
): string {
  const share = oursMs / figureMs
  const verdict = share < goal ? 'met' : 'missed'
  const how = measuredBy ?? 'recorded, Consul 1.19.2'
  return `${time(figureMs)} (${how}); ours ${share.toFixed(2)} of it, goal ${goal}: ${verdict}`
}
