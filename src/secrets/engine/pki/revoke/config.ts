/**
 * Settings of revocation: how long lists and answers hold, and when lists are made anew.
 *
 * Owns `config/crl` and what is wrong with a setting.
 */
import type { Refusal } from '../../../../base/errors.ts'
import { type Call, type Outcome, path } from '../../../declare.ts'
import { bool, int, str, toDurationMs } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import { bad, later } from '../refusals.ts'
import { refreshLists } from './list.ts'
import { type CrlConfig, crlConfigOf, durationOf, putCrlConfig } from './settings.ts'

const ofOthers = [
  'cross_cluster_revocation',
  'unified_crl',
  'unified_crl_on_existing_paths',
] as const

const fields = {
  expiry: str('How long a list holds.'),
  disable: bool('Whether there are no lists.'),
  ocsp_disable: bool('Whether OCSP answers nobody.'),
  ocsp_expiry: str('How long an answer of OCSP holds; 0 for as long as it is new.'),
  auto_rebuild: bool(
    'Whether lists are made anew before they are over, and not at each revocation.',
  ),
  auto_rebuild_grace_period: str('How long before that.'),
  enable_delta: bool('Whether there are lists of what changed; needs `auto_rebuild`.'),
  delta_rebuild_interval: str('How often those are made, where something changed.'),
  allow_expired_cert_revocation: bool('Whether certificates that are over can be revoked.'),
  max_crl_entries: int('A list with more entries is not made; -1 for any number.'),
  cross_cluster_revocation: bool('Not served: of the Enterprise edition.', { isDeprecated: true }),
  unified_crl: bool('Not served: of the Enterprise edition.', { isDeprecated: true }),
  unified_crl_on_existing_paths: bool('Not served: of the Enterprise edition.', {
    isDeprecated: true,
  }),
}

const configShape = shape.object({
  expiry: shape.text,
  disable: shape.bool,
  ocsp_disable: shape.bool,
  ocsp_expiry: shape.text,
  auto_rebuild: shape.bool,
  auto_rebuild_grace_period: shape.text,
  enable_delta: shape.bool,
  delta_rebuild_interval: shape.text,
  allow_expired_cert_revocation: shape.bool,
  max_crl_entries: shape.int,
})

/** The path. */
export const crlConfigPath = path({
  pattern: 'config/crl',
  help: {
    synopsis: 'Lists of revoked certificates, and OCSP.',
    description: 'How long they hold, and when they are made anew.',
  },
  fields,
  access: 'authorized',
  operations: {
    read: {
      summary: 'Reads the settings.',
      answer: configShape,
      run: ({ storage }) => ({ data: { ...crlConfigOf(storage) } }),
    },
    update: {
      summary: 'Sets those that are said.',
      answer: configShape,
      run: write,
      examples: [{ expiry: '24h', auto_rebuild: true, auto_rebuild_grace_period: '8h' }],
    },
  },
})

function write(call: Call<typeof fields>): Outcome {
  const { storage, now } = call
  if (ofOthers.some(name => call.fields[name] === true)) {
    return later('revocation across clusters')
  }
  const before = crlConfigOf(storage)
  const said = Object.fromEntries(
    Object.keys(before)
      .filter(name => call.given(name as keyof typeof fields))
      .map(name => [name, call.fields[name as keyof CrlConfig]]),
  )
  const after = { ...before, ...said } as CrlConfig
  const refused = refuse(after)
  if (refused !== undefined) return refused
  putCrlConfig(storage, after)
  const isOther =
    before.disable !== after.disable ||
    before.expiry !== after.expiry ||
    before.enable_delta !== after.enable_delta ||
    (before.auto_rebuild && !after.auto_rebuild)
  refreshLists(storage, now, after, isOther)
  return { data: { ...after } }
}

const durations = [
  'expiry',
  'ocsp_expiry',
  'auto_rebuild_grace_period',
  'delta_rebuild_interval',
] as const

function refuse(config: CrlConfig): Refusal | undefined {
  for (const name of durations) {
    const durationMs = toDurationMs(config[name])
    if (durationMs === undefined) return bad(`given ${name} could not be decoded`)
    if (durationMs < 0 || (name === 'expiry' && durationMs < 1_000)) {
      return bad(`${name} must be greater than or equal to 0 got: ${config[name]}`)
    }
  }
  const { expiry, auto_rebuild_grace_period: grace, delta_rebuild_interval: interval } = config
  const expiryMs = durationOf(expiry)
  if (config.auto_rebuild && durationOf(grace) >= expiryMs) {
    return bad(
      `CRL auto-rebuilding grace period (${grace}) must be strictly shorter than CRL expiry (${expiry}) value when auto-rebuilding of CRLs is enabled`,
    )
  }
  if (config.enable_delta && (durationOf(interval) >= expiryMs || durationOf(interval) < 1_000)) {
    return bad(
      `CRL delta rebuild window (${interval}) must be strictly shorter than CRL expiry (${expiry}) value when delta CRLs are enabled`,
    )
  }
  if (config.enable_delta && !config.auto_rebuild) {
    return bad(
      'Delta CRLs cannot be enabled when auto rebuilding is disabled as the complete CRL is always regenerated!',
    )
  }
  return config.max_crl_entries < -1 ? bad('max_crl_entries must be at least -1') : undefined
}
