/**
 * The verb `cert watch`: keeps a certificate, its key and its chain in a folder, fresh for as long
 * as it runs, and tells a program of each new one.
 *
 * Owns its flags and its end: a signal ends it with 0, at the end of what is under way.
 */

import { messageOf } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { endSignals } from '../child.ts'
import type { Call, Command } from '../command.ts'
import { ClientError } from '../exchange.ts'
import { sourceOf } from '../secrets/ask.ts'
import { secretsVerb } from '../secrets/command.ts'
import { readData } from '../secrets/data.ts'
import { Failure } from '../secrets/failure.ts'
import { httpFlags } from '../secrets/flags.ts'
import { Credential, type CredentialSource } from './credential.ts'
import { CertFolder } from './folder.ts'
import { Keeper } from './keeper.ts'
import { type KeyType, keyTypes, type Order, orderOf } from './order.ts'
import { runReload } from './reload.ts'

/** Those of all verbs that make sense for one that goes on for ever. */
const isOfServer = ({ name }: { readonly name: string }): boolean =>
  !/^(wrap-ttl|mfa|policy-override|output-|unlock-key)/.test(name)

const RENEW_AT = 2 / 3
const JITTER = 0.05

export const certWatch: Command = secretsVerb({
  usage:
    '[options] -dir=FOLDER PATH K=V... [-- COMMAND...]   (PATH is MOUNT/issue/ROLE or MOUNT/sign/ROLE)',
  flags: [
    { name: 'dir', kind: 'text', doc: 'folder of the files; made where there is none' },
    { name: 'key-mode', kind: 'text', doc: 'rights of the files with the key, in octal (0600)' },
    {
      name: 'key-type',
      kind: 'text',
      values: keyTypes,
      doc: 'of a key that is made here, for MOUNT/sign/ROLE: ec (default), rsa or ed25519',
    },
    { name: 'new-key', kind: 'switch', doc: 'make such a key anew for each certificate' },
    {
      name: 'renew-at',
      kind: 'text',
      doc: 'share of the life after which it is renewed (0.667)',
    },
    { name: 'jitter', kind: 'text', doc: 'how far from that, on both sides, by chance (0.05)' },
    {
      name: 'reload-timeout',
      kind: 'duration',
      doc: `what COMMAND may take (${limits.certReloadTimeoutMs / 1_000}s)`,
    },
    { name: 'once', kind: 'switch', doc: 'renew it where it is due, and end' },
    {
      name: 'token-file',
      kind: 'text',
      doc: 'file of the token; read whenever one is needed, before VAULT_TOKEN',
    },
    { name: 'role-id', kind: 'text', doc: 'log in by AppRole, with this role id' },
    { name: 'secret-id-file', kind: 'text', doc: 'file of the secret id of that login' },
    { name: 'auth-path', kind: 'text', doc: 'where AppRole is mounted (approle)' },
    ...httpFlags.filter(isOfServer),
  ],
  examples: [
    '-dir=/etc/nginx/tls pki/issue/web common_name=www.example.com ttl=24h -- nginx -s reload',
    '-dir=tls -role-id=web -secret-id-file=/run/secret-id pki/sign/web common_name=www.example.com',
    '-once -dir=tls -token-file=/run/token pki/issue/web common_name=www.example.com',
  ],
  args: [1, undefined],
  async run(call, client) {
    const { io, flags } = call
    const [words, command] = split(call.args)
    const order = orderOf(await wishOf(call, words))
    const folder = folderOf(call)
    const credential = new Credential(client, credentialOf(call), io.clock)
    const timeoutMs = flags.durationMs('reload-timeout') ?? limits.certReloadTimeoutMs
    const keeper = new Keeper({
      ...{ io, client, credential, folder, order },
      renewAt: shareOf(call, 'renew-at', RENEW_AT),
      jitter: shareOf(call, 'jitter', JITTER),
      reload:
        command.length === 0
          ? undefined
          : ({ serial }) => runReload(io, command, added(folder.path, serial), timeoutMs),
    })
    try {
      await keeper.start()
    } catch (error) {
      throw new Failure(messageOf(error), 1)
    }
    return flags.isOn('once') ? runOnce(keeper) : runOn(call, keeper)
  },
})

async function runOnce(keeper: Keeper): Promise<number> {
  try {
    await keeper.once()
    return 0
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new Failure(messageOf(error), 1)
  }
}

async function runOn({ io }: Call, keeper: Keeper): Promise<number> {
  const stop = new AbortController()
  for (const name of endSignals) io.onSignal(name, () => stop.abort())
  io.onSignal('SIGHUP', () => keeper.wantNow())
  await keeper.run(stop.signal)
  io.print('stopped')
  return 0
}

/** What the command finds in its environment besides ours. */
const added = (folder: string, serial: string) => ({
  GATEHOUSE_CERT_DIR: folder,
  GATEHOUSE_CERT_SERIAL: serial,
})

function split(args: readonly string[]): [readonly string[], readonly string[]] {
  const at = args.indexOf('--')
  if (at === args.length - 1) throw new Failure('there is no command behind --', 1)
  return at < 0 ? [args, []] : [args.slice(0, at), args.slice(at + 1)]
}

async function wishOf(call: Call, [path = '', ...words]: readonly string[]): Promise<Order> {
  const { flags } = call
  return {
    path,
    data: await readData(words, sourceOf(call)),
    keyType: (flags.text('key-type') ?? 'ec') as KeyType,
    isKeyNew: flags.isOn('new-key'),
  }
}

function folderOf({ flags }: Call): CertFolder {
  const dir = flags.text('dir')
  if (!dir) throw new Failure('-dir must be given: the folder of the files', 1)
  const mode = flags.text('key-mode') ?? '0600'
  if (!/^0?[0-7]{3}$/.test(mode)) throw new Failure('-key-mode must be octal, such as 0640', 1)
  const keyBits = Number.parseInt(mode, 8)
  if ((keyBits & 0o007) !== 0) throw new Failure('-key-mode must give others nothing', 1)
  return new CertFolder(dir, keyBits)
}

function credentialOf({ flags }: Call): CredentialSource {
  const [tokenFile, roleId] = [flags.text('token-file'), flags.text('role-id')]
  const secretIdFile = flags.text('secret-id-file')
  if (tokenFile && roleId) throw new Failure('-token-file and -role-id cannot be used together', 1)
  if (secretIdFile && !roleId) throw new Failure('-secret-id-file needs -role-id', 1)
  const mount = flags.text('auth-path') || 'approle'
  return {
    tokenFile: tokenFile || undefined,
    ...(roleId ? { appRole: { mount, roleId, secretIdFile: secretIdFile || undefined } } : {}),
  }
}

function shareOf({ flags }: Call, name: string, byDefault: number): number {
  const text = flags.text(name)
  const share = text === undefined ? byDefault : Number(text)
  const [least, most] = name === 'jitter' ? [0, 0.2] : [0.1, 0.95]
  if (!(share >= least && share <= most)) {
    throw new Failure(`-${name} must be a number from ${least} to ${most}`, 1)
  }
  return share
}
