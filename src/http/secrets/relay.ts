/**
 * The face of the secrets on an agent that is no server: every request is handed on.
 *
 * Owns listening, what is refused without asking anybody, and faults in words that clients match
 * on. Reads no body, keeps nothing of a request or an answer, and knows no path but those that are
 * of one server alone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Random } from '../../base/clock.ts'
import { HttpListeners, type ListenerOptions } from '../../base/io/http-listener.ts'
import { takeOriginForm } from '../../base/io/origin-form.ts'
import type { SecureOptions } from '../../base/tls.ts'
import type { Admission, RequestRates } from '../admission.ts'
import type { PlainReply } from '../server.ts'
import { EVERY_HEAD, JSON_TYPE, VAULT_VERBS } from './head.ts'

export interface SecretsRelayOptions extends ListenerOptions {
  readonly random: Random
  readonly admission: Admission
  /** Has a server answer; `reply` answers where none does. */
  readonly forward: (message: IncomingMessage, response: ServerResponse, reply: PlainReply) => void
}

export interface SecretsRelay {
  /** Listens, in clear unless TLS is given; gives what was bound. Throws the system's error. */
  listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }>
  /** Takes over certificates for new connections. */
  secure(options: SecureOptions): void
  /** Changes what a reload may: how many requests and connections are let in. */
  setLimits(limits: { readonly rates: RequestRates; readonly connectionsPerClient: number }): void
  close(): Promise<void>
  cut(): void
}

/** Makes the face; nothing listens yet. */
export function createSecretsRelay(options: SecretsRelayOptions): SecretsRelay {
  const { random, admission, forward } = options
  const idPrefix = `${random.uuid().slice(0, 23)}-`
  let requests = 0
  const nextId = (): string => idPrefix + (requests++).toString(16).padStart(12, '0')
  const listeners = new HttpListeners(
    { ...options, customVerbs: VAULT_VERBS },
    (message, response) => {
      const reply: PlainReply = (status, text, headers) =>
        sayNo(response, status, text, { 'X-Request-Id': nextId(), ...headers })
      if (!takeOriginForm(message)) {
        reply(400, '', CLOSING)
        return
      }
      const refusal = admission.refuse(message)
      if (refusal !== undefined) reply(refusal.status, refusal.text, CLOSING)
      else if (OF_ONE_SERVER.test(message.url ?? '')) reply(400, OF_ONE_TEXT, CLOSING)
      else forward(message, response, reply)
    },
  )
  return {
    listen: (host, port, secure) => listeners.listen(host, port, secure),
    secure: secure => listeners.secure(secure),
    setLimits({ rates, connectionsPerClient }) {
      admission.setRates(rates)
      listeners.connectionsPerClient = connectionsPerClient
    },
    close: () => listeners.close(),
    cut: () => listeners.cut(),
  }
}

const CLOSING = { Connection: 'close' }

/** Shares that go to one server after the other open none: they are entered where they belong. */
const OF_ONE_SERVER = /^\/v1\/sys\/unseal(\?|$)/
const OF_ONE_TEXT =
  'this agent is no server: each server is unsealed at its own address (sys/ha-status tells them)'

function sayNo(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  if (response.destroyed || response.headersSent) return
  const body = JSON.stringify({ errors: text === '' ? [] : [text] })
  const lines = [...EVERY_HEAD, 'Content-Type', JSON_TYPE, ...Object.entries(headers).flat()]
  lines.push('Content-Length', String(Buffer.byteLength(body)))
  response.writeHead(status, lines).end(body)
}
