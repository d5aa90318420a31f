/**
 * The verbs `tls ca create` and `tls cert create`: an authority for agents, and certificates of it.
 *
 * Owns the names of the files, which are Consul's, what each kind of certificate is for, and that
 * no file is ever written over. Keys are P-256, and only their owner may read them.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { open, readFile, stat, unlink } from 'node:fs/promises'
import { isIP } from 'node:net'
import { DAY_MS } from '../base/duration.ts'
import { hasCode } from '../base/io/file.ts'
import type { ExtendedUsage } from '../x509/certificate.ts'
import type { OwnContent } from '../x509/own.ts'
import { type Call, type Command, countMistake, type Flag, fail, type Io } from './command.ts'

const SERIAL_SIZE_BYTES = 16

const domainFlag: Flag = {
  name: 'domain',
  kind: 'text',
  doc: 'domain of the agents; the names of files begin with it (consul)',
}

export const tlsCaCreate: Command = {
  usage: '[options]',
  flags: [
    domainFlag,
    { name: 'days', kind: 'number', doc: 'how long it is valid (1825)' },
    { name: 'common-name', kind: 'text', doc: 'its name; has its serial number in it by default' },
    { name: 'name-constraint', kind: 'switch', doc: 'sign for the domain and localhost only' },
    {
      name: 'additional-name-constraint',
      kind: 'list',
      doc: 'sign for this domain too, with -name-constraint; may be repeated',
    },
  ],
  examples: ['', '-domain=corp.example -days=365 -name-constraint'],
  async run({ flags, args, io }) {
    const mistake = countMistake(args, 0) ?? daysMistake(flags.number('days'))
    if (mistake !== undefined) return fail(io, mistake)
    const domain = flags.text('domain') || 'consul'
    if (!isFileName(domain)) return fail(io, '-domain: must be a domain name')
    const isNarrow = flags.isOn('name-constraint')
    const additional = flags.list('additional-name-constraint')
    if (additional.length > 0 && !isNarrow) {
      return fail(io, '-additional-name-constraint needs -name-constraint')
    }
    const serial = io.random.bytes(SERIAL_SIZE_BYTES)
    const name = flags.text('common-name') || `Consul Agent CA ${BigInt(`0x${hexOf(serial)}`)}`
    const { publicKey, privateKey } = newKeys()
    const content: OwnContent = {
      subject: [
        ['O', 'gatehouse'],
        ['CN', name],
      ],
      publicKey,
      serial,
      ...validity(io, flags.number('days') ?? 1825),
      isAuthority: true,
      usages: ['digitalSignature', 'keyCertSign', 'cRLSign'],
      extendedUsages: [],
      dnsNames: [],
      addresses: [],
      uris: [],
      permittedDomains: isNarrow ? [...additional, domain, 'localhost'] : [],
    }
    const { issueCertificate } = await import('../x509/own.ts')
    const certificate = issueCertificate(content, { certificate: undefined, key: privateKey })
    const files = { cert: `${domain}-agent-ca.pem`, key: `${domain}-agent-ca-key.pem` }
    for (const file of Object.values(files)) {
      if (await exists(file)) return fail(io, `${file} already exists.`)
    }
    await savePair(io, files, certificate, privateKey)
    return 0
  },
}

/** What a kind of certificate is for. The command line shows one, and is nobody's server. */
const kinds = {
  server: ['serverAuth', 'clientAuth'],
  client: ['clientAuth', 'serverAuth'],
  cli: ['clientAuth'],
} as const satisfies Record<string, readonly ExtendedUsage[]>

export const tlsCertCreate: Command = {
  usage: '-server|-client|-cli [options]',
  flags: [
    { name: 'server', kind: 'switch', doc: 'for a server' },
    { name: 'client', kind: 'switch', doc: 'for a client agent' },
    { name: 'cli', kind: 'switch', doc: 'for the command line: it shows it, and serves nothing' },
    { name: 'node', kind: 'text', doc: 'with -server: also the name NODE.server.DC.DOMAIN' },
    { name: 'dc', kind: 'text', doc: 'datacenter (dc1)' },
    domainFlag,
    { name: 'days', kind: 'number', doc: 'how long it is valid (365)' },
    {
      name: 'additional-dnsname',
      kind: 'list',
      doc: 'another name beside localhost; may be repeated',
    },
    {
      name: 'additional-ipaddress',
      kind: 'list',
      doc: 'another address beside 127.0.0.1; may be repeated',
    },
    { name: 'ca', kind: 'text', doc: 'file of the authority (DOMAIN-agent-ca.pem)' },
    { name: 'key', kind: 'text', doc: 'file of its key (DOMAIN-agent-ca-key.pem)' },
  ],
  examples: [
    '-server',
    '-server -dc=dc2 -additional-dnsname=consul.example -additional-ipaddress=10.0.0.7',
    '-cli',
  ],
  async run(call) {
    const { flags, args, io } = call
    const asked = (Object.keys(kinds) as (keyof typeof kinds)[]).filter(each => flags.isOn(each))
    const [kind] = asked
    if (kind === undefined || asked.length > 1) {
      return fail(io, 'Please provide either -server, -client, or -cli')
    }
    const mistake = countMistake(args, 0) ?? daysMistake(flags.number('days')) ?? mistakeOf(call)
    if (mistake !== undefined) return fail(io, mistake)
    const domain = flags.text('domain') || 'consul'
    const dc = flags.text('dc') || 'dc1'
    const caFile = flags.text('ca') || `${domain}-agent-ca.pem`
    const caKeyFile = flags.text('key') || `${domain}-agent-ca-key.pem`
    const authority = await authorityOf(io, caFile, caKeyFile)
    if (authority === undefined) return 1
    const files = await freeNames(`${dc}-${kind}-${domain}`)
    if (files === undefined) return fail(io, "Could not find a filename that doesn't already exist")
    if (kind === 'server') io.print(SERVER_TEXT)
    io.print(`==> Using ${caFile} and ${caKeyFile}`)
    const { publicKey, privateKey } = newKeys()
    const name = `${kind}.${dc}.${domain}`
    const node = flags.text('node')
    const others = flags
      .list('additional-dnsname')
      .map(each => each.trim())
      .filter(Boolean)
    const addresses = flags
      .list('additional-ipaddress')
      .map(each => each.trim())
      .filter(Boolean)
    const content: OwnContent = {
      subject: [['CN', name]],
      publicKey,
      serial: io.random.bytes(SERIAL_SIZE_BYTES),
      ...validity(io, flags.number('days') ?? 365),
      isAuthority: false,
      usages: ['digitalSignature', 'keyEncipherment'],
      extendedUsages: kinds[kind],
      dnsNames: [...new Set([...others, ...(node ? [`${node}.${name}`] : []), name, 'localhost'])],
      addresses: kind === 'cli' ? [] : [...new Set([...addresses, '127.0.0.1'])],
      uris: [],
      permittedDomains: [],
    }
    const { issueCertificate } = await import('../x509/own.ts')
    await savePair(io, files, issueCertificate(content, authority), privateKey)
    return 0
  },
}

const SERVER_TEXT = `==> WARNING: whoever has the key of a server certificate can be a server, and see and
    change everything that one holds. Give it to servers only, and keep it as you
    keep the key of the authority.`

const LABELS = /^(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$/

/** Parts of names stand in file names too: no way out of the folder. */
const isFileName = (text: string): boolean => LABELS.test(text) && !text.startsWith('*')

function mistakeOf({ flags }: Call): string | undefined {
  const node = flags.text('node')
  if (node && !flags.isOn('server')) return '-node requires -server'
  for (const name of ['dc', 'domain', 'node']) {
    const text = flags.text(name)
    if (text && !isFileName(text)) return `-${name}: must be a domain name or a part of one`
  }
  const names = flags.list('additional-dnsname').map(each => each.trim())
  if (!names.every(each => each === '' || LABELS.test(each))) {
    return '-additional-dnsname: must be a domain name'
  }
  const addresses = flags.list('additional-ipaddress').map(each => each.trim())
  if (!addresses.every(each => each === '' || isIP(each) !== 0)) {
    return '-additional-ipaddress: must be an IP address'
  }
  if (flags.isOn('cli') && addresses.some(Boolean)) {
    return '-additional-ipaddress: a certificate of the command line has no addresses'
  }
  return undefined
}

function daysMistake(days: number | undefined): string | undefined {
  const MAX_DAYS = 36_500
  return days === undefined || (days >= 1 && days <= MAX_DAYS)
    ? undefined
    : `-days: must be from 1 to ${MAX_DAYS}`
}

function validity(io: Io, days: number): { notBefore: Date; notAfter: Date } {
  const nowMs = io.clock.wall()
  return { notBefore: new Date(nowMs), notAfter: new Date(nowMs + days * DAY_MS) }
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

interface Files {
  readonly cert: string
  readonly key: string
}

/** The authority's certificate and key; undefined once it was said what is wrong with them. */
async function authorityOf(
  io: Io,
  caFile: string,
  keyFile: string,
): Promise<{ certificate: string; key: KeyObject } | undefined> {
  const read = async (what: string, path: string): Promise<Buffer | undefined> =>
    readFile(path).catch(error => {
      io.printError(`Error reading ${what}: open ${path}: ${reasonOf(error)}`)
      return undefined
    })
  const certificate = await read('CA', caFile)
  if (certificate === undefined) return undefined
  const pem = await read('CA key', keyFile)
  if (pem === undefined) return undefined
  try {
    return { certificate: certificate.toString('latin1'), key: createPrivateKey(pem) }
  } catch {
    io.printError(`${keyFile}: holds no private key in PEM that can be read without a password`)
    return undefined
  }
}

const reasonOf = (error: unknown): string =>
  hasCode(error, 'ENOENT') ? 'no such file or directory' : String((error as { code?: string }).code)

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** The first number for which neither file is there. */
async function freeNames(prefix: string): Promise<Files | undefined> {
  const MAX_NAMES = 10_000
  for (let i = 0; i <= MAX_NAMES; i++) {
    const files = { cert: `${prefix}-${i}.pem`, key: `${prefix}-${i}-key.pem` }
    if (!(await exists(files.cert)) && !(await exists(files.key))) return files
  }
  return undefined
}

/** Writes both files or none; throws where one of them has come up meanwhile. */
async function savePair(
  io: Io,
  files: Files,
  certificate: string,
  privateKey: KeyObject,
): Promise<void> {
  const key = privateKey.export({ type: 'sec1', format: 'pem' }).toString()
  await writeNew(files.key, key, 0o600)
  try {
    await writeNew(files.cert, certificate, 0o644)
  } catch (error) {
    await unlink(files.key)
    throw error
  }
  io.print(`==> Saved ${files.cert}`)
  io.print(`==> Saved ${files.key}`)
}

async function writeNew(path: string, text: string, modeBits: number): Promise<void> {
  const file = await open(path, 'wx', modeBits)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
