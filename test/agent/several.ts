/**
 * Several servers of one process on one etcd, each started by the program's own start, and a way to
 * ask any of them. What dies here is a server's parts: its lease and role are left to run out.
 */
import type { Test } from 'tap'
import { loadConfig, settleNodeId } from '../../src/agent/config-load.ts'
import { startAgent } from '../../src/agent/lifecycle.ts'
import type { RunningAgent } from '../../src/agent/running.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import type { Levels } from '../../src/cluster/features.ts'
import { type Answer, askPort } from '../clients/daemon.ts'

export interface OneServer {
  readonly name: string
  readonly nodeId: string
  readonly httpPort: number
  readonly dnsPort: number
  readonly running: RunningAgent
  /** Lines of its log, warnings and worse. */
  readonly told: readonly string[]
  ask(method: string, url: string, body?: string | object): Promise<Answer>
  read<T>(url: string): Promise<T>
  stop(): Promise<void>
  /** Resolves when a client asked it to leave or drain, once it has stopped. */
  readonly ended: Promise<void>
}

export interface SeveralOptions {
  readonly endpoints: readonly string[]
  /** Where each keeps its data, in a folder of its name. */
  readonly folder: string
  readonly prefix?: string
  /** The feature levels that it speaks, those of this program unless given. */
  readonly levels?: Levels
  /** More of the configuration, of all. */
  readonly hcl?: string
}

/** Starts one server; it is stopped with the test at the latest. */
export async function startServer(
  t: Test,
  name: string,
  { endpoints, folder, prefix = 'several', hcl = '', levels }: SeveralOptions,
): Promise<OneServer> {
  const listed = endpoints.map(endpoint => JSON.stringify(endpoint)).join(', ')
  const text =
    `node_name = "${name}"\nports { http = 0, dns = 0, server = -1 }\n` +
    `store { engine = "etcd", etcd { endpoints = [${listed}], prefix = "${prefix}" } }\n` +
    `data_dir = "${folder}/${name}"\ndisable_host_node_id = true\n` +
    `limits { http_max_conns_per_client = -1 }\n${hcl}`
  const load = () => loadConfig([{ name: 'hcl', value: text }])
  const loaded = await load()
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  const config = await settleNodeId(loaded.config, systemRandom)
  const told: string[] = []
  const note = (message: string): void => void told.push(message)
  const log: LiveLog = { ...silentLog, warn: note, error: note }
  let stopped: Promise<void> | undefined
  const end = Promise.withResolvers<void>()
  const running = await startAgent(config, {
    ...(levels === undefined ? {} : { levels }),
    log,
    load,
    leave: () => void stop().then(end.resolve),
  })
  const stop = (): Promise<void> => {
    stopped ??= running.stop()
    return stopped
  }
  t.teardown(stop)
  const portOf = (face: string): number =>
    running.addresses.find(one => one.face === face)?.port ?? 0
  const httpPort = portOf('http')
  const ask: OneServer['ask'] = (method, url, body) => askPort(httpPort, method, url, body)
  return {
    ...{ name, nodeId: config.nodeId, httpPort, dnsPort: portOf('dns'), running, told },
    ...{ ask, stop, ended: end.promise },
    async read<T>(url: string): Promise<T> {
      const { status, text: body } = await ask('GET', url)
      if (status !== 200) throw new Error(`GET ${url}: ${status} ${body}`)
      return JSON.parse(body) as T
    },
  }
}

/** Polls until something is so, for a bounded time. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  for (let passedMs = 0; passedMs < withinMs; passedMs += 50) {
    if (await condition()) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`it did not come true: ${what}`)
}
