/**
 * Paths for certificates of keys: a request for one, and the chain that came of it.
 *
 * Owns these paths' declarations and rules. A request is signed before the rule, in a thread where
 * that takes long.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { limits } from '../../../base/limits.ts'
import { signBy } from '../../../x509/algorithm.ts'
import { type ParsedCertificate, readCertificate } from '../../../x509/certificate.ts'
import { type RequestContent, readAnyRequest, requestBody } from '../../../x509/csr.ts'
import { DerError } from '../../../x509/der.ts'
import { ContentError } from '../../../x509/encode.ts'
import { pemBlocks, pemOf } from '../../../x509/pem.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../declare.ts'
import { int, str } from '../../field.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'
import { SOFT_DELETED } from './config.ts'
import { rotationOf } from './key/make.ts'
import { type Material, materialOf } from './key/material.ts'
import { type KeyType, typeOf } from './key/type.ts'
import { type KeyRow, keyAt, putKey, versionAt } from './rows.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const requestFields = {
  name: str('Name of the key.'),
  version: int('The version that signs; the latest unless it is said.'),
  csr: str('PEM of a request to take subject and extensions from; none for an empty one.'),
}
const chainFields = {
  name: str('Name of the key.'),
  version: int('The version that the leaf is of; the latest unless it is said.'),
  certificate_chain: str('PEM of certificates, the leaf first.'),
}

export const certificatePaths = (arithmetic: Arithmetic): PathSpec[] => [
  path({
    pattern: 'keys/{name}/csr',
    help: {
      synopsis: 'A certificate request signed by a key.',
      description: 'Subject and extensions are those of the request that is given.',
    },
    fields: requestFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof requestFields, string>({
        summary: 'Signs a certificate request.',
        effect: 'reads',
        answer: shape.object({ name: shape.text, type: shape.text, csr: shape.text }),
        prepare: call => sign(arithmetic, call),
        run: ({ storage, fields, prepared: csr }) => {
          const { type } = keyAt(storage, fields.name!)!
          return { data: { name: fields.name!, type, csr } }
        },
      }),
    },
  }),
  path({
    pattern: 'keys/{name}/set-certificate',
    help: {
      synopsis: 'The certificate of a key.',
      description: 'It is kept with the version that it is of, and told as the key is read.',
    },
    fields: chainFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Sets the certificate chain of a version.',
        answer: shape.object({
          ...{ name: shape.text, type: shape.text, certificate_chain: shape.text },
        }),
        run: setChain,
      },
    },
  }),
]

/** A key that may have a certificate, and the version that is asked for. */
interface Certifiable {
  readonly row: KeyRow
  readonly material: Material
}

function certifiable(
  storage: Storage,
  name: string,
  version: number | undefined,
): Certifiable | Refusal {
  const row = keyAt(storage, name)
  if (row === undefined) return bad(`key with provided name '${name}' not found`)
  const type = typeOf(row)
  if (!type.signs) return bad(`key type '${type.name}' does not support signing`)
  if (row.derived) return bad('operation not supported for keys with derivation enabled')
  if (row.softDeleted) return SOFT_DELETED
  const wanted = version ?? row.latest
  const material = wanted < row.minDecryption ? undefined : materialOf(storage, row, wanted)
  return material === undefined ? bad('no such key version') : { row, material }
}

async function sign(
  arithmetic: Arithmetic,
  { storage, fields }: Call<typeof requestFields>,
): Promise<string | Refusal> {
  const found = certifiable(storage, fields.name!, fields.version)
  if (found instanceof Refusal) return found
  const { row, material } = found
  if (material.privateKey === undefined) {
    return bad('could not create the csr: private key not imported for key version selected')
  }
  if (!isKnownToX509(typeOf(row))) {
    return new Refusal(501, `not served yet: certificate requests by keys of type ${row.type}`)
  }
  const content = contentOf(fields.csr ?? '')
  if (content instanceof Refusal) return content
  const der = await signed(arithmetic, content, material.privateKey, material)
  return der instanceof Refusal ? der : pemOf('CERTIFICATE REQUEST', der)
}

const isKnownToX509 = ({ kind }: KeyType): boolean => kind !== 'ml-dsa' && kind !== 'slh-dsa'

async function signed(
  arithmetic: Arithmetic,
  content: RequestContent,
  key: KeyObject,
  { publicText }: Material,
): Promise<Buffer | Refusal> {
  try {
    return await signBy(
      arithmetic,
      requestBody(content, key, Buffer.from(publicText!, 'base64')),
      key,
    )
  } catch (error) {
    if (error instanceof ContentError) return bad(`could not create the csr: ${error.message}`)
    throw error
  }
}

/** What a request is to say, as another one does. */
function contentOf(pem: string): RequestContent | Refusal {
  if (pem === '') return { subject: [] }
  try {
    const [block] = pemBlocks(pem)
    if (block === undefined) return bad('could not decode PEM CSR')
    const { subjectName, extensions } = readAnyRequest(block.der)
    return { subject: subjectName, extra: extensions }
  } catch (error) {
    if (error instanceof DerError) return bad(`could not parse the CSR: ${error.message}`)
    throw error
  }
}

function setChain({ storage, fields }: Call<typeof chainFields>): Outcome {
  const name = fields.name!
  const found = certifiable(storage, name, fields.version)
  if (found instanceof Refusal) return found
  const { row, material } = found
  const text = fields.certificate_chain ?? ''
  const chain = chainIn(text)
  if (chain instanceof Refusal) return chain
  const refused = refuseChain(chain, row, material)
  if (refused !== undefined) return refused
  const { version } = material
  const certificates = chain.map(({ der }) => der.toString('base64'))
  putKey(storage, name, {
    row: { ...row },
    versions: [[version, { ...versionAt(storage, row, version)!, certificates }]],
    rotatesAtMs: rotationOf(storage, row),
  })
  return { data: { name, type: row.type, certificate_chain: text } }
}

function chainIn(text: string): readonly ParsedCertificate[] | Refusal {
  if (text.length > limits.transitChainChars) {
    return bad(`certificate_chain is longer than ${limits.transitChainChars} characters`)
  }
  try {
    const blocks = pemBlocks(text).filter(({ label }) => /^(X509 )?CERTIFICATE$/.test(label))
    return blocks.length === 0
      ? bad('provided certificate chain did not contain any valid PEM encoded certificate')
      : blocks.map(({ der }) => readCertificate(der))
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return bad(`could not parse a certificate in the certificate chain: ${error.message}`)
  }
}

/** The refusal of a chain that a version cannot have; undefined where it can. */
function refuseChain(
  chain: readonly ParsedCertificate[],
  row: KeyRow,
  { publicKey }: Material,
): Refusal | undefined {
  const failed = (text: string) => bad(`failed to persist certificate chain: ${text}`)
  const [leaf, ...above] = chain
  if (leaf!.isAuthority) {
    return failed('certificate in the first element is not a valid leaf certificate')
  }
  if (above.length > 0 && !above.at(-1)!.isAuthority) {
    return failed('certificate in the last element is not a valid CA certificate')
  }
  if (!above.every(({ isAuthority }) => isAuthority)) {
    return failed('could not validate if there is only one leaf certificate in the provided chain')
  }
  const found = keyOf(leaf!)
  if (found?.asymmetricKeyType !== publicKey!.asymmetricKeyType) {
    return failed(
      `could not validate key match between leaf certificate key and key entry in transit: provided leaf certificate public key algorithm '${found?.asymmetricKeyType ?? 'unknown'}' does not match the transit key type '${row.type}'`,
    )
  }
  return found!.equals(publicKey!)
    ? undefined
    : failed('leaf certificate public key does not match the selected key version')
}

/** The key of a certificate; undefined where it is none that is known. */
function keyOf(certificate: ParsedCertificate): KeyObject | undefined {
  try {
    return certificate.publicKey
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}
