/**
 * Types of keys: what each one can do, and what a key of it is made of.
 *
 * Owns the table alone. Names and abilities are those of Vault's docs (api-docs/secret/transit);
 * the numbers are those of backups (OpenBao's sdk/helper/keysutil).
 */

export type KeyKind =
  /** Encrypts and vouches for it: AES-GCM, ChaCha20-Poly1305, XChaCha20-Poly1305. */
  | 'aead'
  /** Encrypts alone. */
  | 'cbc'
  | 'cmac'
  | 'hmac'
  | 'ecdsa'
  | 'ed25519'
  | 'rsa'
  | 'ml-dsa'
  | 'slh-dsa'

export interface KeyType {
  readonly name: string
  readonly kind: KeyKind
  /** What answers call one version's public key. */
  readonly shownAs: string
  /** The size of a symmetric key; 0 for others, and for `hmac`, whose keys say their own. */
  readonly sizeBytes: number
  /** What of a ciphertext stands before the encrypted bytes. */
  readonly nonceSizeBytes: number
  /** The cipher's name in node:crypto; '' where there is none of that name. */
  readonly cipher: string
  /** The name that OpenSSL has for the curve; '' for none. */
  readonly curve: string
  /** Of an RSA key; 0 for others. */
  readonly bits: number
  /** Also decrypts. */
  readonly encrypts: boolean
  readonly signs: boolean
  readonly derives: boolean
  readonly converges: boolean
  /** Whether a version has a key for HMACs: all but CMAC's do. */
  readonly authenticates: boolean
  /** Whether it can agree on a key with another one (ECDH). */
  readonly agrees: boolean
  readonly takesAssociatedData: boolean
  /** Whether what is signed is hashed before. */
  readonly hashesInput: boolean
  readonly importsKeys: boolean
  readonly importsPublicKeys: boolean
  /** What stands for it in backups; undefined for types that OpenBao has not. */
  readonly backupNumber: number | undefined
}

const NONE = {
  shownAs: '',
  sizeBytes: 0,
  nonceSizeBytes: 0,
  cipher: '',
  curve: '',
  bits: 0,
  encrypts: false,
  signs: false,
  derives: false,
  converges: false,
  authenticates: true,
  agrees: false,
  takesAssociatedData: false,
  hashesInput: false,
  importsKeys: true,
  importsPublicKeys: false,
  backupNumber: undefined,
} as const

const aead = (cipher: string, sizeBytes: number, backupNumber: number, nonceSizeBytes = 12) => ({
  ...{ ...NONE, kind: 'aead' as const, cipher, sizeBytes, nonceSizeBytes, backupNumber },
  ...{ encrypts: true, derives: true, converges: true, takesAssociatedData: true },
})
const cbc = (cipher: string, sizeBytes: number) => ({
  ...{ ...NONE, kind: 'cbc' as const, cipher, sizeBytes, nonceSizeBytes: 16 },
  ...{ encrypts: true, derives: true, converges: true },
})
const cmac = (cipher: string, sizeBytes: number) => ({
  ...{ ...NONE, kind: 'cmac' as const, cipher, sizeBytes, authenticates: false },
})
const ecdsa = (curve: string, shownAs: string, backupNumber: number) => ({
  ...{ ...NONE, kind: 'ecdsa' as const, curve, shownAs, backupNumber },
  ...{ signs: true, agrees: true, hashesInput: true, importsPublicKeys: true },
})
const rsa = (bits: number, backupNumber: number) => ({
  ...{ ...NONE, kind: 'rsa' as const, bits, shownAs: `rsa-${bits}`, backupNumber },
  ...{ encrypts: true, signs: true, hashesInput: true, importsPublicKeys: true },
})
const signature = { ...NONE, signs: true, importsPublicKeys: true }

const table = {
  'aes128-gcm96': aead('aes-128-gcm', 16, 8),
  'aes256-gcm96': aead('aes-256-gcm', 32, 0),
  'chacha20-poly1305': aead('chacha20-poly1305', 32, 5),
  'xchacha20-poly1305': aead('', 32, 11, 24),
  'aes128-cbc': cbc('aes-128-cbc', 16),
  'aes256-cbc': cbc('aes-256-cbc', 32),
  'aes128-cmac': cmac('aes-128-cbc', 16),
  'aes192-cmac': cmac('aes-192-cbc', 24),
  'aes256-cmac': cmac('aes-256-cbc', 32),
  hmac: { ...NONE, kind: 'hmac' as const, backupNumber: 10 },
  'ecdsa-p256': ecdsa('prime256v1', 'P-256', 1),
  'ecdsa-p384': ecdsa('secp384r1', 'P-384', 6),
  'ecdsa-p521': ecdsa('secp521r1', 'P-521', 7),
  ed25519: {
    ...{ ...signature, kind: 'ed25519' as const, shownAs: 'ed25519', derives: true },
    backupNumber: 2,
  },
  'rsa-2048': rsa(2_048, 3),
  'rsa-3072': rsa(3_072, 9),
  'rsa-4096': rsa(4_096, 4),
  'ml-dsa': { ...signature, kind: 'ml-dsa' as const, shownAs: 'ml-dsa' },
  'slh-dsa': { ...signature, kind: 'slh-dsa' as const, shownAs: 'slh-dsa' },
} satisfies Readonly<Record<string, Omit<KeyType, 'name'>>>

export type TypeName = keyof typeof table

const types: ReadonlyMap<string, KeyType> = new Map(
  Object.entries(table).map(([name, type]) => [name, { ...type, name }]),
)

export const DEFAULT_TYPE: TypeName = 'aes256-gcm96'

/** The type of a name, which may be anything. */
export const typeNamed = (name: string): KeyType | undefined => types.get(name)

/** The type of a key. */
export const typeOf = ({ type }: { readonly type: TypeName }): KeyType => types.get(type)!

/** Whether a name is one of a type; keys are kept by it. */
export const isTypeName = (name: string): name is TypeName => types.has(name)

/** The type that stands for a number in backups. */
export const typeNumbered = (number: number): KeyType | undefined =>
  [...types.values()].find(({ backupNumber }) => backupNumber === number)

/** Whether a key of a type is bytes, and not a pair. */
export const isSymmetric = ({ kind }: KeyType): boolean =>
  kind === 'aead' || kind === 'cbc' || kind === 'cmac' || kind === 'hmac'

const ML_DSA = new Map([
  ['44', 'ml-dsa-44'],
  ['65', 'ml-dsa-65'],
  ['87', 'ml-dsa-87'],
])
const SLH_DSA = new Map(
  ['sha2', 'shake'].flatMap(hash =>
    ['128s', '128f', '192s', '192f', '256s', '256f'].map(
      size => [`${hash}-${size}`, `slh-dsa-${hash}-${size}`] as const,
    ),
  ),
)

/** The parameter sets of a type, each with the name that node:crypto has for its keys. */
export const parameterSetsOf = ({ kind }: KeyType): ReadonlyMap<string, string> =>
  kind === 'ml-dsa' ? ML_DSA : kind === 'slh-dsa' ? SLH_DSA : NO_SETS

const NO_SETS: ReadonlyMap<string, string> = new Map()
