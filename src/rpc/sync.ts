/**
 * What an agent that is no server keeps on its node: the messages, and the server's end.
 *
 * Owns the translation between rows and messages, and what of a message can be no row. Decides
 * nothing: registry/agent-sync.ts does.
 */
import { limits } from '../base/limits.ts'
import { type RpcCall, RpcFailure, type RpcIn, type RpcOut, type RpcService } from '../base/rpc.ts'
import type { AgentSync, SyncAnswer, SyncingAgent } from '../registry/agent-sync.run.ts'
import type { SyncEntry, SyncOutcome } from '../registry/agent-sync.ts'
import { isAnyAddress } from '../registry/catalog.ts'
import { isRefusal } from '../store/store.ts'
import { type CheckRow, CheckStatus } from '../store/tables/check.ts'
import type { NodeRow } from '../store/tables/node.ts'
import type { ServiceAddress, ServicePort, ServiceRow } from '../store/tables/service.ts'
import { defineStream, defineUnary, handleStream, handleUnary } from './define.ts'

const PROTO = 'gatehouse/agent/v1/sync.proto'

/** A string map as it travels. */
type Texts = Readonly<Record<string, string>>

export interface SyncNode {
  readonly name: string
  readonly address: string
  readonly taggedAddresses: Texts
  readonly meta: Texts
}

type ServiceMessage = Omit<
  ServiceRow,
  'node' | 'weights' | 'agentOwned' | 'taggedAddresses' | 'ports'
> & {
  readonly taggedAddresses: Readonly<Record<string, ServiceAddress>>
  readonly ports: readonly ServicePort[]
  readonly weightPassing: number
  readonly weightWarning: number
}

interface CheckMessage {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly notes: string
  readonly output: string
  readonly serviceId: string
  readonly type: string
  readonly interval: string
  readonly timeout: string
}

export type EntryMessage = { readonly isFresh?: boolean } & (
  | { readonly entry?: 'service'; readonly service: ServiceMessage }
  | { readonly entry?: 'check'; readonly check: CheckMessage }
  | { readonly entry?: 'goneService'; readonly goneService: string }
  | { readonly entry?: 'goneCheck'; readonly goneCheck: string }
)

export interface SyncQuestion {
  readonly node: SyncNode
  readonly groups: readonly { readonly token: string; readonly entries: readonly EntryMessage[] }[]
  readonly whole?: {
    readonly token: string
    readonly services: readonly string[]
    readonly checks: readonly string[]
  } | null
}

type OutcomeMessage =
  | { readonly outcome?: 'stands'; readonly stands: { hasTags: boolean; tags: readonly string[] } }
  | { readonly outcome?: 'removed'; readonly removed: object }
  | { readonly outcome?: 'refused'; readonly refused: { status: number; text: string } }

export interface SyncReply {
  readonly outcomes: readonly OutcomeMessage[]
  readonly dropped: number
  readonly nodes: number
  readonly refusal: string
}

export const syncPut = defineUnary<SyncQuestion, SyncReply>(
  PROTO,
  'gatehouse.agent.v1.Sync/Put',
  'agents',
)
export const syncLeave = defineUnary<{ node: string }, { wasThere: boolean }>(
  PROTO,
  'gatehouse.agent.v1.Sync/Leave',
  'agents',
)
export const syncWatch = defineStream<{ node: string }, object>(
  PROTO,
  'gatehouse.agent.v1.Sync/Watch',
  'agents',
)

/** Answers agents by the room. */
export const syncService = (room: AgentSync): RpcService => [
  handleUnary(syncPut, async (question, call) => {
    const request = requestOf(question)
    const answer = await room.sync(agentOf(call), request)
    if (!isRefusal(answer)) return replyOf(answer)
    return { outcomes: [], dropped: 0, nodes: 0, refusal: answer.text }
  }),
  handleUnary(syncLeave, async ({ node }, call) => {
    return { wasThere: await room.leave(agentOf(call), node) }
  }),
  handleStream(syncWatch, (_call, out) => new Listening(room, out)),
]

const agentOf = ({ peer: { nodeId, address } }: RpcCall): SyncingAgent => ({
  nodeId,
  remote: address.replace(/:\d+$/, ''),
})

/** One agent that hears of its node. The first hint says that it is listened to. */
class Listening implements RpcIn<{ node: string }> {
  readonly #room: AgentSync
  readonly #out: RpcOut<object>
  #end: (() => void) | undefined

  constructor(room: AgentSync, out: RpcOut<object>) {
    this.#room = room
    this.#out = out
  }

  onMessage({ node }: { node: string }): void {
    if (this.#end !== undefined) return
    this.#end = this.#room.listen(node, () => this.#out.send({}))
    this.#out.send({})
  }

  onEnd(): void {
    this.#end?.()
  }
}

/** A question as the room takes it. Throws RpcFailure where it can be none. */
function requestOf({ node, groups, whole }: SyncQuestion) {
  if (node === null || node.name === '') throw malformed('a node has a name')
  return {
    node: nodeOf(node),
    groups: groups.map(({ token, entries }) => ({
      token,
      entries: entries.map(entry => entryOf(node.name, entry)),
    })),
    whole:
      whole === undefined || whole === null
        ? undefined
        : { token: whole.token, services: new Set(whole.services), checks: new Set(whole.checks) },
  }
}

const malformed = (text: string): RpcFailure => new RpcFailure('INVALID_ARGUMENT', text, true)

const nodeOf = ({ name, address, taggedAddresses, meta }: SyncNode): NodeRow => ({
  ...{ node: name, id: '', address },
  ...{ taggedAddresses: { ...taggedAddresses }, meta: { ...meta } },
})

function entryOf(node: string, message: EntryMessage): SyncEntry {
  const { isFresh = false } = message
  if ('service' in message && message.entry === 'service') {
    return { service: serviceOf(node, message.service), isFresh }
  }
  if ('check' in message && message.entry === 'check') {
    return { check: checkOf(node, message.check), isFresh }
  }
  if (message.entry === 'goneService') return { goneService: message.goneService }
  if (message.entry === 'goneCheck') return { goneCheck: message.goneCheck }
  throw malformed('an entry of a kind that is not known here')
}

function serviceOf(node: string, message: ServiceMessage): ServiceRow {
  const { id, name, address, weightPassing, weightWarning } = message
  if (id === '' || name === '') throw malformed('a service has an id and a name')
  if (isAnyAddress(address)) throw malformed('a service has an address of its own, or none')
  return {
    ...{ node, id, name, kind: message.kind, tags: [...message.tags], address },
    taggedAddresses: Object.fromEntries(
      Object.entries(message.taggedAddresses).map(([tag, { address, port }]) => [
        tag,
        { address, port },
      ]),
    ),
    ...{ meta: { ...message.meta }, port: message.port },
    ports: message.ports.map(({ name, port, isDefault }) => ({ name, port, isDefault })),
    socketPath: message.socketPath,
    weights: { passing: weightPassing, warning: weightWarning },
    enableTagOverride: message.enableTagOverride,
    connectNative: message.connectNative,
    agentOwned: true,
  }
}

const isStatus = (text: string): text is CheckStatus => Object.hasOwn(CheckStatus, text)

function checkOf(node: string, message: CheckMessage): CheckRow {
  const { id, name, status, notes, output, serviceId, type, interval, timeout } = message
  if (id === '') throw malformed('a check has an id')
  if (!isStatus(status)) throw malformed('a check passes, warns or is critical')
  return {
    ...{ node, checkId: id, name, status, notes, output: output.slice(0, limits.syncOutputChars) },
    ...{ serviceId, serviceName: '', serviceTags: [], type, interval, timeout },
    ...{ definition: {}, agentOwned: true },
  }
}

const replyOf = ({ outcomes, dropped, nodes }: SyncAnswer): SyncReply => ({
  outcomes: outcomes.map(outcomeMessage),
  ...{ dropped, nodes, refusal: '' },
})

function outcomeMessage(outcome: SyncOutcome): OutcomeMessage {
  switch (outcome.kind) {
    case 'stands':
      return { stands: { hasTags: outcome.tags !== undefined, tags: outcome.tags ?? [] } }
    case 'removed':
      return { removed: {} }
    case 'refused':
      return { refused: { status: outcome.status, text: outcome.text } }
  }
}

/** What became of an entry, out of its message. */
export function outcomeOf(message: OutcomeMessage): SyncOutcome {
  if (message.outcome === 'removed') return { kind: 'removed' }
  if (message.outcome === 'refused') return { kind: 'refused', ...message.refused }
  const { hasTags = false, tags = [] } = 'stands' in message ? message.stands : {}
  return { kind: 'stands', tags: hasTags ? tags : undefined }
}

/** A node's row as it travels. */
export const nodeMessage = ({ node, address, taggedAddresses, meta }: NodeRow): SyncNode => ({
  ...{ name: node, address, taggedAddresses, meta },
})

/** An entry as it travels. */
export function entryMessage(entry: SyncEntry): EntryMessage {
  if ('service' in entry) {
    const { service, isFresh } = entry
    const { node: _node, agentOwned: _owned, weights, ...rest } = service
    const { passing, warning } = weights
    return { service: { ...rest, weightPassing: passing, weightWarning: warning }, isFresh }
  }
  if ('check' in entry) {
    const { check, isFresh } = entry
    const { checkId, name, status, notes, output, serviceId, type, interval, timeout } = check
    const message = { name, status, notes, output, serviceId, type, interval, timeout }
    return { check: { id: checkId, ...message }, isFresh }
  }
  return entry
}
