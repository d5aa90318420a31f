/**
 * The checks of `pki health-check`: what of a mount is not as it should be.
 *
 * Owns their names, settings and verdicts, which are those of Vault's command line; the texts are
 * our own. What a token may not read is a verdict of its own, never a failure of the whole.
 */
import { messageOf } from '../../base/errors.ts'
import { type ParsedCertificate, readCertificate } from '../../x509/certificate.ts'
import { type ParsedCrl, readCrl } from '../../x509/crl.ts'
import { pemBlocks } from '../../x509/pem.ts'
import type { Query } from '../exchange.ts'
import { ApiError, type SecretsClient } from './client.ts'
import { parseSeconds } from './flags.ts'
import { isRoot } from './pki-issuer.ts'
import { type Data, keysOf, parseSecret, type Secret, valueIn } from './secret.ts'

/** From harmless to grave; the place is the exit code. */
export const statuses = [
  'not_applicable',
  'ok',
  'informational',
  'warning',
  'critical',
  'invalid_version',
  'insufficient_permissions',
] as const
export type Status = (typeof statuses)[number]

export interface Finding {
  readonly status: Status
  readonly endpoint: string
  readonly message: string
}

export type Settings = Readonly<Record<string, unknown>>

export interface Check {
  readonly name: string
  /** Off unless a file turns it on. */
  readonly isOff?: boolean
  readonly defaults: Settings
  run(mount: Mount, settings: Settings): Promise<Finding[]>
}

/** What could not be read, as a verdict. */
class Unread extends Error {
  readonly finding: Finding

  constructor(finding: Finding) {
    super(finding.message)
    this.finding = finding
  }
}

/** A mount as the checks look at it: nothing is asked twice. */
export class Mount {
  readonly path: string
  readonly nowMs: number
  readonly #client: SecretsClient
  readonly #asked = new Map<string, Promise<unknown>>()

  constructor(client: SecretsClient, path: string, nowMs: number) {
    this.#client = client
    this.path = path
    this.nowMs = nowMs
  }

  /** The names below a place of the mount; none where there are none. */
  list = (place: string): Promise<string[]> =>
    this.#once(`list ${place}`, async () => {
      const listed = await this.#secret(`${this.path}/${place}`, { list: 'true' })
      return (keysOf(listed) ?? []).map(String)
    })

  /** The data at a place; empty where there is none. */
  read = (place: string): Promise<Data> => this.readAt(`${this.path}/${place}`)

  tune = (): Promise<Data> => this.readAt(`sys/mounts/${this.path}/tune`)

  readAt = (path: string): Promise<Data> =>
    this.#once(`read ${path}`, async () => (await this.#secret(path))?.data ?? {})

  /** Every issuer's certificate by its id. */
  issuers = (): Promise<ReadonlyMap<string, ParsedCertificate>> =>
    this.#once('issuers', async () => {
      const found = new Map<string, ParsedCertificate>()
      for (const id of await this.list('issuers')) {
        const pem = String(valueIn(await this.read(`issuer/${id}/json`), 'certificate') ?? '')
        for (const { der } of pemBlocks(pem).slice(0, 1)) found.set(id, readCertificate(der))
      }
      return found
    })

  /** Every role by its name. */
  roles = (): Promise<ReadonlyMap<string, Data>> =>
    this.#once('roles', async () => {
      const names = await this.list('roles')
      const found = names.map(async name => [name, await this.read(`roles/${name}`)] as const)
      return new Map(await Promise.all(found))
    })

  /** A list of revoked certificates; undefined where there is none. */
  crl = (place: string): Promise<ParsedCrl | undefined> =>
    this.#once(`crl ${place}`, async () => {
      const body = await this.#body(`${this.path}/${place}`)
      return body === undefined || body.length === 0 ? undefined : readCrl(body)
    })

  async #secret(path: string, query: Query = {}): Promise<Secret | undefined> {
    const body = await this.#body(path, query)
    return body === undefined ? undefined : parseSecret(body)
  }

  /** An answer as it came; undefined where there is none. Throws Unread. */
  async #body(path: string, query: Query = {}): Promise<Buffer | undefined> {
    try {
      return (await this.#client.ask({ method: 'GET', path, query, isAside: true })).body
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const endpoint = `/${path}`
      if (error.status === 403) {
        const message = 'The token may not read this, so nothing can be said of it.'
        throw new Unread({ status: 'insufficient_permissions', endpoint, message })
      }
      const says = (part: string): boolean => error.errors.some(text => text.includes(part))
      if (says('unsupported path') || says('unsupported operation') || error.status === 501) {
        const message = 'The server has no such path, so nothing can be said of it.'
        throw new Unread({ status: 'invalid_version', endpoint, message })
      }
      if (error.status === 404 || says('unable to find')) return undefined
      throw error
    }
  }

  #once<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#asked.get(key) as Promise<T> | undefined
    if (before !== undefined) return before
    const asked = work()
    this.#asked.set(key, asked)
    return asked
  }
}

/** Runs a check; what it could not read is its verdict. */
export async function runCheck(check: Check, mount: Mount, settings: Settings): Promise<Finding[]> {
  try {
    return await check.run(mount, settings)
  } catch (error) {
    if (error instanceof Unread) return [error.finding]
    throw new Error(`${check.name}: ${messageOf(error)}`)
  }
}

const DAY_S = 86_400
const secondsIn = (settings: Settings, name: string): number =>
  parseSeconds(String(settings[name]), name)
const numberIn = (settings: Settings, name: string): number => {
  const number = Number(settings[name])
  if (!Number.isFinite(number)) throw new Error(`${name} must be a number`)
  return number
}
const dateOf = (date: Date): string => date.toISOString().slice(0, 10)
const listIn = (data: Data, name: string): string[] => {
  const value = valueIn(data, name)
  return Array.isArray(value) ? value.map(String) : []
}

const GRADES = ['critical', 'warning', 'informational'] as const

/** One `ok` where nothing was found, of something that is there. */
const orGood = (
  found: Finding[],
  isThere: boolean,
  endpoint: string,
  message: string,
): Finding[] => (found.length > 0 || !isThere ? found : [{ status: 'ok', endpoint, message }])

export const checks: readonly Check[] = [
  {
    name: 'ca_validity_period',
    defaults: {
      root_expiry_critical: '180d',
      intermediate_expiry_critical: '30d',
      root_expiry_warning: '365d',
      intermediate_expiry_warning: '60d',
      root_expiry_informational: '730d',
      intermediate_expiry_informational: '180d',
    },
    async run(mount, settings) {
      return [...(await mount.issuers())].map(([id, certificate]) => {
        const kind = isRoot(certificate) ? 'root' : 'intermediate'
        const leftS = (certificate.notAfter.getTime() - mount.nowMs) / 1_000
        const status = GRADES.find(grade => leftS < secondsIn(settings, `${kind}_expiry_${grade}`))
        const until = `It is good until ${dateOf(certificate.notAfter)}`
        const message =
          status === undefined
            ? `${until}.`
            : `${until}, in ${Math.floor(leftS / DAY_S)} days: begin to replace it.`
        return { status: status ?? 'ok', endpoint: `/${mount.path}/issuer/${id}`, message }
      })
    },
  },
  {
    name: 'crl_validity_period',
    defaults: { crl_expiry_pct_critical: '95', delta_crl_expiry_pct_critical: '95' },
    async run(mount, settings) {
      const isOff = valueIn(await mount.read('config/crl'), 'disable') === true
      const found: Finding[] = []
      for (const id of (await mount.issuers()).keys()) {
        for (const [place, setting] of [
          [`issuer/${id}/crl`, 'crl_expiry_pct_critical'],
          [`issuer/${id}/crl/delta`, 'delta_crl_expiry_pct_critical'],
        ] as const) {
          const crl = await mount.crl(`${place}/der`)
          if (crl === undefined) continue
          found.push(ageOf(crl, { mount, place, percent: numberIn(settings, setting), isOff }))
        }
      }
      return found
    },
  },
  {
    name: 'hardware_backed_root',
    isOff: true,
    defaults: {},
    async run(mount) {
      const found: Finding[] = []
      for (const [id, certificate] of await mount.issuers()) {
        if (!isRoot(certificate)) continue
        const keyId = String(valueIn(await mount.read(`issuer/${id}`), 'key_id') ?? '')
        if (keyId === '') continue
        const managed = valueIn(await mount.read(`key/${keyId}`), 'managed_key_id')
        const endpoint = `/${mount.path}/issuer/${id}`
        found.push(
          managed
            ? { status: 'ok', endpoint, message: `Its key is the managed key ${String(managed)}.` }
            : {
                status: 'informational',
                endpoint,
                message: 'Its key is kept by the server, not by a device.',
              },
        )
      }
      return found
    },
  },
  {
    name: 'root_issued_leaves',
    defaults: { certs_to_fetch: 100 },
    async run(mount, settings) {
      const roots = [...(await mount.issuers())].filter(([, each]) => isRoot(each))
      const serials = await mount.list('certs')
      const found = new Map<string, Finding>()
      let left = numberIn(settings, 'certs_to_fetch')
      for (const serial of roots.length === 0 ? [] : serials) {
        if (left === 0 || found.size === roots.length) break
        const pem = String(valueIn(await mount.read(`cert/${serial}`), 'certificate') ?? '')
        const [block] = pemBlocks(pem)
        const leaf = block === undefined ? undefined : readCertificate(block.der)
        if (leaf === undefined || leaf.isAuthority) continue
        left--
        const root = roots.find(
          ([, each]) => each.subject.equals(leaf.issuer) && leaf.verify(each.publicKey),
        )
        if (root === undefined || found.has(root[0])) continue
        const message = `This root issued ${serial} itself: an intermediate is easier to replace.`
        const endpoint = `/${mount.path}/issuer/${root[0]}`
        found.set(root[0], { status: 'warning', endpoint, message })
      }
      const message = 'The roots here issued no leaves themselves.'
      return orGood([...found.values()], roots.length > 0, `/${mount.path}/certs`, message)
    },
  },
  ofRoles('role_allows_localhost', 'No role allows localhost beside other names.', role => {
    const domains = listIn(role, 'allowed_domains')
    if (valueIn(role, 'allow_localhost') !== true || domains.length === 0) return undefined
    return {
      status: 'warning',
      message: `It is for ${domains.join(', ')}, and allows localhost too: is that meant?`,
    }
  }),
  ofRoles('role_allows_glob_wildcards', 'No role gives wildcards by patterns.', role => {
    const isBoth = ['allow_wildcard_certificates', 'allow_glob_domains'].every(
      name => valueIn(role, name) === true,
    )
    const patterns = listIn(role, 'allowed_domains').filter(domain => domain.includes('*'))
    if (!isBoth || patterns.length === 0) return undefined
    const message = `A wildcard may match ${patterns.join(', ')}, at any depth: allow one of both.`
    return { status: 'warning', message }
  }),
  {
    name: 'role_no_store_false',
    defaults: { allowed_roles: [] },
    async run(mount, settings) {
      const { allowed_roles: allowed } = settings
      const isRebuilt = valueIn(await mount.read('config/crl'), 'auto_rebuild') === true
      const roles = await mount.roles()
      const found = [...roles].flatMap(([name, role]): Finding[] => {
        const isFine = valueIn(role, 'no_store') === true
        if (isFine || (Array.isArray(allowed) && allowed.includes(name))) return []
        const message = 'It stores every certificate: shorter lives, and none stored, cost less.'
        const status = isRebuilt ? 'informational' : 'warning'
        return [{ status, endpoint: `/${mount.path}/roles/${name}`, message }]
      })
      const message = 'No role stores what it issues.'
      return orGood(found, roles.size > 0, `/${mount.path}/roles`, message)
    },
  },
  {
    name: 'audit_visibility',
    defaults: { ignored_parameters: [] },
    async run(mount, { ignored_parameters: ignored }) {
      const tune = await mount.tune()
      const endpoint = `/sys/mounts/${mount.path}/tune`
      const isIgnored = (name: string): boolean => Array.isArray(ignored) && ignored.includes(name)
      const found = Object.entries(AUDITED).flatMap(([key, { plain, secret }]): Finding[] => {
        const shown = listIn(tune, key)
        return [
          ...plain
            .filter(name => !shown.includes(name) && !isIgnored(name))
            .map(name => ({
              status: 'informational' as const,
              endpoint,
              message: `${name} is hashed in the audit; it is no secret: add it to ${key}.`,
            })),
          ...secret
            .filter(name => shown.includes(name) && !isIgnored(name))
            .map(name => ({
              status: 'warning' as const,
              endpoint,
              message: `${name} is a secret and stands plainly in the audit, by ${key}.`,
            })),
        ]
      })
      return orGood(found, true, endpoint, 'The audit shows what helps, and nothing secret.')
    },
  },
  ofHeaders('allow_if_modified_since', {
    passthrough_request_headers: ['If-Modified-Since'],
    allowed_response_headers: ['Last-Modified'],
  }),
  {
    name: 'enable_auto_tidy',
    defaults: {
      interval_duration_critical: '7d',
      interval_duration_warning: '2d',
      pause_duration_critical: '1s',
      pause_duration_warning: '200ms',
    },
    async run(mount, settings) {
      const data = await mount.read('config/auto-tidy')
      const endpoint = `/${mount.path}/config/auto-tidy`
      if (valueIn(data, 'enabled') !== true) {
        const message = 'Nothing is tidied by itself: what has expired stays stored.'
        return [{ status: 'informational', endpoint, message }]
      }
      const found = ['interval_duration', 'pause_duration'].flatMap((name): Finding[] => {
        const ownMs = millisecondsOf(valueIn(data, name))
        const status = (['critical', 'warning'] as const).find(
          grade => ownMs >= millisecondsOf(settings[`${name}_${grade}`]),
        )
        const message = `${name} is too long: ${String(valueIn(data, name))}.`
        return status === undefined ? [] : [{ status, endpoint, message }]
      })
      return orGood(found, true, endpoint, 'It is tidied by itself, often enough.')
    },
  },
  {
    name: 'tidy_last_run',
    defaults: { last_run_critical: '7d', last_run_warning: '2d' },
    async run(mount, settings) {
      const finished = valueIn(await mount.read('tidy-status'), 'time_finished')
      const endpoint = `/${mount.path}/tidy-status`
      if (typeof finished !== 'string' || Number.isNaN(Date.parse(finished))) {
        return [{ status: 'critical', endpoint, message: 'It was never tidied.' }]
      }
      const agoS = (mount.nowMs - Date.parse(finished)) / 1_000
      const status = (['critical', 'warning'] as const).find(
        grade => agoS > secondsIn(settings, `last_run_${grade}`),
      )
      const message = `It was tidied last at ${finished}.`
      return [{ status: status ?? 'ok', endpoint, message }]
    },
  },
  {
    name: 'too_many_certs',
    defaults: { count_critical: 250_000, count_warning: 50_000 },
    async run(mount, settings) {
      const count = (await mount.list('certs')).length
      const status = (['critical', 'warning'] as const).find(
        grade => count >= numberIn(settings, `count_${grade}`),
      )
      const message = `${count} certificates are stored.`
      return [{ status: status ?? 'ok', endpoint: `/${mount.path}/certs`, message }]
    },
  },
  {
    name: 'enable_acme_issuance',
    defaults: {},
    async run(mount) {
      const acme = await mount.read('config/acme')
      const endpoint = `/${mount.path}/config/acme`
      if (valueIn(acme, 'enabled') !== true) {
        const isBelow = [...(await mount.issuers()).values()].some(each => !isRoot(each))
        return [
          isBelow
            ? {
                status: 'informational',
                endpoint,
                message: 'ACME is off; clients could renew by it.',
              }
            : {
                status: 'not_applicable',
                endpoint,
                message: 'ACME is off, and only roots are here.',
              },
        ]
      }
      const path = String(valueIn(await mount.read('config/cluster'), 'path') ?? '')
      const cluster = `/${mount.path}/config/cluster`
      if (!path.startsWith('https://')) {
        const message = `ACME is on, but the path of the cluster is no https:// URL: '${path}'.`
        return [{ status: 'warning', endpoint: cluster, message }]
      }
      return [{ status: 'ok', endpoint: cluster, message: `ACME is on below ${path}.` }]
    },
  },
  {
    ...ofHeaders('allow_acme_headers', {
      allowed_response_headers: ['Replay-Nonce', 'Link', 'Location'],
    }),
    async run(mount, settings) {
      if (valueIn(await mount.read('config/acme'), 'enabled') === true) {
        return ofHeaders('allow_acme_headers', {
          allowed_response_headers: ['Replay-Nonce', 'Link', 'Location'],
        }).run(mount, settings)
      }
      const endpoint = `/${mount.path}/config/acme`
      return [{ status: 'not_applicable', endpoint, message: 'ACME is off.' }]
    },
  },
]

function ageOf(
  crl: ParsedCrl,
  given: { mount: Mount; place: string; percent: number; isOff: boolean },
): Finding {
  const { mount, place, percent, isOff } = given
  const endpoint = `/${mount.path}/${place}`
  const [from, until] = [crl.thisUpdate.getTime(), crl.nextUpdate?.getTime() ?? 0]
  const dates = `${dateOf(crl.thisUpdate)} to ${dateOf(new Date(until))}`
  const isOld = mount.nowMs - from >= ((until - from) * percent) / 100
  if (!isOld) return { status: 'ok', endpoint, message: `It is good: ${dates}.` }
  const message = `More than ${percent} % of its time is over: ${dates}.`
  if (!isOff) return { status: 'critical', endpoint, message }
  return { status: 'informational', endpoint, message: `${message} Such lists are switched off.` }
}

type RoleVerdict = Pick<Finding, 'status' | 'message'> | undefined

/** A check of each role for itself. */
function ofRoles(name: string, good: string, judge: (role: Data) => RoleVerdict): Check {
  return {
    name,
    defaults: {},
    async run(mount) {
      const roles = await mount.roles()
      const found = [...roles].flatMap(([role, data]): Finding[] => {
        const verdict = judge(data)
        return verdict === undefined
          ? []
          : [{ ...verdict, endpoint: `/${mount.path}/roles/${role}` }]
      })
      return orGood(found, roles.size > 0, `/${mount.path}/roles`, good)
    },
  }
}

/** A check of what headers a mount is tuned to let through. */
function ofHeaders(name: string, needed: Readonly<Record<string, readonly string[]>>): Check {
  return {
    name,
    defaults: {},
    async run(mount) {
      const tune = await mount.tune()
      const missing = Object.entries(needed).flatMap(([key, headers]) => {
        const have = listIn(tune, key).map(header => header.toLowerCase())
        return headers.filter(header => !have.includes(header.toLowerCase()))
      })
      const endpoint = `/sys/mounts/${mount.path}/tune`
      if (missing.length === 0)
        return [{ status: 'ok', endpoint, message: 'They are let through.' }]
      const isAcme = name === 'allow_acme_headers'
      const message = `The mount is not tuned to let ${missing.join(', ')} through.`
      return [{ status: isAcme ? 'warning' : 'informational', endpoint, message }]
    },
  }
}

/** A duration of an answer or a setting: a number of seconds, or a text with its units. */
function millisecondsOf(value: unknown): number {
  const short = /^(\d+)ms$/.exec(String(value))
  return short === null ? parseSeconds(String(value), 'a duration') * 1_000 : Number(short[1])
}

/** What of the audit helps when it is plain, and what must not be. */
const AUDITED: Readonly<Record<string, { plain: readonly string[]; secret: readonly string[] }>> = {
  audit_non_hmac_request_keys: {
    plain: [
      ...['csr', 'certificate', 'issuer_ref', 'common_name', 'alt_names', 'other_sans', 'ip_sans'],
      ...['uri_sans', 'ttl', 'not_after', 'serial_number', 'key_type', 'private_key_format'],
      ...['managed_key_name', 'managed_key_id', 'ou', 'organization', 'country', 'locality'],
      ...['province', 'street_address', 'postal_code', 'permitted_dns_domains'],
      ...['policy_identifiers', 'ext_key_usage_oids'],
    ],
    secret: ['private_key', 'pem_bundle'],
  },
  audit_non_hmac_response_keys: {
    plain: ['certificate', 'issuing_ca', 'serial_number', 'error', 'ca_chain'],
    secret: ['private_key'],
  },
}
