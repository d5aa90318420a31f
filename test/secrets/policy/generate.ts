/**
 * Policies and requests over few words, so that patterns meet and overlap.
 *
 * Owns the model of a policy that both sides of a comparison are made from: the text that is
 * parsed, and what the reference goes through.
 */
import fc from 'fast-check'
import type { PolicyRequest } from '../../../src/secrets/policy/mod.ts'

export interface BlockModel {
  readonly path: string
  readonly capabilities: readonly string[]
  readonly required: readonly string[]
  readonly allowed: Readonly<Record<string, readonly unknown[]>>
  readonly denied: Readonly<Record<string, readonly unknown[]>>
  readonly minS: number
  readonly maxS: number
  readonly page: number
  /** The second of the day; 0 for a block that does not end. */
  readonly endsAtS: number
}

export interface PolicyModel {
  readonly name: string
  readonly namespace: string
  readonly blocks: readonly BlockModel[]
}

const operations = ['create', 'read', 'update', 'delete', 'list', 'patch', 'scan'] as const

const word = fc.constantFrom('a', 'b', 'ab', 'abc')
const segment = fc.oneof(word, fc.constant('+'), word)
const end = fc.constantFrom('', '', '*', '/', '/*', '/a*', '/+', '/+/')
const path = fc
  .tuple(fc.array(segment, { minLength: 0, maxLength: 3 }), end)
  .map(([segments, last]) => segments.join('/') + last)
  .filter(text => !text.includes('+*') && !text.startsWith('/'))

const capability = fc.constantFrom(...operations, ...operations, 'sudo', 'deny')
const parameter = fc.constantFrom('x', 'Y', 'limit', '*')
const listed = fc.constantFrom('v', 'v*', '*w', '*v*', '*', 1, true, ['v', 1], '1')
const lists = fc.dictionary(parameter, fc.array(listed, { maxLength: 2 }), { maxKeys: 2 })
const seldom = <T>(value: T, arb: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: arb })

const block: fc.Arbitrary<BlockModel> = fc
  .record({
    path,
    capabilities: fc.array(capability, { maxLength: 5 }),
    required: seldom([], fc.array(fc.constantFrom('x', 'Y', 'limit'), { maxLength: 2 })),
    allowed: seldom({}, lists),
    denied: seldom({}, lists),
    minS: seldom(0, fc.integer({ min: 1, max: 3 })),
    maxS: seldom(0, fc.integer({ min: 1, max: 3 })),
    page: seldom(0, fc.integer({ min: 1, max: 3 })),
    endsAtS: seldom(0, fc.integer({ min: 1, max: 3 })),
  })
  .filter(({ minS, maxS }) => maxS === 0 || minS <= maxS)

export const policies: fc.Arbitrary<readonly PolicyModel[]> = fc.array(
  fc.record({
    name: fc.constantFrom('one', 'two', 'three'),
    namespace: fc.constantFrom('', '', 'a/'),
    blocks: fc.array(block, { maxLength: 6 }),
  }),
  { minLength: 1, maxLength: 3 },
)

const value = fc.constantFrom<unknown>(
  'v',
  'vw',
  'w',
  1,
  1n,
  2,
  true,
  ['v', 1],
  ['v'],
  null,
  {},
  '1',
)
const data = fc.oneof(
  fc.constant(undefined),
  fc.dictionary(fc.constantFrom('x', 'X', 'y', 'z'), value, { maxKeys: 3 }),
  fc.record({ limit: fc.constantFrom<unknown>(0, 1, 2, 9, -1, '2', 'max', 'x', '') }),
)

export const requests: fc.Arbitrary<readonly PolicyRequest[]> = fc.array(
  fc
    .record({
      operation: fc.constantFrom(...operations),
      path: fc.array(word, { minLength: 1, maxLength: 4 }).map(segments => segments.join('/')),
      data,
      wrapTtlMs: seldom<number | undefined>(undefined, fc.constantFrom(1_000, 2_000, 3_000)),
      nowMs: fc.constantFrom(0, 1_000, 1_001, 2_000, 2_500, 9_000),
    })
    .map(request => {
      const isList = request.operation === 'list' || request.operation === 'scan'
      return isList ? { ...request, path: `${request.path}/` } : request
    }),
  { minLength: 1, maxLength: 12 },
)

/** The policy as text. */
export function textOf({ blocks }: PolicyModel): string {
  return blocks.map(blockText).join('\n')
}

function blockText(model: BlockModel): string {
  const { capabilities, required, allowed, denied, minS, maxS, page, endsAtS } = model
  const lines = [
    `capabilities = ${JSON.stringify(capabilities)}`,
    `required_parameters = ${JSON.stringify(required)}`,
    `allowed_parameters = ${mapText(allowed)}`,
    `denied_parameters = ${mapText(denied)}`,
  ]
  if (minS > 0) lines.push(`min_wrapping_ttl = ${minS}`)
  if (maxS > 0) lines.push(`max_wrapping_ttl = "${maxS}s"`)
  if (page > 0) lines.push(`pagination_limit = ${page}`)
  if (endsAtS > 0) lines.push(`expiration = "1970-01-01T00:00:0${endsAtS}Z"`)
  return `path ${JSON.stringify(model.path)} {\n  ${lines.join('\n  ')}\n}`
}

const mapText = (map: BlockModel['allowed']): string =>
  `{ ${Object.entries(map).map(([key, list]) => `"${key}" = ${JSON.stringify(list)}`)} }`
