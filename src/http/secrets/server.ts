/**
 * The face of the secrets: Vault's HTTP API on a listener of its own.
 *
 * Owns listening, the headers of every answer, and faults in words that clients match on. Knows no
 * path: the room's declarations do.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Audit } from '../../audit/audit.run.ts'
import type { Random } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../../base/errors.ts'
import { createHttpServer } from '../../base/io/fastify.ts'
import type { ListenerOptions } from '../../base/io/http-listener.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { SecureOptions } from '../../base/tls.ts'
import { SecretsCaller } from '../../secrets/audit.ts'
import type { SecretsRequest } from '../../secrets/decide.ts'
import { errorBody, type Rendered } from '../../secrets/envelope.ts'
import type { Handled, Secrets } from '../../secrets/room.run.ts'
import type { Admission } from '../admission.ts'
import { pathIn } from '../path.ts'
import { OpenStreams } from '../stream.ts'
import { judgeOrigin } from './cors.ts'
import type { InFlight } from './in-flight.ts'
import { PREFIX, toSecretsRequest } from './request.ts'

export interface SecretsFaceOptions extends ListenerOptions {
  readonly secrets: Pick<Secrets, 'handle' | 'cors'>
  readonly random: Random
  readonly log: Log
  readonly admission: Admission
  /** Keeps records of what is answered; nothing is recorded without one. */
  readonly audit?: Pick<Audit, 'answered'>
  /** Where requests stand while they are answered. */
  readonly inFlight?: InFlight
}

export interface SecretsFace {
  /** Listens, in clear unless TLS is given; gives what was bound. Throws the system's error. */
  listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }>
  secure(options: SecureOptions): void
  close(): Promise<void>
  cut(): void
}

/** Verbs of Vault's own, which HTTP does not know. */
const VAULT_VERBS = ['LIST', 'SCAN'] as const
const HTTP_VERBS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'] as const
const METHODS = [...HTTP_VERBS, ...VAULT_VERBS]
const JSON_TYPE = 'application/json'

/** A request as it is answered. */
interface Tracked {
  readonly body: Buffer
  readonly id: string
  /** Headers that a page of another origin may be answered with. */
  readonly allowed: Readonly<Record<string, string>>
}

/** Makes the face of the secrets. */
export function createSecretsFace(options: SecretsFaceOptions): SecretsFace {
  const { secrets, random, log, admission, inFlight } = options
  const idPrefix = `${random.uuid().slice(0, 23)}-`
  let requests = 0
  const nextId = (): string => idPrefix + (requests++).toString(16).padStart(12, '0')
  const streams = new OpenStreams(log)
  const answer = answerer(options, streams)
  const tracked = async (message: IncomingMessage, response: ServerResponse, body: Buffer) => {
    const id = nextId()
    // Most requests are no page's: what pages may do need not be read for them.
    const cors = message.headers.origin === undefined ? undefined : secrets.cors()
    const { status, text = '', headers } = judgeOrigin(message, cors)
    if (status !== undefined) {
      send(response, { ...rendered(new Refusal(status, text)), headers }, id)
      return
    }
    inFlight?.begin(id, message)
    try {
      await answer(message, response, { body, id, allowed: headers })
    } finally {
      inFlight?.end(id)
    }
  }
  const router = createHttpServer({
    ...options,
    customVerbs: VAULT_VERBS,
    admit(message, response) {
      const refusal = admission.refuse(message)
      if (refusal === undefined) return true
      send(response, rendered(refusal), nextId(), { Connection: 'close' })
      return false
    },
    // Every path is routed, so it is the verb that is not known.
    notFound: ({ response }) => send(response, rendered(new Refusal(405, '')), nextId()),
    tooLarge: ({ response }) =>
      send(response, rendered(TOO_LARGE), nextId(), { Connection: 'close' }),
    unreadable: ({ response }) =>
      send(response, rendered(new Refusal(400, '')), nextId(), { Connection: 'close' }),
  })
  for (const method of METHODS) {
    router.add(
      method,
      '/*',
      ({ message, response, body }) => {
        if (pathIn(message.url ?? '').startsWith(PREFIX)) void tracked(message, response, body)
        else send(response, NOT_FOUND, nextId())
      },
      limits.secretsBodySizeBytes,
    )
  }
  return {
    listen: (host, port, secure) => router.listen(host, port, secure),
    secure: secure => router.secure(secure),
    close() {
      streams.stop()
      return router.close()
    },
    cut: () => router.cut(),
  }
}

/** What answers a request: asks the room, keeps a record of what it gave, and sends it. */
function answerer({ secrets, log, audit }: SecretsFaceOptions, streams: OpenStreams) {
  const handle = async (
    request: SecretsRequest,
    { method = '' }: IncomingMessage,
    bodySizeBytes: number,
  ): Promise<Handled> => {
    if (UNAUDITED.test(request.path)) return secrets.handle(request)
    const caller = new SecretsCaller(request, method, { bodySizeBytes })
    const handled = await secrets.handle(request, caller)
    const { status } = handled
    const reason = handled instanceof Refusal ? { reason: handled.text } : {}
    await audit?.answered(caller, { status, ...reason })
    return handled
  }
  return async (
    message: IncomingMessage,
    response: ServerResponse,
    { body, id, allowed }: Tracked,
  ): Promise<void> => {
    const request = toSecretsRequest(message, body, id)
    const handled =
      request instanceof Refusal
        ? request
        : await handle(request, message, body.length).catch(faultOf(log))
    const namespace = message.headers['x-vault-namespace']
    const echo = typeof namespace === 'string' ? { 'X-Vault-Namespace': namespace } : {}
    const more = { ...echo, ...allowed }
    if (handled instanceof Refusal || handled.parts === undefined) {
      send(response, rendered(handled), id, more)
      return
    }
    try {
      streams.admit()
    } catch (error) {
      send(response, rendered(faultOf(log)(error)), id, more)
      return
    }
    const lines = Object.entries({ ...headOf(handled, id), ...more }).flat()
    await streams.send(response, lines, { ...handled, parts: handled.parts })
  }
}

/** What anybody may ask at any time, and has no effect. */
const UNAUDITED = /^sys\/(health|seal-status|leader|init)$/

const NOT_FOUND: Rendered = { status: 404, body: errorBody([]), type: JSON_TYPE }
const TOO_LARGE = new Refusal(413, 'http: request body too large')

const rendered = (handled: Handled): Rendered =>
  handled instanceof Refusal
    ? {
        status: handled.status,
        body: errorBody(handled.text === '' ? [] : [handled.text]),
        type: JSON_TYPE,
      }
    : handled

/** What a fault looks like to a client. Faults of ours say no more than that. */
const faultOf =
  (log: Log) =>
  (error: unknown): Refusal => {
    if (!(error instanceof OperatingError)) {
      log.error('a request failed', { error: messageOf(error) })
      return new Refusal(500, 'internal error')
    }
    switch (error.code) {
      case OperatingCode.unavailable:
      case OperatingCode.unaudited:
      case OperatingCode.stopped:
      case OperatingCode.disk:
        return new Refusal(503, error.message)
      case OperatingCode.limit:
        return new Refusal(413, error.message)
      case OperatingCode.busy:
        return new Refusal(429, error.message)
      default:
        return new Refusal(500, error.message)
    }
  }

/** What every answer says before its body. */
const headOf = ({ type, headers = {} }: Pick<Rendered, 'type' | 'headers'>, id: string) => ({
  'Cache-Control': 'no-store',
  'Content-Type': type,
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
  'X-Content-Type-Options': 'nosniff',
  'X-Request-Id': id,
  ...headers,
})

function send(
  response: ServerResponse,
  { status, body, type, headers }: Rendered,
  id: string,
  more: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed || response.headersSent) return
  const sizeBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  response.writeHead(status, {
    ...headOf({ type }, id),
    ...(status === 204 ? {} : { 'Content-Length': String(sizeBytes) }),
    ...headers,
    ...more,
  })
  // A text leaves in one piece with the head.
  response.end(status === 204 ? '' : body)
}
