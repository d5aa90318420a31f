/**
 * `gatehouse.v1.Transit`: encryption, signatures and HMACs of one text or many; streams are
 * transit-stream.ts's.
 *
 * Owns the methods and what of their messages is base64 in the paths of transit, which do the work.
 * What becomes of an item is told in its place; what is refused as a whole ends the call.
 */
import { Refusal } from '../../base/errors.ts'
import type { JsonObject } from '../../secrets/field.ts'
import { decidedInside, type GrpcCall, type GrpcMethod, unary } from '../declare.ts'
import { Door, dataIn, type SecretsGrpcPorts } from './door.ts'
import { streamMethods, transitPath } from './transit-stream.ts'

interface Request<I> {
  readonly mount: string
  readonly key: string
  readonly namespace: string
  readonly items: readonly I[]
}

interface SealItem {
  readonly plaintext: Buffer
  readonly context: Buffer
  readonly associatedData: Buffer
  readonly keyVersion: number
  readonly reference: string
}

interface OpenItem {
  readonly ciphertext: string
  readonly context: Buffer
  readonly associatedData: Buffer
  readonly reference: string
}

interface InputItem {
  readonly input: Buffer
  readonly context: Buffer
  readonly reference: string
}

interface ProofItem extends InputItem {
  readonly signature?: string
  readonly hmac?: string
}

/** How inputs are signed. */
interface Scheme {
  readonly hashAlgorithm: string
  readonly signatureAlgorithm: string
  readonly marshalingAlgorithm: string
  readonly saltLength: string
  readonly prehashed: boolean
}

type SignRequest = Request<InputItem> & Scheme & { readonly keyVersion: number }
type VerifyRequest = Request<ProofItem> & Scheme
type SealRequest = Request<SealItem> & { readonly paddingScheme: string }
type OpenRequest = Request<OpenItem> & { readonly paddingScheme: string }
type RewrapRequest = Request<OpenItem> & { readonly keyVersion: number }
type HmacRequest = Request<InputItem> & {
  readonly algorithm: string
  readonly keyVersion: number
}

/** What stands in `batch_results` for an item. */
interface Result {
  readonly ciphertext?: string
  readonly plaintext?: string
  readonly signature?: string
  readonly publickey?: string
  readonly hmac?: string
  readonly valid?: boolean
  readonly key_version?: number
  readonly reference?: string
  readonly error?: string
}

const protoFile = 'gatehouse/v1/transit.proto'
const SERVICE = 'gatehouse.v1.Transit'
const base64 = (bytes: Buffer): string => bytes.toString('base64')
/** Only what is said is sent. */
const said = (name: string, value: string | number | boolean): JsonObject =>
  value === '' || value === 0 || value === false ? {} : { [name]: value }

/** The methods. */
export function transitService(ports: SecretsGrpcPorts): readonly GrpcMethod[] {
  const door = new Door(ports)
  const batch = <I, Q extends Request<I>>(
    { name, operation, summary }: Named,
    itemOf: (item: I, request: Q) => JsonObject,
    { more = () => ({}), tell }: Telling<Q>,
  ) =>
    unary<Q, { results: object[]; requestId: string }>({
      ...{ protoFile, path: `${SERVICE}/${name}`, summary, effect: 'reads', access: decidedInside },
      nameOf: ({ key }) => key,
      run: (request, call) => {
        const items = request.items.map(item => itemOf(item, request))
        const path = transitPath(operation, request)
        return inBatch(door, call, {
          path,
          request,
          data: { ...more(request), batch_input: items },
          tell,
        })
      },
    })
  return [
    batch<SealItem, SealRequest>(
      { name: 'Encrypt', operation: 'encrypt', summary: 'Encrypts texts.' },
      ({ plaintext, context, associatedData, keyVersion, reference }) => ({
        plaintext: base64(plaintext),
        ...said('context', base64(context)),
        ...said('associated_data', base64(associatedData)),
        ...said('key_version', keyVersion),
        ...said('reference', reference),
      }),
      { more: ({ paddingScheme }) => said('padding_scheme', paddingScheme), tell: sealed },
    ),
    batch<OpenItem, OpenRequest>(
      { name: 'Decrypt', operation: 'decrypt', summary: 'Decrypts texts.' },
      openItem,
      {
        more: ({ paddingScheme }) => said('padding_scheme', paddingScheme),
        tell: ({ plaintext = '', ...rest }) => ({
          plaintext: Buffer.from(plaintext, 'base64'),
          ...outcome(rest),
        }),
      },
    ),
    batch<OpenItem, RewrapRequest>(
      { name: 'Rewrap', operation: 'rewrap', summary: 'Encrypts texts again.' },
      (item, { keyVersion }) => ({ ...openItem(item), ...said('key_version', keyVersion) }),
      { tell: sealed },
    ),
    batch<InputItem, SignRequest>(
      { name: 'Sign', operation: 'sign', summary: 'Signs inputs.' },
      inputItem,
      {
        more: request => ({ ...scheme(request), ...said('key_version', request.keyVersion) }),
        tell: ({ signature = '', key_version: keyVersion = 0, publickey = '', ...rest }) => ({
          ...{ signature, keyVersion, publicKey: publickey },
          ...outcome(rest),
        }),
      },
    ),
    batch<ProofItem, VerifyRequest>(
      { name: 'Verify', operation: 'verify', summary: 'Checks signatures or HMACs.' },
      ({ signature = '', hmac = '', ...item }) => ({
        ...inputItem(item),
        ...said('signature', signature),
        ...said('hmac', hmac),
      }),
      { more: scheme, tell: ({ valid = false, ...rest }) => ({ valid, ...outcome(rest) }) },
    ),
    batch<InputItem, HmacRequest>(
      { name: 'Hmac', operation: 'hmac', summary: 'Gives HMACs.' },
      ({ input, reference }) => ({ input: base64(input), ...said('reference', reference) }),
      {
        more: ({ algorithm, keyVersion }) => ({
          ...said('algorithm', algorithm),
          ...said('key_version', keyVersion),
        }),
        tell: ({ hmac = '', ...rest }) => ({ hmac, ...outcome(rest) }),
      },
    ),
    ...streamMethods(ports),
  ]
}

interface Named {
  readonly name: string
  readonly operation: string
  readonly summary: string
}

interface Telling<Q> {
  /** What is said of all items. */
  more?(request: Q): JsonObject
  tell(result: Result): object
}

const openItem = ({ ciphertext, context, associatedData, reference }: OpenItem): JsonObject => ({
  ciphertext,
  ...said('context', base64(context)),
  ...said('associated_data', base64(associatedData)),
  ...said('reference', reference),
})

const inputItem = ({ input, context, reference }: InputItem): JsonObject => ({
  input: base64(input),
  ...said('context', base64(context)),
  ...said('reference', reference),
})

const scheme = (request: Scheme): JsonObject => ({
  ...said('hash_algorithm', request.hashAlgorithm),
  ...said('signature_algorithm', request.signatureAlgorithm),
  ...said('marshaling_algorithm', request.marshalingAlgorithm),
  ...said('salt_length', request.saltLength),
  ...said('prehashed', request.prehashed),
})

const outcome = ({ reference = '', error = '' }: Result) => ({ reference, error })

const sealed = ({ ciphertext = '', key_version: keyVersion = 0, ...rest }: Result) => ({
  ...{ ciphertext, keyVersion },
  ...outcome(rest),
})

async function inBatch(
  door: Door,
  call: GrpcCall,
  asked: {
    readonly path: string
    readonly request: Request<unknown>
    readonly data: JsonObject
    tell(result: Result): object
  },
): Promise<{ results: object[]; requestId: string } | Refusal> {
  const { path, request, data, tell } = asked
  const { namespace } = request
  const told = await door.ask(call, { operation: 'update', path, namespace, data })
  if (told instanceof Refusal) return told
  const { batch_results: results } = dataIn<{ batch_results: Result[] }>(told.answer)
  // A path that takes no batches is no path of transit.
  return results === undefined ? NO_TRANSIT : { results: results.map(tell), requestId: told.id }
}

const NO_TRANSIT = new Refusal(400, 'the mount is none of transit')
