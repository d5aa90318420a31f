/**
 * Okta's APIs of users and of their factors, as its reference tells them: List all users with a
 * filter, List all factors, Verify a factor (a push is asked for without a body of its own), and
 * Retrieve a factor transaction status by the link that the verification gave.
 */
import { type Answer, type Asked, CANARY, FakeService } from './service.ts'

export interface OktaUser {
  readonly id: string
  readonly login: string
  readonly email: string
  readonly factors: readonly { readonly id: string; readonly type: string; status?: string }[]
}

export class FakeOkta extends FakeService {
  readonly token = '00QCjAl4MlV-WPXM-ApiToken_0HmjFx-vbGua'
  users: readonly OktaUser[] = [
    {
      ...{ id: '00ub0oNGTSWTBKOLGLNR', login: 'Isaac.Brock@example.com', email: 'ib@example.com' },
      factors: [
        { id: 'ostf2gsyictRQDSGTDZE', type: 'token:software:totp' },
        { id: 'opf3hkfocI4JTLAju0g4', type: 'push', status: 'PENDING_ACTIVATION' },
        { id: 'opfh52xcuft3J4uZc0g3', type: 'push' },
      ],
    },
  ]
  /** What the verification answers, then the transaction, one after the other. */
  results: readonly string[] = ['WAITING', 'SUCCESS']
  /** Where links lead; its own host where it is not said. */
  linkOrigin: string | undefined
  #transaction = ''
  #polls = 0

  protected answer(asked: Asked): Answer {
    const { method, target, headers, body } = asked
    if (headers.authorization !== `SSWS ${this.token}`) return failure(401, 'E0000011')
    const [path = '', query = ''] = target.split('?')
    const origin = this.linkOrigin ?? `https://${headers.host}`
    if (method === 'POST') {
      this.check(headers['content-type'] === 'application/json', 'no JSON')
      this.check(body === '{}', `a body for a push: ${body}`)
    } else this.check(body === '', 'a body of a GET')
    if (path === '/api/v1/users' && method === 'GET') return this.#list(query)
    const [, userId, rest = ''] = /^\/api\/v1\/users\/(\w+)\/factors(.*)$/.exec(path) ?? []
    const user = this.users.find(({ id }) => id === userId)
    if (user === undefined) return failure(404, 'E0000007')
    if (rest === '' && method === 'GET') return { text: JSON.stringify(factorsOf(user, origin)) }
    const [, factorId, verb] = /^\/(\w+)\/(verify|transactions\/\w+)$/.exec(rest) ?? []
    const factor = user.factors.find(({ id }) => id === factorId)
    if (factor?.type !== 'push' || factor.status !== undefined) return failure(404, 'E0000007')
    if (verb === 'verify' && method === 'POST') {
      this.#transaction = `v2mst.${this.asked.length}`.replace('.', '')
      this.#polls = 1
      const self = `${origin}/api/v1/users/${user.id}/factors/${factor.id}`
      return { status: 201, text: JSON.stringify(this.#started(self)) }
    }
    if (verb !== `transactions/${this.#transaction}` || method !== 'GET') {
      return failure(404, 'E0000007')
    }
    const at = Math.min(this.#polls++, this.results.length - 1)
    return { text: JSON.stringify({ factorResult: this.results[at], factorMessage: CANARY }) }
  }

  #started(self: string) {
    const href = `${self}/transactions/${this.#transaction}`
    return {
      factorResult: this.results[0],
      factorResultMessage: CANARY,
      expiresAt: '2030-01-01T00:00:00.000Z',
      _links: {
        poll: { href, hints: { allow: ['GET'] } },
        cancel: { href, hints: { allow: ['DELETE'] } },
      },
    }
  }

  #list(query: string): Answer {
    const parameters = new URLSearchParams(query)
    const filter = parameters.get('filter') ?? ''
    const [, field, value = ''] = /^profile\.(login|email) eq (".*")$/s.exec(filter) ?? []
    if (field === undefined) return failure(400, 'E0000031')
    let text: unknown
    try {
      text = JSON.parse(value)
    } catch {
      return failure(400, 'E0000031')
    }
    const wanted = String(text).toLowerCase()
    const found = this.users.filter(user => user[field as 'login'].toLowerCase() === wanted)
    return { text: JSON.stringify(found.map(profileOf)) }
  }
}

const profileOf = ({ id, login, email }: OktaUser) => ({
  ...{ id, status: 'ACTIVE', created: '2013-07-02T21:36:25.344Z' },
  profile: { login, email, firstName: CANARY, mobilePhone: null },
})

const factorsOf = ({ id, factors }: OktaUser, origin: string) =>
  factors.map(({ id: factorId, type, status = 'ACTIVE' }) => ({
    ...{ id: factorId, factorType: type, provider: 'OKTA', status },
    profile: { credentialId: CANARY },
    _links: { self: { href: `${origin}/api/v1/users/${id}/factors/${factorId}` } },
  }))

const failure = (status: number, errorCode: string): Answer => ({
  status,
  text: JSON.stringify({ errorCode, errorSummary: CANARY, errorCauses: [] }),
})

/** Whether an answer lets the user in. */
export function oktaLets({ status = 200, text }: Answer): boolean {
  try {
    return status < 300 && JSON.parse(text).factorResult === 'SUCCESS'
  } catch {
    return false
  }
}
