/**
 * A gRPC face on a store in memory, and a client that knows no contract: it sends and gets what
 * the contracts of the methods say.
 */
import * as grpc from '@grpc/grpc-js'
import type { Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import type { IncomingBounds } from '../../src/base/io/grpc-incoming.ts'
import { methodsOf } from '../../src/base/io/proto.ts'
import { limits } from '../../src/base/limits.ts'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { NO_RATES, RateGate, type RequestRates } from '../../src/base/request-rates.ts'
import type { SecureOptions } from '../../src/base/tls.ts'
import { type Authority, openAuthority } from '../../src/base/who.ts'
import type { GrpcMethod } from '../../src/grpc/declare.ts'
import type { GrpcPipelineOptions } from '../../src/grpc/pipeline.ts'
import { createGrpcFace, type GrpcFace, type ServiceHealth } from '../../src/grpc/server.ts'

export interface GrpcFaceOptions {
  readonly methods?: readonly GrpcMethod[]
  readonly authority?: Authority
  readonly audit?: NonNullable<GrpcPipelineOptions['audit']>
  readonly rates?: RequestRates
  readonly health?: ServiceHealth
  readonly log?: LiveLog
  readonly connectionsPerClient?: number
  readonly secure?: SecureOptions
  readonly keepaliveMs?: number
  readonly bounds?: IncomingBounds
}

/** How a call of a test ended. */
export interface Ended {
  /** gRPC's name of the status. */
  readonly code: string
  readonly text: string
  readonly metadata: grpc.Metadata
  /** What came, decoded. */
  // biome-ignore lint/suspicious/noExplicitAny: tests know what they asked for
  readonly answers: readonly any[]
}

export type Headers = Readonly<Record<string, string | Buffer>>

/** A stream of a test: what came so far, and its end. */
export interface OpenStream {
  // biome-ignore lint/suspicious/noExplicitAny: tests know what they asked for
  readonly answers: readonly any[]
  readonly call: grpc.ClientDuplexStream<object, object>
  readonly ended: Promise<Ended>
  send(message: object): void
}

/** Calls methods of a face. */
export class GrpcTestClient {
  readonly #client: grpc.Client

  constructor(t: Test, address: string, credentials = grpc.credentials.createInsecure()) {
    this.#client = new grpc.Client(address, credentials, {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
    })
    t.teardown(() => this.#client.close())
  }

  /** Opens a stream of a method of any form. */
  async open(
    { protoFile, path }: Pick<GrpcMethod, 'protoFile' | 'path'>,
    headers: Headers = {},
    options: grpc.CallOptions = {},
  ): Promise<OpenStream> {
    const [codec] = await methodsOf([protoFile], [path])
    const call = this.#client.makeBidiStreamRequest<object, object>(
      `/${path}`,
      codec!.request.encode,
      codec!.answer.decode,
      metadataOf(headers),
      options,
    )
    const answers: object[] = []
    call.on('data', (answer: object) => answers.push(answer))
    call.on('error', () => {})
    const ended = new Promise<Ended>(resolve => {
      call.on('status', ({ code, details, metadata }) => {
        resolve({ code: grpc.status[code]!, text: details, metadata, answers })
      })
    })
    return { answers, call, ended, send: message => void call.write(message) }
  }

  /** Sends one message, and waits for the end. */
  async call(
    method: Pick<GrpcMethod, 'protoFile' | 'path'>,
    request: object = {},
    headers: Headers = {},
    options: grpc.CallOptions = {},
  ): Promise<Ended> {
    const stream = await this.open(method, headers, options)
    stream.call.end(request)
    return stream.ended
  }

  /** Sends bytes in the place of a message. */
  raw(path: string, bytes: Buffer, headers: Headers = {}): Promise<Ended> {
    const same = (each: Buffer): Buffer => each
    return new Promise(resolve => {
      const answers: Buffer[] = []
      const call = this.#client.makeBidiStreamRequest(path, same, same, metadataOf(headers))
      call.on('data', (answer: Buffer) => answers.push(answer))
      call.on('error', () => {})
      call.on('status', ({ code, details, metadata }) => {
        resolve({ code: grpc.status[code]!, text: details, metadata, answers })
      })
      call.end(bytes)
    })
  }
}

function metadataOf(headers: Headers): grpc.Metadata {
  const metadata = new grpc.Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return metadata
}

export interface RunningGrpc {
  readonly face: GrpcFace
  readonly client: GrpcTestClient
  readonly metrics: Metrics
  readonly rates: RateGate
  readonly host: string
  readonly port: number
}

/** Starts a face; it is stopped at the end of the test. */
export async function startGrpc(t: Test, options: GrpcFaceOptions = {}): Promise<RunningGrpc> {
  const metrics = new Metrics(systemClock)
  const log = options.log ?? silentLog
  const clock = systemClock
  const rates = new RateGate(options.rates ?? NO_RATES, { clock, log, metrics })
  const face = createGrpcFace({
    ...{ clock, random: systemRandom, log, metrics, rates },
    authority: options.authority ?? openAuthority,
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    ...(options.health === undefined ? {} : { health: options.health }),
    methods: options.methods ?? [],
    handshakeTimeoutMs: 5_000,
    keepaliveMs: options.keepaliveMs ?? limits.grpcKeepaliveMs,
    keepaliveTimeoutMs: options.keepaliveMs ?? limits.grpcKeepaliveTimeoutMs,
    ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
    connectionsPerClient: options.connectionsPerClient ?? 0,
  })
  const { host, port } = await face.listen('127.0.0.1', 0, options.secure)
  t.teardown(async () => {
    face.cut()
    await face.close()
  })
  return { face, client: new GrpcTestClient(t, `${host}:${port}`), metrics, rates, host, port }
}
