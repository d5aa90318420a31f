/**
 * An agent's own side on a store of a test's own, with time that stands still, and what is looked
 * at in it.
 */
import type { Test } from 'tap'
import { type LocalConfig, LocalState } from '../../src/agent/local-state.ts'
import { type AgentTokens, openTokens } from '../../src/agent/publishers.ts'
import { systemRandom } from '../../src/base/clock.ts'
import type { LogFields } from '../../src/base/log.ts'
import { silentLog } from '../../src/base/log.ts'
import { plainSealer, type Sealer } from '../../src/base/sealer.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import { checkFromFile, serviceFromFile } from '../../src/http/registry/agent-body.ts'
import type { ServiceRegistration } from '../../src/registry/local.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import { type CheckRow, checks } from '../../src/store/tables/check.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { type Gate, Writer } from '../../src/store/writer.ts'
import { toolsWith } from '../checks/support.ts'
import { FakeClock } from '../fake/clock.ts'

export const NODE = 'n1'
export const tables = withSystemTables(registryTables)

export const config: LocalConfig = {
  nodeName: NODE,
  nodeId: '11111111-2222-3333-4444-555555555555',
  datacenter: 'dc1',
  isServer: true,
  nodeMeta: {},
  taggedAddresses: {},
  advertiseAddress: '127.0.0.1',
  ports: {
    dns: -1,
    http: -1,
    https: -1,
    secrets: -1,
    grpc: -1,
    grpcTls: -1,
    server: 8300,
    serfLan: -1,
    serfWan: -1,
  },
  services: [],
  checks: [],
  checkUpdateIntervalMs: 300_000,
  checkOutputMaxSizeBytes: 4_096,
  discardCheckOutput: false,
  scriptChecks: { byAnybody: false, byFiles: false },
  checkReapIntervalMs: 30_000,
  checkDeregisterMinMs: 60_000,
  antiEntropyIntervalMs: 60_000,
}

export interface World {
  readonly clock: FakeClock
  readonly store: Store
  readonly agent: LocalState
  readonly warnings: string[]
  /** What was told of what goes well. */
  readonly told: string[]
}

export interface Given {
  readonly store?: Store
  readonly clock?: FakeClock
  readonly config?: Partial<LocalConfig>
  readonly tokens?: AgentTokens
  readonly sealer?: Sealer
  readonly gate?: Gate
}

export function world(t: Test, given: Given = {}): World {
  const clock = given.clock ?? new FakeClock()
  const store = given.store ?? openMemoryStore({ tables, clock, random: systemRandom })
  const warnings: string[] = []
  const told: string[] = []
  const log = {
    ...silentLog,
    info: (text: string, fields?: LogFields) => told.push(`${text} ${JSON.stringify(fields)}`),
    warn: (text: string, fields?: LogFields) => warnings.push(`${text} ${JSON.stringify(fields)}`),
    error: (text: string) => warnings.push(text),
  }
  const ports = {
    store,
    writer: new Writer(store, given.gate),
    clock,
    timeouts: new Timeouts(clock),
    // Checks start at once.
    random: { ...systemRandom, fraction: () => 0 },
    log,
    tools: toolsWith(),
    read: { service: (body: unknown) => serviceFromFile(NODE, body), check: checkFromFile },
    sealer: given.sealer ?? plainSealer,
    tokens: given.tokens ?? openTokens,
  }
  const agent = new LocalState(ports, { ...config, ...given.config })
  t.teardown(async () => {
    await agent.stop()
    if (given.store === undefined) await store.close()
  })
  return { clock, store, agent, warnings, told }
}

/** A registration, as a body says it. */
export function given(body: object): ServiceRegistration {
  const request = serviceFromFile(NODE, body)
  if (isRefusal(request)) throw new Error(request.text)
  return request
}

export const put = async ({ agent }: World, body: object): Promise<void> => {
  const answer = await agent.registerService(everybody, given(body))
  if (isRefusal(answer)) throw new Error(answer.text)
}

export const row = ({ store }: World, id: string): CheckRow | undefined =>
  store.view().get(checks, onNode(NODE, id))?.row

export const entry = ({ store }: World, id: string): ServiceRow | undefined =>
  store.view().get(services, onNode(NODE, id))?.row

/** What the agent shows of a check. */
export const shown = ({ agent }: World, id: string): string => {
  const found = agent.checks(everybody).find(({ checkId }) => checkId === id)
  return found === undefined ? 'none' : `${found.status} ${found.output}`
}

export const ids = ({ agent }: World): string[] =>
  agent.services(everybody).map(({ row }) => row.id)

/** Lets the fake time run while real sockets work, until something holds. */
export async function runUntil(
  { clock }: World,
  holds: () => boolean,
  what: string,
): Promise<void> {
  for (let tries = 0; tries < 3_000; tries++) {
    if (holds()) return
    await clock.advance(100)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  throw new Error(`never: ${what}`)
}

export const say = (w: World, id: string, status: CheckRow['status'], output = '') =>
  w.agent.updateTtl(everybody, id, { status, output })
