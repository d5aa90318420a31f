/** After faults: every server works again by itself, and all tell the same. */
import { until } from '../clients/process.ts'
import type { ClusterServer } from './cluster.ts'

const HEALED_MS = 60_000

/** It writes again, by itself. */
export async function healed(server: ClusterServer): Promise<void> {
  await until(
    `${server.machine.name} writes again: ${server.said.slice(-2_000)}`,
    async () =>
      (await server.ask('PUT', `/v1/kv/healed/${server.machine.name}`, 'x')).status === 200,
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
