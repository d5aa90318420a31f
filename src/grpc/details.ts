/**
 * What goes with a failed call: its id, and what programs can read of it (google.rpc, "rich error
 * model").
 *
 * Owns the encoding and its bounds: clients refuse heads that are long. What does not fit is left
 * out, the longest part first. Never holds a secret: it says what the text says.
 */
import { codecOf, type MessageCodec } from '../base/io/proto.ts'
import { limits } from '../base/limits.ts'
import { codeNumbers, type RpcCode } from '../base/rpc.ts'
import type { FailureDetails } from './declare.ts'
import type { Ending } from './status.ts'

const DETAILS_FILE = 'google/rpc/error_details.proto'
const PARTS = ['ErrorInfo', 'RequestInfo', 'BadRequest', 'RetryInfo', 'QuotaFailure'] as const
type Part = (typeof PARTS)[number]

/** Encodes details; made once, when the contracts are loaded. */
export class DetailsEncoder {
  readonly #status: MessageCodec
  readonly #parts: ReadonlyMap<Part, MessageCodec>

  private constructor(status: MessageCodec, parts: ReadonlyMap<Part, MessageCodec>) {
    this.#status = status
    this.#parts = parts
  }

  static async load(): Promise<DetailsEncoder> {
    const status = await codecOf('google/rpc/status.proto', 'google.rpc.Status')
    const parts = await Promise.all(
      PARTS.map(async part => [part, await codecOf(DETAILS_FILE, `google.rpc.${part}`)] as const),
    )
    return new DetailsEncoder(status, new Map(parts))
  }

  /** `google.rpc.Status` in its encoded form. */
  encode({ code, text, details }: Ending, id: string): Buffer {
    const all = partsOf(code, details, id).map(([part, message]) => ({
      type_url: `type.googleapis.com/google.rpc.${part}`,
      value: this.#parts.get(part)!.encode(message),
    }))
    // What says most stands first.
    for (let count = all.length; ; count--) {
      const status = { code: codeNumbers[code], message: text, details: all.slice(0, count) }
      const encoded = this.#status.encode(status)
      if (encoded.length <= limits.grpcDetailsSizeBytes || count === 0) return encoded
    }
  }
}

const MS_PER_S = 1_000
const NS_PER_MS = 1_000_000

function partsOf(
  code: RpcCode,
  { reason = code, metadata = {}, fields = [], retryMs, quota }: FailureDetails,
  id: string,
): (readonly [Part, object])[] {
  return [
    ['RequestInfo', { requestId: id }],
    ['ErrorInfo', { reason, domain: 'gatehouse', metadata }],
    ...(retryMs === undefined
      ? []
      : ([['RetryInfo', { retryDelay: durationOf(retryMs) }]] as const)),
    ...(quota === undefined
      ? []
      : ([
          ['QuotaFailure', { violations: [{ subject: quota.subject, description: quota.text }] }],
        ] as const)),
    ...(fields.length === 0 ? [] : ([['BadRequest', violationsOf(fields)]] as const)),
  ]
}

const durationOf = (ms: number): object => ({
  seconds: Math.floor(ms / MS_PER_S),
  nanos: Math.round(ms % MS_PER_S) * NS_PER_MS,
})

const violationsOf = (fields: NonNullable<FailureDetails['fields']>): object => ({
  fieldViolations: fields.map(({ field, text }) => ({ field, description: text })),
})
