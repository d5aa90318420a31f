/**
 * A server with a transit engine, as far as a seal asks for it: real sockets, keys of its own, and
 * faults on demand.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What is wrong with it. */
export type TransitFault = 'none' | 'silent' | 'cut' | 'garbage' | 'large' | 'redirect'

export class FakeTransit {
  readonly token = `hvs.${randomBytes(12).toString('hex')}`
  /** What was asked, with the names of its headers' values that matter. */
  readonly asked: { path: string; namespace: string }[] = []
  fault: TransitFault = 'none'
  readonly #keys: Buffer[] = [randomBytes(32)]
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      void bodyOf(request).then(body => {
        const path = request.url ?? ''
        const namespace = String(request.headers['x-vault-namespace'] ?? '')
        this.asked.push({ path, namespace })
        if (this.fault === 'silent') return
        if (this.fault === 'cut') {
          response.destroy()
          return
        }
        const [status, answer] = this.#answer(path, request.headers['x-vault-token'], body)
        const location = this.fault === 'redirect' ? { location: '/elsewhere' } : {}
        response.writeHead(this.fault === 'redirect' ? 307 : status, location)
        if (this.fault === 'garbage') response.end('<html>')
        else if (this.fault === 'large') response.end(Buffer.alloc(1_000_000, 0x20))
        else response.end(JSON.stringify(answer))
      })
    })
  }

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Begins a new version of its key. */
  rotate(): void {
    this.#keys.push(randomBytes(32))
  }

  close(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }

  #answer(path: string, token: unknown, body: Record<string, string>): [number, object] {
    if (token !== this.token) return [403, { errors: ['permission denied'] }]
    if (path === '/v1/auth/token/renew-self') return [200, { auth: {} }]
    if (path.endsWith('/encrypt/unseal')) {
      const version = this.#keys.length
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', this.#keys[version - 1]!, nonce)
      const text = Buffer.from(body.plaintext!, 'base64')
      const sealed = Buffer.concat([
        nonce,
        cipher.update(text),
        cipher.final(),
        cipher.getAuthTag(),
      ])
      return [200, { data: { ciphertext: `vault:v${version}:${sealed.toString('base64')}` } }]
    }
    if (path.endsWith('/decrypt/unseal')) return this.#decrypt(body.ciphertext!)
    return [404, { errors: ['no handler for route'] }]
  }

  #decrypt(ciphertext: string): [number, object] {
    const [, version = '', text = ''] = /^vault:v(\d+):(.*)$/.exec(ciphertext) ?? []
    const sealed = Buffer.from(text, 'base64')
    const key = this.#keys[Number(version) - 1]
    if (key === undefined) return [400, { errors: ['encryption key not found'] }]
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
    decipher.setAuthTag(sealed.subarray(-16))
    try {
      const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
      return [200, { data: { plaintext: plain.toString('base64') } }]
    } catch {
      return [400, { errors: ['cipher: message authentication failed'] }]
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, string>> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  const text = Buffer.concat(pieces).toString()
  return text === '' ? {} : (JSON.parse(text) as Record<string, string>)
}
