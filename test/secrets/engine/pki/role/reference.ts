/**
 * What a role gives, said a second time: slowly, by other means, and straight from the words of the
 * API's page. Patterns are regular expressions here, addresses are numbers.
 */
import { domainToASCII } from 'node:url'
import type { Asker, Wanted } from '../../../../../src/secrets/engine/pki/role/check.ts'
import type { RoleRow } from '../../../../../src/secrets/engine/pki/role/row.ts'

/** Whether all of what is wanted is given. */
export function isAllowed(role: RoleRow, wanted: Wanted, who: Asker): boolean {
  const { commonName, serialNumber, userIds, dnsNames, emails, addresses, uris, others } = wanted
  if (role.require_cn && commonName === '') return false
  if (commonName !== '') {
    const kinds = role.cn_validations
    if (!kinds.includes('disabled')) {
      if (!kinds.includes(/@/.test(commonName) ? 'email' : 'hostname')) return false
      if (!isNameAllowed(role, commonName, who)) return false
      if (!isNoForbiddenAddress(role, commonName)) return false
    }
    if (hasControl(commonName)) return false
  }
  const alternatives = [...dnsNames]
  const mails = [...emails]
  if (!wanted.excludesCommonName && commonName !== '') {
    if (/@/.test(commonName)) mails.push(commonName)
    else if (isHost(inAscii(commonName), true)) alternatives.push(inAscii(commonName))
    else if (!hasLabels(inAscii(commonName))) return false
  }
  return (
    alternatives.map(inAscii).every(name => {
      return (
        /^[!-~]+$/.test(name) &&
        hasLabels(name) &&
        !/@/.test(name) &&
        isNameAllowed(role, name, who) &&
        isNoForbiddenAddress(role, name)
      )
    }) &&
    mails.every(
      mail => /^[!-~]+$/.test(mail) && /@/.test(mail) && isNameAllowed(role, mail, who),
    ) &&
    addresses.every(address => isAddressAllowed(role, address)) &&
    uris.every(uri => isUriAllowed(role, uri, who)) &&
    others.every(({ oid, value }) => {
      if (hasControl(value)) return false
      if (role.allowed_other_sans.join() === '*') return true
      return role.allowed_other_sans.some(one => {
        const [kind, pattern] = one.split(/;utf-?8:/i)
        return kind === oid && matches(pattern!, value)
      })
    }) &&
    (serialNumber === '' ||
      (!hasControl(serialNumber) &&
        role.allowed_serial_numbers.some(one => one !== '' && matches(one, serialNumber)))) &&
    userIds.every(id => {
      if (hasControl(id)) return false
      return role.allowed_user_ids.some(one => {
        return one !== '' && (matches(one, id) || one.toLowerCase() === id.toLowerCase())
      })
    })
  )
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const hasControl = (text: string): boolean => /[\x00-\x1f\x7f-\x9f]/.test(text)

function inAscii(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  if (/^[\x00-\x7f]*$/.test(name)) return name
  if (/[\s/\\?#@:%<>[\]^|]/u.test(name)) return name
  const ascii = domainToASCII(name)
  const isShort = /^(?=.{1,254}$)[^.]{1,63}(?:\.[^.]{1,63})*\.?$/.test(ascii)
  return isShort && ascii.replace(/\.$/, '').length <= 253 ? ascii : name
}

const hasLabels = (name: string): boolean =>
  /^(?=.{1,254}$)(?:[^.]{1,63}\.)*[^.]{1,63}\.?$/s.test(name) &&
  name.replace(/\.$/, '').length <= 253

const ANY_LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?'
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'

function isHost(name: string, mayBeWild: boolean): boolean {
  const wild = mayBeWild ? String.raw`(?:\*\.)?` : ''
  if (!new RegExp(String.raw`^${wild}(?:${LABEL}\.)*${LABEL}\.?$`).test(name)) return false
  if (name.replace(/\.$/, '').length > 253) return false
  return !/(^|\.)xn--/i.test(name) || domainToASCII(name.replace(/\.$/, '')) !== ''
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

/** `*` is anything, all else is itself. */
const matches = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.split('*').map(escaped).join('[^]*')}$`).test(text)

function isNameAllowed(role: RoleRow, name: string, who: Asker): boolean {
  const mail = /^([^@]+)@([^@]+)$/.exec(name)
  if (mail === null && name.includes('@')) return false
  const host = mail?.[2] ?? name
  const wild = /^([^.*]*\*[^.*]*)(?:\.([^*]*))?$/.exec(host)
  if (host.includes('*')) {
    if (!role.allow_wildcard_certificates || mail !== null || wild === null) return false
  }
  const base = wild === null ? host : (wild[2] ?? '')
  if (role.enforce_hostnames) {
    if (wild !== null) {
      const label = new RegExp(String.raw`^(?:${ANY_LABEL})?\*(?:${ANY_LABEL})?$`)
      if (!label.test(wild[1]!)) return false
      if (base !== '' && !isHost(inAscii(base), false)) return false
    } else if (!isHost(inAscii(base), false)) return false
  }
  if (role.allow_any_name) return true
  const below = (domain: string): boolean =>
    new RegExp(`^[^]*\\.${escaped(domain)}$`).test(base) || false
  if (role.allow_localhost) {
    for (const local of ['localhost', 'localdomain']) {
      if (base === local || (role.allow_subdomains && below(local))) return true
    }
  }
  if (role.allow_token_displayname && who.displayName !== '') {
    const own = who.displayName
    if (name === own) return true
    if (role.allow_subdomains) {
      if (below(own) || (wild !== null && base === own)) return true
      const ownMail = /^([^@]+)@([^@]+)$/.exec(own)
      if (mail !== null && ownMail !== null && below(ownMail[2]!)) return true
    }
  }
  return domainsOf(role.allowed_domains, role.allowed_domains_template, who).some(domain => {
    const same = (text: string): boolean => text.toLowerCase() === domain.toLowerCase()
    return (
      (role.allow_bare_domains && (same(name) || (mail !== null && same(host)))) ||
      (role.allow_subdomains && (below(domain) || (wild !== null && same(base)))) ||
      (role.allow_glob_domains && domain.includes('*') && matches(domain, name))
    )
  })
}

/** With the words of who asks put in; those that have none for it are left out. */
function domainsOf(texts: readonly string[], areTemplates: boolean, who: Asker): string[] {
  return texts.flatMap(text => {
    if (!areTemplates || !text.includes('{{')) return text === '' ? [] : [text]
    if (who.identity === undefined) return []
    const { identity } = who
    let isFit = true
    const filled = text.replace(/\{\{\s*(.*?)\s*\}\}/g, (_, selector: string) => {
      const key = /^identity\.entity\.metadata\.(.*)$/.exec(selector)?.[1]
      const value =
        selector === 'identity.entity.name'
          ? identity.name
          : key !== undefined && Object.hasOwn(identity.metadata, key)
            ? identity.metadata[key]!
            : ''
      if (value === '' || /[*+/]/.test(value) || hasControl(value)) isFit = false
      return value
    })
    return isFit ? [filled] : []
  })
}

function isUriAllowed(role: RoleRow, uri: string, who: Asker): boolean {
  if (!/^[a-z][a-z0-9+.-]*:[!-~]*$/i.test(uri) || !URL.canParse(uri)) return false
  const tokens = uri.match(/[/\\?#]|[^/\\?#]+/g) ?? []
  const isRelative = tokens.some((token, at) => {
    const [before, after] = [tokens[at - 1] ?? '/', tokens[at + 1] ?? '/']
    const plain = token.replace(/%2e/gi, '.')
    return /^[/\\]$/.test(before) && /^[/\\?#]$/.test(after) && /^\.{1,2}$/.test(plain)
  })
  if (isRelative) return false
  return domainsOf(role.allowed_uri_sans, role.allowed_uri_sans_template, who).some(pattern =>
    matches(pattern, uri),
  )
}

/** An address as a number and its bits; mapped ones are those of IPv4. */
function numberOf(text: string): readonly [bigint, number] | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (v4 !== null) {
    const bytes = v4.slice(1).map(Number)
    const isPlain = v4.slice(1).every(byte => String(Number(byte)) === byte)
    if (!isPlain || bytes.some(byte => byte > 255)) return undefined
    return [bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n), 32]
  }
  if (!/^[0-9a-f.]*:[0-9a-f:.]*$/i.test(text) || !URL.canParse(`http://[${text}]`)) return undefined
  const [head = '', tail = ''] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const all = [...left, ...Array(8 - left.length - right.length).fill('0'), ...right]
  const value = BigInt(`0x${all.map(word => word.padStart(4, '0')).join('')}`)
  return value >> 32n === 0xffffn ? [value & 0xffff_ffffn, 32] : [value, 128]
}

function isAddressAllowed(role: RoleRow, text: string): boolean {
  const address = numberOf(text)
  if (!role.allow_ip_sans || address === undefined) return false
  const [value, bits] = address
  if (role.allowed_ip_sans_cidr.length === 0) return true
  return role.allowed_ip_sans_cidr.some(range => {
    const [base, prefix] = range.split('/')
    const [from, size] = numberOf(base!)!
    const shift = BigInt(size - Number(prefix))
    return size === bits && value >> shift === from >> shift
  })
}

/** What inet_aton and browsers take for an address must be one that is given. */
function isNoForbiddenAddress(role: RoleRow, name: string): boolean {
  const bare = name.replace(/\.$/, '').replace(/^\[/, '').replace(/\]$/, '')
  if (numberOf(bare) !== undefined) return isAddressAllowed(role, bare)
  const last = bare.split('.').at(-1)!
  if (!/^(?:\d+|0x[0-9a-f]*)$/i.test(last)) return true
  const parts = bare.split('.').map(part => {
    if (part === '') return Number.NaN
    if (/^0x[0-9a-f]*$/i.test(part)) return Number.parseInt(part.slice(2) || '0', 16)
    if (/^0[0-7]*$/.test(part)) return Number.parseInt(part, 8)
    return /^[1-9]\d*$/.test(part) ? Number(part) : Number.NaN
  })
  const isNumeric = parts.length <= 4 && parts.every(part => !Number.isNaN(part))
  if (!isNumeric || parts.slice(0, -1).some(part => part > 255)) return true
  if (parts.at(-1)! >= 256 ** (5 - parts.length)) return true
  const front = parts.slice(0, -1).reduce((sum, part, at) => sum + part * 256 ** (3 - at), 0)
  const value = front + parts.at(-1)!
  const dotted = [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.')
  return isAddressAllowed(role, dotted)
}
