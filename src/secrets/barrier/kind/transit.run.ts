/**
 * The transit seal: a key of another server's transit engine, which never leaves that server.
 *
 * Owns the two calls that it takes, to encrypt and to decrypt, and keeps its token from ending. The
 * server is the operator's own and named in the configuration; no redirect of it is followed. The
 * token and the root key stand in bodies and headers of these requests and nowhere else.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Clock, Timer } from '../../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { KEY_SIZE_BYTES } from '../keyring.ts'
import type { SealKind } from './kind.run.ts'

export interface TransitSealSettings {
  /** `https://host:port`. */
  readonly address: string
  /** A secret: what may encrypt and decrypt with the key. */
  readonly token: string
  readonly keyName: string
  /** With a slash at its end. */
  readonly mountPath: string
  readonly namespace: string
  /** Whether the token is kept from ending. */
  readonly isRenewed: boolean
  readonly serverName: string
  readonly isVerified: boolean
}

export interface TransitSealPorts {
  readonly clock: Clock
  readonly log: Log
  /** Addresses of a host; rejects where there are none. */
  addressesOf(host: string): Promise<readonly string[]>
  /** What is trusted and shown; undefined for the system's own. */
  readonly context: SecureContext | undefined
}

/** What is sealed by a version of a key: `vault:v1:…`. */
const SEALED = /^vault:v(\d+):/

/** Opens the seal. Nothing is asked before there is something to seal or to open. */
export function openTransitSeal(settings: TransitSealSettings, ports: TransitSealPorts): SealKind {
  return new TransitSeal(settings, ports)
}

class TransitSeal implements SealKind {
  readonly type = 'transit'
  readonly #settings: TransitSealSettings
  readonly #ports: TransitSealPorts
  #newestVersion = 0
  #renewal: Timer | undefined
  readonly #underWay = new Set<ClientRequest>()
  #isStopped = false

  constructor(settings: TransitSealSettings, ports: TransitSealPorts) {
    this.#settings = settings
    this.#ports = ports
    if (settings.isRenewed) this.#renewLater()
  }

  async wrap(rootKey: Buffer): Promise<string> {
    const answer = await this.#ask('encrypt', { plaintext: rootKey.toString('base64') })
    const { ciphertext } = answer
    if (typeof ciphertext !== 'string' || !SEALED.test(ciphertext)) {
      throw unavailable('it answers with no ciphertext')
    }
    this.#newestVersion = Math.max(this.#newestVersion, versionOf(ciphertext))
    return ciphertext
  }

  async unwrap(sealed: string): Promise<Buffer> {
    if (!SEALED.test(sealed)) {
      throw new OperatingError(OperatingCode.damaged, 'a transit seal never sealed this')
    }
    const { plaintext } = await this.#ask('decrypt', { ciphertext: sealed })
    const rootKey = typeof plaintext === 'string' ? Buffer.from(plaintext, 'base64') : undefined
    if (rootKey?.length !== KEY_SIZE_BYTES) throw unavailable('it answers with no key')
    return rootKey
  }

  /** Known only after something was sealed: nobody is asked for the newest version. */
  isOutdated(sealed: string): boolean {
    return versionOf(sealed) < this.#newestVersion
  }

  stop(): void {
    this.#isStopped = true
    this.#renewal?.clear()
    for (const sent of this.#underWay) sent.destroy(new Error('this server stops'))
  }

  async #ask(verb: 'encrypt' | 'decrypt', body: object): Promise<Record<string, unknown>> {
    const { mountPath, keyName } = this.#settings
    const path = `${mountPath}${verb}/${encodeURIComponent(keyName)}`
    const answer = await this.#post(path, body)
    const { data } = answer as { data?: unknown }
    if (typeof data !== 'object' || data === null) throw unavailable('it answers without data')
    return data as Record<string, unknown>
  }

  #renewLater(): void {
    this.#renewal = this.#ports.clock.after(limits.sealTokenRenewalMs, () => {
      this.#post('auth/token/renew-self', {})
        .catch((error: unknown) => {
          const fields = { seal: 'transit', error: messageOf(error) }
          this.#ports.log.warn("the seal's token was not renewed", fields)
        })
        .finally(() => {
          if (!this.#isStopped) this.#renewLater()
        })
    })
  }

  async #post(path: string, body: object): Promise<object> {
    const url = new URL(`/v1/${path}`, this.#settings.address)
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const content = JSON.stringify(body)
    try {
      const addresses = isIP(host) === 0 ? await this.#ports.addressesOf(host) : [host]
      const { statusCode, text } = await this.#exchange(url, host, addresses, content)
      if (statusCode !== 200) throw unavailable(`${url.host} answers ${statusCode}${toldBy(text)}`)
      return JSON.parse(text) as object
    } catch (error) {
      if (error instanceof OperatingError) throw error
      if (error instanceof SyntaxError) throw unavailable(`${url.host} does not answer with JSON`)
      throw unavailable(`${url.host}: ${messageOf(error)}`)
    }
  }

  #exchange(url: URL, host: string, addresses: readonly string[], content: string) {
    const { token, namespace, serverName, isVerified } = this.#settings
    const { clock, context } = this.#ports
    const isSecure = url.protocol === 'https:'
    return new Promise<{ statusCode: number; text: string }>((resolve, reject) => {
      const sent = (isSecure ? httpsRequest : httpRequest)({
        ...{ host, port: url.port, path: url.pathname, method: 'POST', agent: false },
        ...{ lookup: amongst(addresses), autoSelectFamily: true },
        headers: {
          host: url.host,
          'x-vault-request': 'true',
          'x-vault-token': token,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(content),
          ...(namespace === '' ? {} : { 'x-vault-namespace': namespace }),
        },
        servername: serverName || (isIP(host) === 0 ? host : ''),
        rejectUnauthorized: isVerified,
        minVersion: 'TLSv1.2',
        ...(context === undefined ? {} : { secureContext: context }),
      })
      const late = clock.after(limits.sealExchangeMs, () =>
        sent.destroy(new Error('it did not answer in time')),
      )
      const over = (): void => {
        late.clear()
        this.#underWay.delete(sent)
        sent.destroy()
      }
      const fail = (error: unknown): void => {
        over()
        reject(error)
      }
      this.#underWay.add(sent)
      sent.on('error', fail)
      sent.on('response', answer => {
        textOf(answer).then(text => {
          over()
          resolve({ statusCode: answer.statusCode ?? 0, text })
        }, fail)
      })
      sent.end(content)
    })
  }
}

const versionOf = (sealed: string): number => Number(SEALED.exec(sealed)?.[1] ?? 0)

const unavailable = (text: string): OperatingError =>
  new OperatingError(OperatingCode.unavailable, text)

/** Connects to these addresses and no others. */
function amongst(addresses: readonly string[]): LookupFunction {
  const all = addresses.map(address => ({ address, family: isIP(address) }))
  return (_host, options, done) => {
    if (options.all === true) done(null, all)
    else done(null, all[0]!.address, all[0]!.family)
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of answer) {
    sizeBytes += piece.length
    if (sizeBytes > limits.sealAnswerSizeBytes) throw new Error('its answer is too large')
    pieces.push(piece)
  }
  if (!answer.complete) throw new Error('its answer ended too early')
  return Buffer.concat(pieces).toString('utf8')
}

/** The first error of an answer that says no. */
function toldBy(text: string): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: unknown }
    const [first] = Array.isArray(errors) ? errors : []
    return typeof first === 'string' ? `: ${first.trim().slice(0, TOLD_CHARS)}` : ''
  } catch {
    // It is no server of this kind; its status says enough.
    return ''
  }
}

const TOLD_CHARS = 200
