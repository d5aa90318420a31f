/**
 * Three servers of ours on three members of etcd, all processes of this machine.
 *
 * Owns how they are started, and finding out who leads. They share the cores that are given.
 */

import { type Child, freePort, startFile } from './child.ts'
import { call } from './client.ts'
import { sleep } from './rounds.ts'
import { makeFolder, type Server, startAgent } from './servers.ts'

export interface Member extends Child {
  readonly endpoint: string
  readonly port: number
}

export interface TestCluster {
  readonly members: readonly Member[]
  readonly servers: readonly NamedServer[]
  stop(): Promise<void>
}

export interface NamedServer extends Server {
  readonly name: string
}

const COUNT = 3
const READY_POLLS = 500
const POLL_MS = 20

/** Starts three members, and three servers on them. */
export async function startCluster(cores: string): Promise<TestCluster> {
  const members = await startMembers(cores)
  const endpoints = members.map(({ endpoint }) => JSON.stringify(endpoint)).join(', ')
  const store = `store { engine = "etcd", etcd { endpoints = [${endpoints}] } }`
  const servers: NamedServer[] = []
  for (let at = 0; at < COUNT; at++) {
    const name = `server-${at}`
    const more = ['-hcl', store, `-node=${name}`, '-disable-host-node-id']
    servers.push({ ...(await startAgent(cores, { more })), name })
  }
  await until(async () => (await leaderOf(servers[0]!)) !== '')
  return {
    members,
    servers,
    async stop() {
      await Promise.all(servers.map(server => server.stop()))
      await Promise.all(members.map(member => member.stop('SIGKILL')))
    },
  }
}

async function startMembers(cores: string): Promise<Member[]> {
  const ports: { readonly client: number; readonly peer: number }[] = []
  for (let at = 0; at < COUNT; at++) {
    ports.push({ client: await freePort(), peer: await freePort() })
  }
  const peers = ports.map(({ peer }, at) => `m${at}=http://127.0.0.1:${peer}`).join(',')
  const members = await Promise.all(
    ports.map(async ({ client, peer }, at) => {
      const endpoint = `http://127.0.0.1:${client}`
      const own = `http://127.0.0.1:${peer}`
      const words = [
        ...['--name', `m${at}`, '--data-dir', makeFolder(), '--log-level', 'error'],
        ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
        ...['--listen-peer-urls', own, '--initial-advertise-peer-urls', own],
        ...['--initial-cluster', peers, '--logger', 'zap'],
      ]
      return { ...(await startFile(cores, 'etcd', words)), endpoint, port: client }
    }),
  )
  for (const { port } of members) {
    await until(async () => {
      const answer = await call(port, 'GET', '/health').catch(() => undefined)
      return answer?.body.includes('"true"') === true
    })
  }
  return members
}

/** The name of the server that holds the timekeeper's role, as another one sees it; '' for none. */
export async function leaderOf({ port }: Server): Promise<string> {
  const { body } = await call(port, 'GET', '/v1/operator/raft/configuration')
  const { Servers } = JSON.parse(body.toString()) as {
    Servers: { Node: string; Leader: boolean }[]
  }
  return Servers.find(({ Leader }) => Leader)?.Node ?? ''
}

/** The member of etcd that leads. */
export async function leadingMember(members: readonly Member[]): Promise<Member> {
  const states = await Promise.all(
    members.map(async member => {
      const { body } = await call(member.port, 'POST', '/v3/maintenance/status', '{}')
      return JSON.parse(body.toString()) as { leader: string; header: { member_id: string } }
    }),
  )
  const at = states.findIndex(({ leader, header }) => leader === header.member_id)
  const found = members[at]
  if (found === undefined) throw new Error('no member of etcd leads')
  return found
}

/** Polls until something is so. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let polls = 0; polls < READY_POLLS; polls++) {
    if (await condition()) return
    await sleep(POLL_MS)
  }
  throw new Error('the condition did not come true')
}
