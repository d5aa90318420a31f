/**
 * The agent of a node with 20 HTTP checks at 10 s, before a server: its memory and its share of a
 * core once all is quiet. Every machine pays for one.
 */
import { type Child, freePort } from './support/child.ts'
import { must } from './support/client.ts'
import { bothSettings, pinSelf } from './support/cores.ts'
import { isQuick, sleep } from './support/rounds.ts'
import { megabytes, printRow, say } from './support/row.ts'
import { type Server, startAgent, startBare } from './support/servers.ts'

const CHECKS = 20
const INTERVAL_MS = 10_000
const MEASURED_MS = isQuick ? 10_000 : 60_000
const SIZE_GOAL_BYTES = 90e6
const SHARE_GOAL = 0.01

const cores = bothSettings[0]!
pinSelf(cores)
const bare = await startBare(cores.server, 'idle')
const bareSizeBytes = sizeOf(bare)
await bare.stop()
const rpcPort = await freePort()
const server = await startAgent(cores.server, { more: [`-server-port=${rpcPort}`] })
const agent = await startBefore(server)
await register(agent.port)
await sleep(2 * INTERVAL_MS)
const [fromMs, fromCpuMs] = [performance.now(), agent.cpuMs()]
await sleep(MEASURED_MS)
const share = (agent.cpuMs() - fromCpuMs) / (performance.now() - fromMs)
const sizeBytes = sizeOf(agent)
await Promise.all([agent.stop(), server.stop()])

const figure = `node's agent, ${CHECKS} HTTP checks at ${INTERVAL_MS / 1_000} s`
printRow({
  figure: `memory of a ${figure}`,
  ours: megabytes(sizeBytes),
  limit: `${megabytes(bareSizeBytes)} (a bare server that does nothing)`,
  goal: `under ${megabytes(SIZE_GOAL_BYTES)}`,
  met: sizeBytes < SIZE_GOAL_BYTES,
  peer: '',
  note: 'resident, with what processes of the same program share',
})
printRow({
  figure: `CPU of a ${figure}`,
  ours: `${(100 * share).toFixed(2)} % of a core`,
  limit: 'absolute',
  goal: `under ${100 * SHARE_GOAL} %`,
  met: share < SHARE_GOAL,
  peer: '',
  note: `over ${MEASURED_MS / 1_000} s`,
})
say(`${figure}: ${megabytes(sizeBytes)}, ${(100 * share).toFixed(2)} % of a core`)

function sizeOf(child: Child): number {
  return child.rssSizeBytes() ?? Number.POSITIVE_INFINITY
}

async function startBefore({ port }: Server): Promise<Server> {
  const made = await must(port, 'PUT', '/v1/operator/join-token', { Kind: 'client' })
  const { Token } = JSON.parse(made.body.toString())
  const more = [
    ...['-server=false', '-node=edge', `-retry-join=127.0.0.1:${rpcPort}`],
    ...[`-server-port=${await freePort()}`, '-hcl', `join_token = "${Token}"`],
    ...['-hcl', 'disable_host_node_id = true leave_on_terminate = false'],
  ]
  return startAgent(cores.server, { more, isProbed: false })
}

async function register(port: number): Promise<void> {
  for (let id = 0; id < CHECKS; id++) {
    const http = `http://127.0.0.1:${server.port}/v1/status/leader`
    await must(port, 'PUT', '/v1/agent/service/register', {
      Name: `service-${id}`,
      Port: 80,
      Check: { HTTP: http, Interval: `${INTERVAL_MS}ms` },
    })
  }
}
