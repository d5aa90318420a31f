/**
 * The topic of leases: what was given for a time under a prefix, until when, and that it is gone.
 *
 * Owns what is told of a lease: what its row says in clear, so that none is ever opened for it.
 * What it was given for is never told. Leases of tokens are not among them: those are the tokens.
 * Pure.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { text } from '../../filter/fields.ts'
import type { Cell } from '../../store/table.ts'
import { type SealedRow, secretData } from '../../store/tables/secret.ts'
import { defineTopic, type Item, type Topic, touchOfRow } from '../../store/topic.ts'
import { momentText } from '../engine/pki/role/times.ts'
import { LEASE_KIND } from '../lease/lease.ts'
import { type SecretsAuthority, SecretsReader } from './reader.run.ts'

/** What is told of a lease. */
export interface LeaseFacts {
  readonly ID: string
  /** RFC 3339. A renewal changes it. */
  readonly ExpiresAt: string
}

/** Where the rows of the root namespace lie. */
const AREA: Bytes = fromText('root/leases/')

function itemOf({ key, row, modifyIndex }: Cell<SealedRow>): Item<LeaseFacts> | undefined {
  const { kind, dueMs } = row.header
  if (!key.startsWith(AREA) || kind !== LEASE_KIND || dueMs === undefined) return undefined
  const id = key.slice(AREA.length)
  return { key: id, index: modifyIndex, value: { ID: toText(id), ExpiresAt: momentText(dueMs) } }
}

export const leasesTopic = (authority: SecretsAuthority): Topic<LeaseFacts> =>
  defineTopic({
    name: 'leases',
    subject: 'prefix',
    summary: 'Leases whose ids begin with a prefix, and when they end.',
    fields: { ID: text(({ ID }) => ID), ExpiresAt: text(({ ExpiresAt }) => ExpiresAt) },
    authority,
    access: () => [],
    normal: prefix => prefix,
    refuse(who, prefix) {
      if (!(who instanceof SecretsReader)) return NO_READER
      // As for whoever lists them: its folder, so that a prefix tells no more than that.
      const folder = toText(prefix.slice(0, prefix.lastIndexOf('/') + 1))
      return who.refusalOf('list', `sys/leases/lookup/${folder}`)
    },
    may: () => true,
    source: {
      tables: [secretData.name],
      isEach: true,
      *items(view, prefix) {
        for (const cell of view.prefix(secretData, AREA + prefix)) yield itemOf(cell)
      },
      *touches(event, subjects) {
        if (!event.key.startsWith(AREA)) return
        const id = event.key.slice(AREA.length)
        for (const length of subjects.lengths) {
          const prefix = id.slice(0, length)
          if (prefix.length < length || !subjects.has(prefix)) continue
          yield* touchOfRow(event, prefix, itemOf, () => undefined)
        }
      },
    },
  })

/** Whoever follows is asked for by this half's own authority. */
const NO_READER = new Refusal(403, 'permission denied')
