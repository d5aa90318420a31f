/**
 * The factor `duo`: a push to the user's device, or a passcode, by Duo's Auth API
 * (https://duo.com/docs/authapi).
 *
 * Owns the order of the questions: whether the user may log in at all, then the factor, then what
 * came of it. What Duo says of a user holds: whom it lets by without a factor passes, who is not
 * enrolled does not.
 */
import { isIP } from 'node:net'
import type { Json, JsonObject } from '../../field.ts'
import { type DuoParameters, duoAuthorization, duoDate, duoParameters } from './duo-request.ts'
import type { AskFactor, DuoConfig, FactorOutcome } from './factor.ts'
import { isObject, jsonOf } from './json.ts'
import { passed, refused, type Services, type Talk, Unanswered, unheard } from './service.run.ts'

/** Asks Duo. */
export const askDuo =
  (services: Services): AskFactor<DuoConfig> =>
  (config, username, passcode, { remoteAddress, signal }) => {
    const url = `https://${config.apiHostname}`
    const facts = { name: 'Duo', url, texts: [username, passcode], signal }
    return services.talk(facts, async talk => {
      const user = {
        username,
        ...(isIP(remoteAddress) === 0 ? {} : { ipaddr: remoteAddress }),
      }
      const first = await post(talk, config, '/auth/v2/preauth', user)
      return beforehand(first) ?? byFactor(talk, config, user, passcode)
    })
  }

/** What is known without a factor; undefined where one is wanted. */
function beforehand({ result }: JsonObject): FactorOutcome | undefined {
  switch (result) {
    case 'allow':
      return passed
    case 'deny':
      return refused('Duo: the user may not log in')
    case 'enroll':
      return refused('Duo: the user is not enrolled')
    case 'auth':
      return undefined
    default:
      throw unheard('no result of a pre-authentication')
  }
}

async function byFactor(
  talk: Talk,
  config: DuoConfig,
  user: DuoParameters,
  passcode: string | undefined,
): Promise<FactorOutcome> {
  const { pushInfo } = config
  const factor: DuoParameters =
    passcode === undefined
      ? { factor: 'push', device: 'auto', ...(pushInfo === '' ? {} : { pushinfo: pushInfo }) }
      : { factor: 'passcode', passcode }
  const { txid } = await post(talk, config, '/auth/v2/auth', { ...user, ...factor, async: '1' })
  if (typeof txid !== 'string' || !TRANSACTION.test(txid)) throw unheard('no transaction')
  return talk.poll(async () => outcomeOf(await statusOf(talk, config, txid)))
}

const TRANSACTION = /^[\w-]{1,100}$/

function outcomeOf({ result, status }: JsonObject): FactorOutcome | undefined {
  if (result === 'allow') return passed
  if (result === 'waiting') return undefined
  if (result !== 'deny') throw unheard('no result of an authentication')
  return refused(`Duo: ${DENIALS.get(status ?? null) ?? 'the authentication was denied'}`)
}

/** What `status` says beside a result of `deny`. */
const DENIALS: ReadonlyMap<Json, string> = new Map([
  ['deny', 'the user or the passcode was denied'],
  ['fraud', 'the user reported a fraud'],
  ['timeout', 'the user did not answer in time'],
  ['locked_out', 'the user is locked out'],
])

function post(talk: Talk, config: DuoConfig, path: string, parameters: DuoParameters) {
  return ask(talk, config, { method: 'POST', path, parameters })
}

/** Answered when there is something new. */
function statusOf(talk: Talk, config: DuoConfig, txid: string) {
  return ask(talk, config, { method: 'GET', path: '/auth/v2/auth_status', parameters: { txid } })
}

interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly parameters: DuoParameters
}

/** What the answer to a signed request says. */
async function ask(talk: Talk, keys: DuoConfig, question: Question): Promise<JsonObject> {
  const { method, path, parameters } = question
  const date = duoDate(talk.wall())
  const authorization = duoAuthorization({ ...question, host: talk.host }, keys, date)
  const encoded = duoParameters(parameters)
  const { status, body } = await talk.send(
    method === 'POST'
      ? { method, path, headers: { date, authorization, ...FORM }, body: encoded }
      : { method, path: `${path}?${encoded}`, headers: { date, authorization }, isLong: true },
  )
  const value = jsonOf(body)
  const { stat, response, code } = isObject(value) ? value : {}
  if (stat === 'FAIL') {
    const said = typeof code === 'number' ? `, code ${code}` : ''
    throw new Unanswered(`it refuses the request (${status}${said})`)
  }
  if (status !== OK) throw new Unanswered(`it answers ${status}`)
  if (value === undefined) throw new Unanswered('its answer is not JSON')
  if (stat !== 'OK' || !isObject(response)) throw unheard('no response')
  return response
}

const OK = 200
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
