/**
 * The verb `watch`: prints a view once, or calls a handler whenever it changes.
 *
 * Owns what each type asks and gives, and when a change counts: a new index alone does not, the
 * content must differ. A handler that fails ends the watch with 1; an agent that fails is asked
 * again, later each time.
 */
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { endSignals, faultOf, passedSignals, shellFlag, startWords } from './child.ts'
import {
  asking,
  type Client,
  ClientError,
  nodeNameOf,
  type Query,
  queryFlags,
  unexpected,
} from './client.ts'
import { type Call, type Flags, fail } from './command.ts'
import { collect } from './exchange.ts'
import { exactJson, parseExact } from './json.ts'
import { pathOf } from './kv.ts'

/** What a type asks, and what its handler gets of an answer; `last` is the index before it. */
interface Plan {
  readonly path: string
  readonly query: Query
  view(body: unknown, last: string): unknown
}

type Planner = (flags: Flags) => Plan | string

const same = (body: unknown): unknown => body
const part = (text: string): string => encodeURIComponent(text)

const planners: Readonly<Record<string, Planner>> = {
  key: flags => {
    const key = flags.text('key')
    if (!key) return 'Must specify a single key to watch'
    return { path: pathOf(key), query: {}, view: body => pairsOf(body)?.[0] ?? null }
  },
  keyprefix: flags => {
    const prefix = flags.text('prefix')
    if (prefix === undefined) return 'Must specify a single prefix to watch'
    return { path: pathOf(prefix), query: { recurse: '' }, view: pairsOf }
  },
  services: flags => ({ path: '/v1/catalog/services', query: filterOf(flags), view: same }),
  nodes: flags => ({ path: '/v1/catalog/nodes', query: filterOf(flags), view: same }),
  service: flags => {
    const service = flags.text('service')
    if (!service) return 'Must specify a single service to watch'
    const passing = flags.isOn('passingonly') ? '1' : undefined
    const query = { ...filterOf(flags), tag: flags.list('tag'), passing }
    return { path: `/v1/health/service/${part(service)}`, query, view: same }
  },
  checks: flags => {
    const [service, state] = [flags.text('service'), flags.text('state')]
    if (service && state) return 'Cannot specify service and state'
    const path = service ? `checks/${part(service)}` : `state/${part(state || 'any')}`
    return { path: `/v1/health/${path}`, query: filterOf(flags), view: same }
  },
  event: flags => ({
    path: '/v1/event/list',
    query: { name: flags.text('name') || undefined },
    view: (body, last) => eventsAfter(body as Event[] | null, last),
  }),
}

const filterOf = (flags: Flags): Query => ({ filter: flags.text('filter') || undefined })

export const watch = asking('Error querying Consul agent', {
  usage: '[options] -type=TYPE [COMMAND...]',
  flags: [
    { name: 'type', kind: 'text', doc: `one of ${Object.keys(planners).join(', ')}` },
    { name: 'key', kind: 'text', doc: 'the key, for key' },
    { name: 'prefix', kind: 'text', doc: 'the prefix, for keyprefix' },
    { name: 'service', kind: 'text', doc: 'the service, for service and checks' },
    { name: 'tag', kind: 'list', doc: 'a tag of the service; may be repeated' },
    { name: 'passingonly', kind: 'switch', doc: 'only instances whose checks all pass' },
    { name: 'state', kind: 'text', doc: 'the state, for checks' },
    { name: 'name', kind: 'text', doc: 'the name, for event' },
    { name: 'filter', kind: 'text', doc: 'filter expression, for nodes, services, checks' },
    shellFlag,
    ...queryFlags,
  ],
  examples: [
    '-type=service -service=web -passingonly',
    '-type=keyprefix -prefix=app/ ./reload-app',
    '-type=event -name=deploy -shell=false ./deploy now',
  ],
  async run(call, client) {
    const { flags, io } = call
    const type = flags.text('type')
    if (!type) return fail(io, 'Watch type must be specified')
    if (type.startsWith('connect_') || type === 'agent_service') {
      return fail(io, `Type ${type} is not supported in the CLI tool`)
    }
    const plan = Object.hasOwn(planners, type) ? planners[type]?.(flags) : undefined
    if (plan === undefined) return fail(io, `Unsupported watch type: ${type}`)
    if (typeof plan === 'string') return fail(io, plan)
    await nodeNameOf(client)
    return follow(call, client, { type, plan })
  },
})

/** Asks again and again; ends with the first print, a failed handler, or a signal. */
async function follow(
  call: Call,
  client: Client,
  { type, plan }: { type: string; plan: Plan },
): Promise<number> {
  const { io } = call
  const stop = new AbortController()
  for (const name of endSignals) io.onSignal(name, () => stop.abort())
  let index = ''
  let shown: string | undefined
  for (let failures = 0; !stop.signal.aborted; ) {
    try {
      const query = { ...plan.query, index: index || undefined }
      const answer = await client.open('GET', plan.path, query, { signal: stop.signal })
      const body = await collect(answer.body)
      const isNone = answer.status === 404
      if (!isNone && answer.status !== 200) throw unexpected({ status: answer.status, body })
      const view = plan.view(isNone ? null : parseExact(body.toString('utf8')), index)
      const last = index
      const next = String(answer.headers['x-consul-index'] ?? '')
      index = type !== 'event' && Number(next) < Number(last) ? '' : next
      failures = 0
      const text = exactJson(view, 4)
      if (next === last || text === shown) continue
      shown = text
      if (call.args.length === 0) {
        io.print(text)
        return 0
      }
      if (!(await handle(call, next, view, stop.signal))) return 1
    } catch (error) {
      if (stop.signal.aborted) break
      if (isForGood(error)) throw error
      const delayMs = Math.min(limits.watchRetryMs * (++failures) ** 2, limits.watchRetryMaxMs)
      io.printError(`Watch (type: ${type}) errored: ${messageOf(error)}, retry in ${delayMs} ms`)
      await pause(io.clock, delayMs, stop.signal)
    }
  }
  return 0
}

/** What will not be answered better the next time. */
function isForGood(error: unknown): boolean {
  const FOR_GOOD: readonly (number | undefined)[] = [400, 404, 405, 501]
  return error instanceof ClientError && FOR_GOOD.includes(error.status)
}

/** Calls the handler and waits for it; whether it went well. */
async function handle(
  call: Call,
  index: string,
  view: unknown,
  stop: AbortSignal,
): Promise<boolean> {
  const { io, args } = call
  try {
    const input = Buffer.from(`${exactJson(view, 0)}\n`)
    const child = await startWords(call, args, { CONSUL_INDEX: index }, input)
    const ends = passedSignals.map(name => io.onSignal(name, () => child.signal(name)))
    const onStop = (): void => child.signal('SIGTERM')
    stop.addEventListener('abort', onStop)
    const fault = faultOf(await child.ended)
    stop.removeEventListener('abort', onStop)
    for (const end of ends) end()
    if (fault === undefined || stop.aborted) return true
    io.printError(`Error executing handler: ${fault}`)
  } catch (error) {
    io.printError(`Error starting handler: ${messageOf(error)}`)
  }
  return false
}

interface Pair {
  readonly Session?: string
}

/** Entries with their fields in the order and number of Go's client, which handlers know. */
function pairsOf(body: unknown): object[] | null {
  if (body === null) return null
  return (body as Pair[]).map(entry => {
    const { Key, CreateIndex, ModifyIndex, LockIndex, Flags, Value } = entry as Record<
      string,
      unknown
    >
    return { Key, CreateIndex, ModifyIndex, LockIndex, Flags, Value, Session: entry.Session ?? '' }
  })
}

interface Event {
  readonly ID: string
}

/** The events that are newer than the one whose id made the last index. */
function eventsAfter(events: readonly Event[] | null, last: string): Event[] {
  const list = events ?? []
  return list.slice(list.findLastIndex(({ ID }) => eventIndex(ID) === last) + 1)
}

/** Both halves of a UUID, as numbers, XORed. */
function eventIndex(id: string): string {
  const hex = id.replaceAll('-', '')
  if (!/^[0-9a-f]{32}$/i.test(hex)) return ''
  return String(BigInt(`0x${hex.slice(0, 16)}`) ^ BigInt(`0x${hex.slice(16)}`))
}
