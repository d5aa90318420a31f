/**
 * gatehouse.v1.Sessions: sessions, and the locks that are held by them.
 *
 * Owns parsing out of and rendering into messages, and the wait for a lock. The rules are those of
 * /v1/session and of the locks of /v1/kv.
 */
import { fromText } from '../../base/bytes.ts'
import { formatDuration } from '../../base/duration.ts'
import { missing, type Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { type Access, access } from '../../base/who.ts'
import { completeSession } from '../../registry/definition.ts'
import { type KvDone, type KvPut, kvLock, lockTargets, refuseKvPut } from '../../registry/kv.ts'
import { allSessions, sessionById, sessionsOnNode } from '../../registry/session.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { SessionRow } from '../../store/tables/session.ts'
import { untilChanged } from '../../store/until-changed.ts'
import { duplex, type GrpcCall, type GrpcMethod, unary } from '../declare.ts'
import { keepAlive } from './keep-alive.ts'
import { type SessionMessage, sessionMessage } from './messages.ts'
import { pageOf } from './page.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import { type ReadOptionsMessage, type ReadStateMessage, readAs } from './reading.ts'
import { byRoom } from './rights.ts'
import { type DurationMessage, type Maybe, msOf } from './values.ts'

export type SessionPorts = Pick<
  RegistryGrpcPorts,
  'registry' | 'asker' | 'authority' | 'random' | 'clock' | 'waits' | 'bounds' | 'identity'
>

interface CreateRequest {
  readonly name: string
  readonly node: string
  readonly lockDelay: Maybe<DurationMessage>
  readonly behavior: keyof typeof BEHAVIORS
  readonly ttl: Maybe<DurationMessage>
  readonly nodeChecks: Maybe<{ readonly ids: readonly string[] }>
  readonly serviceChecks: readonly string[]
}

interface IdRequest {
  readonly id: string
}

interface LockRequest {
  readonly key: string
  readonly session: string
  readonly value?: Buffer | undefined
  readonly wait: Maybe<DurationMessage>
}

const PROTO = 'gatehouse/v1/session.proto'
const BEHAVIORS = {
  SESSION_BEHAVIOR_UNSPECIFIED: '',
  SESSION_BEHAVIOR_RELEASE: 'release',
  SESSION_BEHAVIOR_DELETE: 'delete',
} as const

const byId = ({ id }: IdRequest): string => id

/** The methods of sessions. */
export const sessionsService = (ports: SessionPorts): readonly GrpcMethod[] => [
  createMethod(ports),
  renewMethod(ports),
  keepAliveMethod(ports),
  destroyMethod(ports),
  getMethod(ports),
  listMethod(ports),
  lockMethod(ports),
  unlockMethod(ports),
]

const createMethod = ({ registry, identity: { nodeName } }: SessionPorts): GrpcMethod =>
  unary<CreateRequest, IdRequest>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/Create', effect: 'writes' },
    summary: 'Creates a session.',
    access: ({ node }: CreateRequest) => [access('write', 'session', node || nodeName)],
    nameOf: ({ node }: CreateRequest) => node || nodeName,
    async run(request, { who }) {
      const ttlMs = msOf(request.ttl)
      const given = {
        name: request.name,
        node: request.node,
        lockDelayMs: notNegative(msOf(request.lockDelay)),
        behavior: behaviorOf(request.behavior),
        ttl: ttlMs === undefined ? '' : formatDuration(ttlMs),
        nodeChecks: request.nodeChecks?.ids,
        serviceChecks: request.serviceChecks.map(id => ({ id, namespace: '' })),
      }
      const id = await registry.createSession(who, completeSession(given, nodeName))
      return isRefusal(id) ? id : { id }
    },
  })

const notNegative = (ms: number | undefined): number | undefined => ms && Math.max(0, ms)

/** A number that names none goes on as it is, to be refused by the rule. */
const behaviorOf = (given: keyof typeof BEHAVIORS | number): string =>
  typeof given === 'string' ? BEHAVIORS[given] : String(given)

const renewed = async (
  { registry }: SessionPorts,
  { who }: GrpcCall,
  id: string,
): Promise<Cell<SessionRow> | Refusal> =>
  id === '' ? missing('session') : registry.renewSession(who, id)

const renewMethod = (ports: SessionPorts): GrpcMethod =>
  unary<IdRequest, { session: SessionMessage }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/Renew', effect: 'writes' },
    summary: "Starts a session's TTL over.",
    isRenewal: true,
    access: byRoom,
    nameOf: byId,
    async run({ id }, call) {
      const session = await renewed(ports, call, id)
      return isRefusal(session) ? session : { session: sessionMessage(session) }
    },
  })

const keepAliveMethod = (ports: SessionPorts): GrpcMethod =>
  duplex<IdRequest, { session: SessionMessage }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/KeepAlive', effect: 'writes' },
    summary: 'Renews a session as long as the stream lives.',
    isRenewal: true,
    access: byRoom,
    open: (call, out) =>
      keepAlive<IdRequest, { session: SessionMessage }>(ports.clock, call, out, {
        idOf: byId,
        async renew({ id }) {
          const session = await renewed(ports, call, id)
          if (isRefusal(session)) return session
          return { answer: { session: sessionMessage(session) }, ttlMs: session.row.ttlMs }
        },
      }),
  })

const destroyMethod = ({ registry }: SessionPorts): GrpcMethod =>
  unary<IdRequest, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/Destroy', effect: 'writes' },
    summary: 'Ends a session.',
    access: byRoom,
    nameOf: byId,
    async run({ id }, { who }) {
      if (id === '') return missing('session')
      const done = await registry.destroySession(who, id)
      return isRefusal(done) ? done : {}
    },
  })

interface GetRequest extends IdRequest {
  readonly read: Maybe<ReadOptionsMessage>
}

const getMethod = (ports: SessionPorts): GrpcMethod =>
  unary<GetRequest, { session: SessionMessage | null; state: ReadStateMessage }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/Get', effect: 'reads' },
    summary: 'One session.',
    access: byRoom,
    nameOf: byId,
    async run({ id, read: options }, call) {
      if (id === '') return missing('session')
      const read = await readAs(ports, call, options, who => sessionById(who, id))
      if (isRefusal(read)) return read
      const [session] = read.value
      return {
        session: session === undefined ? null : sessionMessage(session),
        state: read.state(),
      }
    },
  })

interface ListRequest {
  readonly node: string
  readonly pageSize: number
  readonly pageToken: string
  readonly read: Maybe<ReadOptionsMessage>
}

interface ListAnswer {
  readonly sessions: readonly SessionMessage[]
  readonly nextPageToken: string
  readonly state: ReadStateMessage
}

const listMethod = (ports: SessionPorts): GrpcMethod =>
  unary<ListRequest, ListAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/List', effect: 'reads' },
    summary: 'All sessions, or those of a node.',
    access: byRoom,
    async run(request, call) {
      const { node } = request
      const read = await readAs(ports, call, request.read, who =>
        node === '' ? allSessions(who) : sessionsOnNode(who, node),
      )
      if (isRefusal(read)) return read
      const { items, nextPageToken } = await pageOf(read.value, request, {
        placeOf: ({ key }: Cell<SessionRow>) => key,
      })
      return { sessions: items.map(sessionMessage), nextPageToken, state: read.state() }
    },
  })

// --- locks

const lockRights = ({ key }: LockRequest): Access[] => [access('write', 'key', key)]
const byKey = ({ key }: LockRequest): string => key

interface LockAnswer {
  readonly acquired: boolean
  readonly lockIndex: number
  readonly modifyIndex: number
}

const lockMethod = (ports: SessionPorts): GrpcMethod =>
  unary<LockRequest, LockAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/Lock', effect: 'writes' },
    summary: 'Acquires a key for a session, waiting until it is free.',
    access: lockRights,
    nameOf: byKey,
    async run(request, call) {
      const put = { ...putOf(request), acquire: request.session }
      const refused = refuseKvPut(put, ports.bounds)
      if (refused !== undefined) return refused
      const done = await locked(ports, put, call, waitMsOf(request, call))
      if (isRefusal(done)) return done
      const { isDone: acquired, lockIndex, modifyIndex } = done
      return { acquired, lockIndex, modifyIndex }
    },
  })

const unlockMethod = ({ registry, bounds }: SessionPorts): GrpcMethod =>
  unary<LockRequest, { released: boolean }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Sessions/Unlock', effect: 'writes' },
    summary: 'Frees a key that a session holds.',
    access: lockRights,
    nameOf: byKey,
    async run(request, { who }) {
      const put = { ...putOf(request), release: request.session }
      const done = refuseKvPut(put, bounds) ?? (await registry.putKv(who, put))
      return isRefusal(done) ? done : { released: done }
    },
  })

const putOf = ({ key, value }: LockRequest): KvPut => ({
  ...{ key: fromText(key), value, flags: undefined },
  ...{ cas: undefined, acquire: undefined, release: undefined },
})

/** As it says, else as long as the caller waits. */
function waitMsOf({ wait }: LockRequest, { leftMs }: GrpcCall): number {
  const askedMs = msOf(wait) ?? leftMs ?? Number.POSITIVE_INFINITY
  return Math.max(0, Math.min(askedMs, limits.grpcLockWaitMaxMs))
}

/**
 * Tries until the lock is held, the time is over or the caller left. Woken by what may have freed
 * the key, and by the session's end, which the next try is refused for.
 */
async function locked(
  { registry, asker, clock }: SessionPorts,
  put: KvPut & { readonly acquire: string },
  { who, signal }: GrpcCall,
  waitMs: number,
): Promise<KvDone | Refusal> {
  const { key, acquire: session } = put
  const untilMs = clock.monotonic() + waitMs
  for (;;) {
    const done = await registry.setKv(who, put)
    if (isRefusal(done)) return done
    if (done.isDone) {
      // Nobody would know that he holds it.
      if (signal.aborted)
        await registry.putKv(who, { ...put, acquire: undefined, release: session })
      return done
    }
    // What the try was decided on may be newer than what this server shows.
    await asker.confirm()
    const leftMs = untilMs - clock.monotonic()
    if (signal.aborted || leftMs <= 0) return done
    // The next try tells what there is to say.
    if (['free', 'no session'].includes(kvLock(asker.view(), key, session))) continue
    const ports = { scopes: asker.scopes, clock }
    await untilChanged(ports, lockTargets(key, session), leftMs, signal)
  }
}
