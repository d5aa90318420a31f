/**
 * Drawing pairs for keys that sign tokens, before the transaction that writes them.
 *
 * Owns how many are drawn for whom.
 */
import type { KeyObject } from 'node:crypto'
import type { Arithmetic } from '../../base/io/arithmetic.ts'
import type { Draft } from '../storage.ts'
import { type Algorithm, kindFor } from './algorithm.ts'
import { DEFAULT_KEY, keyAt, PAIRS } from './key.ts'
import { DEFAULT } from './rows.ts'

/** Draws so many pairs for an algorithm. */
export const drawPairs = (
  arithmetic: Arithmetic,
  algorithm: Algorithm,
  count: number,
): Promise<readonly KeyObject[]> =>
  Promise.all(Array.from({ length: count }, () => arithmetic.generateKey(kindFor(algorithm))))

/** Draws the pairs of the key `default` where it is named and has none yet. */
export const drawDefault = (
  arithmetic: Arithmetic,
  draft: Draft,
  namespaceId: string,
  name: string,
): Promise<readonly KeyObject[]> | readonly KeyObject[] =>
  name === DEFAULT && keyAt(draft, namespaceId, name) === undefined
    ? drawPairs(arithmetic, DEFAULT_KEY.algorithm, PAIRS)
    : []
