/**
 * The gRPC server: health, reflection and the services that it is given.
 *
 * Owns which methods there are and the bounds of the whole; the pipeline answers. Must not know
 * what any method means.
 */
import {
  openPublicServer,
  type PublicMethod,
  type PublicServer,
  type PublicServerOptions,
} from '../base/io/grpc-public.ts'
import { type DescriptorFile, descriptorsOf, methodsOf } from '../base/io/proto.ts'
import type { GrpcMethod } from './declare.ts'
import { DetailsEncoder } from './details.ts'
import { type HealthSource, healthService } from './health.ts'
import { GrpcPipeline, type GrpcPipelineOptions } from './pipeline.ts'
import { reflectionService } from './reflection.ts'
import { refused } from './status.ts'

/** Whether a service answers now, beyond that it is there. */
export interface ServiceHealth {
  isServing(service: string): boolean
  /** Calls when that may have changed. Gives what ends it. */
  onChange(changed: () => void): () => void
}

export interface GrpcOptions
  extends GrpcPipelineOptions,
    Omit<PublicServerOptions, 'load' | 'fallback' | 'names'> {
  readonly methods: readonly GrpcMethod[]
  /** All answer while the server runs unless given. */
  readonly health?: ServiceHealth
  /** What answers calls of methods that are not there: nothing does unless given. */
  readonly fallback?: PublicServerOptions['fallback']
  /** Whether it tells of its contracts; whoever has others answer leaves that to them. */
  readonly reflects?: boolean
}

export interface GrpcFace
  extends Pick<PublicServer, 'listen' | 'listenFile' | 'secure' | 'limitClients' | 'cut'> {
  /** All that is served: what it was given, health and reflection. */
  readonly methods: readonly GrpcMethod[]
  /** What answers calls of a path, wherever they come from; also of one that is not there. */
  methodOf(path: string): Promise<PublicMethod>
  /** How many connections there are, calls on them, and streams among those. */
  readonly connections: number
  readonly calls: number
  readonly streams: number
  /** Ends streams, lets calls under way finish, and resolves when none is left. */
  close(): Promise<void>
}

/** Makes the face; contracts are loaded when the first connection came. */
export function createGrpcFace(options: GrpcOptions): GrpcFace {
  const health = new Health(options.health)
  let files: ReadonlyMap<string, DescriptorFile> = new Map()
  const methods: readonly GrpcMethod[] = [
    ...options.methods,
    ...healthService(health),
    ...(options.reflects === false
      ? []
      : reflectionService({ services: () => health.services, files: () => files })),
  ]
  health.services = servicesIn(methods)
  let pipeline: GrpcPipeline | undefined
  const fallback = options.fallback ?? {
    form: 'duplex' as const,
    take(call, answer) {
      answer.end(pipeline!.unknown(call))
      return { onMessage: () => {}, onHalfClose: () => {} }
    },
  }
  let loading: Promise<ReadonlyMap<string, PublicMethod>> | undefined
  const load = (): Promise<ReadonlyMap<string, PublicMethod>> => {
    loading ??= loadAll()
    return loading
  }
  async function loadAll(): Promise<ReadonlyMap<string, PublicMethod>> {
    const contracts = methods.map(({ protoFile }) => protoFile)
    const paths = methods.map(({ path }) => path)
    const [details, codecs, described] = await Promise.all([
      DetailsEncoder.load(),
      methodsOf(contracts, paths),
      descriptorsOf(contracts),
    ])
    files = described
    const answering = new GrpcPipeline(options, details)
    pipeline = answering
    if (health.isStopping) answering.stop()
    return new Map<string, PublicMethod>(
      methods.map((method, at) => [`/${method.path}`, answering.serve(method, codecs[at]!)]),
    )
  }
  const names: PublicServerOptions['names'] = {
    nextId: () => pipeline!.nextId(),
    statusOf: (code, text, id) => pipeline!.statusOf(refused(code, text), id),
  }
  const server = openPublicServer({ ...options, load, fallback, names })
  return {
    methods,
    listen: (host, port, secure) => server.listen(host, port, secure),
    listenFile: (file, secure) => server.listenFile(file, secure),
    secure: secure => server.secure(secure),
    limitClients: connections => server.limitClients(connections),
    methodOf: async path => (await load()).get(path) ?? fallback,
    get connections() {
      return server.connections
    },
    get calls() {
      return server.calls
    },
    get streams() {
      return pipeline?.streams ?? 0
    },
    async close() {
      health.stop()
      pipeline?.stop()
      await server.close()
    },
    cut: () => server.cut(),
  }
}

const servicesIn = (methods: readonly GrpcMethod[]): readonly string[] =>
  [...new Set(methods.map(({ path }) => path.slice(0, path.indexOf('/'))))].sort()

/** What health tells: of what is there, until the server stops. */
class Health implements HealthSource {
  services: readonly string[] = []
  isStopping = false
  readonly #source: ServiceHealth | undefined
  readonly #watchers = new Set<() => void>()

  constructor(source: ServiceHealth | undefined) {
    this.#source = source
  }

  isServing(service: string): boolean | undefined {
    if (service !== '' && !this.services.includes(service)) return undefined
    return !this.isStopping && (this.#source?.isServing(service) ?? true)
  }

  onChange(changed: () => void): () => void {
    this.#watchers.add(changed)
    const unfollow = this.#source?.onChange(changed)
    return () => {
      this.#watchers.delete(changed)
      unfollow?.()
    }
  }

  stop(): void {
    this.isStopping = true
    for (const changed of this.#watchers) changed()
  }
}
