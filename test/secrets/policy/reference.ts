/**
 * What policies allow, written down as the definition reads and as slowly: no tree, no bits, no
 * joined rules; each request goes through all blocks.
 */
import { isDeepStrictEqual } from 'node:util'
import type { PolicyRequest } from '../../../src/secrets/policy/mod.ts'
import type { BlockModel, PolicyModel } from './generate.ts'

type Block = BlockModel & { readonly full: string }

/** The capabilities that a path has by its one best pattern; undefined where none covers it. */
function deciding(models: readonly PolicyModel[], path: string, isList: boolean, nowMs: number) {
  const blocks = models
    .flatMap(one =>
      one.blocks.map((block): Block => ({ ...block, full: one.namespace + block.path })),
    )
    .filter(({ endsAtS }) => endsAtS === 0 || nowMs <= endsAtS * 1000)
  const paths = isList && path.endsWith('/') ? [path, path.slice(0, -1)] : [path]
  const exact = paths.find(one => blocks.some(({ full }) => !isWild(full) && full === one))
  const best = (one: string) => {
    const covering = blocks
      .map(({ full }) => full)
      .filter(full => isWild(full) && covers(full, one))
    return covering.sort(lowerFirst).at(-1)
  }
  const pattern = exact ?? paths.map(best).find(one => one !== undefined)
  return pattern === undefined ? undefined : blocks.filter(({ full }) => full === pattern)
}

const isWild = (pattern: string): boolean => /\*$|(^|\/)\+(\/|$)/.test(pattern)

function covers(pattern: string, path: string): boolean {
  const parts = pattern.replace(/\*$/, '').split('/')
  const source = parts.map(part => (part === '+' ? '[^/]+' : part)).join('/')
  return new RegExp(`^${source}${pattern.endsWith('*') ? '.*' : ''}$`, 's').test(path)
}

/** Five reasons to lose, each asked where those before it are equal. */
function lowerFirst(a: string, b: string): number {
  const first = (one: string) => one.search(/(?<=^|\/)\+(?=\/|$)|\*$/)
  const plus = (one: string) => one.split('/').filter(part => part.replace('*', '') === '+').length
  return (
    first(a) - first(b) ||
    Number(b.endsWith('*')) - Number(a.endsWith('*')) ||
    plus(b) - plus(a) ||
    a.length - b.length ||
    (a < b ? -1 : Number(a > b))
  )
}

/** What `sys/capabilities` answers. */
export function referenceCapabilities(
  models: readonly PolicyModel[],
  path: string,
  nowMs: number,
): readonly string[] {
  const given = (deciding(models, path, true, nowMs) ?? []).flatMap(one => one.capabilities)
  return given.includes('deny') || given.length === 0 ? ['deny'] : [...new Set(given)].sort()
}

/** Whether a request is allowed. */
export function referenceAllows(models: readonly PolicyModel[], request: PolicyRequest): boolean {
  const { operation, path, data = {}, wrapTtlMs, nowMs } = request
  const isList = operation === 'list' || operation === 'scan'
  const blocks = deciding(models, path, isList, nowMs) ?? []
  const given = blocks.flatMap(one => one.capabilities)
  if (given.includes('deny') || !given.includes(operation)) return false
  const least = (numbers: readonly number[]) => Math.min(...numbers.filter(one => one > 0))
  const [minS, maxS] = [least(blocks.map(one => one.minS)), least(blocks.map(one => one.maxS))]
  if (minS < Infinity && (wrapTtlMs === undefined || wrapTtlMs < minS * 1000)) return false
  if (maxS < Infinity && (wrapTtlMs === undefined || wrapTtlMs > maxS * 1000)) return false
  const required = blocks.flatMap(one => one.required.map(name => name.toLowerCase()))
  if (isList) return allowsPage(least(blocks.map(one => one.page)), required, data)
  if (operation === 'delete') return true
  const names = Object.keys(data).map(name => name.toLowerCase())
  if (required.some(name => !names.includes(name))) return false
  const lists = (of: 'allowed' | 'denied', name: string) =>
    blocks.flatMap(one => Object.entries(one[of]).filter(([key]) => key.toLowerCase() === name))
  const named = (of: 'allowed' | 'denied', name: string, value: unknown) => {
    const found = lists(of, name).map(([, list]) => list)
    return found.some(list => list.length === 0 || list.some(one => isMeant(one, value, of)))
  }
  const hasAny = blocks.some(one => Object.keys(one.allowed).length > 0)
  const isOnlyStar = blocks.every(one => Object.keys(one.allowed).every(key => key === '*'))
  return Object.entries(data).every(([key, value]) => {
    const name = key.toLowerCase()
    if (lists('denied', '*').length > 0 || named('denied', name, value)) return false
    if (!hasAny || isOnlyStar) return true
    return lists('allowed', name).length > 0
      ? named('allowed', name, value)
      : lists('allowed', '*').length > 0
  })
}

function isMeant(listed: unknown, value: unknown, of: 'allowed' | 'denied'): boolean {
  const plain = typeof value === 'bigint' ? Number(value) : value
  const isText = typeof listed === 'string' && typeof plain === 'string'
  const isScalar = (one: unknown) => one !== null && typeof one !== 'object'
  if (isText || (of === 'denied' && isScalar(listed) && isScalar(plain))) {
    const [glob, text] = [String(listed), String(plain)]
    const source = glob
      .replace(/^\*(?=.)/, '.*')
      .replace(/(?<=.)\*$/, '.*')
      .replace(/^\*$/, '\\*')
    return new RegExp(`^${source}$`, 's').test(text)
  }
  return isDeepStrictEqual(listed, plain)
}

function allowsPage(
  page: number,
  required: readonly string[],
  data: Readonly<Record<string, unknown>>,
): boolean {
  const { limit } = data
  if (page === Infinity || limit === 'max' || limit === '') return true
  if (limit === undefined) return !required.includes('limit')
  return /^\d+$/.test(String(limit)) && Number(limit) <= page
}
