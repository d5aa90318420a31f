/**
 * The metadata of a secret id, in the forms that clients write it: JSON as text, an object, or
 * `key=value` with commas.
 *
 * Owns their reading. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import type { Json } from '../../field.ts'
import { refuseMetadata } from '../../identity/text.ts'

type Texts = Readonly<Record<string, string>>

const UNFIT = new Refusal(400, 'failed to parse metadata: not an object of texts')

/** Reads it; what is not said is empty. */
export function readMetadata(value: Json | undefined): Texts | Refusal {
  const pairs = typeof value === 'string' ? ofText(value.trim()) : value
  if (pairs === undefined || pairs === null) return {}
  if (typeof pairs !== 'object' || Array.isArray(pairs)) return UNFIT
  if (Object.values(pairs).some(one => typeof one !== 'string')) return UNFIT
  return refuseMetadata('metadata', pairs as Texts) ?? (pairs as Texts)
}

function ofText(text: string): Json {
  if (text === '') return {}
  if (text.startsWith('{')) return parsed(text)
  const pairs = text.split(',').map(pair => {
    const at = pair.indexOf('=')
    return at === -1 ? undefined : ([pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const)
  })
  return pairs.every(pair => pair !== undefined) ? Object.fromEntries(pairs) : false
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return false
  }
}
