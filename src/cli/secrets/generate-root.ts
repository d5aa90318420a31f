/**
 * The verb `operator generate-root`: a new root token, by the shares of the key.
 *
 * Owns the course of it and the decoding: the token comes encoded with a one-time password, and
 * is made of both here, without a server.
 */
import { base62 } from '../../base/base62.ts'
import type { Call } from '../command.ts'
import { readStdin, shareFrom } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { isTable, printData, printDone, printRaw } from './output.ts'
import { pgpKeyOf } from './pgp.ts'
import { type Data, valueIn } from './secret.ts'
import { bareTable } from './table.ts'
import { goText } from './values.ts'

const PATH = 'sys/generate-root/attempt'
/** As long as a root token is. */
const OTP_CHARS = 28

export const operatorGenerateRoot = secretsVerb({
  usage: '[options] [KEY]   (- reads a share from stdin; without one, it is asked for)',
  flags: [
    { name: 'init', kind: 'switch', doc: 'begin' },
    { name: 'cancel', kind: 'switch', doc: 'give it up, with the shares that were given so far' },
    { name: 'status', kind: 'switch', doc: 'say how far it is' },
    { name: 'nonce', kind: 'text', doc: 'of the attempt, as -init printed it' },
    { name: 'decode', kind: 'text', doc: 'print the token in this encoded one; - reads stdin' },
    {
      name: 'otp',
      kind: 'text',
      doc: 'the one-time password, for -decode and -init (-init has the server draw one)',
    },
    { name: 'generate-otp', kind: 'switch', doc: 'print a new one-time password' },
    { name: 'pgp-key', kind: 'text', doc: 'file of the PGP key that the token is encrypted with' },
    formatFlag,
    ...httpFlags,
  ],
  examples: ['-init', '', '-nonce=2dbd10f1 -', '-decode=- -otp=otp'],
  args: [0, 1],
  async run(call, client) {
    const { flags } = call
    if (flags.isOn('generate-otp')) return printOtp(call, client)
    if (flags.text('decode')) return printDecoded(call)
    if (flags.isOn('cancel')) {
      await saying('Error canceling root token generation', client.remove(PATH))
      return printDone(call, 'Success! Root token generation canceled (if it was started)')
    }
    if (flags.isOn('init')) return begin(call, client)
    const status = await statusOf(client)
    return flags.isOn('status') ? print(call, status) : give(call, client, status)
  },
})

const statusOf = (client: SecretsClient): Promise<Data> =>
  saying('Error getting root generation status', client.data({ method: 'GET', path: PATH }))

async function printOtp(call: Call, client: SecretsClient): Promise<number> {
  const chars = Number(valueIn(await statusOf(client), 'otp_length') ?? 0) || OTP_CHARS
  const otp = base62(call.io.random, chars)
  if (!isTable(call)) return printData(call, { otp, otp_length: chars })
  return printRaw(call, otp)
}

async function printDecoded(call: Call): Promise<number> {
  const { flags } = call
  const otp = flags.text('otp')
  if (!otp) throw new Failure('Missing otp: use -otp to supply it', 1)
  const given = flags.text('decode') ?? ''
  const encoded = given === '-' ? await readStdin(call) : given.trim()
  const bytes = Buffer.from(encoded, 'base64')
  const isWhole = bytes.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '')
  if (!isWhole || bytes.length !== Buffer.byteLength(otp)) {
    throw new Failure('Error decoding root token: it does not belong to this one-time password', 1)
  }
  const mask = Buffer.from(otp)
  const token = Buffer.from(bytes.map((byte, at) => byte ^ (mask[at] ?? 0))).toString('utf8')
  return isTable(call) ? printRaw(call, token) : printData(call, { token })
}

async function begin(call: Call, client: SecretsClient): Promise<number> {
  const { flags } = call
  const [otp, file] = [flags.text('otp'), flags.text('pgp-key')]
  if (otp && file) {
    throw new Failure('Error initializing: cannot specify both -otp and -pgp-key', 1)
  }
  const body = { ...(otp ? { otp } : {}), ...(file ? { pgp_key: await pgpKeyOf(file) } : {}) }
  const work = client.data({ method: 'PUT', path: PATH, body })
  return print(call, await saying('Error initializing root generation', work))
}

async function give(call: Call, client: SecretsClient, status: Data): Promise<number> {
  if (valueIn(status, 'started') !== true) {
    const begin = `${call.program} operator generate-root -init`
    throw new Failure(`No root generation is in progress. Begin one with "${begin}".`, 1)
  }
  const body = await shareFrom(call, 'Operation', goText(valueIn(status, 'nonce')))
  const work = client.data({ method: 'PUT', path: 'sys/generate-root/update', body })
  return print(call, await saying('Error posting unseal key', work))
}

function print(call: Call, status: Data): number {
  if (!isTable(call)) return printData(call, status)
  const text = (key: string): string => goText(valueIn(status, key) ?? '')
  const row = (head: string, key: string): string[][] =>
    text(key) === '' ? [] : [[head, text(key)]]
  const hasToken = text('encoded_token') !== ''
  if (text('otp') !== '') {
    call.io.printError('Keep the one-time password (OTP): only with it the token can be decoded.')
  }
  call.io.print(
    bareTable([
      ['Nonce', text('nonce')],
      ['Started', text('started')],
      ['Progress', `${text('progress')}/${text('required')}`],
      ['Complete', text('complete')],
      ...row('PGP Fingerprint', 'pgp_fingerprint'),
      ...(hasToken
        ? row('Encoded Token', 'encoded_token')
        : row('Encoded Root Token', 'encoded_root_token')),
      ...row('OTP', 'otp'),
      ...(Number(valueIn(status, 'otp_length') ?? 0) > 0 ? row('OTP Length', 'otp_length') : []),
    ]),
  )
  return 0
}
