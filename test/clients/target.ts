/**
 * What the foreign clients are pointed at: one server, a cluster of three, or an agent of such a
 * cluster that is no server.
 *
 * Owns how these are started, by the words that operators use: the servers found the cluster
 * together, each with a member of etcd of its own, and the agent joins by their token.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { processesOn } from '../../src/store/etcd/member/process.ts'
import { memberPort } from '../store/etcd/member/ports.ts'
import { type Daemon, type DaemonOptions, daemonOf, program, whenReady } from './daemon.ts'
import { launch, tempFolder } from './process.ts'
import { spread } from './spread.ts'

/** How many servers a cluster of tests has. */
const SERVERS = 3

/** A running cluster: its servers, and how an agent joins them. */
export interface Cluster {
  readonly servers: readonly Daemon[]
  /** Starts another agent, which joins; its words say the rest. */
  join(words: readonly string[], options?: DaemonOptions): Promise<Daemon>
}

/** Starts three servers that found a cluster; `wordsOf` says what each of them is told besides. */
export async function foundCluster(
  t: Test,
  wordsOf: (at: number) => readonly string[],
  { env = {}, dataDir }: DaemonOptions = {},
): Promise<Cluster> {
  const folder = tempFolder(t)
  const token = path.join(folder, 'token')
  writeFileSync(token, `${randomUUID()}.${randomBytes(32).toString('base64url')}\n`)
  const folders = Array.from({ length: SERVERS }, (_, at) =>
    at === 0 && dataDir !== undefined ? dataDir : path.join(folder, `${at}`),
  )
  const ports: (readonly [number, number, number])[] = []
  for (const _ of folders) ports.push([await memberPort(), await memberPort(), await memberPort()])
  const joining = [
    ...ports.map(([server]) => `-retry-join=127.0.0.1:${server}`),
    ...[`-join-token-file=${token}`, '-disable-host-node-id', '-hcl=retry_interval = "1s"'],
    ...['-http-port=0', '-dns-port=0'],
  ]
  // Members outlive servers that are killed.
  t.teardown(async () => {
    for (const each of folders) {
      for (const pid of await processesOn(path.join(each, 'etcd'))) process.kill(pid, 'SIGKILL')
    }
  })
  const launched = folders.map((each, at) => {
    const [server, peer, client] = ports[at]!
    const member = `-hcl=store { member { peer_port = ${peer} client_port = ${client} } }`
    const words = ['-server', `-bootstrap-expect=${SERVERS}`, `-server-port=${server}`, member]
    const all = ['agent', `-data-dir=${each}`, ...joining, ...words, ...wordsOf(at)]
    return launch(t, program, all, { env })
  })
  await Promise.all(launched.map(whenReady))
  return {
    servers: launched.map((each, at) => daemonOf(each, folders[at]!)),
    async join(words, options = {}) {
      const own = options.dataDir ?? tempFolder(t)
      const all = ['agent', `-data-dir=${own}`, ...joining, '-server-port=0', ...words]
      const agent = launch(t, program, all, { env: options.env ?? {} })
      await whenReady(agent)
      return daemonOf(agent, own)
    },
  }
}

/** A cluster behind one address; what tests do to the daemon, they do to its first server. */
export async function startBehindOne(t: Test, options: DaemonOptions): Promise<Daemon> {
  const { words = [] } = options
  const { servers } = await foundCluster(
    t,
    at => (at === 0 ? words : [...forAll(words), `-node=server-${at}`]),
    options,
  )
  const [first] = servers
  // What is told by a file, or listens in one, is told to the first alone.
  if (words.some(isOfOne)) return first!
  return daemonOf(first!, first!.dataDir, await spread(t, servers))
}

/** An agent of a cluster; what tests do to the daemon, they do to the agent. */
export async function startBeside(t: Test, options: DaemonOptions): Promise<Daemon> {
  const { words = [], env = {} } = options
  const { join } = await foundCluster(t, at => [...forAll(words), `-node=server-${at}`], { env })
  return join(['-hcl=server = false', ...words], options)
}

const isOfOne = (word: string): boolean => /^-config-(file|dir)=|unix:/.test(word)
const forAll = (words: readonly string[]): string[] =>
  words.filter(word => !isOfOne(word) && !word.startsWith('-node='))
