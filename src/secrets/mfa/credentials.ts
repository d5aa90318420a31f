/**
 * What somebody shows for his second factors: by header with the login, or by payload after it.
 *
 * Owns both forms, and the one passcode that may stand in either. No passcode is told back. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Json, JsonObject } from '../field.ts'

/** Texts by the id of a method, or by its whole name. */
export type Credentials = ReadonlyMap<string, readonly string[]>

const HEADER = 'failed to parse X-Vault-MFA header: invalid data in header "X-Vault-MFA"'
const NO_NAME = new Refusal(400, `${HEADER}; missing method name or ID`)
const NO_VALUE = new Refusal(400, `${HEADER}; missing method value`)
const INVALID_PAYLOAD = new Refusal(400, 'invalid mfa payload')
const TOO_MANY = new Refusal(400, `more than ${limits.mfaCredentials} second factors were given`)

/** What the header says, whose values were joined by commas where there are several. */
export function headerCredentials(header: string): JsonObject | Refusal {
  const found = new Map<string, string[]>()
  for (const part of header.split(',').map(one => one.trim())) {
    if (part === '') continue
    const colon = part.indexOf(':')
    const name = colon === -1 ? part : part.slice(0, colon)
    if (name === '') return NO_NAME
    const values = found.get(name) ?? []
    found.set(name, values)
    if (colon === -1) continue
    if (colon === part.length - 1) return NO_VALUE
    values.push(part.slice(colon + 1))
  }
  return found.size > limits.mfaCredentials ? TOO_MANY : Object.fromEntries(found)
}

/** What a payload says: a list of texts for each method. */
export function payloadCredentials(payload: JsonObject): Credentials | Refusal {
  const entries = Object.entries(payload)
  if (entries.length > limits.mfaCredentials) return TOO_MANY
  const texts = entries.map(([name, value]) => [name, textsOf(value)] as const)
  return texts.every(([, list]) => list !== undefined)
    ? new Map(texts as [string, readonly string[]][])
    : INVALID_PAYLOAD
}

function textsOf(value: Json): readonly string[] | undefined {
  if (value === null) return []
  return Array.isArray(value) && value.every(one => typeof one === 'string') ? value : undefined
}

const PREFIX = 'passcode='

/** The passcode among the texts for a method; what is wrong with them where it cannot be told. */
export function passcodeIn(
  texts: readonly string[],
): { readonly passcode: string | undefined } | { readonly wrong: string } {
  let passcode: string | undefined
  for (const text of texts.filter(one => one !== '')) {
    const isNamed = text.startsWith(PREFIX)
    if (!isNamed && text.includes('=')) return { wrong: 'found an invalid MFA cred' }
    if (passcode !== undefined) {
      return { wrong: 'found multiple passcodes for the same MFA method' }
    }
    passcode = isNamed ? text.slice(PREFIX.length) : text
    if (passcode === '') return { wrong: 'invalid passcode' }
  }
  return { passcode }
}
