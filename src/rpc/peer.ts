/**
 * The service between servers: how each is, and renewals for the one that keeps time.
 *
 * Owns the translation between messages and what the room `cluster` and the timekeeper know. Who
 * calls is whom its certificate names, whatever the message says.
 */
import { fromBuffer, toBuffer } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { RpcFailure, type RpcService } from '../base/rpc.ts'
import type { ServerWord } from '../cluster/clocks.run.ts'
import type { RenewalItem, RenewalOutcome } from '../cluster/renewals.run.ts'
import type { AgentChannel, ServerAddress } from './channels.ts'
import { defineUnary, handleUnary } from './define.ts'

const PROTO = 'gatehouse/agent/v1/peer.proto'

/** Tells another server how this one is, and hears the same of it. */
export const beat = defineUnary<BeatMessage, BeatMessage>(
  PROTO,
  'gatehouse.agent.v1.Peer/Beat',
  'servers',
)

/** Hands renewals to the server that keeps time. */
export const renew = defineUnary<RenewRequest, RenewAnswer>(
  PROTO,
  'gatehouse.agent.v1.Peer/Renew',
  'servers',
)

interface BeatMessage {
  readonly word: ServerWord
}

interface RenewRequest {
  readonly renewals: readonly { readonly kind: string; readonly key: Buffer }[]
}

interface RenewAnswer {
  readonly outcomes: readonly string[]
}

const WORDS = {
  renewed: 'RENEWAL_OUTCOME_RENEWED',
  gone: 'RENEWAL_OUTCOME_GONE',
  elsewhere: 'RENEWAL_OUTCOME_ELSEWHERE',
} as const

/** What the service stands on. */
export interface PeerPorts {
  /** Takes what another server says of itself, and says how this one is. */
  heard(word: ServerWord): ServerWord
  /** Renews what this server keeps the time of; outcomes in the same order. */
  renewed(items: readonly RenewalItem[]): Promise<readonly RenewalOutcome[]>
}

/** The handlers. */
export const peerService = ({ heard, renewed }: PeerPorts): RpcService => [
  handleUnary(beat, async ({ word }, { peer }) => ({
    word: heard({ ...word, nodeId: peer.nodeId }),
  })),
  handleUnary(renew, async ({ renewals }) => {
    if (renewals.length > limits.renewalBatch) {
      throw new RpcFailure('INVALID_ARGUMENT', 'too many renewals in one call', true)
    }
    const items = renewals.map(({ kind, key }) => ({ kind, key: fromBuffer(key) }))
    return { outcomes: (await renewed(items)).map(outcome => WORDS[outcome]) }
  }),
]

/** The calls to other servers. */
export function peerCalls(channel: Pick<AgentChannel, 'call'>) {
  return {
    async beat(to: ServerAddress, word: ServerWord): Promise<ServerWord> {
      const timeoutMs = limits.serverBeatTimeoutMs
      const answer = await channel.call(to, beat, { word }, timeoutMs)
      return { ...answer.word, nodeId: to.nodeId }
    },
    async renew(
      to: ServerAddress,
      items: readonly RenewalItem[],
    ): Promise<readonly RenewalOutcome[]> {
      const renewals = items.map(({ kind, key }) => ({ kind, key: toBuffer(key) }))
      const { outcomes } = await channel.call(to, renew, { renewals }, limits.renewalTimeoutMs)
      return items.map((_, at) => outcomeOf(outcomes[at]))
    },
  }
}

/** What nobody said clearly was not renewed for sure. */
function outcomeOf(word: string | undefined): RenewalOutcome {
  if (word === WORDS.renewed) return 'renewed'
  return word === WORDS.gone ? 'gone' : 'elsewhere'
}
