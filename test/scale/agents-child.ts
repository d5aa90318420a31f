/**
 * Light agents in a process of their own: each has its certificate, its RPC listener, its stream to
 * a server, its probes; none has an API, checks or a store. Started by agents.test.ts.
 *
 * Messages of the parent: `{ kill: n }` ends so many agents as a killed process would; `{ usage }`
 * asks what this process used. With `beatMs` agents are sets of bare streams that beat so often.
 */
import { readFileSync } from 'node:fs'
import { ClientLiveness } from '../../src/agent/liveness.ts'
import { foregroundClock, systemRandom } from '../../src/base/clock.ts'
import { openRpcServer } from '../../src/base/io/grpc.ts'
import { silentLog } from '../../src/base/log.ts'
import { TlsMaterial } from '../../src/base/tls.ts'
import { identityOf } from '../../src/cluster/names.ts'
import {
  openAgentChannel,
  openServerChannel,
  type ServerAddress,
  type ServerChannel,
} from '../../src/rpc/channels.ts'
import { heartbeat } from '../../src/rpc/live.ts'

export interface Plan {
  readonly cluster: string
  readonly ca: string
  readonly servers: readonly ServerAddress[]
  readonly agents: readonly { readonly cert: string; readonly key: string }[]
  /** Bare streams that beat this often, instead of light agents. */
  readonly beatMs?: number
}

export interface Usage {
  readonly rssBytes: number
  readonly cpuMs: number
}

const clock = foregroundClock
const plan: Plan = JSON.parse(readFileSync(process.argv[2]!, 'utf8'))
const ends: (() => void)[] = []

async function start({ cert, key }: Plan['agents'][number]): Promise<void> {
  const material = new TlsMaterial({
    ca: [Buffer.from(plan.ca)],
    cert: Buffer.from(cert),
    key: Buffer.from(key),
  })
  const world = { material: () => material, clock, random: systemRandom }
  const servers = openServerChannel(plan.servers, world)
  if (plan.beatMs !== undefined) {
    await bare(servers, plan.beatMs)
    return
  }
  const agents = openAgentChannel(world)
  let port = 0
  const ground = { servers, agents, address: () => `127.0.0.1:${port}` }
  const live = new ClientLiveness(ground, { clock, random: systemRandom, log: silentLog })
  const server = openRpcServer([live.service], {
    material: () => material,
    identify: certificate => identityOf(certificate, plan.cluster),
    isRefused: () => false,
    ...{ clock, log: silentLog },
  })
  port = (await server.listen('127.0.0.1', 0)).port
  live.start()
  ends.push(() => {
    live.stop(false)
    servers.close()
    void server.close()
  })
}

/** Opens a stream that beats, and resolves when the server has answered. */
function bare(servers: ServerChannel, beatMs: number): Promise<void> {
  return new Promise(resolve => {
    const open = (): void => {
      const stream = servers.open(heartbeat, { onMessage: () => resolve(), onEnd: open })
      stream.send({ address: 'nowhere:1' })
      const beat = (): void => {
        stream.send({})
        clock.after(beatMs, beat)
      }
      clock.after(beatMs * Math.random(), beat)
    }
    open()
  })
}

const usage = (): Usage => {
  const { user, system } = process.cpuUsage()
  return { rssBytes: process.memoryUsage.rss(), cpuMs: (user + system) / 1000 }
}

process.on('message', (asked: { kill?: number; usage?: true }) => {
  for (let left = asked.kill ?? 0; left > 0; left--) ends.pop()?.()
  process.send?.(usage())
})
process.on('disconnect', () => process.exit(0))

const before = usage()
for (const agent of plan.agents) await start(agent)
process.send?.(before)
