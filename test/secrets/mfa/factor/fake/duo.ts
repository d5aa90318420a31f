/**
 * Duo's Auth API, as https://duo.com/docs/authapi tells it: preauth, auth and auth_status.
 *
 * The signature is made here from what came over the wire, byte by byte, by nothing of ours.
 */
import { createHmac } from 'node:crypto'
import { isIP } from 'node:net'
import { type Answer, type Asked, CANARY, FakeService } from './service.ts'

const SKEW_MS = 300_000
const TXID = '45f7c92b-f45f-4862-8545-e0f58e78075a'

export class FakeDuo extends FakeService {
  readonly integrationKey = 'DIWJ8X6AEYOR5OMC6TQ1'
  readonly secretKey = 'Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep'
  /** By the wall clock of who asks. */
  nowMs = (): number => Date.now()
  preauth: string = 'auth'
  /** What auth_status says, one after the other; the last one for good. */
  statuses: readonly { readonly result: string; readonly status: string }[] = [
    { result: 'allow', status: 'allow' },
  ]
  readonly passcodes = new Set(['123456'])
  /** What the last auth asked for. */
  factor: Readonly<Record<string, string>> = {}
  #polls = 0

  protected answer({ method, target, headers, body }: Asked): Answer {
    const [path = '', query = ''] = target.split('?')
    const encoded = method === 'GET' ? query : body
    if (method === 'POST') {
      const type = headers['content-type']
      this.check(type === 'application/x-www-form-urlencoded', `content type ${type}`)
    }
    const parameters = parse(encoded)
    const refusal = this.#unsigned(method, path, parameters, headers)
    if (refusal !== undefined) return refusal
    const given = Object.fromEntries(parameters)
    switch (`${method} ${path}`) {
      case 'POST /auth/v2/preauth':
        this.#only(given, ['username', 'ipaddr'])
        return ok({ result: this.preauth, status_msg: CANARY, devices: [] })
      case 'POST /auth/v2/auth':
        return this.#auth(given)
      case 'GET /auth/v2/auth_status':
        this.#only(given, ['txid'])
        if (given.txid !== TXID) return failure(400, 40002, 'Invalid request parameters')
        return ok({ ...this.#status(), status_msg: CANARY })
      default:
        return failure(404, 40401, 'Resource not found')
    }
  }

  #auth(given: Readonly<Record<string, string>>): Answer {
    this.factor = given
    if (given.factor === 'push') {
      this.#only(given, ['username', 'ipaddr', 'async', 'factor', 'device', 'pushinfo'])
      if (given.device === undefined) return failure(400, 40001, 'Missing required parameters')
    } else {
      this.check(given.factor === 'passcode', `factor ${given.factor}`)
      this.#only(given, ['username', 'ipaddr', 'async', 'factor', 'passcode'])
    }
    this.check(given.async === '1', 'it would be waited for')
    this.#polls = 0
    return ok({ txid: TXID })
  }

  #status() {
    const { factor, passcode = '' } = this.factor
    if (factor === 'passcode') {
      return this.passcodes.has(passcode)
        ? { result: 'allow', status: 'allow' }
        : { result: 'deny', status: 'deny' }
    }
    const at = Math.min(this.#polls++, this.statuses.length - 1)
    return this.statuses[at]!
  }

  #only(given: Readonly<Record<string, string>>, names: readonly string[]): void {
    const unknown = Object.keys(given).filter(name => !names.includes(name))
    this.check(unknown.length === 0, `unknown parameters: ${unknown}`)
    this.check(!Object.values(given).includes(''), 'a parameter that says nothing')
    if (names.includes('username')) this.check((given.username ?? '') !== '', 'no user')
    if (given.ipaddr !== undefined) this.check(isIP(given.ipaddr) !== 0, `ipaddr ${given.ipaddr}`)
  }

  #unsigned(
    method: string,
    path: string,
    parameters: readonly (readonly [string, string])[],
    { date = '', authorization = '', host = '' }: Asked['headers'],
  ): Answer | undefined {
    this.check(
      /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/.test(
        date,
      ),
      `no date of RFC 2822: ${date}`,
    )
    if (Math.abs(Date.parse(date) - this.nowMs()) > SKEW_MS) {
      return failure(401, 40105, 'Bad request timestamp')
    }
    const [, basic = ''] = /^Basic ([A-Za-z\d+/]+=*)$/.exec(authorization) ?? []
    const [user, signature] = Buffer.from(basic, 'base64').toString().split(':')
    if (user !== this.integrationKey) return failure(401, 40102, 'Invalid integration key')
    const lines = [date, method, host.toLowerCase(), path, canonical(parameters)]
    const expected = createHmac('sha1', this.secretKey).update(lines.join('\n')).digest('hex')
    return signature === expected ? undefined : failure(401, 40103, 'Invalid signature')
  }
}

/** Names and values of a form, decoded by hand. */
function parse(encoded: string): (readonly [string, string])[] {
  if (encoded === '') return []
  return encoded.split('&').map(pair => {
    const [name = '', value = ''] = pair.split('=')
    return [decoded(name), decoded(value)] as const
  })
}

const decoded = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '))

/** RFC 5849, 3.4.1.3.2. */
const canonical = (parameters: readonly (readonly [string, string])[]): string =>
  parameters
    .map(pair => pair.map(quoted))
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')

function quoted(text: string): string {
  let all = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte)
    all += /[A-Za-z\d_.~-]/.test(char)
      ? char
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return all
}

const ok = (response: object): Answer => ({ text: JSON.stringify({ stat: 'OK', response }) })

const failure = (status: number, code: number, message: string): Answer => ({
  status,
  text: JSON.stringify({ stat: 'FAIL', code, message, message_detail: CANARY }),
})

/** Whether an answer lets the user in. */
export function duoLets({ status = 200, text }: Answer): boolean {
  try {
    const { stat, response } = JSON.parse(text)
    return status === 200 && stat === 'OK' && response.result === 'allow'
  } catch {
    return false
  }
}
