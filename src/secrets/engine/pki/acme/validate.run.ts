/**
 * Looking at challenges of ACME: http-01 and dns-01 (RFC 8555, 8), tls-alpn-01 (RFC 8737).
 *
 * Owns the way to them, which whoever may order a certificate chooses the end of: the outbound
 * guard judges each address, what was judged is what is connected to, no redirect is followed, and
 * size and time are bounded. What is found is told to nobody but as right or wrong.
 */
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { Clock } from '../../../../base/clock.ts'
import { messageOf } from '../../../../base/errors.ts'
import type { TextResolver } from '../../../../base/io/dns2.ts'
import { limits } from '../../../../base/limits.ts'
import { isSameSecret } from '../../../../base/same-secret.ts'
import { readCertificate } from '../../../../x509/certificate.ts'
import { DerError } from '../../../../x509/der.ts'
import { addressBytes } from '../../../../x509/general-name.ts'
import { Problem } from './problem.ts'
import type { ValidationRow } from './rows.ts'

/** How challenges are reached. */
export interface ValidationTools {
  readonly resolver: TextResolver
  /** Whether an address may be connected to. */
  readonly mayReach: (address: string) => boolean
  readonly clock: Clock
  readonly httpPort: number
  readonly tlsPort: number
}

/** Looks at a challenge; undefined where what is there is right. Never rejects. */
export async function validate(
  row: ValidationRow,
  tools: ValidationTools,
): Promise<Problem | undefined> {
  try {
    switch (row.type) {
      case 'dns-01':
        return await lookUp(row, tools)
      case 'http-01':
        return await fetchToken(row, tools)
      default:
        return await shakeHands(row, tools)
    }
  } catch (error) {
    return error instanceof Problem ? error : new Problem('connection', messageOf(error))
  }
}

/** The addresses of an identifier that may be connected to. */
async function addressesOf(
  { identifier: { type, value } }: ValidationRow,
  { resolver, mayReach }: ValidationTools,
): Promise<readonly string[]> {
  const all =
    type === 'ip'
      ? [value]
      : await resolver.addressesOf(value).catch(error => {
          throw new Problem('dns', messageOf(error))
        })
  const allowed = all.filter(mayReach)
  if (allowed.length === 0) {
    throw new Problem('connection', 'the addresses of the identifier may not be reached')
  }
  return allowed.slice(0, limits.acmeAddresses)
}

async function lookUp(
  { identifier: { value }, keyAuthorization }: ValidationRow,
  { resolver }: ValidationTools,
): Promise<Problem | undefined> {
  const expected = createHash('sha256').update(keyAuthorization).digest('base64url')
  const texts = await resolver.textsOf(`_acme-challenge.${value}.`).catch(error => {
    throw new Problem('dns', messageOf(error))
  })
  return texts.some(text => isSameSecret(text, expected))
    ? undefined
    : new Problem('incorrectResponse', `none of ${texts.length} texts is the expected one`)
}

async function fetchToken(
  row: ValidationRow,
  tools: ValidationTools,
): Promise<Problem | undefined> {
  const addresses = await addressesOf(row, tools)
  const found = await firstOf(addresses, address => fetchFrom(address, row, tools))
  return isSameSecret(found.trimEnd(), row.keyAuthorization)
    ? undefined
    : new Problem('incorrectResponse', 'what was found is not what was expected')
}

/** What the first address gives that gives anything. */
async function firstOf<T>(
  addresses: readonly string[],
  ask: (address: string) => Promise<T>,
): Promise<T> {
  let failure: unknown
  for (const address of addresses) {
    try {
      return await ask(address)
    } catch (error) {
      if (error instanceof Problem) throw error
      failure = error
    }
  }
  throw failure
}

const OK = 200

function fetchFrom(
  address: string,
  { identifier: { type, value }, token }: ValidationRow,
  { clock, httpPort }: ValidationTools,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const host = type === 'ip' && isIP(value) === 6 ? `[${value}]` : value
    const sent = request({
      ...{ host: address, port: httpPort, method: 'GET', agent: false },
      path: `/.well-known/acme-challenge/${token}`,
      headers: { host, 'user-agent': 'gatehouse', accept: '*/*' },
    })
    const late = clock.after(limits.acmeValidationMs, () =>
      sent.destroy(new Error('no answer in time')),
    )
    const end = (result: string | Error): void => {
      late.clear()
      sent.destroy()
      if (typeof result === 'string') resolve(result)
      else reject(result)
    }
    sent.on('error', end)
    sent.on('response', answer => {
      if (answer.statusCode !== OK) {
        // A redirect is an answer like every other that is none.
        end(new Problem('unauthorized', `the answer was ${answer.statusCode}`) as never)
        return
      }
      let text = ''
      answer.setEncoding('latin1')
      answer.on('data', (piece: string) => {
        text += piece
        if (text.length > limits.acmeAnswerSizeBytes) end(new Error('the answer is too large'))
      })
      answer.on('error', end)
      answer.on('end', () => end(text))
    })
    sent.end()
  })
}

const PROTOCOL = 'acme-tls/1'
/** id-pe-acmeIdentifier. */
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31'
const OCTET_STRING = 0x04

async function shakeHands(
  row: ValidationRow,
  tools: ValidationTools,
): Promise<Problem | undefined> {
  const addresses = await addressesOf(row, tools)
  const raw = await firstOf(addresses, address => certificateAt(address, row, tools))
  try {
    return judge(raw, row)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return new Problem('tls', 'the certificate is none that can be read')
  }
}

/** RFC 8737, 3: one name, and the extension with the digest of what is expected. */
function judge(raw: Buffer, { identifier, keyAuthorization }: ValidationRow): Problem | undefined {
  const { names, extensions } = readCertificate(raw)
  const { type, value } = identifier
  const [own, others] =
    type === 'dns' ? [names.dnsNames, names.addresses] : [names.addresses, names.dnsNames]
  const isAlone = own.length === 1 && others.length === 0
  if (!isAlone || own[0]!.toLowerCase() !== value) {
    return new Problem('unauthorized', 'the certificate is not for the identifier alone')
  }
  const found = extensions.find(({ oid }) => oid === ACME_IDENTIFIER)
  const digest = createHash('sha256').update(keyAuthorization).digest()
  const expected = Buffer.concat([Buffer.of(OCTET_STRING, digest.length), digest])
  const isRight =
    found?.critical === true && isSameSecret(found.value.toString('hex'), expected.toString('hex'))
  return isRight ? undefined : new Problem('incorrectResponse', 'the extension is not the expected')
}

function certificateAt(
  address: string,
  { identifier: { type, value } }: ValidationRow,
  { clock, tlsPort }: ValidationTools,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // RFC 8737: the certificate signs itself; what it holds is what is looked at.
    const socket: TLSSocket = connect({
      ...{ host: address, port: tlsPort, ALPNProtocols: [PROTOCOL] },
      servername: type === 'dns' ? value : reverseOf(value),
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
    })
    const late = clock.after(limits.acmeValidationMs, () =>
      socket.destroy(new Error('no handshake in time')),
    )
    const end = (result: Buffer | Error): void => {
      late.clear()
      socket.destroy()
      if (Buffer.isBuffer(result)) resolve(result)
      else reject(result)
    }
    socket.on('error', end)
    socket.on('secureConnect', () => {
      const { raw } = socket.getPeerCertificate()
      if (socket.alpnProtocol !== PROTOCOL || raw === undefined) {
        end(new Problem('tls', `the server does not speak ${PROTOCOL}`) as never)
      } else end(raw)
    })
  })
}

/** RFC 8738, 6: an address is asked for by the name of its reverse. */
function reverseOf(address: string): string {
  if (isIP(address) === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`
  const digits = addressBytes(address).toString('hex')
  return `${[...digits].reverse().join('.')}.ip6.arpa`
}
