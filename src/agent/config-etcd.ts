/**
 * How the agent gets into an etcd of the user's own: what the store's stanza says of it, and what
 * the files that it names hold.
 *
 * Owns which settings go together. Files are read when they are needed and again when they may have
 * changed; what is wrong with them is told by their paths, never by what they hold.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { readTlsFiles } from '../base/io/tls.ts'
import type { TlsMaterial } from '../base/tls.ts'
import type { EtcdAccess } from '../store/etcd/client.ts'
import type { Settings } from './config-read.ts'

/** The stanza `store { etcd { … } }`. */
export interface EtcdSettings {
  readonly endpoints: readonly string[]
  readonly prefix: string
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  readonly username: string
  readonly passwordFile: string | undefined
  /** 0: not known. */
  readonly quotaSizeBytes: number
}

/** Reads the stanza; what is wrong with it is complained of. */
export function buildEtcd(settings: Settings, workingDir: string): EtcdSettings {
  const file = (given: string): string | undefined =>
    given === '' ? undefined : resolve(workingDir, given)
  const etcd: EtcdSettings = {
    endpoints: settings.get('store.etcd.endpoints'),
    prefix: settings.get('store.etcd.prefix'),
    caFile: file(settings.get('store.etcd.ca_file')),
    certFile: file(settings.get('store.etcd.cert_file')),
    keyFile: file(settings.get('store.etcd.key_file')),
    username: settings.get('store.etcd.username'),
    passwordFile: file(settings.get('store.etcd.password_file')),
    quotaSizeBytes: settings.get('store.etcd.quota_size_mb') * MIB,
  }
  const isSecure = etcd.endpoints.map(endpoint => endpoint.startsWith('https:'))
  for (const endpoint of etcd.endpoints) {
    const isUrl = URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol)
    if (!isUrl) settings.complain('store.etcd.endpoints', 'must be http or https addresses')
  }
  if (etcd.endpoints.length === 0) settings.complain('store.etcd.endpoints', 'names no member')
  if ((etcd.certFile === undefined) !== (etcd.keyFile === undefined)) {
    settings.complain('store.etcd.cert_file', 'and key_file go together')
  }
  if (etcd.caFile !== undefined || etcd.certFile !== undefined) {
    if (isSecure.includes(false)) {
      settings.complain('store.etcd.endpoints', 'must be https addresses where files are named')
    }
  }
  if ((etcd.username === '') !== (etcd.passwordFile === undefined)) {
    settings.complain('store.etcd.username', 'and password_file go together')
  }
  return etcd
}

const MIB = 1_048_576

/** How etcd lets us in. Its functions reject with an Error that names the file. */
export function etcdAccess(etcd: EtcdSettings, clock: Clock): EtcdAccess {
  const { caFile, certFile, keyFile, username, passwordFile } = etcd
  const hasFiles = caFile !== undefined || certFile !== undefined
  const material = async (): Promise<TlsMaterial> => {
    const files = { caFile, certFile, keyFile, caPath: undefined }
    const read = await readTlsFiles(files, clock.wall())
    if ('problems' in read) throw new Error(read.problems.join('; '))
    return read.material
  }
  const login = passwordFile && { username, password: () => readPassword(passwordFile) }
  return { ...(hasFiles ? { material } : {}), ...(login ? { login } : {}), clock }
}

/** The first line of the file: what editors add behind it is not part of the password. */
async function readPassword(file: string): Promise<string> {
  try {
    const [line = ''] = (await readFile(file, 'utf8')).split(/\r?\n/)
    return line
  } catch (error) {
    throw new Error(`${file}: cannot be read (${(error as { code?: string }).code ?? 'failed'})`)
  }
}
