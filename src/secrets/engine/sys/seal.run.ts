/**
 * `sys/init`, `sys/seal-status`, `sys/unseal`, `sys/seal`, rotation, rekey and generate-root.
 *
 * Owns their paths and who may call them. What must answer while nothing can be opened asks for no
 * token. Rekey and generate-root ask for one with `sudo`, unless the configuration says that they
 * are for everybody: whoever has no token must not begin or end what key holders do.
 */
import { Refusal } from '../../../base/errors.ts'
import type { Body, InitRequest } from '../../barrier/operator.run.ts'
import type { RekeyRequest } from '../../barrier/rekey.ts'
import { decodeToken } from '../../barrier/root-token.ts'
import type { ShareTarget } from '../../barrier/seal.ts'
import {
  type Answer,
  NOTHING,
  type Outcome,
  type PathAccess,
  type PathSpec,
  path,
} from '../../declare.ts'
import { bool, dur, int, list, str, type Values } from '../../field.ts'
import * as shape from '../../shape.ts'

/** What operators ask of this server's seal; see barrier/operator.run.ts. */
export interface SealOperatorPort {
  initStatus(): Body
  init(request: InitRequest): Promise<Body | Refusal>
  sealStatus(): Body
  unseal(request: { key: string; reset: boolean; migrate: boolean }): Promise<Body | Refusal>
  seal(): Promise<void>
  keyStatus(): Body | Refusal
  rotate(): Promise<true | Refusal>
  rotationConfig(): Body | Refusal
  setRotationConfig(given: {
    maxOperations: number | undefined
    intervalMs: number | undefined
    isEnabled: boolean | undefined
  }): Promise<true | Refusal>
  rotateRoot(): Promise<true | Refusal>
  rekeyStatus(target: ShareTarget): Promise<Body | Refusal>
  rekeyStart(target: ShareTarget, request: RekeyRequest): Promise<Body | Refusal>
  rekeyCancel(target: ShareTarget, nonce: string, mayEnd: boolean): Promise<true | Refusal>
  rekeyUpdate(target: ShareTarget, key: string, nonce: string): Promise<Body | Refusal>
  verifyStatus(target: ShareTarget): Promise<Body | Refusal>
  verifyUpdate(target: ShareTarget, key: string, nonce: string): Promise<Body | Refusal>
  verifyRestart(target: ShareTarget): Promise<Body | Refusal>
  backup(target: ShareTarget): Body | Refusal
  dropBackup(target: ShareTarget): Promise<true | Refusal>
  rootTokenStatus(): Promise<Body | Refusal>
  rootTokenStart(given: { otp: string; pgpKey: string }): Promise<Body | Refusal>
  rootTokenCancel(nonce: string, mayEnd: boolean): Promise<true | Refusal>
  rootTokenUpdate(key: string, nonce: string): Promise<Body | Refusal>
}

/** What of the seal asks for no token, against the default. */
export interface SealAccess {
  readonly isRekeyOpen: boolean
  readonly isRootTokenOpen: boolean
}

/** The paths of the seal. */
export function sealPaths(seal: SealOperatorPort, access: SealAccess): PathSpec[] {
  return [
    ...openPaths(seal),
    ...keyringPaths(seal),
    ...legacyRekey('rekey', 'root', seal, access.isRekeyOpen),
    ...legacyRekey('rekey-recovery-key', 'recovery', seal, access.isRekeyOpen),
    ...backupPaths(seal),
    ...rotatePaths('root', seal),
    ...rotatePaths('recovery', seal),
    ...rootTokenPaths(seal, access.isRootTokenOpen),
  ]
}

/** A body without an envelope. */
const bare = (body: Body | Refusal): Outcome => (body instanceof Refusal ? body : { bare: body })
const data = (body: Body | Refusal): Outcome => (body instanceof Refusal ? body : { data: body })
const nothing = (came: true | Refusal): Outcome => (came === true ? NOTHING : came)

const statusShape = shape.object({
  type: shape.text,
  initialized: shape.bool,
  sealed: shape.bool,
  t: shape.int,
  n: shape.int,
  progress: shape.int,
  nonce: shape.text,
  version: shape.text,
  build_date: shape.text,
  migration: shape.bool,
  cluster_name: shape.optional(shape.text),
  cluster_id: shape.optional(shape.text),
  recovery_seal: shape.bool,
  recovery_seal_type: shape.optional(shape.text),
  storage_type: shape.text,
  warnings: shape.optional(shape.texts),
})

const initFields = {
  secret_shares: int('Shares that the key is split into.', { initial: 0 }),
  secret_threshold: int('Shares that give it back.', { initial: 0 }),
  stored_shares: int('Kept for clients that say it.'),
  pgp_keys: list('OpenPGP keys in base64, one for each share.', { initial: [] }),
  root_token_pgp_key: str('An OpenPGP key in base64, for the root token.', { initial: '' }),
  recovery_shares: int('Shares of the recovery key of an automatic seal.', { initial: 0 }),
  recovery_threshold: int('Recovery shares that authorise.', { initial: 0 }),
  recovery_pgp_keys: list('OpenPGP keys in base64, one for each of them.', { initial: [] }),
}

const initOf = (fields: Values<typeof initFields>): InitRequest => ({
  secretShares: fields.secret_shares ?? 0,
  secretThreshold: fields.secret_threshold ?? 0,
  pgpKeys: fields.pgp_keys ?? [],
  rootTokenPgpKey: fields.root_token_pgp_key ?? '',
  recoveryShares: fields.recovery_shares ?? 0,
  recoveryThreshold: fields.recovery_threshold ?? 0,
  recoveryPgpKeys: fields.recovery_pgp_keys ?? [],
})

const unsealFields = {
  key: str('A key share, in hexadecimal or base64.', { initial: '', isSecret: true }),
  reset: bool('Whether the shares so far are forgotten.', { initial: false }),
  migrate: bool('Whether the root key goes over to the configured seal.', { initial: false }),
}

const always = { access: 'open', whileSealed: true, isRootOnly: true } as const

/** What answers everybody, also while sealed. */
function openPaths(seal: SealOperatorPort): PathSpec[] {
  return [
    path({
      ...{ pattern: 'init', fields: initFields, ...always },
      help: { synopsis: 'Founds the barrier.', description: 'It is done once, for all servers.' },
      operations: {
        read: { summary: 'Tells whether it is founded.', act: () => bare(seal.initStatus()) },
        update: {
          summary: 'Founds the barrier, and gives key shares and a root token.',
          examples: [{ secret_shares: 5, secret_threshold: 3 }],
          act: async ({ fields }) => bare(await seal.init(initOf(fields))),
        },
      },
    }),
    path({
      ...{ pattern: 'seal-status', fields: {}, ...always },
      help: { synopsis: 'How this server is sealed.', description: 'And what it waits for.' },
      operations: {
        read: {
          summary: 'Tells whether this server is sealed.',
          answer: statusShape,
          act: () => bare(seal.sealStatus()),
        },
      },
    }),
    path({
      ...{ pattern: 'unseal', fields: unsealFields, ...always },
      help: {
        synopsis: 'Takes a key share.',
        description: 'Once there are enough, it is unsealed.',
      },
      operations: {
        update: {
          summary: 'Takes a key share.',
          answer: statusShape,
          act: async ({ fields: { key = '', reset = false, migrate = false } }) =>
            bare(await seal.unseal({ key, reset, migrate })),
        },
      },
    }),
    decodeTokenPath(),
  ]
}

const decodeTokenPath = (): PathSpec =>
  path({
    pattern: 'decode-token',
    help: { synopsis: 'Takes the pad off a root token.', description: 'Both must be known.' },
    fields: {
      encoded_token: str('The token under its pad.', { initial: '', isSecret: true }),
      otp: str('The pad.', { initial: '', isSecret: true }),
    },
    ...always,
    operations: {
      update: {
        summary: 'Takes the pad off a root token.',
        answer: shape.object({ token: shape.text }),
        act({ fields: { encoded_token = '', otp = '' } }) {
          const token = decodeToken(encoded_token, otp)
          return token instanceof Refusal ? token : { data: { token } }
        },
      },
    },
  })

const rotationShape = shape.object({
  max_operations: shape.int,
  interval: shape.int,
  enabled: shape.bool,
})

/** The keyring, and sealing. */
function keyringPaths(seal: SealOperatorPort): PathSpec[] {
  const common = { fields: {}, isRootOnly: true } as const
  return [
    path({
      ...{ pattern: 'seal', access: 'privileged', ...common },
      help: { synopsis: 'Seals all servers.', description: 'Key shares open them again.' },
      operations: {
        update: {
          summary: 'Seals all servers.',
          async act() {
            await seal.seal()
            return NOTHING
          },
        },
      },
    }),
    path({
      ...{ pattern: 'key-status', access: 'authorized', ...common },
      help: { synopsis: 'The term that seals.', description: 'And how often it has sealed.' },
      operations: {
        read: {
          summary: 'Tells of the term that seals.',
          answer: shape.object({
            term: shape.int,
            install_time: shape.time,
            encryptions: shape.int,
          }),
          act: () => data(seal.keyStatus()),
        },
      },
    }),
    ...['rotate', 'rotate/keyring'].flatMap(pattern => rotationPaths(pattern, seal)),
    path({
      ...{ pattern: 'rotate/root', access: 'privileged', ...common },
      help: { synopsis: 'A new root key.', description: 'Key shares stay as they are.' },
      operations: {
        update: {
          summary: 'Makes a new root key, without key shares.',
          act: async () => nothing(await seal.rotateRoot()),
        },
      },
    }),
  ]
}

function rotationPaths(pattern: string, seal: SealOperatorPort): PathSpec[] {
  return [
    path({
      ...{ pattern, fields: {}, access: 'privileged', isRootOnly: true },
      help: { synopsis: 'Begins a new term.', description: 'What older terms sealed still opens.' },
      operations: {
        update: {
          summary: 'Begins a new term of the keyring.',
          act: async () => nothing(await seal.rotate()),
        },
      },
    }),
    path({
      pattern: `${pattern}/config`,
      fields: {
        max_operations: int('Texts that a term seals at most.'),
        interval: dur('How long a term lasts; 0 is no bound, less than a day is a day.'),
        enabled: bool('Whether terms end by themselves.'),
      },
      ...{ access: 'authorized', isRootOnly: true },
      help: { synopsis: 'When new terms begin.', description: 'By count, or by time.' },
      operations: {
        read: {
          summary: 'Tells when new terms begin.',
          answer: rotationShape,
          act: () => data(seal.rotationConfig()),
        },
        update: {
          summary: 'Says when new terms begin.',
          examples: [{ interval: '720h' }],
          act: async ({ fields }) =>
            nothing(
              await seal.setRotationConfig({
                maxOperations: fields.max_operations,
                intervalMs: fields.interval,
                isEnabled: fields.enabled,
              }),
            ),
        },
      },
    }),
  ]
}

const rekeyFields = {
  secret_shares: int('Shares that the new key is split into.', { initial: 0 }),
  secret_threshold: int('Shares that give it back.', { initial: 0 }),
  stored_shares: int('Kept for clients that say it.'),
  pgp_keys: list('OpenPGP keys in base64, one for each share.', { initial: [] }),
  backup: bool('Whether the encrypted shares are kept here too.', { initial: false }),
  require_verification: bool('Whether the new shares must be shown first.', { initial: false }),
  nonce: str('Of the attempt that is to end.', { initial: '' }),
}

const rekeyOf = (fields: Values<typeof rekeyFields>): RekeyRequest => ({
  shares: fields.secret_shares ?? 0,
  threshold: fields.secret_threshold ?? 0,
  pgpKeys: fields.pgp_keys ?? [],
  backup: fields.backup ?? false,
  requireVerification: fields.require_verification ?? false,
})

const shareFields = {
  key: str('A key share, in hexadecimal or base64.', { initial: '', isSecret: true }),
  nonce: str('Of the attempt that it is for.', { initial: '' }),
}

const rekeyShape = shape.object({
  nonce: shape.text,
  started: shape.optional(shape.bool),
  complete: shape.optional(shape.bool),
  t: shape.optional(shape.int),
  n: shape.optional(shape.int),
  progress: shape.optional(shape.int),
  required: shape.optional(shape.int),
  keys: shape.optional(shape.texts),
  keys_base64: shape.optional(shape.texts),
  pgp_fingerprints: shape.nullable(shape.texts),
  backup: shape.bool,
  verification_required: shape.bool,
  verification_nonce: shape.optional(shape.text),
})

const verifyShape = shape.object({
  nonce: shape.text,
  started: shape.optional(shape.bool),
  complete: shape.optional(shape.bool),
  t: shape.optional(shape.int),
  n: shape.optional(shape.int),
  progress: shape.optional(shape.int),
})

/** How the paths of one kind of attempt answer, and who may call them. */
interface RekeyForm {
  readonly prefix: string
  readonly target: ShareTarget
  readonly access: PathAccess
  readonly answer: (body: Body | Refusal) => Answer | Refusal
}

/** As Vault has always had it: answers without an envelope. */
const legacyRekey = (
  prefix: string,
  target: ShareTarget,
  seal: SealOperatorPort,
  isOpen: boolean,
): PathSpec[] =>
  attemptPaths(seal, { prefix, target, access: isOpen ? 'open' : 'privileged', answer: bare })

/** The same for whoever may, in an envelope. */
const rotatePaths = (target: ShareTarget, seal: SealOperatorPort): PathSpec[] =>
  attemptPaths(seal, { prefix: `rotate/${target}`, target, access: 'authorized', answer: data })

function attemptPaths(
  seal: SealOperatorPort,
  { prefix, target, access, answer }: RekeyForm,
): PathSpec[] {
  const isAuthorised = access !== 'open'
  const common = { access, isRootOnly: true, whileSealed: !isAuthorised } as const
  const what = target === 'root' ? 'key shares' : 'recovery key shares'
  return [
    path({
      ...{ pattern: `${prefix}/init`, fields: rekeyFields, ...common },
      help: {
        synopsis: `An attempt to replace all ${what}.`,
        description: 'Who has no token ends it by its nonce alone.',
      },
      operations: {
        read: {
          summary: 'Tells of the attempt under way.',
          answer: rekeyShape,
          act: async () => answer(await seal.rekeyStatus(target)),
        },
        update: {
          summary: 'Begins an attempt.',
          answer: rekeyShape,
          examples: [{ secret_shares: 5, secret_threshold: 3 }],
          act: async ({ fields }) => answer(await seal.rekeyStart(target, rekeyOf(fields))),
        },
        delete: {
          summary: 'Ends it.',
          act: async ({ fields: { nonce = '' } }) =>
            nothing(await seal.rekeyCancel(target, nonce, isAuthorised)),
        },
      },
    }),
    path({
      ...{ pattern: `${prefix}/update`, fields: shareFields, ...common },
      help: { synopsis: `Takes one of the old ${what}.`, description: 'The last gives new ones.' },
      operations: {
        update: {
          summary: `Takes one of the old ${what}.`,
          answer: rekeyShape,
          act: async ({ fields: { key = '', nonce = '' } }) =>
            answer(await seal.rekeyUpdate(target, key, nonce)),
        },
      },
    }),
    path({
      ...{ pattern: `${prefix}/verify`, fields: shareFields, ...common },
      help: { synopsis: `Takes one of the new ${what}.`, description: 'Until all were shown.' },
      operations: {
        read: {
          summary: 'Tells how many were shown.',
          answer: verifyShape,
          act: async () => answer(await seal.verifyStatus(target)),
        },
        update: {
          summary: `Takes one of the new ${what}.`,
          answer: verifyShape,
          act: async ({ fields: { key = '', nonce = '' } }) =>
            answer(await seal.verifyUpdate(target, key, nonce)),
        },
        delete: {
          summary: 'Begins to have them shown anew.',
          answer: verifyShape,
          act: async () => answer(await seal.verifyRestart(target)),
        },
      },
    }),
  ]
}

/** What each place of a backup is called. */
const BACKUPS = [
  ['rekey/backup', 'root'],
  ['rekey/recovery-key-backup', 'recovery'],
  ['rotate/root/backup', 'root'],
  ['rotate/recovery/backup', 'recovery'],
] as const

const backupPaths = (seal: SealOperatorPort): PathSpec[] =>
  BACKUPS.map(([pattern, target]) =>
    path({
      ...{ pattern, fields: {}, access: 'authorized', isRootOnly: true },
      help: { synopsis: 'Encrypted key shares.', description: 'Kept where a rekey asked for it.' },
      operations: {
        read: {
          summary: 'Shows the encrypted key shares.',
          answer: shape.object({
            nonce: shape.text,
            keys: shape.mapOf(shape.texts),
            keys_base64: shape.mapOf(shape.texts),
          }),
          act: () => data(seal.backup(target)),
        },
        delete: {
          summary: 'Forgets them.',
          act: async () => nothing(await seal.dropBackup(target)),
        },
      },
    }),
  )

const rootTokenShape = shape.object({
  nonce: shape.text,
  started: shape.bool,
  progress: shape.int,
  required: shape.int,
  complete: shape.bool,
  encoded_token: shape.text,
  encoded_root_token: shape.text,
  pgp_fingerprint: shape.text,
  otp: shape.text,
  otp_length: shape.int,
})

function rootTokenPaths(seal: SealOperatorPort, isOpen: boolean): PathSpec[] {
  const access: PathAccess = isOpen ? 'open' : 'privileged'
  const common = { access, isRootOnly: true, whileSealed: isOpen } as const
  const attempt = (pattern: string): PathSpec =>
    path({
      pattern,
      fields: {
        otp: str('A pad of the length of a root token.', { initial: '', isSecret: true }),
        pgp_key: str('An OpenPGP key in base64, in the place of a pad.', { initial: '' }),
        nonce: str('Of the attempt that is to end.', { initial: '' }),
      },
      ...common,
      help: {
        synopsis: 'An attempt to make a root token by key shares.',
        description: 'Without a pad or a key of its own, the first answer has a pad.',
      },
      operations: {
        read: {
          summary: 'Tells of the attempt under way.',
          answer: rootTokenShape,
          act: async () => bare(await seal.rootTokenStatus()),
        },
        update: {
          summary: 'Begins an attempt.',
          answer: rootTokenShape,
          act: async ({ fields: { otp = '', pgp_key = '' } }) =>
            bare(await seal.rootTokenStart({ otp, pgpKey: pgp_key })),
        },
        delete: {
          summary: 'Ends it.',
          act: async ({ fields: { nonce = '' } }) =>
            nothing(await seal.rootTokenCancel(nonce, !isOpen)),
        },
      },
    })
  return [
    attempt('generate-root'),
    attempt('generate-root/attempt'),
    path({
      ...{ pattern: 'generate-root/update', fields: shareFields, ...common },
      help: { synopsis: 'Takes a key share.', description: 'The last gives the token.' },
      operations: {
        update: {
          summary: 'Takes a key share.',
          answer: rootTokenShape,
          act: async ({ fields: { key = '', nonce = '' } }) =>
            bare(await seal.rootTokenUpdate(key, nonce)),
        },
      },
    }),
  ]
}
