/**
 * Reading JSON that somebody else wrote.
 *
 * Owns that its bounds are looked at before anything is made of it. Pure.
 */
import { parseBounded } from '../../../base/bounded-json.ts'
import type { Json } from '../../field.ts'

/** Whether a value is an object of JSON. */
export const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a text of JSON says; undefined where it is none, or beyond the bounds of a request's. */
export function jsonOf(body: Buffer): Json | undefined {
  const read = parseBounded(body)
  return 'fault' in read ? undefined : (read.value as Json)
}
