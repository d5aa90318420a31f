/**
 * All kinds of sinks.
 *
 * Owns the list: one that is not in it does not exist.
 */
import type { SinkKind } from './declare.ts'
import { execSink } from './exec/exec.ts'
import { fileSink } from './file/file.ts'
import { haproxyFileSink } from './haproxy-file/haproxy-file.ts'
import { haproxyRuntimeSink } from './haproxy-runtime/haproxy-runtime.ts'
import { nftablesSink } from './nftables/nftables.ts'
import { nginxSink } from './nginx/nginx.ts'
import { webhookSink } from './webhook/webhook.ts'

export const sinkKinds: readonly SinkKind[] = [
  haproxyRuntimeSink,
  haproxyFileSink,
  nginxSink,
  webhookSink,
  execSink,
  nftablesSink,
  fileSink,
]
