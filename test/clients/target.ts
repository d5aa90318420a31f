/**
 * What the foreign clients are pointed at besides one server: a cluster of three, or an agent of
 * such a cluster that is no server.
 *
 * Owns how these are started, by the words that operators use: the servers found the cluster
 * together, each with a member of etcd of its own, and the agent joins by a token that they made.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { processesOn } from '../../src/store/etcd/member/process.ts'
import { portsInRow } from '../store/etcd/member/ports.ts'
import { launch, tempFolder, until } from './process.ts'
import { type Daemon, type DaemonOptions, daemonOf, program, whenReady } from './running.ts'
import { spread } from './spread.ts'

/** How many servers a cluster of tests has. */
const SERVERS = 3

export interface ClusterOptions {
  /** What each server is told besides. */
  readonly wordsOf: (at: number) => readonly string[]
  /** Where the first keeps its data; a folder of the test's own unless given. */
  readonly dataDir?: string
  readonly env?: NodeJS.ProcessEnv
}

/** A running cluster. */
export interface Cluster {
  readonly servers: readonly Daemon[]
  /** Starts a server that has ended; with other words, if given. */
  restart(at: number, words?: readonly string[]): Promise<Daemon>
  /** Starts an agent that is no server, which joins by the token. */
  join(token: string, options?: DaemonOptions): Promise<Daemon>
}

/** Starts three servers that found a cluster. */
export async function foundCluster(
  t: Test,
  { wordsOf, dataDir, env = {} }: ClusterOptions,
): Promise<Cluster> {
  const folder = tempFolder(t)
  const token = path.join(folder, 'token')
  writeFileSync(token, `${randomUUID()}.${randomBytes(32).toString('base64url')}\n`)
  const places: { folder: string; ports: Awaited<ReturnType<typeof portsInRow>> }[] = []
  for (let at = 0; at < SERVERS; at++) {
    const own = at === 0 ? dataDir : undefined
    places.push({ folder: own ?? path.join(folder, `${at}`), ports: await portsInRow() })
  }
  const common = [
    ...['-http-port=0', '-dns-port=0', '-disable-host-node-id', '-hcl=retry_interval = "1s"'],
    ...places.map(({ ports }) => `-retry-join=127.0.0.1:${ports[2]}`),
  ]
  // Members may outlive servers that are killed.
  t.teardown(async () => {
    for (const place of places) {
      for (const pid of await processesOn(path.join(place.folder, 'etcd'))) {
        process.kill(pid, 'SIGKILL')
      }
    }
  })
  const start = async (own: string, words: readonly string[], more = env): Promise<Daemon> => {
    const launched = launch(t, program, ['agent', `-data-dir=${own}`, ...common, ...words], {
      env: more,
    })
    await whenReady(launched)
    return daemonOf(launched, own)
  }
  const restart = (at: number, words = wordsOf(at)): Promise<Daemon> => {
    const { folder: own, ports } = places[at]!
    const member = `member { peer_port = ${ports[1]} client_port = ${ports[0]} }`
    return start(own, [
      ...[`-bootstrap-expect=${SERVERS}`, `-join-token-file=${token}`],
      ...[`-server-port=${ports[2]}`, `-hcl=store { ${member} }`, ...words],
    ])
  }
  const servers = await Promise.all(places.map((_, at) => restart(at)))
  await until('all know who leads', async () => {
    const told = await Promise.all(servers.map(server => server.read<string>('/v1/status/leader')))
    return told.every(leader => leader !== '')
  })
  return {
    servers,
    restart,
    join(secret, options = {}) {
      const own = options.dataDir ?? tempFolder(t)
      const more = { ...options.env, GATEHOUSE_JOIN_TOKEN: secret }
      const words = ['-hcl=server = false', '-server-port=0', ...(options.words ?? [])]
      return start(own, words, more)
    },
  }
}

/** A token by which agents that are no servers join. */
export async function clientToken(server: Daemon): Promise<string> {
  const { status, text } = await server.ask('PUT', '/v1/operator/join-token', { Kind: 'client' })
  if (status !== 200) throw new Error(`no join token: ${status} ${text}`)
  return (JSON.parse(text) as { Token: string }).Token
}

/** A cluster behind one address; what tests do to the daemon, they do to its first server. */
export async function startBehindOne(t: Test, options: DaemonOptions): Promise<Daemon> {
  const { words = [] } = options
  const wordsOf = (at: number): readonly string[] =>
    at === 0 ? words : [...forAll(words), `-node=server-${at}`]
  const { servers } = await foundCluster(t, { ...options, wordsOf })
  const [first] = servers
  // What is told by a file, or listens in one, is told to the first alone.
  if (words.some(isOfOne)) return first!
  return daemonOf(first!, first!.dataDir, await spread(t, servers))
}

/** An agent of a cluster; what tests do to the daemon, they do to the agent. */
export async function startBeside(t: Test, options: DaemonOptions): Promise<Daemon> {
  const { words = [], env = {} } = options
  const wordsOf = (at: number): string[] => [...forAll(words), `-node=server-${at}`]
  const guarded = words.some(word => /\bacl\b/.test(word))
  // With ACLs on nobody may make a token yet, so the first server gets them a moment later.
  const before = (at: number): string[] =>
    guarded && at === 0 ? [`-node=server-${at}`] : wordsOf(at)
  const { servers, restart, join } = await foundCluster(t, { wordsOf: before, env })
  const token = await clientToken(servers[0]!)
  if (guarded) {
    await servers[0]!.stop()
    await restart(0, wordsOf(0))
  }
  const agent = await join(token, options)
  await until('the agent reaches a server', async () => {
    return (await agent.ask('GET', '/v1/status/leader')).status === 200
  })
  return agent
}

const isOfOne = (word: string): boolean => /^-config-(file|dir)=|unix:/.test(word)
const forAll = (words: readonly string[]): string[] =>
  words.filter(word => !isOfOne(word) && !word.startsWith('-node='))
