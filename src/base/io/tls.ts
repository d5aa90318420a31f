/**
 * node:tls with what we ask of it written out, and the files that certificates come from.
 *
 * Owns what a context is made of, and what is wrong with files: named by their paths, never by
 * what they hold. Must not be asked for a context while a request waits: making one costs
 * milliseconds.
 */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  connect,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { modernCiphers, type SecureOptions, TlsMaterial } from '../tls.ts'

/** Versions, suites and certificates of a listener, for `createServer` and `setSecureContext`. */
export function contextOptions(options: SecureOptions): SecureContextOptions {
  const { material, minVersion, ciphers } = options
  const { cert, key, ca } = material.pems()
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // Only who is in it is trusted; where clients are not asked it is not used.
    ca: [...ca],
    minVersion,
    maxVersion: 'TLSv1.3',
    ciphers: [...TLS13_SUITES, ...(ciphers.length > 0 ? ciphers : modernCiphers)].join(':'),
    honorCipherOrder: true,
    sessionTimeout: limits.httpsSessionMs / 1_000,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
  }
}

/** What a client shows and trusts: the material's authorities alone, the system's without any. */
export function clientContext(material: TlsMaterial): SecureContext {
  const { cert, key, ca } = material.pems()
  return createSecureContext({
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca.length === 0 ? {} : { ca: [...ca] }),
    minVersion: 'TLSv1.2',
  })
}

/**
 * TLS 1.3 alone, between agents: a listener's or client's. Nothing is resumed: who is at the other
 * end is looked at each time.
 */
export function rpcContext(material: TlsMaterial): SecureContextOptions {
  const { cert, key, ca } = material.pems()
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ca: [...ca],
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: TLS13_SUITES.join(':'),
    secureOptions: constants.SSL_OP_NO_TICKET,
    // Authorities or one certificate itself: a server whose root is not known yet is pinned.
    allowPartialTrustChain: true,
  }
}

/** The same, made for a client's sockets. */
export const rpcClientContext = (material: TlsMaterial): SecureContext =>
  createSecureContext(rpcContext(material))

/** They are not for choosing, as in Go; without their names node would stop at TLS 1.2. */
const TLS13_SUITES = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]

/** Where the parts of a material are; undefined where there is none. */
export interface TlsFiles {
  readonly caFile: string | undefined
  readonly caPath: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
}

/** What was read, with what is odd about it; or what is wrong. Texts name files only. */
export type TlsRead =
  | { readonly material: TlsMaterial; readonly warnings: readonly string[] }
  | { readonly problems: readonly string[] }

/** Reads the files and looks whether they fit together. `nowMs` is the wall clock's. */
export async function readTlsFiles(files: TlsFiles, nowMs: number): Promise<TlsRead> {
  const problems: string[] = []
  const warnings: string[] = []
  const read = async (path: string): Promise<Buffer | undefined> => {
    try {
      const { size } = await stat(path)
      if (size <= limits.tlsFileSizeBytes) return await readFile(path)
      problems.push(`${path}: larger than ${limits.tlsFileSizeBytes} bytes`)
    } catch (error) {
      problems.push(`${path}: cannot be read (${(error as { code?: string }).code ?? 'failed'})`)
    }
    return undefined
  }
  const authorities = await authorityFiles(files, problems)
  const ca = await Promise.all(authorities.map(read))
  authorities.forEach((path, at) => {
    const pem = ca[at]
    if (pem !== undefined) judgeChain(path, pem, nowMs, problems, warnings)
  })
  const { certFile, keyFile } = files
  const cert = certFile === undefined ? undefined : await read(certFile)
  const key = keyFile === undefined ? undefined : await read(keyFile)
  if (certFile !== undefined && keyFile !== undefined && cert !== undefined && key !== undefined) {
    judgePair({ certFile, cert, keyFile, key }, nowMs, problems, warnings)
    if ((await stat(keyFile)).mode & OTHERS) {
      warnings.push(`${keyFile}: others on this machine may read this key: chmod 600 it`)
    }
  }
  if (problems.length > 0) return { problems }
  const present = ca.filter(each => each !== undefined)
  const pair = cert === undefined || key === undefined ? {} : { cert, key }
  return { material: new TlsMaterial({ ...pair, ca: present }), warnings }
}

/** What OpenSSL has against a listener's options, such as a key that is too short. */
export function contextProblem(options: SecureOptions): string | undefined {
  try {
    createSecureContext(contextOptions(options))
    return undefined
  } catch (error) {
    // Its texts name reasons and lines of OpenSSL's source, never a key.
    return messageOf(error).replace(/^.*:([^:]+):?[^:]*$/, '$1')
  }
}

const OTHERS = 0o007

/** A file before a folder, as Consul has it. */
async function authorityFiles(
  { caFile, caPath }: TlsFiles,
  problems: string[],
): Promise<readonly string[]> {
  if (caFile !== undefined) return [caFile]
  if (caPath === undefined) return []
  try {
    const entries = await readdir(caPath, { withFileTypes: true, recursive: true })
    const found = entries.filter(entry => !entry.isDirectory())
    if (found.length === 0) problems.push(`${caPath}: holds no file`)
    if (found.length <= limits.tlsAuthorityFiles) {
      return found.map(({ parentPath, name }) => join(parentPath, name)).sort()
    }
    problems.push(`${caPath}: holds more than ${limits.tlsAuthorityFiles} files`)
  } catch (error) {
    problems.push(`${caPath}: cannot be read (${(error as { code?: string }).code ?? 'failed'})`)
  }
  return []
}

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** The certificates of a PEM text; undefined where it holds none, or one that is none. */
function chainOf(pem: Buffer): X509Certificate[] | undefined {
  const blocks = pem.toString('latin1').match(BLOCK)
  if (blocks === null) return undefined
  try {
    return blocks.map(block => new X509Certificate(block))
  } catch {
    return undefined
  }
}

function judgeChain(
  path: string,
  pem: Buffer,
  nowMs: number,
  problems: string[],
  warnings: string[],
): X509Certificate | undefined {
  const chain = chainOf(pem)
  if (chain === undefined) problems.push(`${path}: holds no certificate in PEM`)
  for (const { validFromDate, validToDate } of chain ?? []) {
    if (validToDate.getTime() < nowMs) {
      warnings.push(`${path}: a certificate in it expired at ${validToDate.toISOString()}`)
    }
    if (validFromDate.getTime() > nowMs) {
      warnings.push(
        `${path}: a certificate in it is not valid before ${validFromDate.toISOString()}`,
      )
    }
  }
  return chain?.[0]
}

interface Pair {
  readonly certFile: string
  readonly cert: Buffer
  readonly keyFile: string
  readonly key: Buffer
}

function judgePair(pair: Pair, nowMs: number, problems: string[], warnings: string[]): void {
  const { certFile, cert, keyFile, key } = pair
  const first = judgeChain(certFile, cert, nowMs, problems, warnings)
  if (/-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(key.toString('latin1'))) {
    problems.push(`${keyFile}: the key is encrypted, and there is nobody to ask for its password`)
    return
  }
  try {
    const isOwn = first?.checkPrivateKey(createPrivateKey(key)) ?? true
    if (!isOwn) problems.push(`${keyFile}: is not the key of ${certFile}`)
  } catch {
    problems.push(`${keyFile}: holds no private key in PEM`)
  }
}

/**
 * The certificate that whoever listens at `host:port` shows, in DER; it is not looked at. Rejects
 * with a system's error, or one that says that there was none in time.
 */
export async function peekCertificate(address: string, timeoutMs: number): Promise<Buffer> {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(address) ?? []
  const host = bracketed ?? plain ?? ''
  // An address is not looked up; a name was resolved before it came here.
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ...PEEKING })
  const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), timeoutMs)
  try {
    await once(socket, 'secureConnect')
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) throw new Error('no certificate was shown')
    return certificate.raw
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

const PEEKING = { minVersion: 'TLSv1.3', ALPNProtocols: ['h2'] } as const
