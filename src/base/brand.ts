/**
 * Branded numbers: values of one runtime type that must not be mixed up.
 *
 * Owns the conversions. No other file may cast to these types.
 */

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** The store's revision: one per transaction, from 1, never reused. 0 means "before everything". */
export type Revision = Brand<number, 'Revision'>
/** What clients see as X-Consul-Index: the revision plus the offset that a restore raised. */
export type PublicIndex = Brand<number, 'PublicIndex'>
/** Milliseconds of a clock that never goes back and means nothing outside this process. */
export type MonotonicMs = Brand<number, 'MonotonicMs'>
/** Milliseconds since 1970 by the wall clock, which may jump. */
export type WallMs = Brand<number, 'WallMs'>

export const revision = (value: number): Revision => value as Revision
export const publicIndex = (value: number): PublicIndex => value as PublicIndex
export const monotonicMs = (value: number): MonotonicMs => value as MonotonicMs
export const wallMs = (value: number): WallMs => value as WallMs
