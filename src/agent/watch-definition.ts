/**
 * Watches of the configuration: what each type looks at, and whom it tells.
 *
 * Owns the names of their fields and what is refused. A watch looks at what a path of the HTTP API
 * answers, so that its handler gets what a client would. Pure.
 */
import { parseDurationMs } from '../base/duration.ts'
import { limits } from '../base/limits.ts'
import { type HclObject, type HclValue, isObject } from '../hcl/hcl.ts'

/** Who is told of a change. */
export type WatchHandler =
  | { readonly kind: 'program'; readonly words: readonly string[] }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly method: string
      readonly headers: Readonly<Record<string, readonly string[]>>
      readonly timeoutMs: number
      readonly skipsVerify: boolean
    }

/** One watch. */
export interface Watch {
  readonly type: string
  /** Of the declared paths: `/v1/kv/{key}`. */
  readonly path: string
  /** What stands in its open part, as it would in a URL. */
  readonly part: string
  /** The query, as it would stand in a URL. */
  readonly query: string
  /** Which part of the answer is told: all, its first item or null, or what is new in it. */
  readonly view: 'all' | 'first' | 'new'
  readonly handler: WatchHandler
  /** Whose rights it looks with, '' for the default ones: a secret. */
  readonly token: string
  /** `file:line`, for the log. */
  readonly where: string
}

/** Tells of a mistake in a field. */
type Complain = (field: string, problem: string) => void

/** Reads a block of `watches`; undefined when something is wrong with it, which is told. */
export function readWatch(block: HclObject, where: string, complain: Complain): Watch | undefined {
  let isRight = true
  const wrong = (field: string, problem: string): undefined => {
    isRight = false
    complain(field, problem)
    return undefined
  }
  const fields = new Fields(block, wrong)
  const type = fields.text('type')
  const plan = planOf(type, fields, wrong)
  const handler = handlerOf(fields, wrong)
  const token = fields.text('token')
  fields.text('datacenter')
  fields.refuseOthers()
  if (!isRight || plan === undefined || handler === undefined) return undefined
  return { type, handler, token, where, part: '', query: '', view: 'all', ...plan }
}

type Plan = Pick<Watch, 'path'> & Partial<Pick<Watch, 'part' | 'query' | 'view'>>
type Wrong = (field: string, problem: string) => undefined

function planOf(type: string, fields: Fields, wrong: Wrong): Plan | undefined {
  const needed = (name: string): string =>
    fields.text(name) || (wrong(name, `is missing for the type ${type}`) ?? '')
  switch (type) {
    case 'key':
      return { path: '/v1/kv/{key}', part: keyPart(needed('key')), view: 'first' }
    case 'keyprefix':
      return { path: '/v1/kv/{key}', part: keyPart(needed('prefix')), query: 'recurse' }
    case 'services':
    case 'nodes':
      return { path: `/v1/catalog/${type}`, query: queryOf({ filter: fields.text('filter') }) }
    case 'service': {
      const { tag, passing, filter } = serviceFilters(fields)
      const query = queryOf({ filter, passing, tag })
      return { path: '/v1/health/service/{service}', part: part(needed('service')), query }
    }
    case 'checks':
      return checksPlan(fields, wrong)
    case 'event':
      return { path: '/v1/event/list', query: queryOf({ name: fields.text('name') }), view: 'new' }
    case 'agent_service':
      return { path: '/v1/agent/service/{service}', part: part(needed('service_id')) }
    case 'connect_roots':
    case 'connect_leaf':
      return wrong('type', `not served yet: watches of ${type} (the service mesh)`)
    default:
      return wrong('type', `must be one of ${TYPES.join(', ')}`)
  }
}

const TYPES = ['key', 'keyprefix', 'services', 'nodes', 'service', 'checks', 'event'].concat(
  'agent_service',
)

function serviceFilters(fields: Fields): {
  tag: readonly string[]
  passing: string
  filter: string
} {
  return {
    tag: fields.texts('tag'),
    passing: fields.isOn('passingonly') ? '1' : '',
    filter: fields.text('filter'),
  }
}

function checksPlan(fields: Fields, wrong: Wrong): Plan | undefined {
  const [service, state] = [fields.text('service'), fields.text('state')]
  const query = queryOf({ filter: fields.text('filter') })
  if (service !== '' && state !== '') return wrong('state', 'stands beside service')
  if (service !== '') return { path: '/v1/health/checks/{service}', part: part(service), query }
  return { path: '/v1/health/state/{state}', part: part(state || 'any'), query }
}

/** A key may have slashes, which stay what they are. */
const keyPart = (key: string): string => key.split('/').map(part).join('/')
const part = (text: string): string => encodeURIComponent(text)

function queryOf(values: Readonly<Record<string, string | readonly string[]>>): string {
  return Object.entries(values)
    .flatMap(([name, value]) => [value].flat().map(each => [name, each] as const))
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}=${part(value)}`)
    .join('&')
}

function handlerOf(fields: Fields, wrong: Wrong): WatchHandler | undefined {
  const kind = fields.text('handler_type') || 'script'
  const line = fields.text('handler')
  const words = fields.texts('args')
  const config = fields.object('http_handler_config')
  if (kind === 'http') return httpHandlerOf(config, wrong)
  if (kind !== 'script') return wrong('handler_type', 'must be script or http')
  if (line !== '' && words.length > 0) return wrong('handler', 'stands beside args')
  if (line !== '') return { kind: 'program', words: ['/bin/sh', '-c', line] }
  if (words.length === 0) return wrong('args', 'is missing: what to start at a change')
  return { kind: 'program', words }
}

function httpHandlerOf(config: HclObject | undefined, wrong: Wrong): WatchHandler | undefined {
  if (config === undefined) return wrong('http_handler_config', 'is missing')
  const fields = new Fields(config, (field, problem) =>
    wrong('http_handler_config', `${field}: ${problem}`),
  )
  const url = fields.text('path')
  const timeout = fields.text('timeout')
  const timeoutMs = timeout === '' ? limits.watchHandlerTimeoutMs : parseDurationMs(timeout)
  const headers = fields.lists('header')
  const method = fields.text('method') || 'POST'
  const skipsVerify = fields.isOn('tls_skip_verify')
  fields.refuseOthers()
  if (timeoutMs === undefined || timeoutMs <= 0) {
    return wrong('http_handler_config', 'timeout: must be a duration such as "10s"')
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return wrong('http_handler_config', 'path: must be an address that begins with http')
  }
  return { kind: 'http', url, method, headers, timeoutMs, skipsVerify }
}

/** The fields of a block, each read once by its type; what is never read is unknown. */
class Fields {
  readonly #block: HclObject
  readonly #wrong: Wrong
  readonly #read = new Set<string>()

  constructor(block: HclObject, wrong: Wrong) {
    this.#block = block
    this.#wrong = wrong
  }

  /** '' where it is absent. */
  text(name: string): string {
    return this.#take(
      name,
      '',
      value => (typeof value === 'string' ? value : undefined),
      'a string',
    )
  }

  isOn(name: string): boolean {
    const read = (value: HclValue) => (typeof value === 'boolean' ? value : undefined)
    return this.#take(name, false, read, 'true or false')
  }

  /** One string counts as a list of one. */
  texts(name: string): readonly string[] {
    return this.#take(name, [], textsOf, 'a list of strings')
  }

  object(name: string): HclObject | undefined {
    const read = (value: HclValue): HclObject | undefined => {
      const one = Array.isArray(value) && value.length === 1 ? value[0] : value
      return isObject(one) ? one : undefined
    }
    return this.#take<HclObject | undefined>(name, undefined, read, 'a block')
  }

  /** Lists of strings by name. */
  lists(name: string): Record<string, readonly string[]> {
    const found: Record<string, readonly string[]> = {}
    for (const [key, value] of Object.entries(this.object(name) ?? {})) {
      const texts = textsOf(value)
      if (texts === undefined) this.#wrong(name, 'must be an object of lists of strings')
      else found[key] = texts
    }
    return found
  }

  /** Tells of every field that nobody asked for. */
  refuseOthers(): void {
    for (const name of Object.keys(this.#block)) {
      if (!this.#read.has(name)) this.#wrong(name, 'unknown key')
    }
  }

  #take<T>(name: string, absent: T, read: (value: HclValue) => T | undefined, expected: string): T {
    this.#read.add(name)
    const value = this.#block[name]
    if (value === undefined || value === null) return absent
    const taken = read(value)
    if (taken === undefined) this.#wrong(name, `must be ${expected}`)
    return taken ?? absent
  }
}

function textsOf(value: HclValue): readonly string[] | undefined {
  const list = typeof value === 'string' ? [value] : value
  const isTexts = Array.isArray(list) && list.every(each => typeof each === 'string')
  return isTexts ? (list as string[]) : undefined
}
