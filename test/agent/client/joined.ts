/** A server and agents of other nodes, each by the program's own start, and a way to ask them. */
import type { Test } from 'tap'
import { startAgent as startClientAgent } from '../../../src/agent/client/start.ts'
import { loadConfig, settleNodeId } from '../../../src/agent/config-load.ts'
import { startAgent as startServerAgent } from '../../../src/agent/lifecycle.ts'
import type { RunningAgent } from '../../../src/agent/running.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { askPort } from '../../clients/daemon.ts'

export interface Started {
  readonly agent: RunningAgent
  port(face: string): number
  ask(method: string, url: string, body?: string | object): ReturnType<typeof askPort>
}

/** Starts one by its configuration; it is stopped with the test at the latest. */
export async function start(t: Test, hcl: string): Promise<Started> {
  const load = () => loadConfig([{ name: 'hcl', value: hcl }])
  const loaded = await load()
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  const config = await settleNodeId(loaded.config, systemRandom)
  const by = config.isServer ? startServerAgent : startClientAgent
  const agent = await by(config, { log: silentLog, load, leave: () => {} })
  let stopped: Promise<void> | undefined
  const stop = (isLeaving?: boolean): Promise<void> => {
    stopped ??= agent.stop(isLeaving)
    return stopped
  }
  t.teardown(() => stop())
  const port = (face: string): number => agent.addresses.find(one => one.face === face)!.port
  return {
    agent: { ...agent, stop },
    port,
    ask: (method, url, body) => askPort(port('http'), method, url, body),
  }
}

const common = (folder: string, name: string, ports = ''): string =>
  `node_name = "${name}"\ndata_dir = "${folder}/${name}"\ndisable_host_node_id = true\n` +
  `ports { http = 0, dns = -1, server = 0 ${ports} }\n`

export const serverHcl = (folder: string): string => common(folder, 'srv')

/** A new join token of clients. */
export async function tokenOf(server: Started): Promise<string> {
  const { text } = await server.ask('PUT', '/v1/operator/join-token', { Kind: 'client' })
  return JSON.parse(text).Token
}

export const clientHcl = (folder: string, server: Started, token: string, name = 'edge'): string =>
  `server = false\n${common(folder, name)}` +
  `retry_join = ["127.0.0.1:${server.port('rpc')}"]\n${token === '' ? '' : `join_token = "${token}"`}`

export const has = async (server: Started, service: string): Promise<boolean> =>
  service in JSON.parse((await server.ask('GET', '/v1/catalog/services')).text)
