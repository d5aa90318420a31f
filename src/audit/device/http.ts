/**
 * The device `http`: shipments posted as newline-delimited JSON.
 *
 * Owns the exchange. Only an answer between 200 and 299 means that the records were taken; a
 * redirect is none, since whoever answers must not choose whom this machine talks to. The host is
 * looked up for each connection and held against the guard. Headers may hold a secret and are shown
 * nowhere.
 */
import { readFileSync } from 'node:fs'
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { messageOf } from '../../base/errors.ts'
import {
  type Device,
  type DevicePorts,
  type DeviceValues,
  defineDevice,
  type Shipment,
  textIn,
} from '../device.ts'
import { addressesOf } from './connect.ts'

export const httpDevice = defineDevice({
  type: 'http',
  doc: 'a server that records are posted to, as newline-delimited JSON',
  fields: {
    uri: { kind: 'text', doc: 'http:// or https://', isRequired: true },
    headers: { kind: 'strings', doc: 'headers of each request; shown nowhere' },
    ca_file: { kind: 'text', doc: 'certificates of authorities, PEM; the system’s unless given' },
    tls_server_name: { kind: 'text', doc: 'name that the certificate is held against' },
  },
  problemOf(values) {
    const url = URL.parse(textIn(values, 'uri'))
    if (url === null || !/^https?:$/.test(url.protocol)) {
      return 'uri: must be an address that begins with http:// or https://'
    }
    if (url.username !== '' || url.password !== '') {
      return 'uri: must not hold a password; give a header'
    }
    return undefined
  },
  open: (values, ports) => new HttpDevice(values, ports),
})

/** Framing and the fate of the connection are ours to say. */
const OURS = ['connection', 'content-length', 'host', 'keep-alive', 'transfer-encoding', 'upgrade']

class HttpDevice implements Device {
  readonly #values: DeviceValues
  readonly #ports: DevicePorts
  readonly #url: URL
  #agent: Agent | undefined

  constructor(values: DeviceValues, ports: DevicePorts) {
    this.#values = values
    this.#ports = ports
    this.#url = new URL(textIn(values, 'uri'))
  }

  async write({ lines }: Shipment, signal: AbortSignal): Promise<void> {
    const host = this.#url.hostname.replace(/^\[|\]$/g, '')
    const [address = ''] = await addressesOf(host, this.#ports)
    const status = await this.#post(Buffer.concat(lines), address, host, signal)
    if (status < 200 || status > 299) throw new Error(`it answered ${status}`)
  }

  #post(body: Buffer, address: string, host: string, signal: AbortSignal): Promise<number> {
    const url = this.#url
    const isTls = url.protocol === 'https:'
    this.#agent ??= this.#newAgent(isTls)
    const options = {
      host: address,
      port: url.port || (isTls ? 443 : 80),
      path: url.pathname + url.search,
      method: 'POST',
      agent: this.#agent,
      headers: { ...this.#headers(), host: url.host, 'content-length': body.length },
      servername: textIn(this.#values, 'tls_server_name') || (isIP(host) === 0 ? host : ''),
      signal,
    }
    const send = isTls ? httpsRequest : httpRequest
    return new Promise((resolve, reject) => {
      const request: ClientRequest = send(options)
      request.on('error', error => reject(signal.aborted ? signal.reason : error))
      request.on('response', (answer: IncomingMessage) => {
        const { statusCode = 0 } = answer
        answer.on('error', reject)
        answer.on('end', () => resolve(statusCode))
        // The body says nothing that counts; a long one is cut off with its connection.
        let sizeBytes = 0
        answer.on('data', (chunk: Buffer) => {
          sizeBytes += chunk.length
          if (sizeBytes <= ANSWER_SIZE_BYTES) return
          resolve(statusCode)
          request.destroy()
        })
      })
      request.end(body)
    })
  }

  #headers(): Record<string, string> {
    const headers: Record<string, string> = { 'content-type': 'application/x-ndjson' }
    const given = (this.#values.headers ?? {}) as Readonly<Record<string, string>>
    for (const [name, value] of Object.entries(given)) {
      if (!OURS.includes(name.toLowerCase())) headers[name.toLowerCase()] = value
    }
    return headers
  }

  #newAgent(isTls: boolean): Agent {
    const kept = { keepAlive: true, maxSockets: 1, timeout: IDLE_MS }
    if (!isTls) return new Agent(kept)
    const path = textIn(this.#values, 'ca_file')
    return new HttpsAgent({ ...kept, ...(path === '' ? {} : { ca: readAuthorities(path) }) })
  }

  async reopen(): Promise<void> {
    await this.close()
  }

  async close(): Promise<void> {
    this.#agent?.destroy()
    this.#agent = undefined
  }
}

const ANSWER_SIZE_BYTES = 65_536
const IDLE_MS = 30_000

function readAuthorities(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`ca_file: ${messageOf(error)}`)
  }
}
