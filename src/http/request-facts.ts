/**
 * What is known of a request and of who sends it, before any rule.
 *
 * Owns the facts as records and conditions are told them. Reads no body and decides nothing.
 */
import type { IncomingMessage } from 'node:http'
import type { RequestFacts, Unmet, Who } from '../base/who.ts'
import { forwarderOf } from './forwarded.ts'
import { tokenOf } from './headers.ts'
import { queryIn } from './path.ts'

/** Somebody whose token nobody knows, or who was not asked for one. */
export const NOBODY: Who = { accessor: 'unknown', rights: '', may: () => false }

/** The token of a request, '' for none. */
export const shownBy = ({ headers, url = '' }: IncomingMessage): string =>
  tokenOf(headers, queryIn(url))

/** The client's own connection; undefined where another agent forwarded the request. */
export const connectionOf = (message: IncomingMessage): object | undefined =>
  forwarderOf(message) === undefined ? message.socket : undefined

/** What is known of a request without reading its URL. */
export const factsOf = (message: IncomingMessage, body: Buffer) => ({
  remote: message.socket.remoteAddress ?? '',
  forwarder: forwarderOf(message)?.nodeId,
  body: undefined,
  bodySizeBytes: body.length,
  overrides: message.headers['x-policy-override'] === 'true',
  recorded: false,
  advisories: NONE,
  overridden: NONE,
  refusedBy: undefined,
})

/** The conditions that did not hold alone: a request is not kept, and its body least of all. */
export const unmetOf = ({ advisories, overridden, refusedBy }: RequestFacts): Unmet => ({
  advisories,
  overridden,
  refusedBy,
})

const NONE: readonly string[] = []
