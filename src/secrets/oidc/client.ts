/**
 * Clients: programs that people log in to by way of this server.
 *
 * Owns how one is found. Pure.
 */
import type { Draft } from '../storage.ts'
import { type ClientRow, clientRows, isName } from './rows.ts'

/** The client of a name, which may be anything. The row must not be changed. */
export const clientAt = (draft: Draft, namespaceId: string, name: string): ClientRow | undefined =>
  isName(name) ? clientRows(draft, namespaceId).kept<ClientRow>(name) : undefined
