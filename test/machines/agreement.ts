/** After faults: every server works again by itself, and all tell the same. */
import { until } from '../clients/process.ts'
import type { ClusterServer } from './cluster.ts'

/** A busy machine starts a server and its member in a minute. */
const HEALED_MS = 240_000

interface Peers {
  readonly Servers: readonly { readonly Address: string; readonly Voter: boolean }[]
}

/** It writes again by itself, and where servers run members, it is one that has a vote. */
export async function healed(server: ClusterServer): Promise<void> {
  await until(
    `${server.machine.name} writes again: ${server.said.slice(-2_000)}`,
    async () =>
      (await server.ask('PUT', `/v1/kv/healed/${server.machine.name}`, 'x')).status === 200,
    HEALED_MS,
  )
  if (!server.isManaged) return
  await until(
    `${server.machine.name} has a vote: ${server.said.slice(-2_000)}`,
    async () => {
      const { text } = await server.ask('GET', '/v1/operator/raft/configuration')
      const { Servers } = JSON.parse(text) as Peers
      const places = new Set(Servers.filter(({ Voter }) => Voter).map(({ Address }) => Address))
      return places.has(`${server.machine.address}:8300`)
    },
    HEALED_MS,
  )
}

const URLS = ['/v1/kv/?recurse', '/v1/session/list', '/v1/catalog/services', '/v1/health/state/any']

/** Whether all servers tell the same of the same state, once what ends by itself has ended. */
export async function agree(servers: readonly ClusterServer[]): Promise<boolean> {
  return until('all servers tell the same', async () => {
    const told = await Promise.all(
      servers.map(async server => {
        const answers = await Promise.all(URLS.map(url => server.ask('GET', url)))
        return answers.map(({ text }) => text).join('\n')
      }),
    )
    return new Set(told).size === 1
  })
}
