/**
 * `derive-key/<name>`: a new key from what one of ours and somebody else's agree on (ECDH).
 *
 * Owns the path.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { int, str } from '../../../field.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import { SOFT_DELETED } from '../config.ts'
import { agreedBytes } from '../key/derive.ts'
import { Fault } from '../key/fault.ts'
import { addVersion, keyWished } from '../key/make.ts'
import { type KeyType, typeNamed, typeOf } from '../key/type.ts'
import { isKeyName, type KeyRow, keyAt } from '../rows.ts'
import { bad, refusalOf } from './batch.ts'
import { keyFor, readyVersion } from './keys.ts'

const fields = {
  name: str('Name of the key that is made.'),
  key_derivation_algorithm: str('`ecdh`.', { initial: 'ecdh' }),
  peer_public_key: str("The other one's public key, in PEM."),
  base_key_name: str('Name of our own key.'),
  base_key_version: int('Its version; 0 for the latest.', { initial: 0 }),
  derived_key_type: str('The type of the key that is made.', { initial: 'aes256-gcm96' }),
}

export const deriveKeyPath: PathSpec = path({
  pattern: 'derive-key/{name}',
  help: {
    synopsis: 'Makes a key from what two others agree on.',
    description:
      'Both sides get the same key: of our private key with the public one of the other, and the other way round.',
  },
  fields,
  access: 'authorized',
  operations: {
    update: {
      summary: 'Makes a key by a key agreement.',
      examples: [{ base_key_name: 'ours', peer_public_key: '-----BEGIN PUBLIC KEY-----\n…' }],
      run: deriveKey,
    },
  },
})

const NO_PEER = 'failed to parse supplied peer public key PEM'

function deriveKey(call: Call<typeof fields>): Outcome {
  const { name = '', base_key_name: base = '', base_key_version: version = 0 } = call.fields
  const algorithm = call.fields.key_derivation_algorithm ?? ''
  if (algorithm !== 'ecdh') return bad(`key derivation algorithm ${algorithm} not supported`)
  const pem = call.fields.peer_public_key ?? ''
  if (pem === '') return bad('peer public key not provided')
  const typeName = (call.fields.derived_key_type ?? '').toLowerCase()
  const type = typeNamed(typeName)
  if (type?.kind !== 'aead') return bad(`unknown key type ${typeName}`)
  if (!isKeyName(name)) return UNSUPPORTED_PATH
  const own = keyFor(call.storage, base, 'specified base key not found')
  if (own instanceof Refusal) return own
  const bytes = agreed(call, own, version, pem, type)
  return bytes instanceof Refusal ? bytes : keep(call, name, type, bytes)
}

function agreed(
  { storage }: Call<typeof fields>,
  own: KeyRow,
  asked: number,
  pem: string,
  { sizeBytes }: KeyType,
): Buffer | Refusal {
  const { agrees, curve } = typeOf(own)
  if (!agrees) return bad(`base key type ${own.type} does not support key agreement`)
  const requested = 'requested version of the base key'
  if (asked < 0) return bad(`${requested} is negative`)
  if (asked > own.latest) return bad(`${requested} is higher than the latest key version`)
  const version = asked === 0 ? own.latest : asked
  if (version < own.minAvailable) {
    return bad(`${requested} is less than the minimum available key version`)
  }
  const material = readyVersion(storage, own, version)
  if (material instanceof Fault) return refusalOf(material)
  if (material.privateKey === undefined) return bad(`${requested} does not have a private part`)
  const peer = peerKey(pem)
  if (peer === undefined) return bad(NO_PEER)
  if (peer.asymmetricKeyType !== 'ec') return bad('supplied peer public key is not an ECDSA key')
  if (peer.asymmetricKeyDetails?.namedCurve !== curve) {
    return bad(`base private key type ${own.type} does not match peer public key curve`)
  }
  return agreedBytes(material.privateKey, peer, sizeBytes)
}

/** A public key in PEM; node:crypto would take a private one as well. */
function peerKey(pem: string): KeyObject | undefined {
  if (!/^\s*-----BEGIN PUBLIC KEY-----/.test(pem)) return undefined
  try {
    return createPublicKey(pem)
  } catch {
    return undefined
  }
}

/** Keeps what was agreed on: as a new key, or as the next version of one that came so too. */
function keep(call: Call<typeof fields>, name: string, type: KeyType, bytes: Buffer): Outcome {
  const before = keyAt(call.storage, name)
  if (before === undefined) {
    const key = keyWished(call.random, { type: type.name })
    if (key instanceof Refusal) return key
    addVersion(call, name, { ...key, imported: true }, { bytes })
    return NOTHING
  }
  if (before.softDeleted) return SOFT_DELETED
  if (before.type !== type.name || !before.imported || before.derived) {
    return bad(`key ${name} already exists, and is no key of this type that came by an agreement`)
  }
  addVersion(call, name, before, { bytes })
  return NOTHING
}
