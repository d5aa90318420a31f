/**
 * Whether somebody has the second factors that his login must have.
 *
 * Owns that all demands are to be satisfied, and each by any of its methods; and the words for what
 * was not. A method is looked at once, however many demands name it. Pure: what services said is
 * handed in.
 */
import type { Draft } from '../storage.ts'
import { tryPasscode } from './attempt.ts'
import { type Credentials, passcodeIn } from './credentials.ts'
import type { Demand } from './enforcement.ts'
import type { FactorOutcome } from './factor/factor.ts'
import { type MethodRow, wholeNameOf } from './method.ts'
import type { EntityAt } from './secret.ts'

/** A login with what it shows. */
export interface Shown {
  readonly at: EntityAt
  readonly demands: readonly Demand[]
  readonly credentials: Credentials
}

/** What a service said of a method that it was asked about. */
export type Told = (method: MethodRow) => FactorOutcome

/** What came of it; a reason is told to who logs in. */
export function judge(
  draft: Draft,
  { at, demands, credentials }: Shown,
  told: Told,
): FactorOutcome {
  const known = new Map<string, FactorOutcome>()
  const look = (method: MethodRow, texts: readonly string[]): FactorOutcome => {
    const outcome = known.get(method.id) ?? lookAt(draft, at, { method, texts }, told)
    known.set(method.id, outcome)
    return outcome
  }
  for (const demand of demands) {
    const wrong = refuseDemand(draft, demand, credentials, look)
    if (wrong === undefined) continue
    const reason = `failed to satisfy enforcement ${demand.name}. error: ${wrong}`
    return { passed: false, reason }
  }
  return { passed: true }
}

/** What is shown for a method: by its id, else by its name. */
export const shownFor = (
  draft: Draft,
  credentials: Credentials,
  method: MethodRow,
): readonly string[] | undefined =>
  credentials.get(method.id) ??
  (method.name === '' ? undefined : credentials.get(wholeNameOf(draft, method)))

function refuseDemand(
  draft: Draft,
  { methodIds, methods }: Demand,
  credentials: Credentials,
  look: (method: MethodRow, texts: readonly string[]) => FactorOutcome,
): string | undefined {
  const shown = methods.flatMap(method => {
    const texts = shownFor(draft, credentials, method)
    return texts === undefined ? [] : [{ method, texts }]
  })
  if (shown.length === 0) {
    const missing = methods.map(method => {
      const name = wholeNameOf(draft, method)
      const what = 'failed to find MFA credentials associated with an MFA method ID'
      return `${what} ${method.id}, method name ${name}`
    })
    return `failed to sanitize MFA creds, ${listed(missing)}`
  }
  const wrong: string[] = []
  for (const { method, texts } of shown) {
    const outcome = look(method, texts)
    if (outcome.passed) return undefined
    wrong.push(outcome.reason)
  }
  return listed([...wrong, `login MFA validation failed for methodID: [${methodIds.join(' ')}]`])
}

/** Several faults as Vault's clients know them. */
function listed(faults: readonly string[]): string {
  const count = faults.length === 1 ? '1 error' : `${faults.length} errors`
  return `${count} occurred:\n${faults.map(fault => `\t* ${fault}\n`).join('')}\n`
}

function lookAt(
  draft: Draft,
  at: EntityAt,
  { method, texts }: { readonly method: MethodRow; readonly texts: readonly string[] },
  told: Told,
): FactorOutcome {
  const given = passcodeIn(texts)
  if ('wrong' in given) {
    return { passed: false, reason: `failed to parse MFA factor, ${given.wrong}` }
  }
  return method.type === 'totp' ? tryPasscode(draft, at, method, given.passcode) : told(method)
}
