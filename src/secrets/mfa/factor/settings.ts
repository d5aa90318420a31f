/**
 * The settings file that PingID gives its customers: lines of `key=value`.
 *
 * Owns reading it, and the words for what is wrong with it. Values are never told back: two of them
 * are secrets. Pure.
 */
import { limits } from '../../../base/limits.ts'
import type { PingidConfig } from './factor.ts'

/** What each key of the file is called here. */
const NAMES = {
  use_base64_key: 'useBase64Key',
  use_signature: 'useSignature',
  token: 'token',
  idp_url: 'idpUrl',
  org_alias: 'orgAlias',
  admin_url: 'adminUrl',
  authenticator_url: 'authenticatorUrl',
} as const

const BASE64 = /^[\w+/-]*={0,2}$/

/** The settings of a file in base64, or what is wrong with it. */
export function pingidSettings(fileBase64: string): PingidConfig | { readonly wrong: string } {
  if (fileBase64 === '') return { wrong: 'settings_file_base64 is empty' }
  if (fileBase64.length > limits.mfaSettingsChars) {
    return { wrong: `settings_file_base64 is longer than ${limits.mfaSettingsChars} characters` }
  }
  const encoded = fileBase64.replaceAll(/[\r\n]/g, '')
  if (!BASE64.test(encoded)) return { wrong: 'settings_file_base64 is not base64' }
  const config: { -readonly [K in keyof PingidConfig]: PingidConfig[K] } = { ...EMPTY }
  for (const line of Buffer.from(encoded, 'base64').toString('utf8').split('\n')) {
    if (line.startsWith('#') || line.trim() === '') continue
    const at = line.indexOf('=')
    if (at === -1) return { wrong: NO_PAIR }
    const key = line.slice(0, at)
    if (!Object.hasOwn(NAMES, key)) return { wrong: `unknown key ${quoted(key)} in ${FILE}` }
    const name = NAMES[key as keyof typeof NAMES]
    const value = line.slice(at + 1).trim()
    if (name !== 'useSignature') config[name] = value
    else if (SWITCHES.has(value)) config.useSignature = SWITCHES.get(value)!
    else return { wrong: `error parsing use_signature value in ${FILE}` }
  }
  config.idpUrl = config.idpUrl.replace(/\/+$/, '')
  return config
}

const FILE = 'pingid settings file'
const NO_PAIR = `${FILE} contains a non-empty non-comment line that is not in key=value format`
const SWITCHES = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map(text => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map(text => [text, false] as const),
])

const EMPTY: PingidConfig = {
  ...{ useBase64Key: '', useSignature: false, token: '', idpUrl: '', orgAlias: '' },
  ...{ adminUrl: '', authenticatorUrl: '' },
}

/** A key is told back, but no more of it than fits a key. */
const quoted = (key: string): string => JSON.stringify(key.slice(0, KEY_CHARS))
const KEY_CHARS = 32
