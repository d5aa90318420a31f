/**
 * The factor `okta`: a push to the user's device, by Okta's APIs of users and of their factors
 * (https://developer.okta.com/docs/api/openapi/okta-management/management/tag/UserFactor).
 *
 * Owns the way from a name to a device and to what its user says. Ids and links that Okta gives
 * are looked at before they become paths: requests show a token, and go to the organisation's own
 * host alone, whatever a link says.
 */
import type { Json, JsonObject } from '../../field.ts'
import type { AskFactor, FactorOutcome, OktaConfig } from './factor.ts'
import { isObject } from './json.ts'
import {
  answered,
  passed,
  refused,
  type ServiceAnswer,
  type Services,
  type Talk,
  unheard,
} from './service.run.ts'

/** Asks Okta. It is asked for a push, whether there is a passcode or not. */
export const askOkta =
  (services: Services): AskFactor<OktaConfig> =>
  (config, username, _passcode, { signal }) => {
    const url = `https://${config.orgName}.${config.baseUrl}`
    return services.talk({ name: 'Okta', url, texts: [username], signal }, async talk => {
      const user = await userOf(talk, config, username)
      if (typeof user !== 'string') return user
      const device = await deviceOf(talk, config, user)
      if (typeof device !== 'string') return device
      const factor = `/api/v1/users/${user}/factors/${device}`
      const started = await ask(talk, config, 'POST', `${factor}/verify`)
      const { factorResult, _links } = objectOf(started, OK, CREATED, ACCEPTED)
      if (factorResult !== 'WAITING') return outcomeOf(factorResult)
      const path = pathOf(_links, factor)
      return talk.poll(async () => {
        const result = objectOf(await ask(talk, config, 'GET', path), OK).factorResult
        return result === 'WAITING' ? undefined : outcomeOf(result)
      })
    })
  }

const [OK, CREATED, ACCEPTED] = [200, 201, 202] as const

/** The id of the one user of that name. */
async function userOf(
  talk: Talk,
  config: OktaConfig,
  username: string,
): Promise<string | FactorOutcome> {
  const field = config.primaryEmail ? 'email' : 'login'
  // RFC 7644, 3.4.2.2: what is compared with is a text of JSON.
  const filter = `profile.${field} eq ${JSON.stringify(username)}`
  const query = `filter=${encodeURIComponent(filter)}&limit=2`
  const [first, ...others] = listOf(await ask(talk, config, 'GET', `/api/v1/users?${query}`))
  if (first === undefined) return refused('Okta: no user of that name was found')
  if (others.length > 0) return refused('Okta: more than one user of that name was found')
  const { id, profile } = first
  const found = isObject(profile) ? profile[field] : undefined
  const isAsked = typeof found === 'string' && found.toLowerCase() === username.toLowerCase()
  if (!isAsked) throw unheard('another user than was asked for')
  return idOf(id)
}

/** The id of the first device of a user that takes pushes. */
async function deviceOf(
  talk: Talk,
  config: OktaConfig,
  user: string,
): Promise<string | FactorOutcome> {
  const factors = listOf(await ask(talk, config, 'GET', `/api/v1/users/${user}/factors`))
  const device = factors.find(
    ({ factorType, status }) => factorType === 'push' && status === 'ACTIVE',
  )
  return device === undefined
    ? refused('Okta: the user has no device that takes pushes')
    : idOf(device.id)
}

function outcomeOf(result: Json | undefined): FactorOutcome {
  switch (result) {
    case 'SUCCESS':
      return passed
    case 'REJECTED':
      return refused('Okta: the push was explicitly rejected')
    case 'TIMEOUT':
      return refused('Okta: the push timed out')
    default:
      throw unheard('no result of a verification')
  }
}

/** Where the outcome is asked for: the path of a link to a transaction of this factor. */
function pathOf(links: Json | undefined, factor: string): string {
  const poll = isObject(links) ? links.poll : undefined
  const href = isObject(poll) ? poll.href : undefined
  const path = typeof href === 'string' ? URL.parse(href)?.pathname : undefined
  const transaction = path?.startsWith(`${factor}/transactions/`)
    ? path.slice(`${factor}/transactions/`.length)
    : undefined
  return `${factor}/transactions/${idOf(transaction)}`
}

const ID = /^[\w.-]{1,100}$/

/** An id that is one segment of a path and nothing else. */
function idOf(id: Json | undefined): string {
  if (typeof id !== 'string' || !ID.test(id) || /^\.+$/.test(id)) throw unheard('no id')
  return id
}

function listOf(answer: ServiceAnswer): readonly JsonObject[] {
  const value = answered(answer, OK)
  if (!Array.isArray(value) || !value.every(isObject)) throw unheard('no list')
  return value
}

function objectOf(answer: ServiceAnswer, ...statuses: readonly number[]): JsonObject {
  const value = answered(answer, ...statuses)
  if (!isObject(value)) throw unheard('no object')
  return value
}

function ask(
  talk: Talk,
  { apiToken }: OktaConfig,
  method: 'GET' | 'POST',
  path: string,
): Promise<ServiceAnswer> {
  return talk.send({
    ...{ method, path },
    headers: { authorization: `SSWS ${apiToken}`, 'content-type': 'application/json' },
    ...(method === 'POST' ? { body: '{}' } : {}),
  })
}
