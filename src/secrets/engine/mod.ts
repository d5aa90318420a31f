/**
 * All engines and auth methods: adding one touches its folder and this list.
 *
 * Owns the list alone.
 */
import type { Engine } from '../declare.ts'
import { kvEngine } from './kv/engine.ts'

export const engines: readonly Engine[] = [kvEngine]
