/**
 * PingID's API, as its reference tells it: AuthenticateOnline, AuthenticateOffline and AuthStatus.
 *
 * Tokens are read and signed by jose alone, as any other client of theirs would.
 */
import { CompactSign, compactVerify } from 'jose'
import { type Answer, type Asked, CANARY, FakeService } from './service.ts'

const SKEW_MS = 300_000
const SESSION = 'webs_jRyBWbUG87sYYh2UlG-TBoVNC6A8kXadFtj4qCMGrl4'

interface Request {
  readonly reqHeader: Readonly<Record<string, unknown>>
  readonly reqBody: Readonly<Record<string, unknown>>
}

export class FakePingid extends FakeService {
  readonly key = 'JWC41crr322aUfdckVfJKHvGKNIPyAPGL7rMsTbzHlA='
  readonly token = '1a2b3c4d5e6f'
  readonly orgAlias = 'aaaaaaaa-a1b2-123a-b456-1234abcd5678'
  nowMs = (): number => Date.now()
  readonly users = new Set(['marcher'])
  readonly passwords = new Set(['111111'])
  /** What authonline answers to a push, then authstatus, one after the other. */
  errorIds: readonly number[] = [200]
  /** What authonline answers where a password is wanted. */
  passwordId = 30_001
  /** The header of its tokens; both spellings of the organisation are documented. */
  header: Readonly<Record<string, string>> = { token: this.token, orgAlias: this.orgAlias }
  signedBy = this.key
  #polls = 0

  protected async answer({ method, target, headers, body }: Asked): Promise<Answer> {
    this.check(method === 'POST', method)
    this.check(headers['content-type'] === 'application/json', 'no JSON')
    const [, operation] = /^\/pingid\/rest\/4\/(\w+)\/do$/.exec(target) ?? []
    let request: Request
    try {
      const key = Buffer.from(this.key, 'base64')
      const { payload, protectedHeader } = await compactVerify(body, key, { algorithms: ['HS256'] })
      this.#checkHeader(protectedHeader as Readonly<Record<string, unknown>>)
      request = JSON.parse(Buffer.from(payload).toString())
    } catch {
      return this.#signed({ errorId: 401, errorMsg: CANARY }, 401)
    }
    this.#checkRequest(request)
    const user = String(request.reqBody.userName)
    switch (operation) {
      case 'authonline':
        return this.#online(request.reqBody, user)
      case 'authoffline':
        this.#only(request.reqBody, ['spAlias', 'userName', 'otp', 'sessionId'])
        this.check(request.reqBody.sessionId === SESSION, 'another session')
        return this.passwords.has(String(request.reqBody.otp))
          ? this.#signed({ errorId: 200, errorMsg: '' })
          : this.#signed({ errorId: 20_513, errorMsg: CANARY }, 400)
      case 'authstatus':
        this.#only(request.reqBody, ['sessionId'])
        this.check(request.reqBody.sessionId === SESSION, 'another session')
        return this.#next()
      default:
        return { status: 404, text: CANARY }
    }
  }

  #online(body: Request['reqBody'], user: string): Promise<Answer> {
    this.#only(body, ['spAlias', 'userName', 'authType'])
    this.check(body.spAlias === 'web', `spAlias ${body.spAlias}`)
    this.check(['CONFIRM', 'OTP'].includes(String(body.authType)), `authType ${body.authType}`)
    this.#polls = 0
    if (!this.users.has(user)) return this.#signed({ errorId: 10_564, errorMsg: CANARY }, 400)
    if (body.authType === 'CONFIRM') return this.#next()
    return this.#signed({ errorId: this.passwordId, errorMsg: CANARY, sessionId: SESSION })
  }

  #next(): Promise<Answer> {
    const errorId = this.errorIds[Math.min(this.#polls++, this.errorIds.length - 1)]!
    return this.#signed({ errorId, errorMsg: CANARY, sessionId: SESSION, clientData: null })
  }

  #only(body: Request['reqBody'], names: readonly string[]): void {
    const said = Object.keys(body).sort().join()
    this.check(said === [...names].sort().join(), `the body says ${said}`)
  }

  #checkHeader(header: Readonly<Record<string, unknown>>): void {
    this.check(Object.keys(header).sort().join() === 'alg,org_alias,token', 'another header')
    this.check(header.org_alias === this.orgAlias && header.token === this.token, 'of another')
  }

  #checkRequest({ reqHeader }: Request): void {
    const names = Object.keys(reqHeader).sort().join()
    this.check(names === 'locale,orgAlias,secretKey,timestamp,version', `reqHeader ${names}`)
    this.check(reqHeader.orgAlias === this.orgAlias, 'another organisation')
    this.check(reqHeader.secretKey === this.token, 'another client')
    this.check(reqHeader.version === '4.9' && reqHeader.locale === 'en', 'another version')
    const time = String(reqHeader.timestamp)
    this.check(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/.test(time), `timestamp ${time}`)
    const skewMs = Date.parse(`${time.replace(' ', 'T')}Z`) - this.nowMs()
    this.check(Math.abs(skewMs) <= SKEW_MS, `timestamp ${time}`)
  }

  async #signed(responseBody: object, status = 200): Promise<Answer> {
    return { status, text: await this.sign({ responseBody }) }
  }

  /** A token of its own that says anything. */
  sign(payload: unknown): Promise<string> {
    return this.signText(Buffer.from(JSON.stringify(payload)))
  }

  signText(payload: Buffer): Promise<string> {
    return new CompactSign(payload)
      .setProtectedHeader({ alg: 'HS256', ...this.header })
      .sign(Buffer.from(this.signedBy, 'base64'))
  }
}

/** Whether an answer lets the user in, its signature aside. */
export function pingidLets({ status = 200, text }: Answer): boolean {
  try {
    const [, payload = ''] = text.split('.')
    const { responseBody } = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return status === 200 && responseBody.errorId === 200
  } catch {
    return false
  }
}
