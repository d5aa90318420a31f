/**
 * The factor `pingid`: a push to the user's device, or a one-time password, by PingID's API
 * (https://developer.pingidentity.com/pingid-api/pid_c_PingIDapiAuthentication.html).
 *
 * Owns which operation follows which. A push is asked for by AuthenticateOnline, which answers once
 * the user has; where it answers that it waits instead, the outcome is polled for. A password is
 * looked at by AuthenticateOffline, in the session that an AuthenticateOnline begins for it.
 */
import type { JsonObject } from '../../field.ts'
import type { AskFactor, FactorOutcome, PingidConfig } from './factor.ts'
import { pingidAnswer, pingidKey, pingidRequest } from './pingid-token.ts'
import { passed, refused, type Services, type Talk, Unanswered, unheard } from './service.run.ts'

/** Asks PingID. */
export const askPingid =
  (services: Services): AskFactor<PingidConfig> =>
  async (config, username, passcode, { signal }) => {
    const key = pingidKey(config)
    if (key === undefined) return refused('PingID: its key is not base64')
    const facts = { name: 'PingID', url: config.idpUrl, texts: [username, passcode], signal }
    return services.talk(facts, talk => {
      const operation: Operation = (name, body, isLong = false) =>
        ask(talk, config, key, { name, body, isLong })
      return passcode === undefined
        ? byPush(talk, operation, username)
        : byPassword(operation, username, passcode)
    })
  }

/** Calls an operation of the API, and gives what it answers. */
type Operation = (name: string, body: JsonObject, isLong?: boolean) => Promise<Answer>

interface Answer {
  readonly errorId: number
  readonly body: JsonObject
}

const SERVICE = 'web'
const DONE = 200
/** Asynchronous authentication: waiting for the client. */
const WAITING = 30_010

async function byPush(talk: Talk, call: Operation, userName: string): Promise<FactorOutcome> {
  const asked = { authType: 'CONFIRM', spAlias: SERVICE, userName }
  const answer = await call('authonline', asked, true)
  if (answer.errorId !== WAITING) return outcomeOf(answer)
  const sessionId = sessionOf(answer)
  return talk.poll(async () => {
    const status = await call('authstatus', { sessionId })
    return status.errorId === WAITING ? undefined : outcomeOf(status)
  })
}

async function byPassword(call: Operation, userName: string, otp: string): Promise<FactorOutcome> {
  const user = { spAlias: SERVICE, userName }
  const begun = await call('authonline', { ...user, authType: 'OTP' })
  // Those are no errors: a password is what it waits for. No other answer lets anybody by.
  if (!FOR_PASSWORD.has(begun.errorId)) return refusedBy(begun)
  return outcomeOf(await call('authoffline', { ...user, otp, sessionId: sessionOf(begun) }))
}

/** A password is awaited: of a text, a call, a key, an email, an application, a token. */
const FOR_PASSWORD: ReadonlySet<number> = new Set([
  ...[30_001, 30_002, 30_003, 30_004, 30_005, 30_006, 30_009, 30_012, 30_015],
])

const outcomeOf = (answer: Answer): FactorOutcome =>
  answer.errorId === DONE ? passed : refusedBy(answer)

const refusedBy = ({ errorId }: Answer): FactorOutcome =>
  refused(
    FOR_PASSWORD.has(errorId)
      ? `PingID: it wants a one-time password of the user (error ${errorId})`
      : `PingID: it did not let the user in (error ${errorId})`,
  )

function sessionOf({ body: { sessionId } }: Answer): string {
  if (typeof sessionId !== 'string' || !SESSION.test(sessionId)) throw unheard('no session')
  return sessionId
}

const SESSION = /^[\w.-]{1,200}$/

interface Question {
  readonly name: string
  readonly body: JsonObject
  readonly isLong: boolean
}

async function ask(
  talk: Talk,
  config: PingidConfig,
  key: Buffer,
  { name, body, isLong }: Question,
): Promise<Answer> {
  const { status, body: text } = await talk.send({
    ...{ method: 'POST', path: `/rest/4/${name}/do`, isLong },
    headers: { 'content-type': 'application/json' },
    body: pingidRequest(config, key, body, talk.wall()),
  })
  const read = pingidAnswer(config, key, text.toString('utf8'))
  if (typeof read === 'string') {
    throw status === OK ? unheard(read) : new Unanswered(`it answers ${status}`)
  }
  const { errorId } = read
  if (typeof errorId !== 'number' || !Number.isInteger(errorId)) throw unheard('no error number')
  // What goes wrong is told with other statuses too, and signed as well.
  if (status !== OK && errorId === DONE) throw new Unanswered(`it answers ${status}`)
  return { errorId, body: read }
}

const OK = 200
