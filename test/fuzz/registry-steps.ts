/**
 * Writes to catalog, sessions and key/value store: each as the rules do it and as the model does.
 */
import { Refusal } from '../../src/base/errors.ts'
import { everybody } from '../../src/base/who.ts'
import { deregister, register } from '../../src/registry/catalog.ts'
import { deleteKv, deleteKvTree, putKv } from '../../src/registry/kv.ts'
import { createSession, destroySession, lapseSession } from '../../src/registry/session.ts'
import { type Decision, del } from '../../src/store/store.ts'
import { CheckStatus } from '../../src/store/tables/check.ts'
import { lockDelays, sessions } from '../../src/store/tables/session.ts'
import type { Reader } from '../../src/store/view.ts'
import type { Draw } from '../fake/random.ts'
import { checkRow, nodeRow, serviceRow } from '../registry/rules.ts'
import {
  type Outcome,
  type Put,
  type Registered,
  type RegistryModel,
  SERVICE,
  type Session,
} from './registry-model.ts'

/** One write, as the rules do it and as the model does. */
export interface Step {
  readonly text: string
  rule(view: Reader): Decision<unknown> | Refusal
  expect(model: RegistryModel): Outcome | undefined
}

export const NODES = ['one', 'two']
const CHECKS = ['a', 'b']
export const KEYS = ['k', 'k/1', 'k/2', 'l/1']
const SESSIONS = 4

const sessionId = (draw: Draw): string => `s${draw.below(SESSIONS)}`
const status = (draw: Draw): CheckStatus => draw.pick(Object.values(CheckStatus))

/** Makes steps; a `cas` is most often the index that the key has at that time. */
export type StepMaker = (draw: Draw) => Step | ((model: RegistryModel) => Step)

/** Some stand here several times: they are drawn more often. */
export const makers: readonly StepMaker[] = [
  draw => puts(draw, {}),
  draw => puts(draw, { acquire: draw.chance(3) ? '' : sessionId(draw) }),
  draw => puts(draw, { acquire: sessionId(draw) }),
  draw => puts(draw, { release: draw.chance(3) ? '' : sessionId(draw) }),
  draw => {
    const [key, isRight] = [draw.pick(KEYS), draw.chance(60)]
    const other = draw.below(3)
    const put = putOf(draw, key)
    return model => putting({ ...put, cas: isRight ? indexOf(model, key) : other })
  },
  draw => {
    const [key, kind] = [draw.pick(KEYS), draw.below(3)]
    return model => deleting(key, [undefined, 0, indexOf(model, key)][kind])
  },
  draw => deletingTree(draw.pick(['', 'k', 'k/', 'l/', 'm'])),
  creatingSession,
  creatingSession,
  draw => endingSession(sessionId(draw), draw.chance(50)),
  draw => endingLockDelay(draw.pick(KEYS)),
  draw => registering(registered(draw)),
  draw => registering(registered(draw)),
  draw => registering(registered(draw)),
  draw => deregistering(draw.pick(NODES), '', draw.pick(CHECKS)),
  draw => deregistering(draw.pick(NODES), SERVICE, ''),
  draw => (draw.chance(30) ? deregistering(draw.pick(NODES), '', '') : puts(draw, {})),
]

/** The index that a key has; 0 where there is none. */
export const indexOf = (model: RegistryModel, key: string): number =>
  model.get('kv', key)?.modifyIndex ?? 0

const putOf = (draw: Draw, key = draw.pick(KEYS)): Put => ({
  key,
  value: draw.pick(['', 'x', 'y']),
  flags: draw.below(2),
})

const puts = (draw: Draw, more: Partial<Put>): Step => putting({ ...putOf(draw), ...more })

function putting(put: Put): Step {
  const request = {
    ...{ cas: undefined, acquire: undefined, release: undefined, ...put },
    value: Buffer.from(put.value),
    flags: BigInt(put.flags),
  }
  return {
    text: `put ${JSON.stringify(put)}`,
    rule: view => putKv(view, everybody, request),
    expect: model => model.put(put),
  }
}

const deleting = (key: string, cas: number | undefined): Step => ({
  text: `delete ${key} ${cas}`,
  rule: view => deleteKv(view, everybody, { key, cas }),
  expect: model => model.delete(key, cas),
})

const deletingTree = (prefix: string): Step => ({
  text: `delete tree ${prefix}`,
  rule: view => {
    const given = deleteKvTree(view, everybody, { prefix, limit: 100 })
    return given instanceof Refusal ? given : { ...given, answer: true }
  },
  expect: model => model.deleteTree(prefix),
})

function creatingSession(draw: Draw): Step {
  const session: Session = {
    id: sessionId(draw),
    node: draw.pick(NODES),
    checks: CHECKS.filter(() => draw.chance(30)),
    behavior: draw.pick(['release', 'delete']),
    lockDelayMs: draw.pick([0, 0, 15_000]),
  }
  const { id, node, checks: nodeChecks, behavior, lockDelayMs } = session
  const request = { node, nodeChecks, behavior, lockDelayMs, name: '', ttl: '', serviceChecks: [] }
  return {
    text: `create session ${JSON.stringify(session)}`,
    // Ids are drawn at random and never come twice: a living one is left alone here.
    rule: view =>
      view.get(sessions, id) === undefined
        ? createSession(view, everybody, id, request, 10_000)
        : { txn: [], answer: true },
    expect: model =>
      model.get('sessions', id) === undefined ? model.createSession(session) : true,
  }
}

const endingSession = (id: string, lapses: boolean): Step => ({
  text: `${lapses ? 'lapse' : 'destroy'} session ${id}`,
  rule: view => (lapses ? lapseSession(view, id) : destroySession(view, everybody, id)),
  // Destroying what is not there is no failure.
  expect: model => model.endSession(id) || !lapses,
})

const endingLockDelay = (key: string): Step => ({
  text: `end lock delay of ${key}`,
  rule: () => ({ txn: [del(lockDelays, key)], answer: true }),
  expect: model => {
    model.endLockDelay(key)
    return true
  },
})

function registered(draw: Draw): Registered {
  const check = { id: draw.pick(CHECKS), status: status(draw), ofService: draw.chance(40) }
  return {
    node: draw.pick(NODES),
    address: draw.pick(['10.0.0.1', '10.0.0.2']),
    ...(draw.chance(50) ? { tags: draw.pick([[], ['v1'], ['v1', 'v2']]) } : {}),
    ...(draw.chance(60) ? { check } : {}),
  }
}

function registering(given: Registered): Step {
  const { node, address, tags, check } = given
  const request = {
    node: nodeRow(node, { address }),
    skipNodeUpdate: false,
    service: tags && serviceRow(node, SERVICE, { tags }),
    checks:
      check === undefined
        ? []
        : [
            checkRow(node, check.id, {
              status: check.status as CheckStatus,
              serviceId: check.ofService ? SERVICE : '',
            }),
          ],
  }
  return {
    text: `register ${JSON.stringify(given)}`,
    rule: view => register(view, everybody, request),
    expect: model => model.register(given),
  }
}

const deregistering = (node: string, serviceId: string, checkId: string): Step => ({
  text: `deregister ${node} ${serviceId} ${checkId}`,
  rule: view => deregister(view, everybody, { node, serviceId, checkId }),
  expect(model) {
    if (checkId !== '') return model.deregisterCheck(node, checkId)
    return serviceId === '' ? model.deregisterNode(node) : model.deregisterService(node)
  },
})
