/**
 * The rules of sinks that are declared by the API: who may, how many, and what is kept of them.
 *
 * Owns that their secrets are taken out of what is stored in the clear, and that only kinds which
 * need nothing of a machine are taken (task-definition.ts refuses the others). Pure.
 */
import { fromText } from '../../base/bytes.ts'
import { refuse } from '../../base/denied.ts'
import { same } from '../../base/equal.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { access, type Who } from '../../base/who.ts'
import { type Decision, del, put } from '../../store/store.ts'
import { type SinkRow, sinkStatuses, sinks } from '../../store/tables/sink.ts'
import type { Reader } from '../../store/view.ts'
import type { SinkKind } from './declare.ts'
import { HIDDEN, type SettingFields } from './schema.ts'

export const mayReadSinks = [access('read', 'operator')]
export const mayWriteSinks = [access('write', 'operator')]

type Given = Readonly<Record<string, unknown>>

/** Takes the secrets out of a body: what is left, and they by their place. */
export function withoutSecrets(
  kind: SinkKind,
  given: Given,
): { readonly open: Given; readonly secrets: Readonly<Record<string, unknown>> } {
  const secrets: Record<string, unknown> = {}
  const { token, settings, ...rest } = given
  if (token !== undefined && token !== '') secrets.token = token
  const open: Record<string, unknown> = {}
  for (const [field, value] of Object.entries((settings ?? {}) as Given)) {
    if (isSecret(kind.fields, field)) secrets[`settings.${field}`] = value
    else open[field] = value
  }
  return { open: { ...rest, settings: open }, secrets }
}

/** The body with its secrets. */
export function withSecrets(open: Given, secrets: Readonly<Record<string, unknown>>): Given {
  const settings: Record<string, unknown> = { ...(open.settings as Given | undefined) }
  const whole: Record<string, unknown> = { ...open, settings }
  for (const [place, value] of Object.entries(secrets)) {
    const field = place.startsWith(IN_SETTINGS) ? place.slice(IN_SETTINGS.length) : undefined
    if (field === undefined) whole[place] = value
    else settings[field] = value
  }
  return whole
}

/**
 * The body with the secrets that it names without telling them: whoever reads a sink and writes it
 * back changes none of them.
 */
export function withKept(given: Given, kept: Readonly<Record<string, unknown>>): Given {
  const keep = (place: string, value: unknown): unknown =>
    value === HIDDEN && Object.hasOwn(kept, place) ? kept[place] : value
  const settings = Object.entries((given.settings ?? {}) as Given).map(([field, value]) => {
    return [field, keep(`${IN_SETTINGS}${field}`, value)] as const
  })
  const token = given.token === undefined ? {} : { token: keep('token', given.token) }
  return { ...given, ...token, settings: Object.fromEntries(settings) }
}

const IN_SETTINGS = 'settings.'

const isSecret = (fields: SettingFields, field: string): boolean =>
  Object.hasOwn(fields, field) && fields[field]?.isSecret === true

/** Writes a sink in the place of the one with its name, whose sealed secrets were these. */
export function putSink(
  view: Reader,
  who: Who,
  row: SinkRow,
  sealedBefore: string | undefined,
): Decision<true> | Refusal {
  const lacking = refuse(who, mayWriteSinks)
  if (lacking !== undefined) return lacking
  const existing = view.get(sinks, fromText(row.name))
  if (existing?.row.sealed !== sealedBefore) {
    return new Refusal(409, 'the sink was written by somebody else meanwhile')
  }
  if (existing !== undefined && same(existing.row, row)) return { txn: [], answer: true }
  if (existing === undefined && view.prefix(sinks, '').length >= limits.sinksStored) {
    return new Refusal(400, `there are ${limits.sinksStored} sinks already, which is the most`)
  }
  return { txn: [put(sinks, fromText(row.name), row)], answer: true }
}

/** Deletes a sink and its status; its target stays as it is. */
export function deleteSink(view: Reader, who: Who, name: string): Decision<true> | Refusal {
  const lacking = refuse(who, mayWriteSinks)
  if (lacking !== undefined) return lacking
  const key = fromText(name)
  if (view.get(sinks, key) === undefined) return noSink(name)
  const status = view.get(sinkStatuses, key)
  const txn = [del(sinks, key), ...(status === undefined ? [] : [del(sinkStatuses, key)])]
  return { txn, answer: true }
}

/** 404, for a name that no sink has. */
export const noSink = (name: string): Refusal =>
  new Refusal(404, `there is no sink ${JSON.stringify(name.slice(0, 128))}`)
