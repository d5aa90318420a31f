/**
 * The topic of leases: what was given for a time under a prefix, until when, and that it is gone.
 *
 * Owns what is told of a lease: what its row says in clear, so that none is ever opened for it.
 * What it was given for is never told. Leases of tokens are not among them: those are the tokens.
 * A prefix may begin with the path of a namespace, as the path of a request does.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { text } from '../../filter/fields.ts'
import type { Cell } from '../../store/table.ts'
import { type SealedRow, secretData } from '../../store/tables/secret.ts'
import { defineTopic, type Item, type Topic, touchOfRow } from '../../store/topic.ts'
import { momentText } from '../engine/pki/role/times.ts'
import { LEASE_KIND, shownId } from '../lease/lease.ts'
import { locate, namespaceById } from '../namespace/namespace.ts'
import {
  draftOf,
  type SecretsAuthority,
  type SecretsFeedPorts,
  SecretsReader,
} from './reader.run.ts'

/** What is told of a lease. */
export interface LeaseFacts {
  readonly ID: string
  /** RFC 3339. A renewal changes it. */
  readonly ExpiresAt: string
}

/** What stands between the id of a namespace and that of a lease, in the key of a row. */
const LEASES = '/leases/'

/** The id of a lease's namespace, and its own one, of the key of its row or the beginning of it. */
function partsOf(key: Bytes): { readonly namespaceId: string; readonly id: Bytes } {
  const at = key.indexOf(LEASES)
  return { namespaceId: toText(key.slice(0, at)), id: key.slice(at + LEASES.length) }
}

function itemOf({ key, row, modifyIndex }: Cell<SealedRow>): Item<LeaseFacts> | undefined {
  const { kind, dueMs } = row.header
  if (kind !== LEASE_KIND || dueMs === undefined) return undefined
  const { namespaceId, id } = partsOf(key)
  const shown = shownId({ namespaceId, id: toText(id) })
  const value = { ID: shown, ExpiresAt: momentText(dueMs) }
  return { key: fromText(shown), index: modifyIndex, value }
}

/** Subjects are the beginnings of the keys of rows. */
export const leasesTopic = (
  ports: SecretsFeedPorts,
  authority: SecretsAuthority,
): Topic<LeaseFacts> =>
  defineTopic({
    name: 'leases',
    subject: 'prefix',
    summary: 'Leases whose ids begin with a prefix, and when they end.',
    fields: { ID: text(({ ID }) => ID), ExpiresAt: text(({ ExpiresAt }) => ExpiresAt) },
    authority,
    access: () => [],
    normal(prefix) {
      const draft = draftOf(ports)
      if (draft === undefined) return SEALED
      const located = locate(draft, '', toText(prefix))
      if (located instanceof Refusal) return located
      return fromText(located.namespace.id + LEASES + located.path)
    },
    refuse(who, subject) {
      const draft = draftOf(ports)
      if (draft === undefined) return SEALED
      if (!(who instanceof SecretsReader)) return NO_READER
      const { namespaceId, id } = partsOf(subject)
      const namespace = namespaceById(draft, namespaceId)
      if (namespace === undefined) return NO_READER
      // As for whoever lists them: its folder, so that a prefix tells no more than that.
      const folder = toText(id.slice(0, id.lastIndexOf('/') + 1))
      return who.refusalOf('list', `${namespace.path}sys/leases/lookup/${folder}`)
    },
    may: () => true,
    source: {
      tables: [secretData.name],
      isEach: true,
      *items(view, subject) {
        for (const cell of view.prefix(secretData, subject)) yield itemOf(cell)
      },
      *touches(event, subjects) {
        for (const length of subjects.lengths) {
          const subject = event.key.slice(0, length)
          if (subject.length < length || !subjects.has(subject)) continue
          yield* touchOfRow(event, subject, itemOf, () => undefined)
        }
      },
    },
  })

const SEALED = new Refusal(503, 'Vault is sealed')
/** Whoever follows is asked for by this half's own authority. */
const NO_READER = new Refusal(403, 'permission denied')
