/**
 * Paths that are not served: they say so, and do nothing.
 *
 * Owns their form, which engines share.
 */
import { Refusal } from '../../base/errors.ts'
import { type Handled, type PathSpec, path } from '../declare.ts'

const ALL: readonly Handled[] = ['read', 'update', 'delete', 'list', 'patch']

/** A path that refuses whatever is asked of it. */
export function refusing(
  pattern: string,
  refusal: Refusal,
  synopsis: string,
  isRootOnly = false,
): PathSpec {
  const run = { summary: synopsis, effect: 'reads', run: () => refusal } as const
  return path({
    pattern,
    help: { synopsis, description: 'No request does anything.' },
    fields: {},
    access: 'authorized',
    isRootOnly,
    operations: Object.fromEntries(ALL.map(name => [name, run])),
  })
}

/** A path whose work may come one day: 501. */
export const notServedYet = (pattern: string, what: string, isRootOnly = false): PathSpec =>
  refusing(
    pattern,
    new Refusal(501, `not served yet: ${what}`),
    `Not served yet: ${what}.`,
    isRootOnly,
  )
