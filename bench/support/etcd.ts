/**
 * An etcd of three members on loopback for benches, and a bare client of it.
 *
 * Owns how they are started and that they go with the bench. The members have all cores: what is
 * compared runs before the same ones.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './child.ts'
import { pinned } from './cores.ts'
import { sleep } from './rounds.ts'
import { makeFolder } from './servers.ts'

const MEMBERS = 3
const READY_POLLS = 300
const POLL_MS = 50

const members: ChildProcess[] = []
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
process.on('exit', () => {
  for (const member of members) member.kill('SIGKILL')
})

/** Starts the members; gives their endpoints once each of them answers. */
export async function startEtcd(program = '/usr/bin/etcd'): Promise<string[]> {
  const folder = makeFolder()
  const places: { name: string; client: string; peer: string }[] = []
  for (let at = 0; at < MEMBERS; at++) {
    const [client, peer] = [await freePort(), await freePort()].map(
      port => `http://127.0.0.1:${port}`,
    )
    places.push({ name: `m${at}`, client: client!, peer: peer! })
  }
  const all = places.map(({ name, peer }) => `${name}=${peer}`).join(',')
  for (const { name, client, peer } of places) {
    const words = [
      ...['--name', name, '--data-dir', join(folder, name), '--initial-cluster', all],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--logger', 'zap', '--log-level', 'error'],
    ]
    const member = spawn(program, words, { stdio: 'ignore' })
    // It does not hold the bench open, and goes with it.
    member.unref()
    members.push(member)
  }
  for (const { client } of places) await untilReady(client)
  return places.map(({ client }) => client)
}

async function untilReady(endpoint: string): Promise<void> {
  for (let polls = 0; polls < READY_POLLS; polls++) {
    const answer = await fetch(`${endpoint}/health`).catch(() => undefined)
    if (answer !== undefined && (await answer.text()).includes('"true"')) return
    await sleep(POLL_MS)
  }
  throw new Error(`etcd does not answer at ${endpoint}: is etcd-server installed?`)
}

/** Puts with a bare client, one put a request, so many at a time; gives puts a second. */
export async function barePuts(
  cores: string,
  endpoint: string,
  concurrency: number,
  seconds: number,
): Promise<number> {
  const file = fileURLToPath(new URL('./bare-etcd.ts', import.meta.url))
  const words = ['--no-warnings', file, endpoint, `${concurrency}`, `${seconds}`]
  const [command = '', ...rest] = pinned(cores, process.execPath, words)
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  for await (const chunk of child.stdout) printed += chunk
  const perSecond = Number(printed)
  if (!(perSecond > 0)) throw new Error(`the bare client failed: ${printed}`)
  return perSecond
}
