/**
 * Second factors of a login: a person is asked for the one that there is, or told what to do.
 *
 * Owns when somebody is asked: where one method alone would do, and stdin is a terminal. A passcode
 * is typed unseen, and named nowhere.
 */
import type { Call } from '../command.ts'
import { askSecret } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { Failure, saying } from './failure.ts'
import type { MfaMethod, MfaRequirement, Secret } from './secret.ts'
import { wrapped } from './table.ts'

const VALIDATE = 'sys/mfa/validate'

/**
 * The answer with the token, for one that asks for a second factor; the same answer where nobody
 * could be asked, and what to do is told on stderr. Throws Failure.
 */
export async function withSecondFactor(
  call: Call,
  client: SecretsClient,
  answer: Secret | undefined,
): Promise<Secret | undefined> {
  const requirement = answer?.auth?.mfa_requirement
  if (!requirement) return answer
  const method = onlyMethod(requirement)
  const shown = method && (await shownFor(call, method))
  if (method === undefined || shown === undefined) {
    tellWhatToDo(call, requirement)
    return answer
  }
  const { mfa_request_id } = requirement
  const body = { mfa_request_id, mfa_payload: { [method.id]: shown } }
  return saying('Error validating the second factor', client.write(VALIDATE, body))
}

/** The method that must be shown; undefined where there is a choice, or there are several. */
function onlyMethod({ mfa_constraints }: MfaRequirement): MfaMethod | undefined {
  const [demand, ...more] = Object.values(mfa_constraints)
  return more.length === 0 && demand?.any.length === 1 ? demand.any[0] : undefined
}

/** What somebody shows for a method; undefined where nobody can be asked. */
async function shownFor(call: Call, method: MfaMethod): Promise<string[] | undefined> {
  const { flags, io } = call
  if (flags.isOn('non-interactive')) return undefined
  if (!method.uses_passcode) {
    io.printError(`Waiting for ${method.type}: look at your phone.`)
    return []
  }
  try {
    const name = method.name ? `${method.name} (${method.type})` : method.type
    return [await askSecret(call, `Passcode of ${name}`, VALIDATE)]
  } catch (error) {
    if (error instanceof Failure) return undefined
    throw error
  }
}

function tellWhatToDo({ io, program }: Call, requirement: MfaRequirement): void {
  const ids = Object.values(requirement.mfa_constraints).flatMap(({ any }) => any.slice(0, 1))
  const payload = Object.fromEntries(ids.map(({ id }) => [id, ['PASSCODE']]))
  const data = { mfa_request_id: requirement.mfa_request_id, mfa_payload: payload }
  const command = `${program} write ${VALIDATE} -`
  const text =
    'A second factor is needed: give it within five minutes by ' +
    `"${command}", with this on stdin:`
  io.printError(`${wrapped(text)}\n${JSON.stringify(data)}\n`)
}
