/** A feed and a kind of sink for tests of tasks: what comes and what the target says is theirs. */
import { Refusal } from '../../../src/base/errors.ts'
import type { FollowPort } from '../../../src/feed/follow.ts'
import {
  type Applied,
  type Plan,
  type SinkKind,
  TargetRefusal,
} from '../../../src/feed/sink/declare.ts'
import type { SettingsFrom } from '../../../src/feed/sink/schema.ts'
import type { SinkState } from '../../../src/feed/sink/state.ts'
import { readTask, type TaskDefinition } from '../../../src/feed/sink/task-definition.ts'

type On = Parameters<FollowPort['follow']>[1]

/** A feed whose states a test gives. */
export class FakeFeed implements FollowPort {
  readonly followed = new Map<string, On>()
  readonly filters = new Map<string, string>()
  /** The tokens that it was followed with. */
  readonly tokens: string[] = []
  #revision = 0

  readonly as = (token: string): FollowPort => {
    this.tokens.push(token)
    return this
  }

  follow({ topic, subject, filter }: { topic: string; subject: string; filter: string }, on: On) {
    const key = `${topic}/${subject}`
    this.followed.set(key, on)
    this.filters.set(key, filter)
    return { stop: () => void this.followed.delete(key) }
  }

  /** The instances of a service: numbers are ports, negative ones are critical. */
  service(name: string, ...ports: number[]): void {
    const items = ports.map(port => [String(port), entry(name, port)] as const)
    this.followed.get(`health/${name}`)?.state(new Map(items), ++this.#revision)
  }

  kv(prefix: string, values: Readonly<Record<string, string>>): void {
    const items = Object.entries(values).map(([key, value]) => {
      const Value = Buffer.from(value).toString('base64')
      return [key, { Key: key, Value, Flags: 0, ModifyIndex: 1 }] as const
    })
    this.followed.get(`kv/${prefix}`)?.state(new Map(items), ++this.#revision)
  }

  lose(key: string, problem: string): void {
    this.followed.get(key)?.lost(problem)
  }
}

const entry = (name: string, port: number) => ({
  Node: { Node: 'n', Address: '127.0.0.1' },
  Service: { Service: name, ID: `${name}-${Math.abs(port)}`, Port: Math.abs(port) },
  Checks: [{ CheckID: 'c', Status: port < 0 ? 'critical' : 'passing' }],
})

/** What a target of the fake kind is asked for and says. */
export class FakeTarget {
  /** What it has: `name:ports;…`. */
  has = ''
  /** Every question in its order. */
  readonly asked: string[] = []
  /** What the next applications say; undefined is yes. */
  says: TargetRefusal | 'throws' | 'hangs' | undefined
  againMs: number | undefined
  closed = 0
  /** Each application waits for this. */
  gate: Promise<void> = Promise.resolve()
}

/** A kind that writes the ports of usable instances into a FakeTarget. */
export const fakeKind = (target: FakeTarget): SinkKind => ({
  kind: 'fake',
  summary: 'for tests',
  isLocal: false,
  fields: {
    place: { type: 'text', byDefault: 'here', help: 'where' },
    secret: { type: 'text', isSecret: true, help: 'a secret' },
    program: { type: 'texts', isLocal: true, help: 'a program' },
    use: { type: 'text', byDefault: 'passing', help: 'which instances' },
  },
  problemOf: ({ place }) => (place === 'nowhere' ? 'there is no such place' : undefined),
  want(values, state, last) {
    const text = textOf(state)
    if (text.includes('666')) return new Refusal(400, 'port 666 is not taken')
    if (text.includes('667')) throw new Error('a fault of the kind')
    const after = last === undefined ? '' : ` after ${textOf(last)}`
    const summary = `${text} at ${values.place}${after}`
    return { what: text, digest: text, summary, problems: [], state }
  },
  open: () => ({
    async plan(wanted): Promise<Plan | TargetRefusal> {
      target.asked.push(`plan ${wanted.digest}`)
      if (target.says instanceof TargetRefusal && target.says.mayRetry) return target.says
      const changes = target.has === wanted.digest ? [] : [`${target.has} → ${wanted.digest}`]
      return { changes, problems: [] }
    },
    async apply(wanted, signal): Promise<Applied | TargetRefusal> {
      target.asked.push(`apply ${wanted.digest}`)
      await target.gate
      if (target.says === 'throws') throw new Error('a fault of the target')
      if (target.says === 'hangs') await new Promise(() => {})
      if (signal.aborted) throw new Error('aborted')
      if (target.says instanceof TargetRefusal) return target.says
      const changes = target.has === wanted.digest ? [] : [`${target.has} → ${wanted.digest}`]
      target.has = wanted.digest
      return { changes, problems: [], againMs: target.againMs }
    },
    async close() {
      target.closed++
    },
  }),
})

function textOf({ services, kv }: SinkState): string {
  const named = [...services].map(([name, instances]) => {
    const ports = instances.filter(one => one.status === 'passing').map(one => one.port)
    return `${name}:${ports.join()}`
  })
  const keys = [...kv].map(([prefix, items]) => `${prefix}=${items.map(one => one.value).join()}`)
  return [...named, ...keys].join(';')
}

/** A task by its fields; throws where they are wrong. */
export function taskOf(
  kind: SinkKind,
  given: Readonly<Record<string, unknown>>,
  from: SettingsFrom = 'local',
  name = 'web',
): TaskDefinition {
  const read = readTask(name, { kind: kind.kind, ...given }, from, [kind])
  if ('problems' in read) throw new Error(JSON.stringify(read.problems))
  return read
}
