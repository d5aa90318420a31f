/**
 * The service by which agents and servers know who is alive: heartbeats, probes and reports.
 *
 * Owns its methods, the form of its messages, and their bounds: what is beyond them is refused, and
 * names that are no node's are passed over. Who calls is known by the certificate, never by what a
 * message says; only servers may report.
 */
import { limits } from '../base/limits.ts'
import { RpcFailure, type RpcService } from '../base/rpc.ts'
import { isUuid } from '../base/uuid.ts'
import { type Coordinate, DIMENSIONS } from '../base/vivaldi.ts'
import type { Beat, BeatStream, Pace } from '../cluster/liveness-agent.run.ts'
import type { LivenessHolder } from '../cluster/liveness-holder.run.ts'
import type { Hearing, NumberedReport, ReportAnswer } from '../cluster/liveness-server.run.ts'
import type { ProbeAnswer, Prober, ProbeTarget } from '../cluster/probe.run.ts'
import type { AgentChannel, ServerAddress, ServerChannel } from './channels.ts'
import { defineStream, defineUnary, handleStream, handleUnary } from './define.ts'

const PROTO = 'gatehouse/agent/v1/live.proto'

/** The heartbeat of an agent. */
export const heartbeat = defineStream<WireBeat, WirePace>(
  PROTO,
  'gatehouse.agent.v1.Live/Heartbeat',
  'agents',
)

/** Whether an agent is there. */
export const probe = defineUnary<{ isSilent?: boolean }, { coordinate?: Coordinate }>(
  PROTO,
  'gatehouse.agent.v1.Live/Probe',
  'agents',
)

/** What a server hears. */
export const report = defineUnary<WireReport, WireOrders>(
  PROTO,
  'gatehouse.agent.v1.Live/Report',
  'servers',
)

interface WireBeat {
  readonly address?: string
  readonly echo?: number
  readonly coordinate?: Coordinate
  readonly findings?: readonly { readonly target?: Buffer; readonly isReachable?: boolean }[]
  readonly leaves?: boolean
}

interface WirePace {
  readonly beatMs?: number
  readonly coordinateMs?: number
  readonly echo?: number
  readonly coordinate?: Coordinate
  readonly orders?: readonly {
    readonly target?: Buffer
    readonly address?: string
    readonly isSilent?: boolean
  }[]
}

interface WireReport {
  readonly run?: string
  readonly number?: number
  readonly came?: readonly { readonly id?: Buffer; readonly address?: string }[]
  readonly silent?: readonly Buffer[]
  readonly left?: readonly Buffer[]
  readonly findings?: readonly {
    readonly prober?: Buffer
    readonly target?: Buffer
    readonly isReachable?: boolean
  }[]
  readonly isWhole?: boolean
  readonly isFirst?: boolean
  readonly isLast?: boolean
}

interface WireOrders {
  readonly isHolder?: boolean
  readonly wantsWhole?: boolean
  readonly orders?: readonly {
    readonly prober?: Buffer
    readonly target?: Buffer
    readonly address?: string
  }[]
  readonly alarm?: string
  readonly peers?: readonly { readonly id?: Buffer; readonly address?: string }[]
}

/** What every agent answers: that it is there. */
export const probeService = (prober: Prober): RpcService => [
  handleUnary(probe, async ({ isSilent = false }) => {
    const { coordinate } = prober.answer(isSilent)
    return coordinate === undefined ? {} : { coordinate }
  }),
]

/** What a server answers besides. */
export const liveService = (hearing: Hearing, holder: LivenessHolder): RpcService => [
  handleStream(heartbeat, ({ peer }, out) => {
    const stream = hearing.opened(peer.nodeId, pace => out.send(toWirePace(pace)))
    return {
      onMessage(beat) {
        if (stream.beat(fromWireBeat(beat))) return
        out.end(new RpcFailure('ABORTED', 'this agent was given up: connect anew', true))
      },
      onEnd: () => stream.ended(),
    }
  }),
  handleUnary(report, async (given, { peer }) => {
    const answer = holder.report(peer.nodeId, fromWireReport(given))
    return {
      isHolder: answer.isHolder,
      wantsWhole: answer.wantsWhole,
      alarm: answer.alarm,
      orders: answer.orders.map(({ prober, target, address }) => ({
        prober: toBytes(prober),
        target: toBytes(target),
        address,
      })),
      peers: answer.peers.map(({ id, address }) => ({ id: toBytes(id), address })),
    }
  }),
]

/** A heartbeat's stream on the agent's side, over a stream to a server. */
export function beatStream(
  channel: Pick<ServerChannel, 'open'>,
  onPace: (pace: Pace) => void,
  onEnd: (problem: string) => void,
): BeatStream {
  const stream = channel.open(heartbeat, {
    onMessage: pace => onPace(fromWirePace(pace)),
    onEnd: error => onEnd(error?.message ?? 'the server ended it'),
  })
  return {
    serverId: stream.serverId,
    send: beat => stream.send(toWireBeat(beat)),
    cancel: () => stream.cancel(),
  }
}

/** What a peer says to a probe; a failure of its own says that it is there. */
export async function askPeer(
  channel: Pick<AgentChannel, 'call'>,
  { id: nodeId, address }: ProbeTarget,
  isSilent: boolean,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  try {
    const { coordinate } = await channel.call({ nodeId, address }, probe, { isSilent }, timeoutMs)
    return coordinate === undefined || coordinate === null
      ? { coordinate: undefined }
      : placed(coordinate)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code !== undefined && !ABSENT.has(code)) return { coordinate: undefined }
    throw error
  }
}

/** Ends of a call in which nobody answered under the certificate that was asked for. */
const ABSENT: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED'])

/** Sends a report to the holder. */
export async function sendReport(
  channel: Pick<AgentChannel, 'call'>,
  to: ServerAddress,
  { run, number, came, silent, left, findings, whole }: NumberedReport,
): Promise<ReportAnswer> {
  const request: WireReport = {
    run,
    number,
    came: came.map(({ id, address }) => ({ id: toBytes(id), address })),
    silent: silent.map(toBytes),
    left: left.map(toBytes),
    findings: findings.map(({ prober, target, isReachable }) => ({
      prober: toBytes(prober),
      target: toBytes(target),
      isReachable,
    })),
    isWhole: whole !== undefined,
    isFirst: whole?.isFirst ?? false,
    isLast: whole?.isLast ?? false,
  }
  const timeoutMs = limits.livenessReportTimeoutMs
  const answer = await channel.call(to, report, request, timeoutMs)
  const { isHolder, wantsWhole, orders, alarm, peers } = answer
  return {
    isHolder: isHolder ?? false,
    wantsWhole: wantsWhole ?? false,
    alarm: alarm ?? '',
    peers: cameOf(peers ?? []),
    orders: (orders ?? []).flatMap(({ prober, target, address = '' }) => {
      const ids = { prober: fromBytes(prober), target: fromBytes(target) }
      if (ids.prober === undefined || ids.target === undefined) return []
      return [{ prober: ids.prober, target: ids.target, address, server: '' }]
    }),
  }
}

function fromWireBeat(beat: WireBeat): Beat {
  const { address = '', echo = 0, coordinate, findings = [], leaves = false } = beat
  bounded(findings, 'findings')
  return {
    address: address.slice(0, ADDRESS_CHARS),
    echo,
    leaves,
    ...(coordinate === undefined || coordinate === null ? {} : placed(coordinate)),
    findings: findings.flatMap(({ target: bytes, isReachable = false }) => {
      const target = fromBytes(bytes)
      return target === undefined ? [] : [{ target, isReachable }]
    }),
  }
}

const toWireBeat = ({ findings = [], ...beat }: Beat): WireBeat =>
  findings.length === 0
    ? beat
    : {
        ...beat,
        findings: findings.map(({ target, isReachable }) => ({
          target: toBytes(target),
          isReachable,
        })),
      }

const toWirePace = ({ orders = [], ...pace }: Pace): WirePace =>
  orders.length === 0
    ? pace
    : {
        ...pace,
        orders: orders.map(({ id, address, isSilent }) => ({
          target: toBytes(id),
          address,
          isSilent,
        })),
      }

function fromWirePace(pace: WirePace): Pace {
  const { beatMs = 0, coordinateMs = 0, echo = 0, coordinate, orders = [] } = pace
  const place = coordinate === undefined || coordinate === null ? {} : placed(coordinate)
  return {
    ...{ beatMs, coordinateMs, echo, ...place },
    orders: orders.flatMap(({ target, address = '', isSilent = false }) => {
      const id = fromBytes(target)
      return id === undefined ? [] : [{ id, address, isSilent } satisfies OrderedTarget]
    }),
  }
}

type OrderedTarget = ProbeTarget & { readonly isSilent: boolean }

function fromWireReport(given: WireReport): NumberedReport {
  const { run = '', number = 0, came = [], silent = [], left = [], findings = [] } = given
  for (const list of [came, silent, left, findings]) bounded(list, 'agents of one report')
  const { isWhole = false, isFirst = false, isLast = false } = given
  return {
    run,
    number,
    came: cameOf(came),
    silent: idsOf(silent),
    left: idsOf(left),
    findings: findings.flatMap(({ prober, target, isReachable = false }) => {
      const ids = { prober: fromBytes(prober), target: fromBytes(target) }
      if (ids.prober === undefined || ids.target === undefined) return []
      return [{ prober: ids.prober, target: ids.target, isReachable }]
    }),
    ...(isWhole ? { whole: { isFirst, isLast } } : {}),
  }
}

function bounded(list: readonly unknown[], what: string): void {
  if (list.length <= limits.livenessReportNodes) return
  const text = `more than ${limits.livenessReportNodes} ${what}`
  throw new RpcFailure('INVALID_ARGUMENT', text, true)
}

/** A host name, a colon and a port. */
const ADDRESS_CHARS = 262

const placed = (coordinate: Coordinate): { coordinate: Coordinate } => ({
  coordinate: coordinateOf(coordinate),
})

/** Out of a message, whose lists may be of any length. */
const coordinateOf = ({ vec, error, adjustment, height }: Coordinate): Coordinate => ({
  vec: vec.slice(0, DIMENSIONS + 1),
  error,
  adjustment,
  height,
})

const cameOf = (list: readonly { readonly id?: Buffer; readonly address?: string }[]) =>
  list.flatMap(({ id: bytes, address = '' }) => {
    const id = fromBytes(bytes)
    return id === undefined ? [] : [{ id, address: address.slice(0, ADDRESS_CHARS) }]
  })

const idsOf = (list: readonly Buffer[]): string[] => list.flatMap(one => fromBytes(one) ?? [])

/** A UUID in its 16 bytes. */
const toBytes = (id: string): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex')

function fromBytes(bytes: Buffer | undefined): string | undefined {
  if (bytes?.length !== 16) return undefined
  const id = bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return isUuid(id) ? id : undefined
}
