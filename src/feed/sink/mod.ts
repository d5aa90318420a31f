/**
 * All kinds of sinks.
 *
 * Owns the list: one that is not in it does not exist.
 */
import type { SinkKind } from './declare.ts'
import { execSink } from './exec/exec.ts'

export const sinkKinds: readonly SinkKind[] = [execSink]
