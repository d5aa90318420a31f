/**
 * The blocks `seal "type" { … }` of the configuration: what opens the secrets without people.
 *
 * Owns which kinds there are, the keys of each, and what blocks mean together. Names and meanings
 * are Vault's and OpenBao's. What a key holds may be a secret, so no value is ever quoted.
 */
import { resolve } from 'node:path'
import { blocksOf, type HclObject, type HclValue, isObject } from '../hcl/hcl.ts'
import type { Settings } from './config-read.ts'

/** Tells of a mistake in a field of a block. */
type Complain = (block: HclObject, field: string, problem: string) => void

/** A block as it was written: texts by key; switches are texts too. */
export interface SealBlock {
  readonly type: SealType
  readonly values: Readonly<Record<string, string>>
}

/** What opens the secrets of this server. */
export interface SealSettings {
  /** The automatic seal; undefined for key shares. */
  readonly current: SealBlock | undefined
  /** The one before it (`disabled = true`), until the root key was taken over. */
  readonly former: SealBlock | undefined
  /** Whether servers of a cluster open each other. */
  readonly isPeerOpened: boolean
  readonly isRekeyOpen: boolean
  readonly isRootTokenOpen: boolean
}

/** The keys of each kind; those with a mark must be there. */
const FIELDS = {
  shamir: {},
  static: { current_key_id: '*', current_key: '*', previous_key_id: '', previous_key: '' },
  transit: {
    ...{ address: '*', token: '*', key_name: '*', mount_path: '*', namespace: '' },
    ...{ disable_renewal: '', tls_ca_cert: '', tls_client_cert: '', tls_client_key: '' },
    ...{ tls_server_name: '', tls_skip_verify: '' },
  },
} as const satisfies Record<string, Readonly<Record<string, '*' | ''>>>
export type SealType = keyof typeof FIELDS

const SWITCHES = ['disabled', 'disable_renewal', 'tls_skip_verify']

/** Kinds that others have. */
const LATER = [
  ...['awskms', 'azurekeyvault', 'gcpckms', 'ocikms', 'alicloudkms', 'pkcs11', 'kmip'],
  'gcpkms',
]

/** Reads what stands behind `seal`: blocks with a type; undefined when it is nothing like that. */
export function readSeals(value: HclValue, complain: Complain): SealBlock[] | undefined {
  const seals: SealBlock[] = []
  for (const named of blocksOf(value) ?? [undefined]) {
    if (named === undefined) return undefined
    for (const [type, given] of Object.entries(named)) {
      const blocks = isObject(given) || Array.isArray(given) ? blocksOf(given) : undefined
      if (blocks === undefined) {
        complain(named, type, 'a seal has a type: seal "static" { … }')
        continue
      }
      if (!Object.hasOwn(FIELDS, type)) {
        const known = Object.keys(FIELDS).join(', ')
        const isLater = LATER.includes(type)
        complain(named, type, isLater ? `not served yet: ${type}` : `must be one of ${known}`)
        continue
      }
      for (const block of blocks) {
        const values = readBlock(type as SealType, block, (field, problem) =>
          complain(block, field, problem),
        )
        if (values !== undefined) seals.push({ type: type as SealType, values })
      }
    }
  }
  return seals
}

function readBlock(
  type: SealType,
  block: HclObject,
  complain: (field: string, problem: string) => void,
): Record<string, string> | undefined {
  const fields: Readonly<Record<string, string>> = { ...FIELDS[type], disabled: '' }
  const values: Record<string, string> = {}
  let isRight = true
  const wrong = (field: string, problem: string): void => {
    isRight = false
    complain(field, problem)
  }
  for (const [field, value] of Object.entries(block)) {
    if (value === null) continue
    const text = typeof value === 'boolean' ? String(value) : value
    if (!Object.hasOwn(fields, field)) wrong(field, `unknown key of a seal of type ${type}`)
    else if (typeof text !== 'string') wrong(field, 'must be a string')
    else if (SWITCHES.includes(field) && !/^(true|false)$/.test(text)) {
      wrong(field, 'must be true or false')
    } else values[field] = text
  }
  for (const [field, mark] of Object.entries(fields)) {
    if (mark === '*' && (values[field] ?? '') === '') wrong(field, 'is missing')
  }
  if ((values.previous_key_id === undefined) !== (values.previous_key === undefined)) {
    wrong('previous_key_id', 'and previous_key go together')
  }
  if (type === 'transit' && values.address !== undefined && !isHttp(values.address)) {
    wrong('address', 'must be an http or https address')
  }
  return isRight ? values : undefined
}

const isHttp = (text: string): boolean => /^https?:$/.test(URL.parse(text)?.protocol ?? '')

/** What the blocks and the switches mean together. */
export function buildSeal(settings: Settings, workingDir: string): SealSettings {
  const blocks = settings.get('seal').map(block => inFolder(block, workingDir))
  const enabled = blocks.filter(({ values }) => values.disabled !== 'true')
  const disabled = blocks.filter(({ values }) => values.disabled === 'true')
  if (enabled.length > 1) settings.complain('seal', 'one seal at a time; others are disabled')
  if (disabled.length > 1) settings.complain('seal', 'one former seal at a time')
  const automatic = (block: SealBlock | undefined): SealBlock | undefined =>
    block?.type === 'shamir' ? undefined : block
  return {
    current: automatic(enabled[0]),
    former: automatic(disabled[0]),
    isPeerOpened: settings.get('secrets.peer_unseal'),
    isRekeyOpen: !settings.get('secrets.disable_unauthed_rekey_endpoints'),
    isRootTokenOpen: !settings.get('secrets.disable_unauthed_generate_root_endpoints'),
  }
}

const FILES = ['tls_ca_cert', 'tls_client_cert', 'tls_client_key']

/** The same with the files that it names as whole paths. */
function inFolder({ type, values }: SealBlock, workingDir: string): SealBlock {
  const paths = FILES.flatMap(name => {
    const path = values[name] ?? ''
    return path === '' ? [] : [[name, resolve(workingDir, path)] as const]
  })
  return { type, values: { ...values, ...Object.fromEntries(paths) } }
}
